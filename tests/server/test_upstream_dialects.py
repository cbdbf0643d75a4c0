"""A chat model of another server answers in every dialect: through the one internal request, streamed and whole."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from creuset.server.engines.upstream import UpstreamSettings

from .conftest import Running, start
from .peer import HEAD, KEY, USAGE, Peer, event


class ChattyPeer(Peer):
    """Thinks, says something and calls a tool where it is asked to; else it does what `Peer` does."""

    async def _stream(self, send: Any, reader: Any, writer: Any, verb: str, rest: str) -> None:
        if verb != "call":
            await super()._stream(send, reader, writer, verb, rest)
            return
        first = {"index": 0, "id": "theirs", "type": "function", "function": {"name": "look", "arguments": ""}}
        deltas: list[Any] = [{"role": "assistant", "reasoning_content": "Let me look."}, {"content": "I look."}]
        deltas += [{"tool_calls": [first]}]
        deltas += [{"tool_calls": [{"index": 0, "function": {"arguments": text}}]} for text in ('{"at": ', '"sea"}')]
        chunks = [HEAD | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
        chunks.append(HEAD | {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
        chunks.append(HEAD | {"choices": [], "usage": USAGE})
        send(200, "text/event-stream", b"".join(event(chunk) for chunk in chunks) + b"data: [DONE]\n\n")


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    peer = ChattyPeer()
    yield peer
    peer.close()


@pytest.fixture(scope="module")
def server(folder: Path, peer: Peer) -> Iterator[Running]:
    far = UpstreamSettings(url=peer.url, model="theirs", names=("far",), key=KEY)
    running = start(folder, upstreams=[far], heartbeat_s=0.2)
    running.logged('"state": "ready", "event": "upstream"')
    yield running
    running.close()


TOOL = {"type": "object", "properties": {"at": {"type": "string"}}}


def messages(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "far", "max_tokens": 64, "messages": [{"role": "user", "content": text}], **more}


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]


@pytest.mark.parametrize("streamed", [False, True])
def test_messages(server: Running, peer: Peer, streamed: bool) -> None:
    tools = [{"name": "look", "input_schema": TOOL}]
    body = messages("call now", stream=streamed, system="Be brief.", tools=tools, temperature=0.5, stop_sequences=["!"],
                    tool_choice={"type": "any"}, output_config={"effort": "low"})  # fmt: skip
    reply = server.own.post("/v1/messages", json=body)
    assert reply.status_code == 200, reply.text
    sent = peer.asked[-1][2]
    assert sent["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "call now"}]
    assert (sent["model"], sent["stream"], sent["max_tokens"], sent["stop"]) == ("theirs", True, 64, ["!"])
    assert (sent["temperature"], sent["reasoning_effort"], sent["tool_choice"]) == (0.5, "low", "required")
    assert sent["tools"][0]["function"] == {"name": "look", "parameters": TOOL} and "top_p" not in sent
    if streamed:
        told = events(reply.text)
        assert told[0]["type"] == "message_start" and told[-1]["type"] == "message_stop"
        blocks = [one["content_block"]["type"] for one in told if one["type"] == "content_block_start"]
        given = "".join(one["delta"].get("partial_json", "") for one in told if one["type"] == "content_block_delta")
        assert json.loads(given) == {"at": "sea"}
        stop, usage = told[-2]["delta"]["stop_reason"], told[-2]["usage"]
    else:
        said = reply.json()
        blocks = [block["type"] for block in said["content"]]
        assert said["content"][-1]["input"] == {"at": "sea"} and said["content"][1]["text"] == "I look."
        stop, usage = said["stop_reason"], said["usage"]
    assert (blocks, stop) == (["thinking", "text", "tool_use"], "tool_use")
    assert (usage["input_tokens"], usage["output_tokens"]) == (11, 5)


@pytest.mark.parametrize("streamed", [False, True])
def test_responses_that_are_kept_and_continued(server: Running, peer: Peer, streamed: bool) -> None:
    tools = [{"type": "function", "name": "look", "parameters": TOOL, "strict": True}]
    form = {"format": {"type": "json_schema", "name": "x", "schema": {"type": "object"}}}
    body = {"model": "far", "input": "call now", "tools": tools, "text": form, "stream": streamed}
    reply = server.own.post("/v1/responses", json=body)
    assert reply.status_code == 200, reply.text
    sent = peer.asked[-1][2]
    assert sent["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert sent["tools"][0]["function"]["strict"] is True and "temperature" not in sent and "max_tokens" not in sent
    told = events(reply.text)[-1]["response"] if streamed else reply.json()
    assert (told["status"], told["model"]) == ("completed", "far")
    assert [item["type"] for item in told["output"]] == ["reasoning", "message", "function_call"]
    assert told["output"][2]["arguments"] == '{"at": "sea"}' and told["usage"]["total_tokens"] == 16
    answer = {"type": "function_call_output", "call_id": told["output"][2]["call_id"], "output": "water"}
    again = {
        "model": "far",
        "previous_response_id": told["id"],
        "input": [answer, {"role": "user", "content": "say ok"}],
    }
    assert server.own.post("/v1/responses", json=again).json()["output"][0]["content"][0]["text"] == "ok"
    turns = peer.asked[-1][2]["messages"]
    assert [turn["role"] for turn in turns] == ["user", "assistant", "tool", "user"]
    assert turns[1]["tool_calls"][0]["id"] == turns[2]["tool_call_id"] and turns[2]["content"] == "water"


def test_a_response_in_the_background(server: Running) -> None:
    body = {"model": "far", "input": "say in time", "background": True}
    place = f"/v1/responses/{server.own.post('/v1/responses', json=body).json()['id']}"
    assert events(server.own.get(place, params={"stream": "true"}).text)[-1]["type"] == "response.completed"
    said = server.own.get(place).json()["output"][0]["content"][0]["text"]
    assert said == "intime"  # the peer's words have no spaces between


def test_a_stream_that_breaks_there_ends_in_an_error_event_here(server: Running) -> None:
    said = events(server.own.post("/v1/messages", json=messages("cut now", stream=True)).text)[-1]
    assert (said["type"], said["error"]["type"]) == ("error", "api_error")
    body = {"model": "far", "input": "cut now", "stream": True}
    told = events(server.own.post("/v1/responses", json=body).text)
    assert told[-1]["type"] == "error" and told[-1]["code"] == "upstream_error"
    for verb in ("cut", "broken", "garbage"):
        whole = server.own.post("/v1/messages", json=messages(f"{verb} now"))
        assert (whole.status_code, whole.json()["type"]) == (502, "error"), verb


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/messages", messages("a") | {"messages": [{"role": "user", "content": "a"},
                                                       {"role": "assistant", "content": "b"}]}, "messages"),
        ("/v1/messages/count_tokens", {"model": "far", "messages": [{"role": "user", "content": "a"}]}, "model"),
        ("/v1/responses", {"model": "far", "input": "a", "top_logprobs": 2}, "top_logprobs"),
        ("/v1/responses", {"model": "far", "input": "a", "max_output_tokens": 9999}, "max_output_tokens"),
        ("/v1/responses/input_tokens", {"model": "far", "input": "a"}, "model"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_there_is_refused_by_name(server: Running, path: str, body: Any, param: str) -> None:
    refused = server.own.post(path, json=body)
    assert (refused.status_code == 400 and f"`{param}`" in refused.json()["error"]["message"]) or "far" in refused.text


def test_max_tokens_of_messages_is_a_most(server: Running, peer: Peer) -> None:
    assert server.own.post("/v1/messages", json=messages("say a", max_tokens=9999)).status_code == 200
    assert peer.asked[-1][2]["max_tokens"] == 512  # the context that its list tells


def test_a_client_that_leaves_ends_the_request_there(server: Running, peer: Peer) -> None:
    before = peer.hung_up
    with server.own.stream("POST", "/v1/messages", json=messages("slow now", stream=True)) as reply:
        next(reply.iter_lines())
    server.logged('"route": "/v1/messages"')
    assert peer.wait_for(lambda: peer.hung_up > before)
