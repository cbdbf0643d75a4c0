"""Grammars that make a model call: in its own form, with arguments that their schemas accept.

The grammar of an answer has two parts: what comes before (a thought, where the model thinks) and what is asked for
(calls, or an answer that has a grammar of its own). Marks that are tokens of their own stand in it by their id, so that
the model writes what it was trained on.
"""

import json
import re
from collections.abc import Iterable, Mapping
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
    END,
    HARMONY_ENDS,
    MESSAGE,
    PYTHON_TAG,
    START,
    CallFormat,
)
from creuset.text.calls.json_calls import ARGUMENTS, OTHER_KEYS
from creuset.text.grammar import json_schema
from creuset.types.messages import CUSTOM_INPUT

MAX_CALLS = 16  # of one answer that must call: a model that cannot stop is stopped

LINE = r'"\n"'
ANY = r"/(.|\n)*/"
ANY_TEXT = f"TEXT: {ANY}"

# none: no thought. may: one may come first. opened: the prompt opened one, which must be closed first.
Thought = Literal["none", "may", "opened"]


@dataclass(frozen=True, slots=True)
class ForcedTool:
    name: str
    schema: Mapping[str, Any]
    path: str  # of the schema in the request, for a refusal
    strict: bool = False  # the schema must be one of OpenAI's strict ones
    input: str = ""  # of a custom tool: the grammar of its input, inside a JSON string (calls/quoted.py)


class GrammarWriter:
    """Writes grammars for one model: its form of calls, and its special tokens."""

    def __init__(self, format: CallFormat, special: Mapping[str, int]) -> None:
        self._format, self._special = format, special
        self.taught = format.shows_tools  # whether the model was trained to call

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

    def free_calls(self, tools: list[ForcedTool], *, thought: Thought) -> str:
        """Any text, in which what begins like a call is a call of one of `tools`, with arguments by its schema."""
        rules, alternatives = self._rules(tools)
        match self._format.name:
            case "harmony":
                lines = self._free_channels()
            case "llama3":
                lines = self._free_bare([tool.name for tool in tools], thought)
            case _:
                mark = self._mark(self._format.opening[0])
                lines = self._free_marked(mark, thought)
                if not self._around()[0]:
                    alternatives = [one.removeprefix(mark) for one in alternatives]
        return "\n".join([*lines, f"call: {' | '.join(alternatives)}", *rules])

    def _free_marked(self, mark: str, thought: Thought) -> list[str]:
        """Behind the mark that opens a call, or a list of them, comes a call."""
        first, between, last = self._around()
        calls = f"{first.removeprefix(mark)} call ({between} call)* {last}" if first else "call"
        lines = [f"start: before (begins {calls})* WORDS", *self._before(thought), _words(self._format.opening)]
        if self._format.opening[0] in self._special:
            return [*lines, f"begins: WORDS {mark}"]
        return [*lines, f"begins[lazy]: TEXT {mark}", *([] if ANY_TEXT in lines else [ANY_TEXT])]

    def _free_bare(self, names: list[str], thought: Thought) -> list[str]:
        """Llama's calls are bare JSON where an answer begins: no other text may begin so that it is read as one."""
        marks, tag = self._format.thinking, self._mark(PYTHON_TAG)
        others = [_BARE_CALL.replace("NAMES", "|".join(map(_escaped, names)))]
        if marks is not None and thought != "none":
            others.append(rf"[ \t\r\n]*{_escaped(marks.open)}(.|\n)*")
        behind = f"({tag} calls)?" if PYTHON_TAG in self._special else ""
        return [
            f"start: before (({tag})? calls | WORDS {behind})",
            f"calls: call ({self._around()[1]} call)*",
            *self._before(thought),
            _words((PYTHON_TAG,), *others),
        ]

    def _free_channels(self) -> list[str]:
        """gpt-oss: thoughts and words to the user in any number, then an answer or a call."""
        channel, message, again = self._mark(CHANNEL), self._mark(MESSAGE), f"{self._mark(START)} {_text('assistant')}"
        ended = f"ended: WORDS {self._mark(END)}"
        if END not in self._special:
            others = _words([mark for mark in HARMONY_ENDS if mark != END]).replace("WORDS", "MORE")
            ended = f"{others}\nended[lazy]: MORE {self._mark(END)}"
        return [
            "start: note* (final | call)",
            f'note: {channel} ("analysis" | "commentary") {message} ended {again}',
            f"final: {self._channel('final')} WORDS",
            _words(HARMONY_ENDS),
            ended,
        ]

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


# How a text begins that the parser of bare calls takes for one: list brackets, then an object whose first key is one of
# a call's, or is spelled with escapes; an object with another name than those of the tools is no call.
_SPACE = r"[ \t\r\n]*"
_BARE_CALL = (
    rf'[ \t\r\n\[]*\{{{_SPACE}"([^"]*\\|({"|".join((*ARGUMENTS, *OTHER_KEYS))})"'
    rf'|name"{_SPACE}:{_SPACE}"([^"]*\\|(NAMES)"))(.|\n)*'
)


def _words(marks: Iterable[str], *others: str) -> str:
    """A rule for text that spells none of `marks` and is none of the patterns `others`."""
    spelled = rf"(.|\n)*({'|'.join(map(_escaped, marks))})(.|\n)*"
    return f"WORDS: {ANY}" + "".join(f" & ~/{one}/" for one in (spelled, *others))


def _escaped(text: str) -> str:
    return re.escape(text).replace("/", r"\/")


def _arguments(tool: ForcedTool) -> str:
    """The right side of a rule for the arguments of `tool`: an object, whatever else its schema says."""
    if tool.input:
        head, tail = _text(f'{{"{CUSTOM_INPUT}": "'), _text('"}')
        return f"{head} %lark {{\n{tool.input}\n}} {tail}"
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
