"""The official client, sync and async, against a real server: what it sends is taken, what it gets it understands."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.lazy import lazily

from .conftest import NAME, Running

if TYPE_CHECKING:
    import openai
    from openai import AsyncOpenAI, OpenAI
else:
    openai = lazily("openai")

# Qwen2.5-Max's launch example: only base_url is another.
LAUNCH = """
from openai import OpenAI
import os

client = OpenAI(
    api_key=os.getenv("API_KEY"),
    base_url=os.environ["BASE_URL"],
)

completion = client.chat.completions.create(
    model="qwen-max-2025-01-25",
    messages=[
      {'role': 'system', 'content': 'You are a helpful assistant.'},
      {'role': 'user', 'content': 'Which number is larger, 9.11 or 9.8?'}
    ]
)

print(completion.choices[0].message)
"""


@pytest.fixture(scope="module")
def client(server: Running) -> OpenAI:
    return server.openai()


def ask(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def test_the_launch_example_of_qwen_max_runs_as_written(server: Running) -> None:
    found = subprocess.run(
        [sys.executable, "-c", LAUNCH],
        env={"API_KEY": "anything", "BASE_URL": f"{server.url}/v1", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert found.returncode == 0, found.stderr
    assert "ChatCompletionMessage(content='Hello from the script.'" in found.stdout


def test_a_whole_reply_has_what_the_client_reads(client: OpenAI) -> None:
    reply = client.chat.completions.create(model=NAME, messages=ask("say où est l'école ?"))
    choice = reply.choices[0]
    assert reply.object == "chat.completion" and reply.id.startswith("chatcmpl-") and reply.model == NAME
    assert choice.message.role == "assistant" and choice.message.content == "où est l'école ?"
    assert choice.finish_reason == "stop" and choice.logprobs is None
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    assert reply.system_fingerprint.startswith("fp_") and reply._request_id.startswith("req_")


@pytest.mark.parametrize("text", ["say Bonjour à tous 🎉, ça va ?", "slowly 7", "say  two  spaces\n\n"])
def test_streamed_and_whole_replies_say_the_same(client: OpenAI, text: str) -> None:
    whole = client.chat.completions.create(model=NAME, messages=ask(text), logprobs=True, top_logprobs=2)
    chunks = list(
        client.chat.completions.create(
            model=NAME,
            messages=ask(text),
            logprobs=True,
            top_logprobs=2,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert chunks[0].choices[0].delta.role == "assistant"
    deltas = [c.choices[0] for c in chunks if c.choices]
    assert "".join(d.delta.content or "" for d in deltas) == whole.choices[0].message.content
    assert deltas[-1].finish_reason == whole.choices[0].finish_reason
    assert [d.finish_reason for d in deltas[:-1]] == [None] * (len(deltas) - 1)
    entries = [e for d in deltas if d.logprobs for e in d.logprobs.content]
    assert entries == whole.choices[0].logprobs.content
    assert bytes(b for e in entries for b in e.bytes).decode() == whole.choices[0].message.content
    assert chunks[-1].choices == [] and chunks[-1].usage == whole.usage
    assert all(c.usage is None for c in chunks[:-1])
    assert len({(c.id, c.created, c.model) for c in chunks}) == 1


def test_n_choices_come_with_their_index_whole_and_streamed(client: OpenAI) -> None:
    whole = client.chat.completions.create(model=NAME, messages=ask("say one"), n=3, seed=7)
    assert [(c.index, c.message.content) for c in whole.choices] == [(0, "one"), (1, "one"), (2, "one")]
    said = {0: "", 1: "", 2: ""}
    for chunk in client.chat.completions.create(model=NAME, messages=ask("say one"), n=3, stream=True):
        for choice in chunk.choices:
            said[choice.index] += choice.delta.content or ""
    assert said == {0: "one", 1: "one", 2: "one"}


def test_stop_and_max_tokens_end_a_reply(client: OpenAI) -> None:
    stopped = client.chat.completions.create(model=NAME, messages=ask("say one two three"), stop=[" thr", "zzz"])
    assert (stopped.choices[0].message.content, stopped.choices[0].finish_reason) == ("one two", "stop")
    cut = client.chat.completions.create(model=NAME, messages=ask("slowly 9"), max_completion_tokens=2)
    assert cut.choices[0].finish_reason == "length" and cut.usage.completion_tokens == 2


def test_raw_completions_take_text_lists_and_ids(client: OpenAI) -> None:
    from creuset.testing import tiny_tokenizer

    ids = tiny_tokenizer().encode("say a")
    one = client.completions.create(model=NAME, prompt="say a")
    assert one.choices[0].text == "a" and one.choices[0].finish_reason == "stop"
    assert client.completions.create(model=NAME, prompt=ids).choices[0].text == "a"
    two = client.completions.create(model=NAME, prompt=["say a", "say a"], n=2)
    assert [(c.index, c.text) for c in two.choices] == [(i, "a") for i in range(4)]
    assert two.usage.prompt_tokens == 2 * len(ids)
    batch = client.completions.create(model=NAME, prompt=[ids, ids], echo=True, max_tokens=1)
    assert [c.text for c in batch.choices] == ["say aa", "say aa"]


def test_echo_with_logprobs_aligns_tokens_and_text(client: OpenAI) -> None:
    whole = client.completions.create(model=NAME, prompt="say été", echo=True, logprobs=2, max_tokens=3)
    choice = whole.choices[0]
    found = choice.logprobs
    assert found.token_logprobs[0] is None and found.top_logprobs[0] is None
    assert len(found.tokens) == len(found.token_logprobs) == len(found.top_logprobs) == len(found.text_offset)
    for token, offset in zip(found.tokens, found.text_offset, strict=True):
        if not token.startswith("bytes:"):
            assert choice.text[offset : offset + len(token)] == token
    chunks = list(
        client.completions.create(model=NAME, prompt="say été", echo=True, logprobs=2, max_tokens=3, stream=True)
    )
    assert "".join(c.choices[0].text for c in chunks) == choice.text
    for key in ("tokens", "token_logprobs", "top_logprobs", "text_offset"):
        assert [v for c in chunks for v in getattr(c.choices[0].logprobs, key)] == getattr(found, key)


def test_a_prompt_alone_can_be_scored(client: OpenAI) -> None:
    found = client.completions.create(model=NAME, prompt="say a", echo=True, logprobs=1, max_tokens=0)
    assert found.choices[0].text == "say a" and found.usage.completion_tokens == 0
    assert found.choices[0].logprobs.token_logprobs[1:] == [-0.5] * (found.usage.prompt_tokens - 1)


CALL = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Nîmes", "days": [1, 2]}}\n</tool_call>'
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}]


def test_tool_calls_are_parsed_whole_and_streamed(client: OpenAI) -> None:
    text = f"say Let me look.\n{CALL}\n{CALL}"
    whole = client.chat.completions.create(model=NAME, messages=ask(text), tools=TOOLS, tool_choice="auto").choices[0]
    assert whole.finish_reason == "tool_calls" and whole.message.content == "Let me look."
    assert [c.function.name for c in whole.message.tool_calls] == ["get_weather"] * 2
    assert whole.message.tool_calls[0].function.arguments == '{"city": "Nîmes", "days": [1, 2]}'
    chunks = [
        c.choices[0] for c in client.chat.completions.create(model=NAME, messages=ask(text), tools=TOOLS, stream=True)
    ]
    assert "".join(c.delta.content or "" for c in chunks) == "Let me look."
    calls = [call for c in chunks for call in c.delta.tool_calls or []]
    begun = [c for c in calls if c.id]
    assert [c.index for c in begun] == [0, 1] and {c.type for c in begun} == {"function"}
    assert all(c.function.name == "get_weather" and c.function.arguments == "" for c in begun)
    pieces = [c.function.arguments for c in calls if c.index == 1 and not c.id]
    assert len(pieces) > 3, "the arguments come as they are written"
    assert "".join(pieces) == whole.message.tool_calls[1].function.arguments
    assert chunks[-1].finish_reason == "tool_calls"


def test_a_reply_with_tool_calls_can_be_sent_back(client: OpenAI) -> None:
    first = client.chat.completions.create(model=NAME, messages=ask(f"say {CALL}"), tools=TOOLS).choices[0].message
    assert first.content is None
    answer = {"role": "tool", "tool_call_id": first.tool_calls[0].id, "content": "sunny"}
    again = client.chat.completions.create(
        model=NAME, messages=[*ask("hi"), first, answer, *ask("say thanks")], tools=TOOLS
    )
    assert again.choices[0].message.content == "thanks"


def test_without_tools_a_call_is_text(client: OpenAI) -> None:
    for options in ({}, {"tools": TOOLS, "tool_choice": "none"}):
        found = client.chat.completions.create(model=NAME, messages=ask(f"say {CALL}"), **options).choices[0]
        assert found.message.content == CALL and found.finish_reason == "stop"


def test_old_functions_are_answered_in_the_old_form(client: OpenAI) -> None:
    found = client.chat.completions.create(
        model=NAME, messages=ask(f"say {CALL}"), functions=[{"name": "get_weather", "parameters": {}}]
    ).choices[0]
    assert found.finish_reason == "function_call" and found.message.function_call.name == "get_weather"


def test_thoughts_are_kept_apart_when_asked_for(client: OpenAI) -> None:
    text = "say <think>\nhmm\n</think>\n\nYes."
    body = {"chat_template_kwargs": {"enable_thinking": True}}
    found = client.chat.completions.create(model=NAME, messages=ask(text), extra_body=body).choices[0].message
    assert found.content == "Yes." and found.reasoning_content.strip() == "hmm"


def test_extra_sampling_fields_are_taken(client: OpenAI) -> None:
    extra = {"top_k": 5, "min_p": 0.1, "repetition_penalty": 1.1, "min_tokens": 1, "stop_token_ids": [3]}
    found = client.chat.completions.create(
        model=NAME, messages=ask("say ok"), temperature=0.5, top_p=0.9, presence_penalty=1, frequency_penalty=-1,
        logit_bias={"5": -100}, seed=3, user="u", store=False, service_tier="auto", metadata={"a": "b"},
        safety_identifier="s", prompt_cache_key="k", parallel_tool_calls=True, response_format={"type": "text"},
        extra_body=extra,
    )  # fmt: skip
    assert found.choices[0].message.content == "ok"
    endless = client.chat.completions.create(
        model=NAME, messages=ask("say ok"), max_tokens=9, extra_body={"ignore_eos": True}
    )
    assert endless.choices[0].finish_reason == "length" and endless.usage.completion_tokens == 9


def test_chunks_are_padded_when_asked(client: OpenAI) -> None:
    def sizes(**options: object) -> set[int | None]:
        sizes = set()
        for chunk in client.chat.completions.create(model=NAME, messages=ask("say a bb ccc"), stream=True, **options):
            text, pad = chunk.choices[0].delta.content or "", chunk.to_dict().get("obfuscation")
            sizes.add(None if pad is None else len(text.encode()) + len(str(pad)))
        return sizes

    assert sizes() == {None}, "on loopback nobody is listening"
    assert sizes(stream_options={"include_obfuscation": True}) == {16}


def test_models_are_listed_and_found(client: OpenAI) -> None:
    assert [m.id for m in client.models.list()] == [NAME, "tiny"]
    assert client.models.retrieve("tiny").id == "tiny"
    with pytest.raises(openai.NotFoundError) as refused:
        client.models.retrieve("gpt-4o")
    assert refused.value.code == "model_not_found" and refused.value.param == "model"


def test_the_async_client_streams_many_at_once(server: Running) -> None:
    async def one(client: AsyncOpenAI, number: int) -> str:
        stream = await client.chat.completions.create(model=NAME, messages=ask(f"say {number} fois"), stream=True)
        return "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])

    async def all_of_them() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none") as client:
            return await asyncio.gather(*(one(client, i) for i in range(30)))

    assert asyncio.run(all_of_them()) == [f"{i} fois" for i in range(30)]


def test_the_client_raises_what_the_engine_says(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="the script refuses"):
        client.chat.completions.create(model=NAME, messages=ask("refuse"), stream=True)
    with pytest.raises(openai.InternalServerError, match="the script fails") as failed:
        client.chat.completions.create(model=NAME, messages=ask("fail"))
    assert (failed.value.status_code, failed.value.code) == (500, "engine_error")
