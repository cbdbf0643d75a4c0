"""The Responses dialect, asked by OpenAI's own client with strict validation of what comes back."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from creuset.core.errors import ConfigError
from creuset.server.database import Database
from creuset.server.settings import MEMORY, database_url
from creuset.server.tenants.keys import add_key
from tests.lazy import lazily

from .conftest import NAME, Running, start

if TYPE_CHECKING:
    import openai
    from openai import OpenAI
else:
    openai = lazily("openai")

ADD = {
    "type": "function", "name": "add", "description": "Adds two numbers.", "strict": True,
    "parameters": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
                   "required": ["a", "b"], "additionalProperties": False},
}  # fmt: skip
CALL = 'say <tool_call>\n{"name": "add", "arguments": {"a": 2, "b": 3}}\n</tool_call>'


def official(server: Running, key: str = "none") -> OpenAI:
    plain = openai.DefaultHttpxClient(verify=False, trust_env=False)
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0, http_client=plain,
                  _strict_response_validation=True)  # fmt: skip


@pytest.fixture(scope="module")
def client(server: Running) -> Iterator[OpenAI]:
    with official(server) as client:
        yield client


def test_the_first_program_gets_its_answer(client: OpenAI) -> None:
    reply = client.responses.create(model=NAME, input="say où est l'école ?", instructions="Be kind.")
    assert (reply.output_text, reply.status, reply.model) == ("où est l'école ?", "completed", NAME)
    assert reply.id.startswith("resp_") and reply._request_id.startswith("req_")
    assert reply.usage.total_tokens == reply.usage.input_tokens + reply.usage.output_tokens
    assert (reply.instructions, reply.tools, reply.parallel_tool_calls) == ("Be kind.", [], True)


@pytest.mark.parametrize("text", ["say Bonjour à tous 🎉, ça va ?", "slowly 7", "say  two  spaces\n\n", CALL])
def test_streamed_and_whole_replies_say_the_same(client: OpenAI, text: str) -> None:
    asked: dict[str, Any] = {"model": NAME, "input": text, "tools": [ADD]}
    whole = client.responses.create(**asked)
    events = list(client.responses.create(**asked, stream=True))
    last = events[-1].response

    def said(reply: Any) -> list[Any]:
        drop = {"id", "call_id"}
        return [{k: v for k, v in item.to_dict().items() if k not in drop} for item in reply.output]

    assert said(last) == said(whole) and last.usage.output_tokens == whole.usage.output_tokens
    assert [e.sequence_number for e in events] == list(range(len(events)))
    kinds = [e.type for e in events]
    assert kinds[:2] == ["response.created", "response.in_progress"] and kinds[-1] == "response.completed"
    assert kinds.count("response.output_item.added") == kinds.count("response.output_item.done") == len(whole.output)
    written = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert written == whole.output_text
    arguments = "".join(e.delta for e in events if e.type == "response.function_call_arguments.delta")
    assert arguments == "".join(item.arguments for item in whole.output if item.type == "function_call")


def test_a_tool_is_called_and_its_result_goes_back(client: OpenAI) -> None:
    first = client.responses.create(model=NAME, input=CALL, tools=[ADD])
    (call,) = [item for item in first.output if item.type == "function_call"]
    assert (call.name, json.loads(call.arguments)) == ("add", {"a": 2, "b": 3})
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "5"}
    again = client.responses.create(model=NAME, previous_response_id=first.id, tools=[ADD],
                                    input=[result, {"role": "user", "content": "say five"}])  # fmt: skip
    assert again.output_text == "five" and again.previous_response_id == first.id
    history = [{"role": "user", "content": CALL}, *[item.to_dict() for item in first.output], result,
               {"role": "user", "content": "say five"}]  # fmt: skip
    by_hand = client.responses.create(model=NAME, input=history, tools=[ADD])
    assert by_hand.usage.input_tokens == again.usage.input_tokens, "the chain is not what was said"


def test_a_function_of_a_namespace_is_called_with_its_namespace(client: OpenAI) -> None:
    space = {"type": "namespace", "name": "sums", "description": "Sums.", "tools": [ADD]}
    reply = client.responses.create(model=NAME, input=CALL, tools=[space])
    (call,) = [item for item in reply.output if item.type == "function_call"]
    assert (call.name, call.namespace) == ("add", "sums")


def test_an_answer_that_is_cut_is_incomplete(client: OpenAI) -> None:
    cut = client.responses.create(model=NAME, input="slowly 9", max_output_tokens=2)
    assert (cut.status, cut.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert cut.output[0].status == "incomplete" and cut.usage.output_tokens == 2
    events = list(client.responses.create(model=NAME, input="slowly 9", max_output_tokens=2, stream=True))
    assert events[-1].type == "response.incomplete"


def test_log_probabilities_are_told_where_they_are_asked_for(client: OpenAI) -> None:
    asked: dict[str, Any] = {"model": NAME, "input": "say été", "include": ["message.output_text.logprobs"],
                             "top_logprobs": 2}  # fmt: skip
    entries = client.responses.create(**asked).output[0].content[0].logprobs
    assert bytes(b for e in entries for b in e.bytes).decode() == "été" and len(entries[0].top_logprobs) == 2
    streamed = [e for e in client.responses.create(**asked, stream=True) if e.type == "response.output_text.delta"]
    assert [e.token for d in streamed for e in d.logprobs] == [e.token for e in entries]


def test_a_form_is_enforced_and_repeated(with_random_model: Running) -> None:
    schema = {"type": "object", "properties": {"yes": {"type": "boolean"}}, "required": ["yes"],
              "additionalProperties": False}  # fmt: skip
    form = {"format": {"type": "json_schema", "name": "answer", "schema": schema, "strict": True}}
    with official(with_random_model) as client:
        reply = client.responses.create(model="random", input="Well?", text=form, max_output_tokens=60)
    assert json.loads(reply.output_text)["yes"] in (True, False)
    assert reply.text.format.to_dict()["schema"] == schema


def test_what_is_kept_is_found_and_can_be_deleted(client: OpenAI) -> None:
    made = client.responses.create(model=NAME, input="say a", metadata={"for": "a test"})
    assert client.responses.retrieve(made.id).to_dict() == made.to_dict()
    items = client.responses.input_items.list(made.id)
    assert [item.content[0].text for item in items.data] == ["say a"] and items.first_id == items.data[0].id
    client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError, match=f"Response with id '{made.id}' not found"):
        client.responses.retrieve(made.id)
    with pytest.raises(openai.NotFoundError, match="Previous response with id"):
        client.responses.create(model=NAME, input="say b", previous_response_id=made.id)


def test_what_is_not_to_be_kept_is_not(client: OpenAI) -> None:
    made = client.responses.create(model=NAME, input="say a", store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)


def test_counted_tokens_are_those_of_the_prompt(client: OpenAI) -> None:
    asked: dict[str, Any] = {"model": NAME, "input": "say one", "instructions": "Be kind.", "tools": [ADD]}
    counted = client.responses.input_tokens.count(**asked).input_tokens
    assert counted == client.responses.create(**asked).usage.input_tokens


def test_a_response_in_the_background_is_followed_from_any_event_and_kept(client: OpenAI, http: httpx.Client) -> None:
    made = client.responses.create(model=NAME, input="slowly 20", background=True)
    assert made.status == "queued"
    all_of_it = list(client.responses.retrieve(made.id, stream=True))
    assert all_of_it[-1].type == "response.completed"
    ended = client.responses.retrieve(made.id)
    assert ended.status == "completed" and ended.output_text == " la" * 20
    rest = list(client.responses.retrieve(made.id, stream=True, starting_after=7))
    assert [e.to_dict() for e in rest] == [e.to_dict() for e in all_of_it[8:]]
    for query, words in (
        ({"stream": "maybe"}, '`stream` must be "true" or "false", got "maybe"'),
        ({"stream": "true", "starting_after": "-5"}, "`starting_after` must not be negative, got -5"),
        ({"stream": "true", "starting_after": "99999"}, "`starting_after` is 99999, and the last event"),
    ):
        refused = http.get(f"/v1/responses/{made.id}", params=query)
        assert refused.status_code == 400 and words in refused.json()["error"]["message"]


def test_a_stream_that_breaks_is_resumed(client: OpenAI, http: httpx.Client) -> None:
    seen = []
    with client.responses.create(model=NAME, input="slowly 30", background=True, stream=True) as stream:
        for event in stream:
            seen.append(event)
            if len(seen) == 6:
                break
    id = seen[0].response.id
    rest = list(client.responses.retrieve(id, stream=True, starting_after=seen[-1].sequence_number))
    assert [e.sequence_number for e in [*seen, *rest]] == list(range(len(seen) + len(rest)))
    assert rest[-1].response.output_text == " la" * 30


def test_a_response_in_the_background_can_be_cancelled(client: OpenAI) -> None:
    made = client.responses.create(model=NAME, input="slowly 500", background=True)
    for _ in range(100):
        if client.responses.retrieve(made.id).output:
            break
        time.sleep(0.01)
    assert client.responses.cancel(made.id).status == "cancelled"
    assert client.responses.retrieve(made.id).status == "cancelled"
    with pytest.raises(openai.BadRequestError, match="background: true"):
        client.responses.cancel(client.responses.create(model=NAME, input="say a").id)


def test_a_conversation_goes_on_by_its_name(client: OpenAI) -> None:
    talk = client.conversations.create(metadata={"topic": "x"}, items=[{"role": "user", "content": "Hello."}])
    assert client.conversations.retrieve(talk.id).metadata == {"topic": "x"}
    client.responses.create(model=NAME, input="say one", conversation=talk.id)
    second = client.responses.create(model=NAME, input="say two", conversation={"id": talk.id})
    assert second.conversation.id == talk.id
    items = client.conversations.items.list(talk.id, order="asc").data
    assert [i.content[0].text for i in items] == ["Hello.", "say one", "one", "say two", "two"]
    page = client.conversations.items.list(talk.id, order="asc", limit=2)
    assert page.has_more and [i.id for i in page.data] == [i.id for i in items[:2]]
    after = client.conversations.items.list(talk.id, order="asc", limit=2, after=page.last_id)
    assert [i.id for i in after.data] == [i.id for i in items[2:4]]
    client.conversations.items.delete(items[0].id, conversation_id=talk.id)
    assert client.conversations.update(talk.id, metadata={"topic": "y"}).metadata == {"topic": "y"}
    assert client.conversations.delete(talk.id).deleted
    with pytest.raises(openai.NotFoundError, match="Conversation with id"):
        client.conversations.retrieve(talk.id)


def test_sampling_of_chat_completions_is_obeyed_here_too(client: OpenAI) -> None:
    asked: dict[str, Any] = {"model": NAME, "input": "say one two three"}
    more = {
        "presence_penalty": 0.5,
        "stop": [" three"],
        "repetition_penalty": 1.1,
        "min_p": 0.1,
        "ignore_eos": False,
        "logit_bias": {"5": -1},
    }
    reply = client.responses.create(**asked, extra_body=more)
    assert reply.output_text == "one two" and reply.to_dict()["presence_penalty"] == 0.5
    for field, value in (("repetition_penalty", 0), ("min_p", 2), ("stop", [""]), ("frequency_penalty", 3)):
        with pytest.raises(openai.BadRequestError, match=field):
            client.responses.create(**asked, extra_body={field: value})
    assert client.responses.create(model=None, input="say a").output_text == "a"  # type: ignore[call-overload]


def test_items_of_a_conversation_are_a_list(http: httpx.Client) -> None:
    refused = http.post("/v1/conversations", json={"items": "xxx"})
    assert refused.status_code == 400 and "`items` must be a list of items" in refused.json()["error"]["message"]


def test_what_belongs_to_another_key_is_not_there(folder: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    mine, other = add_key(keys, "mine"), add_key(keys, "other")
    running = start(folder, keys=keys)
    with official(running, mine) as me, official(running, other) as them:
        made = me.responses.create(model=NAME, input="slowly 300", background=True)
        talk = me.conversations.create()
        for refused in (
            lambda: them.responses.retrieve(made.id),
            lambda: them.responses.cancel(made.id),
            lambda: them.responses.delete(made.id),
            lambda: them.responses.input_items.list(made.id),
        ):
            with pytest.raises(openai.NotFoundError) as never:
                refused()
            assert never.value.body["message"] == f"Response with id '{made.id}' not found."
        with pytest.raises(openai.NotFoundError):
            them.responses.create(model=NAME, input="say a", previous_response_id=made.id)
        with pytest.raises(openai.NotFoundError):
            them.conversations.items.list(talk.id)
        assert me.responses.cancel(made.id).status == "cancelled"
    running.close()


def test_what_is_kept_in_a_file_outlives_the_server(folder: Path, tmp_path: Path) -> None:
    file = f"sqlite:///{tmp_path / 'kept.db'}"
    running = start(folder, database=file)
    with official(running) as client:
        made = client.responses.create(model=NAME, input="say a")
        cut = client.responses.create(model=NAME, input="slowly 900", background=True)
    running.close()
    running = start(folder, database=file)
    with official(running) as client:
        assert client.responses.retrieve(made.id).output_text == "a"
        again = client.responses.create(model=NAME, input="say b", previous_response_id=made.id)
        assert again.output_text == "b"
        assert client.responses.retrieve(cut.id).status == "failed"
    running.close()


def test_an_engine_that_dies_ends_the_stream_with_an_error_event(folder: Path) -> None:
    running = start(folder)
    body = {"model": NAME, "input": "slowly 300", "stream": True}
    with running.own.stream("POST", "/v1/responses", json=body) as reply:
        lines = reply.iter_lines()
        for line in lines:
            if line == "event: response.output_text.delta":
                running.engine().kill()
                break
        rest = [line for line in lines if line]
    running.close()
    assert rest[-2] == "event: error" and json.loads(rest[-1].removeprefix("data: "))["code"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"input": None}, "`input` is required"),
        ({"input": 3}, "`input` must be a text or a list of items, got 3"),
        (
            {"input": [{"type": "image_generation_call"}]},
            '`input[0].type` is "image_generation_call", which is not served',
        ),
        ({"input": [{"role": "robot", "content": "x"}]}, "`input[0].role` must be"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            '`input[0].content[0].type` is "input_image"',
        ),
        ({"input": [{"type": "item_reference", "id": "msg_x"}]}, "`input[0].id` names no item that is kept here"),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, "`input[0].call_id` is required"),
        ({"tools": [{"type": "web_search"}]}, '"web_search" is a tool that this server does not run'),
        ({"tools": [ADD, {"type": "namespace", "name": "n", "tools": [ADD | {"name": "a b"}]}]},
         "`tools[1].tools[0].name` must have 1 to 64 letters"),
        ({"tools": [ADD, {"type": "namespace", "name": "n", "tools": [ADD]}]},
         '`tools[1].tools[0].name` is "add", which `tools[0]` has already'),
        ({"tools": [ADD | {"name": "a b"}]}, "`tools[0].name` must have 1 to 64 letters"),
        ({"tool_choice": "required"}, "`tool_choice` is allowed only with tools"),
        ({"text": {"format": {"type": "xml"}}}, '`text.format.type` must be "text"'),
        ({"text": {"format": {"type": "json_schema", "name": "a"}}}, "`text.format.schema` is required"),
        ({"include": ["file_search_call.results"]}, '`include[0]` is "file_search_call.results"'),
        ({"background": True, "store": False}, "`background` needs `store: true`"),
        ({"truncation": "some"}, '`truncation` must be "auto" or "disabled"'),
        ({"max_output_tokens": 0}, "`max_output_tokens` must be between 1"),
        ({"prompt": {"id": "x"}}, "`prompt` is not served here"),
        ({"temprature": 1}, "`temprature` is not a field that this server knows; did you mean `temperature`?"),
        ({"max_tool_calls": "xx"}, "`max_tool_calls` must be an integer"),
        ({"user": {"a": 1}}, "`user` must be a string"),
        ({"conversation": {"a": 1}}, "`conversation.id` is required"),
        ({"metadata": {"a": 1}}, "`metadata` must be an object of strings"),
    ],
)  # fmt: skip
def test_a_wrong_request_is_refused_by_the_name_of_its_part(
    http: httpx.Client, changes: dict[str, Any], words: str
) -> None:
    found = http.post("/v1/responses", json={"model": NAME, "input": "say hi"} | changes)
    assert found.status_code == 400 and words in found.json()["error"]["message"], found.text


def test_old_turns_leave_a_prompt_that_is_too_long_where_that_is_asked_for(client: OpenAI) -> None:
    turns = [{"role": role, "content": "word " * 300} for _ in range(8) for role in ("user", "assistant")]
    asked: dict[str, Any] = {"model": NAME, "input": [*turns, {"role": "user", "content": "say still here"}]}
    with pytest.raises(openai.BadRequestError, match="maximum context length"):
        client.responses.create(**asked)
    assert client.responses.create(**asked, truncation="auto").output_text == "still here"


def test_a_database_that_cannot_be_used_is_named_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be used"):
        Database(database_url(f"{tmp_path}", tmp_path))
    with pytest.raises(ConfigError) as refused:
        Database("nodb://me:secret@host/x")
    assert "secret" not in str(refused.value)
    file = tmp_path / "new" / "kept.db"
    Database(database_url(str(file), tmp_path)).close()
    assert file.stat().st_mode & 0o077 == 0
    assert (database_url("memory", tmp_path), database_url("postgresql://x", tmp_path)) == (MEMORY, "postgresql://x")
    assert database_url(None, tmp_path) == f"sqlite:///{tmp_path}/server.db"
