"""Splitting answers into words, thoughts and calls: what the marks say, in every form, however the stream was cut."""

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from creuset.text.calls.formats import FORMATS, CallFormat, call_format
from creuset.text.calls.pieces import CallArguments, CallBegun, OutputPiece, ParsedOutput, join_pieces
from creuset.text.output import Content, OutputParser, Reasoning
from creuset.types.messages import ToolCall

TOOLS: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": name, "parameters": {
        "type": "object", "properties": {"a": {"type": "integer"}, "text": {"type": "string"}}}}}
    for name in ("f", "g")
]  # fmt: skip
CALLS = "<｜tool▁calls▁begin｜>"
CALL, SEP, END, CALLS_END = "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>", "<｜tool▁calls▁end｜>"
F = ToolCall("f", '{"a": 1}')
G = ToolCall("g", "{}")


def form(name: str) -> CallFormat:
    return call_format("<think>" if name != "harmony" else "", (), name)


def read(parts: list[str], name: str = "hermes", **options: Any) -> ParsedOutput:
    parser = OutputParser(form(name), **({"tools": TOOLS, "thinking": True} | options))
    pieces: list[OutputPiece] = [piece for part in parts for piece in parser.push(part)]
    return join_pieces([*pieces, *parser.finish()])


def said(text: str = "", *calls: ToolCall, thought: str = "") -> ParsedOutput:
    return ParsedOutput(text, thought, calls)


