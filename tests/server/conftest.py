"""A real server for the tests: uvicorn on a free port, a scripted engine in a process of its own."""

from __future__ import annotations

import asyncio
import io
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest

from creuset.model.formats.hf_config import to_hf
from creuset.server.database import Database
from creuset.server.engines.needs import Need
from creuset.server.engines.pool import UNBOUNDED
from creuset.server.engines.upstream import UpstreamSettings
from creuset.server.log import new_log
from creuset.server.model import ServedModel, describe
from creuset.server.protect.settings import UNPROTECTED, ProtectSettings
from creuset.server.routes.config import NO_ROUTES, RoutesFile
from creuset.server.run import serve
from creuset.server.settings import ServeSettings
from creuset.server.tenants.directory.directory import Directory
from creuset.server.tenants.keys import KeyRing
from creuset.testing import tiny_config, tiny_model_folder, tiny_tokenizer
from creuset.text.watermark import Watermark
from tests.lazy import lazily

if TYPE_CHECKING:
    import openai
else:
    openai = lazily("openai")

SCRIPTED = [sys.executable, "-m", "creuset.testing", "{fd}"]
NAME = "qwen-max-2025-01-25"


def scripted_folder(path: Path) -> Path:
    """A model folder without weights: all that the HTTP process reads."""
    tiny_tokenizer().save(path)
    (path / "config.json").write_text(json.dumps(to_hf(tiny_config(context=4096))))
    (path / "card.md").write_text('---\nlanguage:\n- en\n- fr\nlicense: "apache-2.0"\n---\n\n# A card\n')
    return path


@dataclass
class Running:
    url: str
    log: io.StringIO
    stop: Callable[[], object]
    thread: threading.Thread
    verify: Any = False  # of the server's certificate: nothing here is encrypted, unless a test says so
    clients: list[httpx.Client | openai.OpenAI] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.own = self.client()

    def client(self, **options: Any) -> httpx.Client:
        # Reading the system's certificates would take longer than a test.
        client = httpx.Client(base_url=self.url, timeout=20, trust_env=False, verify=self.verify, **options)
        self.clients.append(client)
        return client

    def openai(self, key: str = "none") -> openai.OpenAI:
        """The official client, without retries."""
        plain = openai.DefaultHttpxClient(verify=False, trust_env=False)
        client = openai.OpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0, http_client=plain)
        self.clients.append(client)
        return client

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.stop()
        self.thread.join(10)
        assert not self.thread.is_alive(), "the server did not stop"

    def wait_until(self, status: int, within_s: float = 60.0) -> None:
        """Until /health answers `status`."""
        end = time.monotonic() + within_s
        while self.own.get("/health").status_code != status:
            assert time.monotonic() < end, f"/health did not become {status} within {within_s} s"
            time.sleep(0.02)

    def logged(self, words: str, within_s: float = 10.0, *, times: int = 1) -> str:
        """The log, once it holds `words` so many times: a line may be written after its reply is read."""
        end = time.monotonic() + within_s
        while (text := self.log.getvalue()).count(words) < times:
            assert time.monotonic() < end, f"the log does not hold {words!r}: {text}"
            time.sleep(0.01)
        return text

    def engine(self) -> psutil.Process:
        """The engine process of this server: its pid is in the log."""
        lines = [json.loads(line) for line in self.log.getvalue().splitlines()]
        return psutil.Process([line["pid"] for line in lines if line.get("state") == "ready"][-1])

    def metric(self, name: str) -> float:
        """The sum of the series of this name that have its labels, `name{reason="lost"}`, and maybe more."""
        found = 0.0
        for line in self.own.get("/metrics").text.splitlines():
            series, _, value = line.rpartition(" ")
            if _name(series) == _name(name) and _labels(name) <= _labels(series):
                found += float(value)
        return found


def _name(series: str) -> str:
    return series.partition("{")[0]


def _labels(series: str) -> set[str]:
    return {label for label in series.partition("{")[2].rstrip("}").split(",") if label}


def start(
    folder: Path,
    *,
    keys: Path | None = None,
    client: dict[str, Any] | None = None,
    more: Sequence[tuple[ServedModel, list[str]]] = (),
    watermark: Watermark | None = None,
    upstreams: Sequence[UpstreamSettings] = (),
    alone: bool = True,
    needs: Sequence[Need | None] = (),
    memory: int = UNBOUNDED,
    ready: int = 200,
    people: Path | Directory | None = None,
    protect: ProtectSettings = UNPROTECTED,
    verify: Any = False,
    routes: RoutesFile = NO_ROUTES,
    **settings: Any,
) -> Running:
    """`people`: a directory, or the file of a database that has one.

    `alone` False: no model of ours but those in `more`. `ready`: what /health must say first."""
    directory = people if isinstance(people, Directory) else None
    if isinstance(people, Path):
        directory = Directory(Database(f"sqlite:///{people}"), people.with_name(people.name + ".pepper"))
    database = directory.database if directory else None
    log, found, listening = io.StringIO(), {}, threading.Event()

    def on_listening(url: str) -> None:
        found["url"] = url
        listening.set()

    def run() -> None:
        asyncio.run(
            serve(
                [*([(describe(folder, [NAME, "tiny"]), SCRIPTED)] if alone else []), *more],
                ServeSettings(port=0, **settings),
                log=new_log("info", log),
                keys=KeyRing(keys) if keys else None,
                on_listening=on_listening,
                on_server=lambda stop: found.update(stop=stop),
                client_options={"backoff_s": 0.05, **(client or {})},
                watermark=watermark,
                upstreams=upstreams,
                needs=needs,
                memory=memory,
                database=database,
                directory=directory,
                protect=protect,
                routes=routes,
            )
        )

    thread = threading.Thread(target=run, name="server")
    thread.start()
    assert listening.wait(10)
    server = Running(found["url"], log, found["stop"], thread, verify)
    server.wait_until(ready)
    return server


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scripted_folder(tmp_path_factory.mktemp("scripted"))


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Running]:
    running = start(folder)
    yield running
    running.close()


@pytest.fixture(scope="module")
def http(server: Running) -> httpx.Client:
    return server.client()


@pytest.fixture(scope="session")
def with_random_model(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The scripted engine, and beside it a real one over a tiny random model, served as `random`."""
    tiny = tiny_model_folder(tmp_path_factory.mktemp("tiny") / "random")
    settings = json.dumps({"seed": 1, "dtype": "fp32", "threads": 1})
    command = [sys.executable, "-m", "creuset.server.engines.worker", "{fd}", str(tiny), settings]
    running = start(folder, more=[(describe(tiny, ["random"]), command)])
    yield running
    running.close()
