"""Models of other servers behind ours: what goes through, what is changed, what is tried again, what goes wrong."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from creuset.core.errors import ConfigError
from creuset.server.engines.upstream import UpstreamSettings, read_error

from .conftest import Running, start
from .peer import KEY, USAGE, Peer


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.close()


def settings(peer: Peer, **changes: Any) -> UpstreamSettings:
    given: dict[str, Any] = {"url": peer.url, "model": "theirs", "names": ("far", "away"), "key": KEY}
    return UpstreamSettings(**(given | changes))


@pytest.fixture(scope="module")
def server(folder: Path, peer: Peer) -> Iterator[Running]:
    running = start(folder, upstreams=[settings(peer)], heartbeat_s=0.2)
    running.logged('"state": "ready", "event": "upstream"')
    yield running
    assert KEY not in running.log.getvalue() and "canary" not in running.log.getvalue()
    running.close()


def chat(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "far", "messages": [{"role": "user", "content": text}], **more}


def ask(server: Running, text: str, **more: Any) -> httpx.Response:
    return server.own.post("/v1/chat/completions", json=chat(text, **more))


def events(reply: httpx.Response) -> list[Any]:
    assert reply.headers["content-type"].startswith("text/event-stream")
    values = [line.removeprefix("data: ") for line in reply.text.split("\n") if line.startswith("data: ")]
    return [value if value == "[DONE]" else json.loads(value) for value in values]


def said(chunks: list[Any]) -> str:
    return "".join(c["delta"].get("content", "") for chunk in chunks[:-1] for c in chunk.get("choices", ()))


def test_it_is_listed_beside_ours_and_told_apart(server: Running) -> None:
    listed = {one["id"]: one for one in server.own.get("/v1/models").json()["data"]}
    assert {"tiny", "far", "away"} <= set(listed)
    far = listed["far"]
    assert (far["owned_by"], far["root"], far["max_model_len"], far["state"]) == ("acme", "theirs", 512, "ready")
    card = server.own.get("/v1/creuset/model?model=away").json()
    assert (card["name"], card["upstream"], card["context"]) == ("far", "theirs", 512)
    assert server.own.get("/health?model=far").json()["engines"] == [
        {"model": "far", "state": "ready", "upstream": True}
    ]
    assert ask(server, "say hi", model="tiny").json()["choices"][0]["message"]["content"] == "hi"
    words = server.own.post("/tokenize", json={"model": "far", "prompt": "a"})
    assert words.status_code == 400 and "far is a model of another server" in words.json()["error"]["message"]


def test_a_request_goes_through_untouched_but_for_the_name(server: Running, peer: Peer) -> None:
    more = {
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}},
        "a_field_of_theirs": {"deep": [1, 2.5, None, "é"]}, "seed": 2**60, "temperature": 0.30000000000000004,
    }  # fmt: skip
    reply = server.client(headers={"authorization": "Bearer the-key-of-a-client"}).post(
        "/v1/chat/completions", json=chat("say yes", **more)
    )
    path, headers, body = peer.asked[-1]
    assert path == "/v1/chat/completions" and body == chat("say yes", **more) | {"model": "theirs"}
    assert headers["authorization"] == f"Bearer {KEY}" and "the-key-of-a-client" not in str(headers)
    found = reply.json()
    assert (
        found["choices"][0]["message"]["content"] == "yes" and found["usage"] == USAGE and found["x_extra"] == {"a": 1}
    )
    assert found["model"] == "far" and found["id"].startswith("chatcmpl-") and found["id"] != "chatcmpl-theirs"
    raw = server.own.post("/v1/completions", json={"model": "away", "prompt": "say x", "max_tokens": 3})
    assert raw.json()["model"] == "away" and raw.json()["id"].startswith("cmpl-")
    assert peer.asked[-1][0] == "/v1/completions"


@pytest.mark.parametrize("verb", ["say", "windows", "undone"])
@pytest.mark.parametrize("wants", [None, False, True])
def test_a_stream_passes_through_and_usage_is_asked_for_in_any_case(
    server: Running, peer: Peer, verb: str, wants: bool | None
) -> None:
    def counted() -> tuple[float, ...]:
        names = ("prompt_tokens_total", "completion_tokens_total", 'completions_total{reason="stop"}')
        return tuple(server.metric(_labelled(f"creuset_{name}")) for name in names)

    before = counted()
    options = {} if wants is None else {"stream_options": {"include_usage": wants, "theirs": 1}}
    text = "one\u2028two\x85 three" if verb == "say" else "one two three"
    found = events(ask(server, f"{verb} {text}", stream=True, **options))
    assert peer.asked[-1][2]["stream_options"]["include_usage"] is True
    assert wants is None or peer.asked[-1][2]["stream_options"]["theirs"] == 1
    assert found[-1] == "[DONE]" and said(found) == text.replace(" ", "")
    chunks = found[:-1]
    assert {chunk["model"] for chunk in chunks} == {"far"} and len({chunk["id"] for chunk in chunks}) == 1
    assert [chunk["usage"] for chunk in chunks if chunk.get("usage")] == ([USAGE] if wants else [])
    assert bool(wants) == any(chunk["choices"] == [] for chunk in chunks)
    server.logged(f'"reply": "{chunks[0]["id"]}"')
    assert tuple(now - then for now, then in zip(counted(), before, strict=True)) == (11, 5, 1)


def _labelled(name: str) -> str:
    base, brace, labels = name.partition("{")
    return f'{base}{{model="far"' + (f",{labels}" if brace else "}")


def test_the_official_client_reads_it(server: Running) -> None:
    client = server.openai()
    stream = client.chat.completions.create(**chat("say one two"), stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "onetwo"


def test_a_reply_whose_tokens_are_not_told_is_whole_all_the_same(server: Running) -> None:
    found = events(ask(server, "unmeasured", stream=True, stream_options={"include_usage": True}))
    assert said(found) == "onetwothree" and found[-1] == "[DONE]"
    assert '"usage": "not told"' in server.logged(found[0]["id"])


@pytest.mark.parametrize(
    ("script", "status", "tries", "after"),
    [
        ("fail 429 0", 200, 2, None),
        ("fail 503 0", 200, 2, None),
        ("fail 502 0", 200, 2, None),
        ("fail 504 0", 200, 2, None),
        ("fail 429 -", 429, 1, "1"),  # without Retry-After nobody knows when
        ("fail 429 60", 429, 1, "60"),  # longer than a client is kept waiting
        ("fail 500 0", 502, 1, None),  # it may have done the work
    ],
)
def test_only_what_is_safe_is_tried_again(
    server: Running, peer: Peer, script: str, status: int, tries: int, after: str | None
) -> None:
    peer.failures, before = 1, len(peer.asked)
    reply = ask(server, script)
    assert (reply.status_code, len(peer.asked) - before) == (status, tries)
    peer.failures = 0
    if status != 200:
        assert reply.json()["error"]["message"] == "busy now" and reply.headers.get("retry-after") == after


def test_it_is_not_tried_for_ever(server: Running, peer: Peer) -> None:
    peer.failures, before = 99, len(peer.asked)
    reply = ask(server, "fail 503 0", stream=True)
    peer.failures = 0
    assert reply.status_code == 503 and len(peer.asked) - before == 3
    assert reply.json()["error"]["code"] == "upstream_unavailable"


@pytest.mark.parametrize(
    ("script", "status", "message", "param", "code"),
    [
        ('refuse 400 {"error": {"message": "too long", "param": "messages", "code": "context_length_exceeded"}}',
         400, "too long", "messages", "context_length_exceeded"),
        ('refuse 400 {"object": "error", "message": "older", "code": 40303}', 400, "older", None, None),
        ('refuse 422 {"detail": [{"loc": ["body"]}]}', 400, '[{"loc":["body"]}]', None, None),
        ('refuse 400 {"error": "of ollama"}', 400, "of ollama", None, None),
        ("refuse 413 <html>", 413, "the server behind far answered 413", None, None),
        (f'refuse 401 {{"error": "wrong key {KEY}"}}', 502,
         "the server behind far refuses the key of this server (401)", None, "upstream_error"),
        ('refuse 404 {"error": "no"}', 502, "the server behind far has no such model or address (404)", None,
         "upstream_error"),
        (f'refuse 400 {{"error": "you sent {KEY}"}}', 400, "you sent ***", None, None),
        ("refuse 302 x", 502, "the server behind far answered 302", None, "upstream_error"),
        ("odd", 502, "odd", None, "upstream_error"),
        ("garbage", 502, "the server behind far sent what is no JSON object", None, "upstream_error"),
        ("cut", 502, "the server behind far broke the connection before the reply was complete", None,
         "upstream_error"),
    ],
    ids=lambda value: str(value)[:24],
)  # fmt: skip
def test_errors_have_openais_form(
    server: Running, script: str, status: int, message: str, param: str | None, code: str | None
) -> None:
    reply = ask(server, script)
    error = reply.json()["error"]
    assert (reply.status_code, error["message"], error["param"], error["code"]) == (status, message, param, code)
    assert set(error) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    ("script", "words", "began"),
    [
        ("cut", "the server behind far ended the stream before the reply was complete", True),
        ("garbage", "the server behind far sent what is no JSON object", True),
        ("broken", "out of memory ***", True),
        ("never", "at once", False),
        ("json", "no streams here", False),
    ],
)
def test_a_stream_that_breaks_ends_with_one_error_and_without_done(
    server: Running, script: str, words: str, began: bool
) -> None:
    before = server.metric(_labelled('creuset_completions_total{reason="lost"}'))
    reply = ask(server, script, stream=True)
    if not began:
        assert reply.status_code == 502 and reply.json()["error"]["message"] == words
    else:
        found = events(reply)
        assert found[-1]["error"]["message"] == words and "choices" in found[0]
        assert [value for value in found if value == "[DONE]" or "error" in value] == [found[-1]]
    assert server.metric(_labelled('creuset_completions_total{reason="lost"}')) - before == 1


def test_a_client_that_leaves_ends_the_request_there_too(server: Running, peer: Peer) -> None:
    import time

    def left(count: int) -> None:
        end = time.monotonic() + 10
        while peer.hung_up < count or server.metric(_labelled("creuset_open_completions")):
            assert time.monotonic() < end, "the upstream was not told"
            time.sleep(0.01)

    first = peer.hung_up
    with server.client().stream("POST", "/v1/chat/completions", json=chat("slow", stream=True)) as stream:
        lines = stream.iter_lines()
        assert "data: " in next(lines)
        assert any(line == ": keep-alive" for line in lines), "silence is bridged"
    left(first + 1)
    impatient = server.client()
    with pytest.raises(httpx.ReadTimeout):
        impatient.post("/v1/chat/completions", json=chat("silent"), timeout=0.3)
    left(first + 2)


@pytest.mark.parametrize(
    ("change", "param", "words"),
    [
        ({"stream": "yes"}, "stream", "must be true or false"),
        ({"stream_options": {}}, "stream_options", "only with `stream: true`"),
        ({"n": 129}, "n", "between 1 and 128, got 129"),
        ({"max_tokens": 513}, "max_tokens", "is 513; the context of far is 512 tokens"),
    ],
)
def test_our_own_limits_hold(server: Running, peer: Peer, change: dict[str, Any], param: str, words: str) -> None:
    before = len(peer.asked)
    reply = ask(server, "say x", **change)
    assert reply.status_code == 400 and reply.json()["error"]["param"] == param
    assert words in reply.json()["error"]["message"] and len(peer.asked) == before


def test_no_more_run_and_wait_than_is_allowed(folder: Path, peer: Peer) -> None:
    import threading

    server = start(folder, alone=False, upstreams=[settings(peer)], max_concurrency=1, max_queue=1)
    try:
        got: list[int] = []
        with server.client().stream("POST", "/v1/chat/completions", json=chat("slow", stream=True)) as first:
            pieces = first.iter_bytes()  # kept: a generator that is let go ends the request
            next(pieces)
            waiting = threading.Thread(target=lambda: got.append(ask(server, "say hi").status_code))
            waiting.start()
            while server.metric("creuset_open_completions") < 2:
                assert not got, (got, server.log.getvalue())
                pass
            before = len(peer.asked)
            refused = server.client().post("/v1/chat/completions", json=chat("say hi"))
            assert refused.status_code == 429 and refused.headers["retry-after"] == "1"
            assert "2 requests are running or waiting" in refused.json()["error"]["message"]
            assert len(peer.asked) == before and not got
        waiting.join(10)
        assert got == [200], "the one that waited goes when the first has gone"
    finally:
        server.close()


def test_it_turns_red_when_it_is_down_and_comes_back_by_itself(folder: Path) -> None:
    peer = Peer()
    quick = settings(peer, probe_s=0.2, connect_s=1.0)
    server = start(folder, alone=False, upstreams=[quick])
    try:
        assert ask(server, "say hi").status_code == 200
        peer.healthy = False
        server.wait_until(503)
        found = server.own.get("/health").json()
        assert found["engines"][0]["reason"] == "it answers 500" and found["error"]["code"] == "engine_unavailable"
        assert ask(server, "say hi").status_code == 503 and server.metric("creuset_engine_up") == 0
        peer.healthy = True
        server.wait_until(200)
        assert ask(server, "say hi").status_code == 200
        peer.close()
        gone = ask(server, "say hi")
        assert gone.status_code == 503 and "no connection can be made" in gone.json()["error"]["message"]
        server.wait_until(503)
        again = Peer(port=peer.port)
        server.wait_until(200)
        assert ask(server, "say hi").status_code == 200
        again.close()
    finally:
        server.close()


def test_one_that_is_too_busy_to_tell_its_health_is_red_only_when_it_goes_on(folder: Path) -> None:
    import time

    peer = Peer()
    server = start(folder, alone=False, upstreams=[settings(peer, probe_s=0.05, connect_s=0.3)])
    try:
        first, peer.mute = peer.looked, True
        while peer.looked < first + 2:
            time.sleep(0.01)
        assert ask(server, "say hi").status_code == 200, "one silent look is no proof"
        server.wait_until(503)
        assert "it did not answer 3 times" in server.own.get("/health").text
        peer.mute = False
        server.wait_until(200)
    finally:
        server.close()
        peer.close()


def test_a_wrong_key_is_red_and_says_so_without_it(folder: Path, peer: Peer) -> None:
    server = start(folder, alone=False, upstreams=[settings(peer, key="sk-wrong-canary")], ready=503)
    try:
        server.logged("refuses the key of this server (401)")
        assert "canary" not in server.log.getvalue() and "canary" not in server.own.get("/health").text
    finally:
        server.close()


def test_ours_behind_ours(folder: Path) -> None:
    back = start(folder)
    server = start(folder, upstreams=[UpstreamSettings(url=back.url, model="tiny", names=("mirror",))])
    try:
        for stream in (False, True):
            body = {"messages": [{"role": "user", "content": "say the same words"}], "stream": stream, "seed": 1}
            ours, theirs = (
                server.own.post("/v1/chat/completions", json=body | {"model": name}) for name in ("tiny", "mirror")
            )
            texts = [
                said(events(r)) if stream else r.json()["choices"][0]["message"]["content"] for r in (ours, theirs)
            ]
            assert texts[0] == texts[1] == "the same words"
            if not stream:
                assert ours.json()["usage"] == theirs.json()["usage"]
        refused = server.own.post("/v1/chat/completions", json={"model": "mirror", "messages": [], "nonsense": 1})
        assert refused.status_code == 400 and refused.json()["error"]["param"] == "messages"
    finally:
        server.close()
        back.close()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"url": "localhost:8000"}, "must be an address such as http://localhost:8001/v1, got `localhost:8000`"),
        ({"url": "ftp://a/v1"}, "must be an address such as"),
        ({"url": "http://me:secret@host/v1"}, r"`http://\*\*\*@host/v1` must be a plain address"),
        ({"model": ""}, "needs `--upstream-model NAME`"),
        ({"key": "a b"}, "has characters that a header cannot have"),
    ],
)
def test_settings_that_cannot_be(changes: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as refused:
        UpstreamSettings(**({"url": "http://a", "model": "m"} | changes))
    assert "secret" not in str(refused.value)


def test_the_key_is_in_no_repr_and_the_address_may_leave_out_v1() -> None:
    one = UpstreamSettings(url="http://host:11434/", model="m", key="sk-canary")
    assert "canary" not in repr(one) and one.base == "http://host:11434/v1"
    assert UpstreamSettings(url="https://host/api/v1/", model="m").base == "https://host/api/v1"


@pytest.mark.parametrize("raw", [b"", b"[]", b"7", b"\xff", b'{"error": 7}', b"[" * 5000])
def test_an_error_without_words_is_no_error_of_ours(raw: bytes) -> None:
    assert read_error(raw) == ("", None, None)