H = '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>'
# What each form writes, and what that is.
TABLE: list[tuple[str, str, ParsedOutput]] = [
    ("hermes", "plain", said("plain")),
    ("hermes", "a < b and <tool", said("a < b and <tool")),
    ("hermes", f"Let me see.\n\n{H}\n{H}", said("Let me see.", F, F)),
    ("hermes", f"{H} and then words\n", said(" and then words\n", F)),
    ("hermes", f"\n\n{H}\n", said("", F)),
    ("hermes", " \n ", said(" \n ")),
    ("hermes", "", said()),
    ("hermes", '<tool_call>{"name": "f", "arguments": {"a": 1}}{"name": "g"}</tool_call>', said("", F, G)),
    ("hermes", '<tool_call>[{"name": "f", "arguments": {"a": 1}}, {"name": "g"}]</tool_call>', said("", F, G)),
    ("hermes", '<tool_call>{"arguments": {"a": 1}, "name": "f"}</tool_call>', said("", F)),
    ("hermes", '<tool_call>{"name": "f", "parameters": {"a": 1}, "id": "7"}</tool_call>', said("", F)),
    ("hermes", '<tool_call>{"name": "f", "arguments": "{\\"a\\": 1}"}</tool_call>', said("", F)),
    ("hermes", '<tool_call>{"name": "g", "arguments": null}</tool_call>', said("", G)),
    ("hermes", '<tool_call>{"name": "f", "arguments": {"a": 1}}}}\n</tool_call>', said("", F)),
    ("hermes", '<tool_call>\n{"name": "f", "arguments": [1]}\n</tool_call>',
     said('<tool_call>\n{"name": "f", "arguments": [1]}\n</tool_call>')),
    ("hermes", '<tool_call>\n{"name": "f", "arguments": "hello"}\n</tool_call>',
     said('<tool_call>\n{"name": "f", "arguments": "hello"}\n</tool_call>')),
    ("hermes", '<tool_call>{"name": "f", "arguments": {"a": 1}\n</tool_call>', said("", F)),
    ("hermes", '<tool_call>{"name": "f", "arguments": {"a": 1}}', said("", F)),
    ("hermes", '<tool_call>{"name": "f", "arguments": {"text": "see </tool_call> tag"}}</tool_call>',
     said("", ToolCall("f", '{"text": "see </tool_call> tag"}'))),
    # No calls, though they begin like one: text as it was written.
    ("hermes", "<tool_call>not json</tool_call> tail", said("<tool_call>not json</tool_call> tail")),
    ("hermes", "<tool_call>never closed", said("<tool_call>never closed")),
    ("hermes", '<tool_call>{"name": "f", "argu', said('<tool_call>{"name": "f", "argu')),
    ("hermes", '<tool_call>{"arguments": {}}</tool_call>', said('<tool_call>{"arguments": {}}</tool_call>')),
    ("hermes", '<tool_call>{"name": "f", "arguments": [1]}</tool_call>',
     said('<tool_call>{"name": "f", "arguments": [1]}</tool_call>')),
    ("hermes", '<tool_call>{"name": "f", "arguments": "hello"}</tool_call>',
     said('<tool_call>{"name": "f", "arguments": "hello"}</tool_call>')),
    ("hermes", f"<tool_call>\n{H}", said("<tool_call>", F)),
    # Arguments that go wrong after they began are the call's, and the next call is found.
    ("hermes", f'<tool_call>{{"name": "g", "arguments": {{"a": 1 </tool_call>\n{H}',
     said("", ToolCall("g", '{"a": 1 '), F)),
    ("hermes", f'<tool_call>{{"name": "g", "arguments": {{"a": "x\n</tool_call>\n{H}',
     said("", ToolCall("g", '{"a": "x\n'), F)),
    ("hermes", '<tool_call>{"name": "g", "arguments": {"a": tru', said("", ToolCall("g", '{"a": tru'))),
    # Thoughts.
    ("hermes", "<think>\nhm\n</think>\n\nYes.\n", said("Yes.\n", thought="\nhm\n")),
    ("hermes", "\n<think>hm</think>Yes.", said("Yes.", thought="hm")),
    ("hermes", f"<think>x</think>{H}", said("", F, thought="x")),
    ("hermes", "<think>never closed", said(thought="never closed")),
    ("hermes", "Words <think>no thought</think>", said("Words <think>no thought</think>")),
    ("hermes", f"<think>I could {H} but no</think>No.", said("No.", thought=f"I could {H} but no")),
    ("hermes", f"<think>I could {H}\n</think>No.", said("No.", thought=f"I could {H}\n")),
    ("hermes", f"<think>Now I call.\n{H}\n{H}", said("", F, F, thought="Now I call.\n")),
    ("hermes", "<think>Now <tool_call>oops", said("", thought="Now <tool_call>oops")),
    # Qwen3-Coder's XML has no types: the schema tells text from numbers.
    ("qwen3_xml", "Hm.\n<tool_call>\n<function=f>\n<parameter=a>\n1\n</parameter>\n<parameter=text>\n1\n</parameter>\n"
     "</function>\n</tool_call>\n<tool_call>\n<function=g>\n</function>\n</tool_call>",
     said("Hm.", ToolCall("f", '{"a": 1, "text": "1"}'), G)),
    ("qwen3_xml", "<function=f><parameter=a>1</parameter></function>", said("", F)),
    ("qwen3_xml", "<tool_call>\n<function=f>\n<parameter=text>\n <b>\n\nx\n</parameter>\n</function>\n</tool_call>",
     said("", ToolCall("f", '{"text": " <b>\\n\\nx"}'))),
    ("qwen3_xml", "<tool_call>\n<function=f>\n<parameter=text>\nbroken o",
     said("", ToolCall("f", '{"text": "broken o'))),
    ("qwen3_xml", "<function=f> is how", said("<function=f> is how")),
    # Llama writes calls without a mark: only a tool that there is makes one.
    ("llama3", '{"name": "f", "parameters": {"a": 1}}', said("", F)),
    ("llama3", '<|python_tag|>{"name": "f", "parameters": {"a": 1}}; {"name": "g", "parameters": {}}', said("", F, G)),
    ("llama3", '{"type": "function", "name": "f", "parameters": {"a": 1}}\n', said("", F)),
    ("llama3", '{"name": "Ann", "parameters": {"a": 1}}', said('{"name": "Ann", "parameters": {"a": 1}}')),
    ("llama3", '{"name": "f"}', said('{"name": "f"}')),
    ("llama3", ' {"answer": 3}', said(' {"answer": 3}')),
    ("llama3", "<|python_tag|>print(1)", said("<|python_tag|>print(1)")),
    ("mistral", '[TOOL_CALLS] [{"name": "f", "arguments": {"a": 1}, "id": "abc"}, {"name": "g"}]', said("", F, G)),
    ("mistral", "Hm.[TOOL_CALLS] no list", said("Hm.[TOOL_CALLS] no list")),
    ("mistral_args", 'Hm.[TOOL_CALLS]f[ARGS]{"a": 1}[TOOL_CALLS]g[CALL_ID]abcdefghi[ARGS]{}', said("Hm.", F, G)),
    ("mistral_args", '[TOOL_CALLS]f{"a": 1}', said("", F)),
    ("mistral_args", "[TOOL_CALLS]f[ARGS]1", said("[TOOL_CALLS]f[ARGS]1")),
    ("deepseek_v3", f'Hm.\n{CALLS}{CALL}function{SEP}f\n```json\n{{"a": 1}}\n```{END}\n'
     f"{CALL}function{SEP}g\n```json\n{{}}\n```{END}{CALLS_END}", said("Hm.", F, G)),
    ("deepseek_v31", f'{CALLS}{CALL}f{SEP}{{"a": 1}}{END}{CALL}g{SEP}{{}}{END}{CALLS_END}', said("", F, G)),
    ("deepseek_v31", f'{CALL}f{SEP}{{"a": 1}}', said("", F)),
    ("deepseek_v31", f"{CALLS} none", said(f"{CALLS} none")),
    ("deepseek_v31", f"{CALLS}{CALL}f{SEP}none{END}", said(f"{CALLS}{CALL}f{SEP}none{END}")),
    ("harmony", "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>Yes.",
     said("Yes.", thought="hm")),
    ("harmony", "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>commentary to=functions.f "
     '<|constrain|>json<|message|>{"a": 1}', said("", F, thought="hm")),
    ("harmony", "<|channel|>commentary<|message|>Wait.<|end|><|start|>assistant to=functions.g<|channel|>commentary "
     "json<|message|>{}<|call|>", said("Wait.", G)),
    ("harmony", "<|channel|>commentary to=functions.f<|message|>none", said("none")),
]  # fmt: skip


