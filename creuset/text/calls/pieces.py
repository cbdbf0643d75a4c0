"""What an answer is made of, piece by piece, as it is written."""

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import TypeVar

from creuset.types.messages import ToolCall


@dataclass(frozen=True, slots=True)
class Content:
    text: str


@dataclass(frozen=True, slots=True)
class Reasoning:
    text: str


@dataclass(frozen=True, slots=True)
class CallBegun:
    """A call was opened; the CallArguments that follow, up to the next CallBegun, are its arguments."""

    name: str


@dataclass(frozen=True, slots=True)
class CallArguments:
    """A part of the JSON text of the arguments, to the letter as the model wrote it."""

    text: str


OutputPiece = Content | Reasoning | CallBegun | CallArguments

T = TypeVar("T")
Steps = Generator[OutputPiece | None, None, T]  # a parser at work: it yields pieces, and None when it needs more text


@dataclass(frozen=True, slots=True)
class ParsedOutput:
    """A whole answer: its words, its thoughts, its calls."""

    text: str
    thought: str
    calls: tuple[ToolCall, ...]


def join_pieces(pieces: Iterable[OutputPiece]) -> ParsedOutput:
    """Join the pieces of one answer."""
    text, thought, calls = "", "", list[ToolCall]()
    for piece in pieces:
        match piece:
            case Content():
                text += piece.text
            case Reasoning():
                thought += piece.text
            case CallBegun():
                calls.append(ToolCall(piece.name, ""))
            case CallArguments():
                calls[-1] = ToolCall(calls[-1].name, calls[-1].arguments + piece.text)
    return ParsedOutput(text, thought, tuple(calls))
