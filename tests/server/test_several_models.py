"""More than one model in a server: each is asked by its name, and has its own window, health and numbers."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from creuset.core.errors import ConfigError, NotFound
from creuset.model.formats.hf_config import to_hf
from creuset.server.engines.client import EngineClient
from creuset.server.engines.pool import EnginePool, ServedEngine
from creuset.server.model import describe
from creuset.testing import tiny_config, tiny_tokenizer

from .conftest import NAME, SCRIPTED, Running, start


class Quiet:
    """An observer of an engine that is never started."""

    def accepted(self, ids: Any) -> None: ...
    def on_event(self, event: Any, generated: int, read: int) -> None: ...
    def ended(self, id: str, reason: str) -> None: ...
    def on_state(self, state: str, **facts: Any) -> None: ...


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of 64 tokens of context."""
    path = tmp_path_factory.mktemp("short")
    tiny_tokenizer().save(path)
    (path / "config.json").write_text(json.dumps(to_hf(tiny_config(context=64))))
    return path


@pytest.fixture(scope="module")
def server(folder: Path, short: Path) -> Iterator[Running]:
    running = start(folder, more=[(describe(short, ["short", "brief"]), SCRIPTED)])
    yield running
    running.close()


def served(folder: Path, *names: str) -> ServedEngine:
    return ServedEngine(describe(folder, names), EngineClient(["no such program"], Quiet(), limit=4))


def chat(model: str, text: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def test_every_name_of_every_model_is_listed_and_answers(server: Running) -> None:
    listed = server.own.get("/v1/models").json()["data"]
    assert [(one["id"], one["root"], one["max_model_len"]) for one in listed] == [
        (NAME, NAME, 4096), ("tiny", NAME, 4096), ("short", "short", 64), ("brief", "short", 64),
    ]  # fmt: skip
    for name in (NAME, "tiny", "short", "brief"):
        found = server.own.post("/v1/chat/completions", json=chat(name, "say hi")).json()
        assert found["model"] == name and found["choices"][0]["message"]["content"] == "hi"
        assert server.own.get(f"/v1/models/{name}").json()["id"] == name


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/tokenize", "/detokenize"])
def test_a_name_that_nobody_serves_is_a_404_that_lists_all_names(server: Running, path: str) -> None:
    found = server.own.post(path, json={"model": "gpt-4o", "prompt": "a", "messages": [], "tokens": []})
    error = found.json()["error"]
    assert (found.status_code, error["code"], error["param"]) == (404, "model_not_found", "model")
    assert error["message"] == f'the model "gpt-4o" is not served here; this server has {NAME}, tiny, short, brief'


def test_each_model_has_its_own_window(server: Running) -> None:
    long = "a b " * 60
    assert server.own.post("/v1/chat/completions", json=chat("tiny", long)).status_code == 200
    refused = server.own.post("/v1/chat/completions", json=chat("short", long))
    assert refused.status_code == 400 and "context length is 64 tokens" in refused.json()["error"]["message"]
    counted = {m: server.own.post("/tokenize", json={"model": m, "prompt": "a"}).json()["max_model_len"]
               for m in ("tiny", "brief")}  # fmt: skip
    assert counted == {"tiny": 4096, "brief": 64}


def test_without_a_name_the_first_model_reads_text(server: Running) -> None:
    assert server.own.post("/tokenize", json={"prompt": "a"}).json()["max_model_len"] == 4096
    assert server.own.get("/tokenizer_info").json()["model_max_length"] == 4096
    null = server.own.post("/tokenize", json={"prompt": "a", "model": None})
    assert null.json()["max_model_len"] == 4096  # as everywhere, null stands for "not given"


def test_one_engine_may_die_while_the_other_goes_on(folder: Path, short: Path) -> None:
    server = start(folder, more=[(describe(short, ["short"]), SCRIPTED)], client={"backoff_s": 2.0})
    try:
        for name in ("tiny", "short"):  # a model is loaded when it is first asked
            assert server.own.post("/v1/chat/completions", json=chat(name, "say hi")).status_code == 200
        lines = [json.loads(line) for line in server.log.getvalue().splitlines()]
        pids = {line["model"]: line["pid"] for line in lines if line.get("state") == "ready"}
        assert set(pids) == {NAME, "short"}
        import psutil

        psutil.Process(pids["short"]).kill()
        server.wait_until(503)
        found = server.own.get("/health").json()
        assert found["engine"] == "down" and found["error"]["code"] == "engine_unavailable"
        assert [(one["model"], one["state"]) for one in found["engines"]] == [(NAME, "ready"), ("short", "down")]
        assert server.own.post("/v1/chat/completions", json=chat("tiny", "say hi")).status_code == 200
        assert server.own.post("/v1/chat/completions", json=chat("short", "say hi")).status_code == 503
        assert server.metric("creuset_engine_up") == 1
        server.wait_until(200)
        assert server.own.post("/v1/chat/completions", json=chat("short", "say hi")).status_code == 200
        assert server.metric("creuset_engine_up") == 2 and server.metric("creuset_engine_restarts_total") == 1
    finally:
        server.close()


def test_no_two_models_share_a_name(folder: Path) -> None:
    with pytest.raises(ConfigError, match="two models are to be served as `b`"):
        EnginePool([served(folder, "a", "b"), served(folder, "c", "b")])
    with pytest.raises(ConfigError, match="at least one model"):
        EnginePool([])


def test_a_pool_finds_by_every_name_and_nothing_else(folder: Path) -> None:
    first, second = served(folder, "a", "b"), served(folder, "c")
    pool = EnginePool([first, second])
    assert [pool.find(name) for name in "abc"] == [first, first, second] and pool.names == "a, b, c"
    with pytest.raises(NotFound, match='the model "d" is not served here; this server has a, b, c'):
        pool.find("d")
    assert pool.known("b") is first and pool.known("d") is None


@pytest.mark.parametrize(
    ("states", "worst"),
    [(("ready", "ready"), "ready"), (("ready", "starting"), "starting"), (("starting", "down"), "down"),
     (("down", "failed"), "failed"), (("ready", "closed"), "closed"), (("ready", "unloaded"), "ready")],
)  # fmt: skip
def test_a_pool_is_as_well_as_its_worst_engine(folder: Path, states: tuple[Any, Any], worst: str) -> None:
    engines = [served(folder, "a"), served(folder, "b")]
    for engine, state in zip(engines, states, strict=True):
        engine.client.state = state
    assert EnginePool(engines).state == worst


def test_a_fingerprint_says_weights_and_arithmetic(folder: Path) -> None:
    engine = served(folder, "a")
    assert engine.fingerprint == engine.model.fingerprint == f"fp_{engine.model.sha256[:10]}"
    engine.client.facts = {"choices": {"dtype": "fp32"}}
    assert engine.fingerprint == engine.model.fingerprint
    engine.client.facts = {"choices": {"dtype": "bf16", "threads": 2}}
    assert engine.fingerprint == engine.model.fingerprint + "_bf16"
    health = engine.health()
    assert (health["model"], health["state"], health["choices"]) == ("a", "starting", {"dtype": "bf16", "threads": 2})


def test_an_engine_that_cannot_start_ends_the_pool_with_its_reason(folder: Path) -> None:
    dying = EngineClient(["false"], Quiet(), limit=4, backoff_s=0.01)
    pool, ended = EnginePool([ServedEngine(describe(folder, ["a"]), dying)]), []

    asyncio.run(pool.run(lambda: ended.append(True)))
    assert ended == [True] and pool.state == "failed"
    assert "ended 3 times before it was ready" in str(pool.failure)