def cuts(text: str, places: list[int]) -> list[str]:
    at = sorted(place % (len(text) + 1) for place in places)
    return [text[a:b] for a, b in zip([0, *at], [*at, len(text)], strict=True)]


@pytest.mark.parametrize(("name", "text", "found"), TABLE)
def test_each_form_is_read_as_it_is_meant_and_letter_by_letter_the_same(
    name: str, text: str, found: ParsedOutput
) -> None:
    assert read([text], name) == found
    assert read(list(text), name) == found
    chance = random.Random(text)
    for _ in range(10):
        assert read(cuts(text, chance.choices(range(len(text) + 1), k=4)), name) == found


PARTS = [
    "<tool_call>", "</tool_call>", "\n", " ", '{"name": "f"', ', "arguments": ', '{"a": 1', "}", '"', "x", "<think>",
    "</think>", "[TOOL_CALLS]", "[ARGS]", "f", "[", "]", ",", ";", "<function=f>", "<parameter=a>", "</parameter>",
    "</function>", CALLS, CALL, SEP, END, CALLS_END, "```json\n", "```", "function", "<|channel|>", "final", "analysis",
    "<|message|>", "<|end|>", "<|start|>assistant", " to=functions.f", "<|call|>", "<|python_tag|>", "é", "\\", "<",
]  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    parts=st.lists(st.sampled_from(PARTS), max_size=25),
    places=st.lists(st.integers(0, 400), max_size=8),
    opened=st.booleans(),
    one_call=st.booleans(),
)
def test_any_cut_of_any_text_gives_the_same(
    name: str, parts: list[str], places: list[int], opened: bool, one_call: bool
) -> None:
    text = "".join(parts)
    whole = read([text], name, opened=opened, one_call=one_call)
    assert read(cuts(text, places), name, opened=opened, one_call=one_call) == whole
    assert read(list(text), name, opened=opened, one_call=one_call) == whole


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    words=st.text("ab <>\n{", max_size=12),
    arguments=st.lists(
        st.dictionaries(
            st.text(max_size=3), st.one_of(st.text(), st.integers(), st.none(), st.lists(st.booleans())), max_size=3
        ),
        max_size=3,
    ),
    places=st.lists(st.integers(0, 400), max_size=6),
    indent=st.sampled_from([None, 1]),
)
def test_no_call_is_lost_and_none_is_changed(
    words: str, arguments: list[dict[str, Any]], places: list[int], indent: int | None
) -> None:
    bodies = [json.dumps(one, indent=indent) for one in arguments]
    written = {
        "hermes": "\n".join(f'<tool_call>\n{{"name": "f", "arguments": {b}}}\n</tool_call>' for b in bodies),
        "mistral_args": "".join(f"[TOOL_CALLS]f[ARGS]{b}" for b in bodies),
        "deepseek_v31": CALLS + "".join(f"{CALL}f{SEP}{b}{END}" for b in bodies) + CALLS_END,
    }
    for name, text in written.items():
        found = read(cuts(words + text if bodies else words, places), name)
        assert [call.arguments for call in found.calls] == bodies, name
        assert found.text == (words.rstrip("\n") if bodies and words.strip() else "" if bodies else words), name


