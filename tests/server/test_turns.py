"""Models that take turns in memory, over HTTP, with real processes: no request is lost, none meets another's model."""

import json
import random
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from creuset.core.memory import show_size
from creuset.model.count import kv_bytes, parameters
from creuset.server.engines.needs import FLOOR, PROCESS, Need, needs
from creuset.server.model import describe
from creuset.server.run import as_chosen
from creuset.testing import tiny_config

from .conftest import NAME, SCRIPTED, start

GIB = 1 << 30
BROKEN = [sys.executable, "-S", "-c", "raise SystemExit(7)"]


def need(gib: float) -> Need:
    return Need(int(gib * GIB) - PROCESS, 0, "fp32", {})


def chat(model: str, text: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def test_a_random_crowd_is_answered_by_whom_it_asked(folder: Path) -> None:
    chance = random.Random(5)
    more = [(describe(folder, [name]), SCRIPTED) for name in "bc"]
    more += [(describe(folder, ["broken"]), BROKEN), (describe(folder, ["huge"]), SCRIPTED)]
    server = start(folder, more=more, needs=[need(1), need(1), need(2), need(1), need(9)], memory=2 * GIB)
    asked = [(chance.choice([NAME, NAME, "b", "c"]), chance.random() < 0.2, f"{n}") for n in range(24)]
    asked += [("broken", False, "x"), ("huge", False, "y")]
    chance.shuffle(asked)
    got: list[tuple[str, bool, Any]] = []
    room = threading.Semaphore(8)

    def one(model: str, leaves: bool, words: str) -> None:
        with room, server.client() as http:
            try:
                # A client that leaves does so while it waits for its model, or while it is answered.
                body = chat(model, "slowly 400" if leaves else f"say {model} {words}")
                reply = http.post("/v1/chat/completions", json=body, timeout=0.4 if leaves else 60)
                got.append((model, leaves, reply))
            except httpx.ReadTimeout:
                got.append((model, leaves, None))

    threads = [threading.Thread(target=one, args=ask) for ask in asked]
    try:
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            assert server.own.get("/health").json()["memory"]["taken_bytes"] <= 2 * GIB
            threads[0].join(0.05)
            threads.append(threads.pop(0))
        told = {(model, words) for model, leaves, words in asked if not leaves and model not in ("broken", "huge")}
        said = [(m, r.json()) for m, leaves, r in got if not leaves and m not in ("broken", "huge")]
        assert all(body["model"] == model for model, body in said)
        assert {tuple(body["choices"][0]["message"]["content"].split()) for _, body in said} == told
        errors = {model: reply.json()["error"] for model, _, reply in got if model in ("broken", "huge")}
        assert errors["broken"]["code"] == "model_not_loaded" and "ended 3 times" in errors["broken"]["message"]
        assert errors["huge"]["code"] == "model_does_not_fit"
        assert "huge needs 9 GiB of memory" in errors["huge"]["message"] and "take 2 GiB" in errors["huge"]["message"]
        while server.metric("creuset_open_completions"):
            pass
        for model in (NAME, "b", "c"):
            answered = sum(m == model for m, _ in said)
            assert server.metric(f'creuset_completions_total{{model="{model}",reason="stop"}}') == answered > 0
        assert server.metric('creuset_completions_total{reason="lost"}') == 0
        assert server.metric("creuset_waiting_for_model") == 0
        assert server.metric('creuset_model_loads_total{model="c"}') >= 1
        assert server.metric("creuset_engine_restarts_total") == 0
    finally:
        server.close()


def test_a_client_that_leaves_while_it_waits_loads_nothing_for_itself(folder: Path) -> None:
    more = [(describe(folder, ["b"]), SCRIPTED)]
    server = start(folder, more=more, needs=[need(1), need(1)], memory=GIB)
    try:
        with server.client().stream(
            "POST", "/v1/chat/completions", json=chat("tiny", "slowly 400", stream=True)
        ) as one:
            pieces = one.iter_bytes()
            next(pieces)
            with pytest.raises(httpx.ReadTimeout):
                server.client().post("/v1/chat/completions", json=chat("b", "say hi"), timeout=0.3)
            while server.metric("creuset_waiting_for_model"):
                pass
            assert server.own.post("/v1/chat/completions", json=chat("tiny", "say more")).status_code == 200
        assert server.metric('creuset_model_loads_total{model="b"}') == 0
        assert '"status": 499' in server.logged('"status": 499')
    finally:
        server.close()


def test_128_choices_are_queued(folder: Path) -> None:
    server = start(folder, max_concurrency=1, max_queue=3)
    try:
        reply = server.own.post("/v1/chat/completions", json=chat("tiny", "say hi", n=128))
        assert [choice["message"]["content"] for choice in reply.json()["choices"]] == ["hi"] * 128
        two = server.own.post("/v1/chat/completions", json=chat("tiny", "say hi", n=2))
        assert two.status_code == 200
        refused = server.own.post("/v1/completions", json={"model": "tiny", "prompt": ["a", "b"], "n": 65})
        assert refused.status_code == 400 and "130 completions at once" in refused.json()["error"]["message"]
    finally:
        server.close()


def test_a_need_is_weights_cache_and_process() -> None:
    config = tiny_config(context=1024, tie_embeddings=True)
    count = parameters(config)
    (found,) = needs([config], {"dtype": "fp32", "kv_tokens": 100}, GIB)
    assert found.weights == 4 * (count.total + count.embedding), "a tied head is laid out again"
    assert found.cache == 100 * kv_bytes(config, bytes_per_value=4) and found.settings == {}
    assert found.total == PROCESS + found.weights + found.cache
    assert str(found).startswith(f"{show_size(found.total)} of memory (") and "weights in fp32" in str(found)
    (half,) = needs([config], {"dtype": "bf16", "kv_mib": 7}, GIB)
    assert half.weights * 2 == found.weights and half.cache == 7 << 20 and half.dtype == "bf16"


def test_models_share_the_memory_and_a_cache_has_what_its_share_leaves() -> None:
    config = tiny_config(context=1 << 20, kv_heads=4, head_dim=64)
    token = kv_bytes(config, bytes_per_value=4)
    one, two = needs([config, config], {"dtype": "fp32", "max_running": 16}, 6 * GIB)
    assert one == two and abs(one.total - 3 * GIB) < 1 << 20 and one.settings == {"kv_mib": one.cache >> 20}
    tight = needs([config] * 40, {"dtype": "fp32", "max_running": 16}, 6 * GIB)[0]
    assert tight.cache // token == FLOOR, "a cache holds so much at least"
    short = tiny_config(context=64)
    (useful,) = needs([short], {"dtype": "fp32", "max_running": 16}, 6 * GIB)
    assert useful.cache == 1 << 20 and 16 * 64 * kv_bytes(short, bytes_per_value=4) <= 1 << 20, (
        "no more than can be used"
    )


def test_a_model_that_fits_in_bf16_only_is_computed_in_bf16() -> None:
    large = tiny_config(
        "qwen3", hidden=4096, layers=32, ffn=12288, heads=32, kv_heads=8, head_dim=128, vocab_size=150_000
    )
    assert parameters(large).total > 6e9
    (whole,), (half,), (none,) = (needs([large], {"dtype": "auto"}, gib * GIB) for gib in (64, 20, 8))
    assert (whole.dtype, half.dtype, half.settings["dtype"]) == (
        "fp32",
        "bf16",
        "bf16",
    ) and "dtype" not in whole.settings
    assert half.total <= 20 * GIB and none.total > 8 * GIB and none.dtype == "fp32"
    (free,) = needs([large], {"dtype": "auto"}, 20 * GIB, free=True)
    assert free.settings == {"dtype": "bf16"}, "an engine alone sizes its cache itself"


def test_the_next_life_of_an_engine_computes_as_the_first_chose() -> None:
    facts = {"choices": {"dtype": "bf16", "threads": 2, "kernels": {}}}
    words = as_chosen(
        ["python", "-m", "worker", "{fd}", "folder", '{"dtype": "auto", "threads": 0, "kv_tokens": 9}'], facts
    )
    assert json.loads(words.pop()) == {"dtype": "bf16", "threads": 2, "kv_tokens": 9}
    assert words == ["python", "-m", "worker", "{fd}", "folder"]
    assert as_chosen(["script", "{fd}"], facts) == ["script", "{fd}"]
