"""Splitting replies into text, thoughts and calls does not depend on how the stream was cut."""

import random

import pytest

from creuset.text.output import Content, OutputParser, OutputPiece, Reasoning
from creuset.types.messages import ToolCall

CALL = '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>'
TEXTS = [
    "plain",
    "a < b and <tool",
    f"Let me see.\n\n{CALL}\n{CALL}",
    f"{CALL} and then words\n",
    f"\n\n{CALL}\n",
    "<tool_call>not json</tool_call> tail",
    "<tool_call>never closed",
    "<think>\nhmm <tool_call> hm\n</think>\n\n\nAnswer.\n",
    f"<think>x</think>{CALL}",
    "<think>never closed",
    "Words <think>not a thought</think>",
    " \n ",
    "",
    '<tool_call>{"name": "f", "arguments": "{\\"a\\": 2}"}</tool_call>',
]


def read(parts: list[str], **options: bool) -> list[OutputPiece]:
    """Pieces with neighbours of a kind joined."""
    parser = OutputParser(**({"tools": True, "thinking": True} | options))
    found = [piece for part in parts for piece in parser.push(part)] + list(parser.finish())
    joined: list[OutputPiece] = []
    for piece in found:
        last = joined[-1] if joined else None
        if isinstance(piece, Content | Reasoning) and type(piece) is type(last):
            joined[-1] = type(piece)(last.text + piece.text)
        else:
            joined.append(piece)
    return joined


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("tools", [True, False])
@pytest.mark.parametrize("thinking", [True, False])
def test_any_cut_gives_the_same_pieces(text: str, tools: bool, thinking: bool) -> None:
    whole = read([text], tools=tools, thinking=thinking)
    assert read(list(text), tools=tools, thinking=thinking) == whole
    chance = random.Random(text)
    for _ in range(50):
        cuts = sorted(chance.choices(range(len(text) + 1), k=4))
        parts = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        assert read(parts, tools=tools, thinking=thinking) == whole


def test_pieces_are_what_the_marks_say() -> None:
    call = ToolCall("f", '{"a": 1}')
    assert read([f"Let me see.\n\n{CALL}\n{CALL}"]) == [Content("Let me see."), call, call]
    assert read([f"<think>x</think>{CALL}"]) == [Reasoning("x"), call]
    assert read(["<think>\nhmm\n</think>\n\nYes.\n"]) == [Reasoning("\nhmm\n"), Content("Yes.\n")]
    assert read(["<tool_call>not json</tool_call> tail"]) == [Content("<tool_call>not json</tool_call> tail")]
    assert read(["<tool_call>never closed"]) == [Content("<tool_call>never closed")]
    assert read([f"{CALL}{CALL}"], one_call=True) == [call]


@pytest.mark.parametrize("text", TEXTS)
def test_without_tools_and_thoughts_nothing_is_touched(text: str) -> None:
    assert read([text], tools=False, thinking=False) == ([Content(text)] if text else [])


def test_arguments_stay_as_they_were_written() -> None:
    body = '{ "city":"Nîmes",  "n": 1.0 }'
    assert read([f'<tool_call>{{"name": "f", "arguments": {body}}}</tool_call>']) == [ToolCall("f", body)]
