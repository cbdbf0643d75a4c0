"""Events become a reply: streamed or whole it says the same, is counted the same, and ends the same."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from creuset.core.errors import EngineError
from creuset.server.engines.client import EngineClient, Generation
from creuset.server.engines.pool import ServedEngine
from creuset.server.model import describe
from creuset.server.openai.chat import parse_chat
from creuset.server.openai.completions import parse_completion
from creuset.server.openai.reply import PAD_TO, ChatResponse, CompletionResponse
from creuset.server.stream import EventStream, ResponseBuilder, whole
from creuset.testing import tiny_tokenizer
from creuset.types.fields import Fields
from creuset.types.generation import Event, TokenLogprob

from .conftest import NAME

HI = {"messages": [{"role": "user", "content": "hi"}]}
RAW = {"prompt": "hi"}


class Silent:
    """An observer of an engine that is never started."""

    def accepted(self, ids: Any) -> None: ...
    def on_event(self, event: Event, generated: int, read: int) -> None: ...
    def ended(self, id: str, reason: str) -> None: ...
    def on_state(self, state: str, **facts: Any) -> None: ...


@pytest.fixture(scope="module")
def engine(folder: Path) -> ServedEngine:
    return ServedEngine(describe(folder, [NAME]), EngineClient(["no such program"], Silent(), limit=4))


def chat(engine: ServedEngine, *, obfuscate: bool = False, **body: Any) -> ChatResponse:
    ask = parse_chat(Fields(HI | body), NAME, engine.model)
    return ChatResponse(ask, engine, list(range(7)), id="chatcmpl-1", created=99, obfuscate=obfuscate)


def completion(engine: ServedEngine, **body: Any) -> CompletionResponse:
    return CompletionResponse(parse_completion(Fields(RAW | body), NAME, engine.model), engine, id="cmpl-1", created=99)


def events(*texts: str, id: str = "a", finish: str = "stop", **last: Any) -> list[Event]:
    """One event a text, then one that ends it."""
    ids = tiny_tokenizer().encode("ab")
    found = [Event(id=id, text=t, tokens=(ids[0],), completion_tokens=n) for n, t in enumerate(texts, 1)]
    return [*found, Event(id=id, finish=finish, **({"completion_tokens": len(texts) + 1} | last))]  # type: ignore[arg-type]


def fed(reply: ResponseBuilder, *streams: list[Event]) -> list[dict[str, Any]]:
    """All chunks of a reply: those of its choices one after the other."""
    chunks = reply.opening()
    for index, found in enumerate(streams):
        chunks += [chunk for event in found for chunk in reply.feed(index, event)]
    return chunks + reply.closing()


def test_a_streamed_chat_opens_says_its_pieces_and_ends_with_a_reason(engine: ServedEngine) -> None:
    chunks = fed(chat(engine, stream=True), events("Hel", "lo"))
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [
        {"role": "assistant", "content": "", "refusal": None}, {"content": "Hel"}, {"content": "lo"}, {},
    ]  # fmt: skip
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, None, None, "stop"]
    for chunk in chunks:
        assert (chunk["id"], chunk["created"], chunk["model"]) == ("chatcmpl-1", 99, NAME)
        assert chunk["object"] == "chat.completion.chunk" and chunk["system_fingerprint"] == engine.fingerprint
        assert "usage" not in chunk and "obfuscation" not in chunk


def test_usage_comes_last_in_a_chunk_of_its_own_and_is_null_before(engine: ServedEngine) -> None:
    reply = chat(engine, stream=True, stream_options={"include_usage": True}, n=2)
    chunks = fed(
        reply, events("a", cached_tokens=4, reasoning_tokens=1), events("b", "c", cached_tokens=4, reasoning_tokens=2)
    )
    assert [chunk["usage"] for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == {
        "prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12,
        "prompt_tokens_details": {"cached_tokens": 4},  # of the first choice: the others read the same prompt
        "completion_tokens_details": {"reasoning_tokens": 3},
    }  # fmt: skip


def test_a_whole_chat_joins_its_pieces_for_each_choice(engine: ServedEngine) -> None:
    reply = chat(engine, n=2)
    assert fed(reply, events("Hel", "lo"), events("Bye", finish="length"))[2:] == []
    found = reply.whole()
    assert found["object"] == "chat.completion" and found["service_tier"] == "default"
    said = [(c["index"], c["message"]["content"], c["finish_reason"]) for c in found["choices"]]
    assert said == [(0, "Hello", "stop"), (1, "Bye", "length")]
    assert found["usage"]["completion_tokens"] == 5 and found["usage"]["total_tokens"] == 12


def test_whole_and_streamed_say_the_same(engine: ServedEngine) -> None:
    texts = ["<tool_call>\n", '{"name": "f", "argu', 'ments": {"x": 1}}\n</tool_call>']
    tools = [{"type": "function", "function": {"name": "f"}}]
    streamed = fed(chat(engine, stream=True, tools=tools), events(*texts))
    one = chat(engine, tools=tools)
    fed(one, events(*texts))
    (choice,) = one.whole()["choices"]
    deltas = [call for c in streamed for call in c["choices"][0]["delta"].get("tool_calls", [])]
    (call,) = choice["message"]["tool_calls"]
    assert deltas[0] == {"index": 0, **call, "id": deltas[0]["id"], "function": {"name": "f", "arguments": ""}}
    assert all(more.keys() == {"index", "function"} for more in deltas[1:]), "the rest are pieces of the arguments"
    assert "".join(delta["function"]["arguments"] for delta in deltas) == call["function"]["arguments"] == '{"x": 1}'
    assert call["function"]["name"] == "f"
    assert streamed[-1]["choices"][0]["finish_reason"] == choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None


def test_log_probabilities_go_with_the_text_of_their_tokens(engine: ServedEngine) -> None:
    first, second = tiny_tokenizer().encode(" cat")[:1] + tiny_tokenizer().encode("é")[:1]
    told = (TokenLogprob(first, -0.25, ((first, -0.25), (second, -float("inf")))),)
    reply = chat(engine, logprobs=True, top_logprobs=2)
    fed(reply, [Event(id="a", text="x", logprobs=told, completion_tokens=1), *events(finish="length")])
    (entry,) = reply.whole()["choices"][0]["logprobs"]["content"]
    text = tiny_tokenizer().token_bytes(first)
    assert (entry["token"], entry["logprob"], entry["bytes"]) == (text.decode(), -0.25, list(text))
    assert [other["logprob"] for other in entry["top_logprobs"]] == [-0.25, -9999.0], "JSON has no infinity"


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 40])
def test_padding_makes_chunks_of_about_one_length_look_alike(engine: ServedEngine, size: int) -> None:
    chunk = fed(chat(engine, obfuscate=True, stream=True), events("x" * size))[1]
    assert len(chunk["choices"][0]["delta"].get("content", "")) == size
    assert (size + len(chunk["obfuscation"])) % PAD_TO == 0 and chunk["obfuscation"]


def test_a_client_decides_on_padding_for_itself(engine: ServedEngine) -> None:
    off = chat(engine, obfuscate=True, stream=True, stream_options={"include_obfuscation": False})
    on = chat(engine, obfuscate=False, stream=True, stream_options={"include_obfuscation": True})
    assert not any("obfuscation" in chunk for chunk in fed(off, events("a")))
    assert all("obfuscation" in chunk for chunk in fed(on, events("a")))


def test_raw_completions_number_prompts_and_choices_in_one_row(engine: ServedEngine) -> None:
    reply = completion(engine, prompt=["a", "bb cc"], n=2)
    fed(reply, *(events(f"text {n}", id=str(n), cached_tokens=n) for n in range(4)))
    found = reply.whole()
    assert [(c["index"], c["text"], c["finish_reason"]) for c in found["choices"]] == [
        (n, f"text {n}", "stop") for n in range(4)
    ]
    prompts = sum(len(tiny_tokenizer().encode(text)) for text in ("a", "bb cc"))
    assert found["usage"] == {
        "prompt_tokens": prompts, "completion_tokens": 8, "total_tokens": prompts + 8,
        "prompt_tokens_details": {"cached_tokens": 0 + 2},  # of the first choice of each prompt
    }  # fmt: skip
    assert found["object"] == "text_completion"


# Carried to the client


def carry(engine: ServedEngine, reply: ResponseBuilder, items: list[Any], **options: float) -> list[dict[str, Any]]:
    """What an event stream sends for `items`: events, exceptions, and None for a client that hangs up."""

    async def main() -> list[dict[str, Any]]:
        generation, sent = Generation(engine.client, {"a": 0}, {"a"}), list[dict[str, Any]]()
        gone = asyncio.Event()

        async def receive() -> dict[str, Any]:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        async def feed() -> None:
            for item in items:
                await asyncio.sleep(0)
                if item is None:
                    gone.set()
                elif isinstance(item, float):
                    await asyncio.sleep(item)
                else:
                    generation.inbox.put_nowait(item)
                    if isinstance(item, Exception) or item.finish:
                        generation.pending.clear()

        stream = EventStream(generation, reply, **({"heartbeat_s": 60.0, "send_timeout_s": 60.0} | options))
        await asyncio.gather(stream({}, receive, send), feed(), return_exceptions=False)
        return sent

    return asyncio.run(main())


def body(sent: list[dict[str, Any]]) -> str:
    return b"".join(message.get("body", b"") for message in sent).decode()


def test_a_stream_is_server_sent_events_and_ends_with_done(engine: ServedEngine) -> None:
    sent = carry(engine, chat(engine, stream=True), list(events("Hel", "lo")))
    assert dict(sent[0]["headers"])[b"content-type"] == b"text/event-stream; charset=utf-8"
    assert dict(sent[0]["headers"])[b"cache-control"] == b"no-store" and sent[0]["status"] == 200
    blocks = body(sent).split("\n\n")
    assert blocks[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(block.removeprefix("data: ")) for block in blocks[:-2]]
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == "Hello"
    assert [message["more_body"] for message in sent[1:]] == [True] * (len(sent) - 2) + [False]


def test_an_engine_that_fails_in_the_middle_ends_the_stream_with_its_error(engine: ServedEngine) -> None:
    sent = carry(engine, chat(engine, stream=True), [events("Hel")[0], EngineError("it is gone")])
    last = json.loads(body(sent).split("\n\n")[-2].removeprefix("data: "))
    assert last["error"]["message"] == "it is gone" and last["error"]["code"] == "engine_unavailable"
    assert "[DONE]" not in body(sent) and sent[-1]["more_body"] is False


def test_a_failure_before_the_first_event_is_no_stream_yet(engine: ServedEngine) -> None:
    with pytest.raises(EngineError, match="it is gone"):
        carry(engine, chat(engine, stream=True), [EngineError("it is gone")])


def test_silence_is_bridged_by_comments_that_are_no_events(engine: ServedEngine) -> None:
    items = [events("a")[0], 0.2, events("a")[1]]
    text = body(carry(engine, chat(engine, stream=True), items, heartbeat_s=0.05))
    assert text.count(": keep-alive\n\n") >= 2 and text.endswith("data: [DONE]\n\n")
    assert not text.startswith(": keep-alive"), "something was sent before the engine took the request"


def test_a_client_that_hangs_up_gets_nothing_more(engine: ServedEngine) -> None:
    sent = carry(engine, chat(engine, stream=True), [events("Hel")[0], 0.05, None])
    assert "Hel" in body(sent) and "[DONE]" not in body(sent) and sent[-1]["more_body"] is True


@pytest.mark.parametrize("hangs_up", [False, True])
def test_a_whole_reply_is_one_object_or_nothing(engine: ServedEngine, hangs_up: bool) -> None:
    async def main() -> Any:
        generation, gone = Generation(engine.client, {"a": 0}, {"a"}), asyncio.Event()

        async def receive() -> dict[str, Any]:
            await gone.wait()
            return {"type": "http.disconnect"}

        if hangs_up:
            gone.set()
        else:
            for event in events("Hel", "lo"):
                generation.inbox.put_nowait(event)
            generation.pending.clear()
        return await whole(generation, chat(engine), receive)

    response = asyncio.run(main())
    assert response.status_code == (499 if hangs_up else 200)
    if not hangs_up:
        assert json.loads(response.body)["choices"][0]["message"]["content"] == "Hello"
