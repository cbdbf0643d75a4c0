from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_for_tests import HubForTests, Repository, folder, hub_for_tests

from creuset.model.store.pull import Settings, pull
from creuset.model.store.shelf import Pulled


@pytest.fixture(scope="session")
def server() -> Iterator[HubForTests]:
    with hub_for_tests() as hub:
        yield hub


@pytest.fixture
def hub(server: HubForTests, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> HubForTests:
    """The hub, without faults and with one model `ours/tiny`; retries of the library do not wait."""
    import huggingface_hub.constants
    import huggingface_hub.file_download

    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 10_000)  # what a broken line may lose
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hf-cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
    monkeypatch.setenv("NO_PROXY", "*")
    server.repositories = {"ours/tiny": Repository(folder())}
    server.token, server.break_after, server.down, server.asked, server.leaked = "", {}, False, [], []
    return server


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CREUSET_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "models"


@pytest.fixture
def fetch(hub: HubForTests, store: Path) -> Callable[..., Pulled]:
    """Pull a name from the hub of the tests; somebody agrees to everything."""

    def fetched(name: str, **settings: Any) -> Pulled:
        options = {"agree": lambda plan: True, "clock": lambda: 1_700_000_000.0} | settings
        return pull(name, Settings(endpoint=hub.address, **options))

    return fetched