@pytest.mark.parametrize("text", [text for _, text, _ in TABLE])
def test_without_tools_and_thoughts_nothing_is_touched(text: str) -> None:
    assert read([text], tools=[], thinking=False) == said(text)


def test_arguments_come_out_while_they_are_written() -> None:
    parser = OutputParser(form("hermes"), tools=TOOLS)
    assert parser.push('<tool_call>\n{"name": "f", "arg') == []
    assert parser.push('uments": {"te') == [CallBegun("f"), CallArguments('{"te')]
    assert parser.push('xt": "ab') == [CallArguments('xt": "ab')]
    assert parser.push('c"}}\n</tool_ca') == [CallArguments('c"}')]
    assert parser.push("ll>") + parser.finish() == []


def test_pieces_of_a_thought_and_words_come_at_once() -> None:
    parser = OutputParser(form("hermes"), thinking=True)
    assert parser.push("<think>a") == [Reasoning("a")] and parser.push("b</th") == [Reasoning("b")]
    assert parser.push("ink>\n\nc\n") == [Content("c")] and parser.push("d") == [Content("\nd")]


def test_a_thought_that_the_prompt_opened_needs_no_mark() -> None:
    assert read(["hm</think>Yes."], opened=True) == said("Yes.", thought="hm")
    assert read(["<think>\nhm</think>Yes."], opened=True) == said("Yes.", thought="\nhm")


def test_calls_after_the_first_are_dropped_where_one_is_wanted() -> None:
    assert read([f"{H}\n{H}"], one_call=True) == said("", F)


@pytest.mark.parametrize(
    ("source", "name", "thought"),
    [
        ("{% for tool in tools %}<tool_call>{% endfor %}<think>", "hermes", "<think>"),
        ("tools <tool_call>\n<function=f>\n<parameter=a>", "qwen3_xml", None),
        ('tools {"name": function name, "parameters": d} <|eot_id|>', "llama3", None),
        ("tools [TOOL_CALLS] [", "mistral", None),
        ("tools [TOOL_CALLS] [ARGS] [THINK]", "mistral_args", "[THINK]"),
        (f"{CALLS} ```json tools </think>", "deepseek_v3", "<think>"),
        (f"{CALLS} tools", "deepseek_v31", None),
        ("<|start|><|channel|>analysis<|message|> tools", "harmony", "<|channel|>analysis<|message|>"),
    ],
)
def test_a_template_tells_its_form(source: str, name: str, thought: str | None) -> None:
    found = call_format(source, ())
    assert found.name == name and found.shows_tools
    assert (found.thinking.open if found.thinking else None) == thought
    silent = call_format(f"{{{{ messages }}}} {CALLS}", ())
    assert not silent.shows_tools and silent.name == "hermes", "tools are told in the form of Hermes"
