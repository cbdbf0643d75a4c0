"""Responses over a WebSocket, asked by OpenAI's own client and by a plain one; and conversations made short."""

from __future__ import annotations

import asyncio
import base64
import json
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from creuset.server.responses.notes import Note, pack, unpack
from creuset.server.responses.socket import ResponseSocket
from tests.lazy import lazily

from .conftest import NAME, Running, start
from .test_responses import official

if TYPE_CHECKING:
    import openai
    from openai import OpenAI
    from websockets.sync import client as sockets
else:
    openai = lazily("openai")
    sockets = lazily("websockets.sync.client")


@pytest.fixture(scope="module")
def client(server: Running) -> Iterator[OpenAI]:
    with official(server) as client:
        yield client


@contextmanager
def opened(server: Running, **headers: str) -> Iterator[Any]:
    address = server.url.replace("http", "ws", 1) + "/v1/responses"
    with sockets.connect(address, additional_headers=headers, proxy=None) as socket:
        yield socket


def ask(socket: Any, **fields: Any) -> list[dict[str, Any]]:
    """The events of one message, to its end."""
    socket.send(json.dumps({"type": "response.create", "model": NAME, **fields}))
    return told(socket)


def told(socket: Any) -> list[dict[str, Any]]:
    events = []
    while not events or events[-1]["type"] not in ("error", "response.completed", "response.incomplete"):
        events.append(json.loads(socket.recv(timeout=20)))
    return events


def text_of(events: list[dict[str, Any]]) -> str:
    return "".join(e["delta"] for e in events if e["type"] == "response.output_text.delta")


def test_the_official_client_reads_the_same_events_as_over_http(client: OpenAI) -> None:
    plain = list(client.responses.create(model=NAME, input="say où est l'école ?", stream=True))
    with client.responses.connect() as connection:
        connection.response.create(model=NAME, input="say où est l'école ?")
        events = []
        for event in connection:
            events.append(event)
            if event.type == "response.completed":
                break
    assert [e.type for e in events] == [e.type for e in plain]
    assert events[-1].response.output_text == plain[-1].response.output_text == "où est l'école ?"
    assert client.responses.retrieve(events[-1].response.id).output_text == "où est l'école ?"


def test_what_is_not_stored_is_gone_on_from_on_the_same_connection_only(server: Running) -> None:
    with opened(server) as socket:
        first = ask(socket, input="say cobalt", store=False)[-1]["response"]
        again = ask(socket, input="say OK", store=False, previous_response_id=first["id"])[-1]["response"]
        assert again["previous_response_id"] == first["id"] and again["output"][0]["content"][0]["text"] == "OK"
        assert again["usage"]["input_tokens"] > first["usage"]["input_tokens"]
    with opened(server) as socket:
        (error,) = ask(socket, input="say more", previous_response_id=first["id"])
        assert (error["type"], error["status"], error["error"]["code"]) == ("error", 404, "previous_response_not_found")
        assert text_of(ask(socket, input="say recovered")) == "recovered"


def test_a_turn_that_fails_takes_what_it_went_on_from_with_it(server: Running) -> None:
    with opened(server) as socket:
        first = ask(socket, input="say ember", store=False)[-1]["response"]["id"]
        orphan = [{"type": "function_call_output", "call_id": "call_9", "output": "12"}]
        (error,) = ask(socket, input=orphan, store=False, previous_response_id=first)
        assert error["error"]["message"] == 'No tool call found for function call output with call_id "call_9".'
        (error,) = ask(socket, input="say stale", store=False, previous_response_id=first)
        assert error["error"]["code"] == "previous_response_not_found"


def test_messages_wait_for_each_other_unless_they_have_streams_of_their_own(server: Running) -> None:
    with opened(server) as socket:
        for name in ("a", "b"):
            create = {"type": "response.create", "model": NAME, "input": f"say from {name}", "stream_id": name}
            socket.send(json.dumps(create))
        ended: dict[str, str] = {}
        texts = {"a": "", "b": ""}
        while len(ended) < 2:
            event = json.loads(socket.recv(timeout=20))
            lane = event["stream_id"]
            texts[lane] += event["delta"] if event["type"] == "response.output_text.delta" else ""
            if event["type"] == "response.completed":
                ended[lane] = event["response"]["status"]
        assert texts == {"a": "from a", "b": "from b"}
        for text in ("one", "two", "three"):  # without: one after the other, in their order
            socket.send(json.dumps({"type": "response.create", "model": NAME, "input": f"say {text}"}))
        assert [text_of(told(socket)) for _ in range(3)] == ["one", "two", "three"]


def test_an_answer_ends_when_its_connection_does(server: Running) -> None:
    ended = 'creuset_completions_total{reason="cancelled"}'
    before = server.metric(ended)
    with opened(server) as socket:
        socket.send(json.dumps({"type": "response.create", "model": NAME, "input": "slowly 5000"}))
        while json.loads(socket.recv(timeout=20))["type"] != "response.output_text.delta":
            pass
    end = time.monotonic() + 20
    while server.metric(ended) == before and time.monotonic() < end:
        pass
    assert server.metric(ended) == before + 1


