"""Calls whose name stands between marks of its own: Mistral's newer form, DeepSeek's, and Qwen3-Coder's XML."""

import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from creuset.text.calls.formats import DEEPSEEK_CALL, DEEPSEEK_CALLS, DEEPSEEK_CALLS_END, DEEPSEEK_END, DEEPSEEK_SEP
from creuset.text.calls.json_calls import JsonStyle, Say, json_arguments, json_calls
from creuset.text.calls.pieces import CallArguments, CallBegun, Steps
from creuset.text.calls.reader import Reader

_JSON = re.compile(r"\s*[\[{]")
_MISTRAL = re.compile(r"\s*([\w.-]+)\s*(?:\[CALL_ID\]\s*\w+\s*)?(?:\[ARGS\])?\s*(?=\{)")


def mistral(reader: Reader, opening: str, say: Say) -> Steps[None]:
    """`[TOOL_CALLS][{"name": ..., "arguments": ...}, ...]`, or `[TOOL_CALLS]name[ARGS]{...}` for each call."""
    if (yield from reader.match(_JSON)):
        yield from json_calls(reader, opening, JsonStyle(), say)
        return
    found = yield from reader.match(_MISTRAL)
    if not found:
        yield from say(opening)
        return
    reader.take(found.end())
    yield CallBegun(found[1])
    yield from json_arguments(reader, opening)


_DEEPSEEK = re.compile(
    rf"\s*(?:function{re.escape(DEEPSEEK_SEP)}\s*([^\s{{<]+)\s*```(?:json)?\s*"  # DeepSeek-V3 and R1
    rf"|([^\s{{<]+)\s*{re.escape(DEEPSEEK_SEP)}\s*)(?=\{{)"  # DeepSeek-V3.1
)


def deepseek(reader: Reader, opening: str, say: Say) -> Steps[None]:
    """A list of calls, or a call where the model left out the mark before the list."""
    if opening == DEEPSEEK_CALLS:
        space = yield from reader.space()
        if not (yield from reader.starts(DEEPSEEK_CALL)):
            yield from say(opening + space)
            return
        opening += space + reader.take(len(DEEPSEEK_CALL))
    while True:
        found = yield from reader.match(_DEEPSEEK)
        if not found:
            yield from say(opening)
            return
        reader.take(found.end())
        yield CallBegun(found[1] or found[2])
        yield from json_arguments(reader, DEEPSEEK_END)
        yield from reader.space("`")
        if (yield from reader.starts(DEEPSEEK_END)):
            reader.take(len(DEEPSEEK_END))
        yield from reader.space()
        opening = yield from reader.starts(DEEPSEEK_CALL, DEEPSEEK_CALLS_END)
        reader.take(len(opening))
        if opening != DEEPSEEK_CALL:
            return


_FUNCTION = re.compile(r"\s*<function=([^>\s]+)\s*>\s*(?=<parameter=|</function>)")
_PARAMETER = re.compile(r"<parameter=([^>\n]+)>")


def qwen3_xml(reader: Reader, opening: str, schemas: Mapping[str, Any], say: Say) -> Steps[None]:
    """`<function=f><parameter=a>1</parameter></function>`, within <tool_call> or not; one parameter after the other.

    This form has no types: a parameter is text where its schema says so, else JSON where it reads as JSON.
    """
    block = opening == "<tool_call>"
    if block and (yield from reader.match(_JSON)):  # as our grammars have it where a call is enforced
        yield from json_calls(reader, opening, JsonStyle(close="</tool_call>"), say)
        return
    if not block:
        reader.text = opening + reader.text
    called = False
    while found := (yield from reader.match(_FUNCTION)):
        called = True
        reader.take(found.end())
        yield CallBegun(found[1])
        yield from _parameters(reader, schemas.get(found[1], {}).get("properties", {}))
        space = yield from reader.space()
        if (yield from reader.starts("</tool_call>")):
            reader.take(len("</tool_call>"))
            return
        if not block:
            return
    if not called:
        yield from say(opening if block else reader.take(len(opening)))
    elif space:
        yield from say(space)


def _parameters(reader: Reader, properties: Mapping[str, Any]) -> Steps[None]:
    first = True
    while True:
        yield from reader.space()
        mark = yield from reader.starts("<parameter=", "</function>", "</tool_call>")
        if mark == "</function>" or mark == "</tool_call>":
            reader.take(len(mark) if mark == "</function>" else 0)
            yield CallArguments("{}" if first else "}")
            return
        found = (yield from reader.match(_PARAMETER)) if mark else None
        if not found:  # the call breaks off here: its arguments are not closed either
            return
        reader.take(found.end())
        value, whole = yield from reader.before("</parameter>")
        value = value.removeprefix("\n").removesuffix("\n")
        # A value that breaks off becomes a string that is not closed: nobody can take it for the whole.
        text = _as_json(value, properties.get(found[1])) if whole else _text(value)[:-1]
        yield CallArguments(f"{'{' if first else ', '}{_text(found[1])}: {text}")
        if not whole:
            return
        first = False


def _as_json(value: str, schema: Any) -> str:
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    kinds = kind if isinstance(kind, list) else [kind]
    if "string" not in kinds or (value == "null" and "null" in kinds):
        try:
            msgspec.json.decode(value)
            return value.strip()
        except (msgspec.DecodeError, RecursionError):
            pass
        if value.strip() in ("True", "False", "None"):  # the template shows Python's words
            return {"True": "true", "False": "false", "None": "null"}[value.strip()]
    return _text(value)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
