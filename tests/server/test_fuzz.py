"""Whatever a body holds, it is read or refused: nothing else is raised, and what is refused is named."""

import codecs
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from creuset.core.errors import RequestError
from creuset.server.model import ServedModel, describe
from creuset.server.openai.chat import parse_chat
from creuset.server.openai.completions import parse_completion
from creuset.server.openai.tokens import parse_detokenize, parse_tokenize
from creuset.types.fields import Fields, parse_object

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
)
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CHAT: dict[str, Any] = {
        "messages": [
        {"role": "user", "content": [{"type": "text", "text": "a"}]},
        {"role": "assistant", "content": "b", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c", "content": "d"},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "description": "x", "parameters": {}}}],
    "tool_choice": "auto", "temperature": 1, "top_p": 0.5, "n": 2, "stop": ["x"], "logit_bias": {"3": 1},
    "logprobs": True, "top_logprobs": 2, "stream": True, "stream_options": {"include_usage": True}, "seed": 1,
    "max_completion_tokens": 3, "metadata": {"a": "b"}, "response_format": {"type": "text"}, "user": "u",
    "chat_template_kwargs": {"enable_thinking": True, "x": 1}, "reasoning_effort": "low", "thinking_budget": 1,
    "parallel_tool_calls": False, "continue_final_message": False, "add_generation_prompt": True,
    "modalities": ["text"], "stop_token_ids": [1],
}  # fmt: skip
CHOOSING: dict[str, Any] = {
    "messages": [{"role": "user", "content": "a"}],
    "tools": [{"type": "function", "function": {"name": "f", "strict": True, "parameters": {"type": "object"}}}],
    "tool_choice": {"type": "allowed_tools", "allowed_tools": {
        "mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]}},
}  # fmt: skip
RAW: dict[str, Any] = {
    "model": "tiny", "prompt": [[1, 2], "a"], "n": 1, "best_of": 1, "echo": True, "logprobs": 1, "max_tokens": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def model(folder: Path) -> ServedModel:
    return describe(folder, ["tiny"])


def broken(body: Any, draw: st.DrawFn) -> Any:
    """`body` with one value somewhere in it replaced by anything."""
    keys = list(body) if isinstance(body, dict) else list(range(len(body)))
    if not keys:
        return draw(JSON)
    key = draw(st.sampled_from(keys))
    inside = isinstance(body[key], dict | list) and draw(st.booleans())
    changed = body.copy()
    changed[key] = broken(body[key], draw) if inside else draw(JSON)
    return changed


@st.composite
def bodies(draw: st.DrawFn, whole: dict[str, Any]) -> dict[str, Any]:
    return broken(whole, draw) | draw(st.dictionaries(st.text(max_size=6), JSON, max_size=1))


QUIET = settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def read(parse: Callable[..., Any], body: dict[str, Any], *more: Any) -> None:
    try:
        parse(Fields(body), *more)
    except RequestError as refused:
        assert str(refused) and len(str(refused)) < 500


def test_the_unbroken_bodies_are_taken(model: ServedModel) -> None:
    chat, raw = (Fields({name: value for name, value in body.items() if name != "model"}) for body in (CHAT, RAW))
    assert parse_chat(chat, "tiny", model).choices == 2
    assert len(parse_completion(raw, "tiny", model).prompts) == 2


@QUIET
@given(body=bodies(CHAT))
def test_any_chat_is_read_or_refused(model: ServedModel, body: dict[str, Any]) -> None:
    read(parse_chat, body, "tiny", model)


@QUIET
@given(body=bodies(CHOOSING))
def test_any_choice_of_tools_is_read_or_refused(model: ServedModel, body: dict[str, Any]) -> None:
    read(parse_chat, body, "tiny", model)


@QUIET
@given(body=bodies(RAW))
def test_any_completion_is_read_or_refused(model: ServedModel, body: dict[str, Any]) -> None:
    read(parse_completion, body, "tiny", model)


@QUIET
@given(body=bodies({"prompt": "a", "messages": [], "tokens": [1], "return_token_strs": True}))
def test_any_text_is_read_or_refused(model: ServedModel, body: dict[str, Any]) -> None:
    read(parse_tokenize, body, model)
    read(parse_detokenize, body, model)


@QUIET
@given(raw=st.binary(max_size=40))
def test_any_bytes_are_an_object_or_refused(raw: bytes) -> None:
    with suppress(RequestError):
        assert isinstance(parse_object(raw), dict)


def test_a_byte_order_mark_before_a_body_is_passed_over_and_a_second_one_is_not() -> None:
    body = '{"a": "\ufeff"}'.encode()
    assert parse_object(codecs.BOM_UTF8 + body) == {"a": "\ufeff"}
    for raw in (2 * codecs.BOM_UTF8 + body, codecs.BOM_UTF16_LE + body.decode().encode("utf-16-le"), codecs.BOM_UTF8):
        with pytest.raises(RequestError, match="the body is not JSON"):
            parse_object(raw)
