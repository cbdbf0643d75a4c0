"""Fields that change nothing are taken and named in a header; a stream may be left anywhere and all is counted."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from .conftest import NAME, Running, start
from .test_life import settled


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Running]:
    running = start(folder)
    yield running
    running.close()


def chat(text: str, **more: Any) -> dict[str, Any]:
    return {"model": NAME, "messages": [{"role": "user", "content": text}], **more}


HARMLESS: dict[str, Any] = {
    "user": "u", "safety_identifier": "s", "prompt_cache_key": "k", "prompt_cache_retention": "24h",
    "priority": 3, "prompt_cache_options": {"a": 1},
    "store": False, "metadata": {"a": "b"},
}  # fmt: skip


@pytest.mark.parametrize("name", HARMLESS)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
def test_what_changes_nothing_is_taken_and_named(server: Running, path: str, name: str) -> None:
    body = chat("say hi") if "chat" in path else {"model": NAME, "prompt": "say hi"}
    plain, more = server.own.post(path, json=body), server.own.post(path, json=body | {name: HARMLESS[name]})
    assert "x-creuset-ignored" not in plain.headers and more.headers["x-creuset-ignored"] == name
    assert plain.json()["choices"] == more.json()["choices"]


def test_a_name_in_a_message_is_taken_and_not_shown(server: Running) -> None:
    body = chat("say hi")
    named = json.loads(json.dumps(body))
    named["messages"][0]["name"] = "ann"
    found = server.own.post("/v1/chat/completions", json=named | {"user": "u", "metadata": None})
    assert found.headers["x-creuset-ignored"] == "messages.name, user"
    tokens = [server.own.post("/tokenize", json=one).json()["tokens"] for one in (body, named)]
    assert tokens[0] == tokens[1]
    with server.own.stream("POST", "/v1/chat/completions", json=named | {"stream": True}) as stream:
        assert stream.headers["x-creuset-ignored"] == "messages.name" and stream.read()


def test_the_header_holds_names_and_never_values(server: Running) -> None:
    body = chat("say hi", user="canary-1\r\nx-evil: 1", metadata={"canary-2": "canary-3"})
    found = server.own.post("/v1/chat/completions", json=body)
    assert found.status_code == 200 and "canary" not in str(found.headers) and "x-evil" not in found.headers


@pytest.mark.parametrize("stream", [False, True])
def test_what_would_change_the_answer_is_refused_not_ignored(server: Running, stream: bool) -> None:
    for field in ("reasoning_effort", "seeds", "beam_width"):
        refused = server.own.post("/v1/chat/completions", json=chat("say hi", stream=stream, **{field: 1}))
        assert refused.status_code == 400 and refused.json()["error"]["param"] == field
        assert "x-creuset-ignored" not in refused.headers


def read_some(client: httpx.Client, body: dict[str, Any], size: int) -> bytes:
    """The first `size` bytes of a stream, which is then left."""
    read = b""
    with client.stream("POST", "/v1/chat/completions", json=body) as stream:
        for part in stream.iter_raw(chunk_size=1):
            read += part
            if len(read) == size:
                break
    return read


@pytest.mark.parametrize("cut", [1, 5, 40, 230, 400, 401, 402, 650, 1000])
def test_a_stream_left_anywhere_ends_its_completion_and_counts_what_was_made(server: Running, cut: int) -> None:
    ended = 'creuset_completions_total{reason="cancelled"}'
    before = server.metric(ended), server.metric("creuset_completion_tokens_total")
    assert len(read_some(server.client(), chat("slowly 300", stream=True), cut)) == cut
    settled(server)
    assert server.metric(ended) == before[0] + 1
    assert 0 <= server.metric("creuset_completion_tokens_total") - before[1] < 300


def test_a_stream_left_after_its_end_is_not_cancelled(server: Running) -> None:
    before = server.metric('creuset_completions_total{reason="cancelled"}')
    whole = server.own.post("/v1/chat/completions", json=chat("say one two", stream=True)).content
    assert read_some(server.client(), chat("say one two", stream=True), len(whole) - 1)
    settled(server)
    assert server.metric('creuset_completions_total{reason="cancelled"}') == before


def test_the_sum_of_all_usage_is_what_the_metrics_counted(server: Running) -> None:
    def counted() -> tuple[float, float]:
        return server.metric("creuset_prompt_tokens_total"), server.metric("creuset_completion_tokens_total")

    before, read, made = counted(), 0, 0
    cut, stopped = chat("slowly 6", max_tokens=3, n=2), chat("say stop here", stop="h")
    for body in (chat("say a"), chat("say b c d", n=3), cut, stopped):
        for streamed in (False, True):
            reply = server.own.post("/v1/chat/completions", json=body | (
                {"stream": True, "stream_options": {"include_usage": True}} if streamed else {}
            ))  # fmt: skip
            if streamed:
                last = [line for line in reply.text.split("\n\n") if line.startswith("data: {")][-1]
                usage = json.loads(last.removeprefix("data: "))["usage"]
            else:
                usage = reply.json()["usage"]
            read, made = read + usage["prompt_tokens"], made + usage["completion_tokens"]
    after = counted()
    assert (after[0] - before[0], after[1] - before[1]) == (read, made)
