"""The Messages dialect, asked by Anthropic's own client with strict validation of what comes back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import httpx2
import pytest

from tests.lazy import lazily

from .conftest import NAME, Running, start

if TYPE_CHECKING:
    import anthropic
else:
    anthropic = lazily("anthropic")

ADD = {
    "name": "add",
    "description": "Adds two numbers.",
    "input_schema": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
        "additionalProperties": False,
    },
}
CALL = 'say <tool_call>\n{"name": "add", "arguments": {"a": 2, "b": 3}}\n</tool_call>'


def ask(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


@pytest.fixture(scope="module")
def client(server: Running) -> Iterator[anthropic.Anthropic]:
    plain = httpx2.Client(verify=False, trust_env=False, timeout=20)
    with anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0, http_client=plain,
                             _strict_response_validation=True) as client:  # fmt: skip
        yield client


def test_the_first_program_gets_its_answer(client: anthropic.Anthropic) -> None:
    reply = client.messages.create(model=NAME, max_tokens=64, messages=ask("say où est l'école ?"), system="Be kind.")
    assert [(block.type, block.text) for block in reply.content] == [("text", "où est l'école ?")]
    assert (reply.role, reply.stop_reason, reply.stop_sequence, reply.model) == ("assistant", "end_turn", None, NAME)
    assert reply.id.startswith("msg_") and reply._request_id.startswith("req_")
    assert reply.usage.input_tokens > 0 and reply.usage.output_tokens > 0


@pytest.mark.parametrize("text", ["say Bonjour à tous 🎉, ça va ?", "slowly 7", "say  two  spaces\n\n", CALL])
def test_streamed_and_whole_replies_say_the_same(client: anthropic.Anthropic, text: str) -> None:
    asked: dict[str, Any] = {"model": NAME, "max_tokens": 200, "messages": ask(text), "tools": [ADD]}
    whole = client.messages.create(**asked)
    with client.messages.stream(**asked) as stream:
        events = [event.type for event in stream]
        found = stream.get_final_message()
    said = [[(b.type, getattr(b, "text", None), getattr(b, "input", None)) for b in m.content] for m in (found, whole)]
    assert said[0] == said[1]
    assert (found.stop_reason, found.usage.output_tokens) == (whole.stop_reason, whole.usage.output_tokens)
    assert events[0] == "message_start" and events[-1] == "message_stop"
    assert events.count("content_block_start") == events.count("content_block_stop") == len(whole.content)


def test_what_ended_an_answer_is_told(client: anthropic.Anthropic) -> None:
    asked: dict[str, Any] = {"model": NAME, "messages": ask("say one two three")}
    stopped = client.messages.create(**asked, max_tokens=64, stop_sequences=[" thr", "zzz"])
    assert (stopped.content[0].text, stopped.stop_reason, stopped.stop_sequence) == ("one two", "stop_sequence", " thr")
    cut = client.messages.create(model=NAME, messages=ask("slowly 9"), max_tokens=2)
    assert (cut.stop_reason, cut.usage.output_tokens) == ("max_tokens", 2)


def test_a_tool_is_called_and_its_result_goes_back(client: anthropic.Anthropic) -> None:
    reply = client.messages.create(model=NAME, max_tokens=200, messages=ask(CALL), tools=[ADD])
    (call,) = reply.content
    assert (call.type, call.name, call.input, reply.stop_reason) == ("tool_use", "add", {"a": 2, "b": 3}, "tool_use")
    result = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "5"}]}
    history = [*ask(CALL), {"role": "assistant", "content": [b.to_dict() for b in reply.content]},
               {"role": "user", "content": [result, {"type": "text", "text": "say five"}]}]  # fmt: skip
    last = client.messages.create(model=NAME, max_tokens=200, messages=history, tools=[ADD])
    assert last.content[0].text == "five"


def test_more_tokens_than_the_context_has_room_for_are_a_most(client: anthropic.Anthropic) -> None:
    reply = client.messages.create(model=NAME, max_tokens=60_000, messages=ask("say much"))
    assert (reply.content[0].text, reply.stop_reason) == ("much", "end_turn")


def test_counted_tokens_are_those_of_the_prompt(client: anthropic.Anthropic) -> None:
    asked: dict[str, Any] = {"model": NAME, "messages": ask("say one"), "system": "Be kind.", "tools": [ADD]}
    counted = client.messages.count_tokens(**asked).input_tokens
    usage = client.messages.create(**asked, max_tokens=4).usage
    assert counted == usage.input_tokens + (usage.cache_read_input_tokens or 0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"max_tokens": None}, "`max_tokens` is required"),
        ({"max_tokens": 0}, "`max_tokens` must be between 1"),
        ({"messages": []}, "`messages` is required"),
        ({"messages": [{"role": "user", "content": []}]}, "`messages[0].content` must be a text or a list of blocks"),
        ({"messages": [{"role": "robot", "content": "x"}]},
         '`messages[0].role` must be "user" or "assistant", got "robot"'),
        ({"messages": [{"role": "user", "content": 3}]},
         "`messages[0].content` must be a text or a list of blocks, got 3"),
        ({"messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]},
         '`messages[0].content[0].type` is "image", which is not served: this model reads text'),
        ({"messages": [{"role": "user", "content": [{"type": "tool_result", "content": "5"}]}]},
         "`messages[0].content[0].tool_use_id` is required"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
         '`tools[0].type` is served as "custom" only, got "web_search_20250305"'),
        ({"tools": [{"name": "a b", "input_schema": {"type": "object"}}]}, "`tools[0].name` must have 1 to 64 letters"),
        ({"tools": [{"name": "a", "input_schema": {"type": "array"}}]},
         '`tools[0].input_schema.type` must be "object"'),
        ({"tool_choice": {"type": "any"}}, '`tool_choice.type` is "any", but no tools were given'),
        ({"thinking": {"type": "enabled", "budget_tokens": 64}},
         "`thinking.budget_tokens` must be less than `max_tokens` (16), got 64"),
        ({"metadata": "xx"}, "`metadata` must be an object"),
        ({"service_tier": 3}, "`service_tier` is served as"),
        ({"temprature": 1}, "`temprature` is not a field that this server knows"),
        ({"mcp_servers": [{"url": "x"}]}, "`mcp_servers` is not served here"),
    ],
)  # fmt: skip
def test_a_wrong_request_is_refused_by_the_name_of_its_part(
    client: anthropic.Anthropic, changes: dict[str, Any], words: str
) -> None:
    body = {"model": NAME, "max_tokens": 16, "messages": ask("say hi")} | changes
    with pytest.raises(anthropic.BadRequestError) as refused:
        client.post("/v1/messages", body=body, cast_to=object)
    error = refused.value.body["error"]
    assert error["type"] == "invalid_request_error" and words in error["message"]
    assert refused.value.body["request_id"] == refused.value.response.headers["request-id"]


def test_a_prompt_that_is_too_long_is_called_so(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.BadRequestError, match="prompt is too long"):
        client.messages.create(model=NAME, max_tokens=4, messages=ask("word " * 9000))


def test_other_errors_have_the_types_that_clients_know(client: anthropic.Anthropic, http: httpx.Client) -> None:
    with pytest.raises(anthropic.NotFoundError) as missing:
        client.messages.create(model="nobody", max_tokens=4, messages=ask("hi"))
    assert missing.value.body["error"]["type"] == "not_found_error"
    wrong = http.post("/v1/messages", content=b"<x/>", headers={"content-type": "text/xml"})
    assert (wrong.status_code, wrong.json()["error"]["type"]) == (415, "invalid_request_error")
    assert http.get("/v1/messages/none").json()["type"] == "error"


def test_an_engine_that_dies_ends_the_stream_with_an_error_event(folder: Path) -> None:
    running = start(folder)
    body = {"model": NAME, "max_tokens": 400, "messages": ask("slowly 300"), "stream": True}
    with running.own.stream("POST", "/v1/messages", json=body) as reply:
        lines = reply.iter_lines()
        for line in lines:
            if line == "event: content_block_delta":
                running.engine().kill()
                break
        rest = [line for line in lines if line]
    running.close()
    assert rest[-2] == "event: error"
    said = json.loads(rest[-1].removeprefix("data: "))
    assert said["type"] == "error" and said["error"]["type"] in ("api_error", "overloaded_error")


def test_what_changes_nothing_is_named(http: httpx.Client) -> None:
    body = {"model": NAME, "max_tokens": 4, "messages": [
        {"role": "user", "content": [{"type": "text", "text": "say a", "cache_control": {"type": "ephemeral"}}]}],
        "metadata": {"user_id": "u"}}  # fmt: skip
    headers = http.post("/v1/messages", json=body).headers
    ignored = headers["x-creuset-ignored"].split(", ")
    assert {"messages.content.cache_control", "metadata"} == set(ignored)


def test_a_thought_is_a_block_of_its_own_and_may_come_back(client: anthropic.Anthropic) -> None:
    said = ask("say <think>\nLet me see.\n</think>\n\nYes.")
    asked: dict[str, Any] = {"model": NAME, "max_tokens": 100, "thinking": {"type": "enabled", "budget_tokens": 50}}
    whole = client.messages.create(**asked, messages=said)
    assert [block.type for block in whole.content] == ["thinking", "text"]
    assert (whole.content[0].thinking.strip(), whole.content[1].text.strip()) == ("Let me see.", "Yes.")
    with client.messages.stream(**asked, messages=said) as stream:
        kinds = [event.type for event in stream]
        assert [b.to_dict() for b in stream.get_final_message().content] == [b.to_dict() for b in whole.content]
    assert "thinking" in kinds and "signature" in kinds
    history = [*said, {"role": "assistant", "content": [b.to_dict() for b in whole.content]}, *ask("say again")]
    assert client.messages.create(**asked, messages=history).content[0].text == "again"
    asked["thinking"]["display"] = "omitted"
    hidden = client.messages.create(**asked, messages=said)
    assert [block.type for block in hidden.content] == ["text"]
