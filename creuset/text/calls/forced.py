"""Grammars that make a model call: in its own form, with arguments that their schemas accept.

The grammar of an answer has two parts: what comes before (a thought, where the model thinks) and what is asked for
(calls, or an answer that has a grammar of its own). Marks that are tokens of their own stand in it by their id, so that
the model writes what it was trained on.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from creuset.text.calls.formats import (
    CHANNEL,
    CONSTRAIN,
    DEEPSEEK_CALL,
    DEEPSEEK_CALLS,
    DEEPSEEK_CALLS_END,
    DEEPSEEK_END,
    DEEPSEEK_SEP,
    MESSAGE,
    START,
    CallFormat,
)
from creuset.text.grammar import json_schema

MAX_CALLS = 16  # of one answer that must call: a model that cannot stop is stopped

LINE = r'"\n"'
ANY_TEXT = r"TEXT: /(.|\n)*/"

# none: no thought. may: one may come first. opened: the prompt opened one, which must be closed first.
Thought = Literal["none", "may", "opened"]


@dataclass(frozen=True, slots=True)
class ForcedTool:
    name: str
    schema: Mapping[str, Any]
    path: str  # of the schema in the request, for a refusal
    strict: bool = False  # the schema must be one of OpenAI's strict ones


class GrammarWriter:
    """Writes grammars for one model: its form of calls, and its special tokens."""

    def __init__(self, format: CallFormat, special: Mapping[str, int]) -> None:
        self._format, self._special = format, special

    def calls(self, tools: list[ForcedTool], *, one: bool, thought: Thought, answer: str | None = None) -> str:
        """Calls of `tools` and nothing else, exactly one with `one`; or an answer by the grammar `answer`.

        RequestError names the part of a schema that cannot be enforced.
        """
        rules, alternatives = self._rules(tools)
        first, between, last = self._around()
        single = one or self._format.name == "harmony"  # whose call ends the answer
        more = "" if single else f"({between} call){{0,{MAX_CALLS - 1}}}"
        call = f"call: {' | '.join(alternatives)}"
        start = [f"start: before {first} call {more} {last}"]
        if answer is not None:
            start = [f"start: before ({first} call {more} {last} | answer)", self._answer(answer)]
        return "\n".join([*start, *self._before(thought), call, *rules])

    def answer(self, grammar: str, *, thought: Thought) -> str:
        """An answer by `grammar`, behind the thought where there is one."""
        if thought == "none" and self._format.name != "harmony":
            return grammar
        return "\n".join(["start: before answer", *self._before(thought), self._answer(grammar)])

    def _answer(self, grammar: str) -> str:
        final = f"{self._channel('final')} " if self._format.name == "harmony" else ""
        return f"answer: {final} %lark {{\n{grammar}\n}}"

    def free_calls(self, tools: list[ForcedTool], *, thought: Thought) -> str | None:
        """Any text, in which what begins like a call is a call of one of `tools`, with arguments by its schema.

        None where the form has no mark before a call, so that nothing says when one begins.
        """
        if not self._format.opening or self._format.name == "llama3":
            return None
        rules, alternatives = self._rules(tools)
        first, between, last = self._around()
        opening = self._format.opening[0]
        mark = self._mark(opening)
        if first:  # the mark opens a list of calls
            calls = f"{first.removeprefix(mark)} call ({between} call)* {last}"
        else:
            calls, alternatives = "call", [one.removeprefix(mark) for one in alternatives]
        begins = f"begins: TEXT {mark}" if opening in self._special else f"begins[lazy]: TEXT {mark}"
        text = [] if thought != "none" and self._format.thinking else [ANY_TEXT]  # else `before` has it
        call = f"call: {' | '.join(alternatives)}"
        start = f"start: before (begins {calls})* rest"
        return "\n".join([start, *self._before(thought), *text, begins, "rest: TEXT", call, *rules])

    def _rules(self, tools: list[ForcedTool]) -> tuple[list[str], list[str]]:
        """A rule for the arguments of each tool, and what a call of each looks like."""
        rules = [f"args{at}: {_arguments(tool)}" for at, tool in enumerate(tools)]
        return rules, [self._call(tool.name, f"args{at}") for at, tool in enumerate(tools)]

    def _before(self, thought: Thought) -> list[str]:
        """Rules for what comes first."""
        marks = self._format.thinking
        if marks is None or (thought == "none" and self._format.name != "harmony"):
            return ['before: ""']
        ends = f"TEXT {self._mark(marks.close)}" if marks.close in self._special else "closed"
        rules = [ANY_TEXT] if marks.close in self._special else [ANY_TEXT, f"closed[lazy]: TEXT {_text(marks.close)}"]
        if self._format.name == "harmony":
            again = f"{self._mark(START)} {_text('assistant')}"
            return [f"before: ({self._channel('analysis')} {ends} {again})?", *rules]
        thinks = f"{ends} LAYOUT" if thought == "opened" else f"({self._mark(marks.open)} {ends} LAYOUT)?"
        return [f"before: {thinks}", r"LAYOUT: /\n{0,2}/", *rules]

    def _around(self) -> tuple[str, str, str]:
        """What stands before the first call, between two, and behind the last."""
        match self._format.name:
            case "hermes" | "qwen3_xml":
                return "", _text("\n"), ""
            case "llama3":
                return "", _text("; "), ""
            case "mistral":
                return f"{self._mark('[TOOL_CALLS]')} {_text('[')}", _text(", "), _text("]")
            case "deepseek_v3":
                return self._mark(DEEPSEEK_CALLS), _text("\n"), self._mark(DEEPSEEK_CALLS_END)
            case "deepseek_v31":
                return self._mark(DEEPSEEK_CALLS), "", self._mark(DEEPSEEK_CALLS_END)
            case _:
                return "", "", ""

    def _call(self, name: str, arguments: str) -> str:
        said = json.dumps(name, ensure_ascii=False)
        head = _text(f'{{"name": {said}, "arguments": ')
        match self._format.name:
            case "hermes" | "qwen3_xml":
                # Qwen3-Coder's own form has no types, so that no schema could be enforced in it.
                opening, close = self._mark("<tool_call>"), self._mark("</tool_call>")
                return f"{opening} {LINE} {head} {arguments} {_text('}')} {LINE} {close}"
            case "llama3":
                head = _text(f'{{"name": {said}, "parameters": ')
                return f"{head} {arguments} {_text('}')}"
            case "mistral":
                return f"{head} {arguments} {_text('}')}"
            case "mistral_args":
                return f"{self._mark('[TOOL_CALLS]')} {_text(name)} {self._mark('[ARGS]')} {arguments}"
            case "deepseek_v3":
                opening, sep, end = self._mark(DEEPSEEK_CALL), self._mark(DEEPSEEK_SEP), self._mark(DEEPSEEK_END)
                fence, name = _text("\n```"), _text(f"{name}\n```json\n")
                return f"{opening} {_text('function')} {sep} {name} {arguments} {fence} {end}"
            case "deepseek_v31":
                opening, sep, end = self._mark(DEEPSEEK_CALL), self._mark(DEEPSEEK_SEP), self._mark(DEEPSEEK_END)
                return f"{opening} {_text(name)} {sep} {arguments} {end}"
            case _:
                head = _text(f"commentary to=functions.{name} ")
                marks = f"{self._mark(CONSTRAIN)} {_text('json')} {self._mark(MESSAGE)}"
                return f"{self._mark(CHANNEL)} {head} {marks} {arguments}"

    def _channel(self, name: str) -> str:
        return f"{self._mark(CHANNEL)} {_text(name)} {self._mark(MESSAGE)}"

    def _mark(self, mark: str) -> str:
        """A mark by its token, where it is one."""
        return f"<[{self._special[mark]}]>" if mark in self._special else _text(mark)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _arguments(tool: ForcedTool) -> str:
    """The right side of a rule for the arguments of `tool`: an object, whatever else its schema says."""
    schema = {**closed(tool.schema), "type": "object"}
    return json_schema(schema, param=tool.path, strict=tool.strict).removeprefix("start: ")


# Where one of these stands, what an object may hold is said in several places: no place alone can close it.
_SPREAD = ("allOf", "if", "not", "dependentSchemas", "unevaluatedProperties", "$dynamicRef")


def closed(schema: Any) -> Any:
    """The schema without properties that it does not name, where it says nothing of them.

    What it accepts is accepted by `schema` too. A weak model invents properties without end where it may.
    """
    try:
        return schema if _spread(schema) else _closed(schema)
    except RecursionError:  # too deep for anybody: who compiles it says so
        return schema


def _spread(node: Any) -> bool:
    if isinstance(node, list):
        return any(map(_spread, node))
    return isinstance(node, dict) and any(key in _SPREAD or _spread(value) for key, value in node.items())


def _closed(node: Any) -> Any:
    if not isinstance(node, Mapping):
        return node
    found: dict[str, Any] = dict(node)
    for key in ("properties", "$defs", "definitions", "patternProperties"):
        if isinstance(found.get(key), Mapping):
            found[key] = {name: _closed(inner) for name, inner in found[key].items()}
    for key in ("anyOf", "oneOf", "prefixItems"):
        if isinstance(found.get(key), list):
            found[key] = [_closed(inner) for inner in found[key]]
    for key in ("items", "additionalProperties"):
        if key in found:
            found[key] = _closed(found[key])
    if found.get("properties") and not {"additionalProperties", "patternProperties", "$ref"} & found.keys():
        found["additionalProperties"] = False
    return found