def test_a_connection_has_an_end(server: Running) -> None:
    events: list[dict[str, Any]] = []

    async def never() -> dict[str, Any]:
        if not events:
            return {"type": "websocket.connect"}
        await asyncio.sleep(60)
        raise AssertionError

    async def send(event: Any) -> None:
        events.append(event)

    scope = {"type": "websocket", "headers": []}
    asyncio.run(ResponseSocket(never, scope, never, send, life_s=0.01).run())  # type: ignore[arg-type]
    assert [e["type"] for e in events] == ["websocket.accept", "websocket.send", "websocket.close"]
    assert json.loads(events[1]["text"])["error"]["code"] == "websocket_connection_limit_reached"


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("{", "the body is not JSON"),
        ("[]", "the body must be a JSON object"),
        ('{"type": "response.steer"}', '`type` must be "response.create", got "response.steer"'),
        ('{"type": "response.create", "stream": false}', "`stream` must be true or absent"),
        ('{"type": "response.create", "background": true}', "`background` is not served over a WebSocket"),
        ('{"type": "response.create", "stream_id": 3}', "`stream_id` must be a text, got 3"),
        ('{"type": "response.create", "input": "x", "model": "nobody"}', 'the model "nobody" is not served here'),
    ],
)
def test_a_bad_message_is_refused_by_name_and_the_connection_lives(server: Running, message: str, words: str) -> None:
    with opened(server) as socket:
        socket.send(message)
        (error,) = told(socket)
        assert error["error"]["message"].startswith(words) and 400 <= error["status"] < 500
        assert text_of(ask(socket, input="say on")) == "on"


def test_a_handshake_is_checked_like_a_request(folder: Path, tmp_path: Path) -> None:
    from websockets.exceptions import InvalidStatus

    from creuset.server.tenants.keys import add_key

    key = add_key(tmp_path / "keys.json", "anna")
    server = start(folder, keys=tmp_path / "keys.json")
    try:
        foreign = {"Authorization": f"Bearer {key}", "Origin": "https://evil.example"}
        for headers, status in (({}, 401), ({"Authorization": "Bearer wrong"}, 401), (foreign, 403)):
            with pytest.raises(InvalidStatus) as refused, opened(server, **headers):
                pass
            assert refused.value.response.status_code == status
        with opened(server, Authorization=f"Bearer {key}") as socket:
            assert text_of(ask(socket, input="say hello")) == "hello"
    finally:
        server.close()


def test_a_conversation_made_short_is_gone_on_from(client: OpenAI) -> None:
    items: list[Any] = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Remember the word slate."},
        {"role": "assistant", "content": "OK."},
        {"role": "user", "content": "say it"},
    ]
    short = client.responses.compact(model=NAME, input=items)
    assert short.object == "response.compaction" and short.usage.output_tokens > 0
    (item,) = short.output
    notes = unpack(item.encrypted_content)
    assert [(note.role, note.text) for note in notes[:2]] == [("system", "Be kind."), ("user", "say it")]
    assert notes[2].role == "assistant" and notes[2].text.startswith("Notes of our conversation so far:\n")
    output = [item.to_dict()]
    reply = client.responses.create(model=NAME, input=[*output, {"role": "user", "content": "say compacted"}])
    assert reply.output_text == "compacted"
    counted = client.responses.input_tokens.count(model=NAME, input=output)
    plain = client.responses.input_tokens.count(model=NAME, input=[items[0], items[3]])
    assert counted.input_tokens > plain.input_tokens  # the notes are read
    again = client.responses.compact(model=NAME, input=[*output, {"role": "user", "content": "say more"}])
    texts = [note.text for note in unpack(again.output[0].encrypted_content)]
    assert texts[:2] == ["Be kind.", "say more"]  # short ones are made shorter


def test_notes_are_read_back_to_the_letter_and_others_refused(client: OpenAI) -> None:
    notes = [Note("system", ""), Note("assistant", "où est l'école ?\n🎉")]
    assert unpack(pack(notes)) == notes
    bomb = pack([Note("user", "x" * (2 << 20))])
    other = "creuset1." + base64.urlsafe_b64encode(zlib.compress(b'[{"role": "tool", "text": "x"}]')).decode()
    for content in ("", "gAAAA", "creuset1.!!!", pack(notes)[:-6], bomb, other):
        given: Any = [{"type": "compaction", "encrypted_content": content}, {"role": "user", "content": "say x"}]
        with pytest.raises(openai.BadRequestError, match="is not what /v1/responses/compact of this server packs"):
            client.responses.create(model=NAME, input=given)
    with pytest.raises(openai.BadRequestError, match="`input` is required"):
        client.responses.compact(model=NAME)
    with pytest.raises(openai.NotFoundError, match="nobody"):
        client.responses.compact(model="nobody", input="hello")
