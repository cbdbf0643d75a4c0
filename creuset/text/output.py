"""Splitting what the model writes into answer, thought and tool calls, while it is being written.

A mark may be cut anywhere by the stream: text that could still become a mark is held back. Joined, the pieces are the
same however the text was cut. What looks like a call and is none comes out as text: nothing is lost, nothing invented.

A call within a thought is a thought, unless the answer ends with it: then the model forgot to close the thought, and
the call is meant.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from creuset.text.calls.formats import HERMES, OTHERS, CallFormat, schemas_of
from creuset.text.calls.harmony import harmony
from creuset.text.calls.json_calls import JsonStyle, json_calls
from creuset.text.calls.marked import deepseek, mistral, qwen3_xml
from creuset.text.calls.pieces import (
    CallArguments,
    CallBegun,
    Content,
    OutputPiece,
    ParsedOutput,
    Reasoning,
    Steps,
    join_pieces,
)
from creuset.text.calls.reader import Reader

__all__ = ["CallArguments", "CallBegun", "Content", "OutputParser", "OutputPiece", "Reasoning", "parse_output"]


class OutputParser:
    """Feed it text as it comes; it gives pieces. Without tools and thinking, everything is said."""

    def __init__(
        self,
        format: CallFormat = HERMES,
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        thinking: bool = False,
        opened: bool = False,
        one_call: bool = False,
    ) -> None:
        """`opened`: the prompt ends inside a thought. `one_call`: calls after the first are dropped."""
        self._format, self._schemas, self._one_call = format, schemas_of(tools), one_call
        self._marks = format.thinking if thinking else None
        self._opened = opened and self._marks is not None
        self._reader, self._words = Reader(), _Words()
        self._steps = self._parse()
        self.calls = 0

    def push(self, text: str) -> list[OutputPiece]:
        self._reader.text += text
        return self._run()

    def finish(self) -> list[OutputPiece]:
        """What was still held back."""
        self._reader.ended = True
        return [*self._run(), *self._words.finish()]

    def _run(self) -> list[OutputPiece]:
        pieces: list[OutputPiece] = []
        for piece in self._steps:
            if piece is None:
                break
            if isinstance(piece, CallBegun):
                self.calls += 1
                self._words.call_begins()
            dropped = self._one_call and self.calls > 1 and isinstance(piece, CallBegun | CallArguments)
            if not dropped:
                pieces.append(piece)
        return pieces

    def _parse(self) -> Steps[None]:
        reader, words, format = self._reader, self._words, self._format
        if format.name == "harmony":
            yield from harmony(reader, words.say, tools=bool(self._schemas))
            return
        if not (self._schemas or self._marks):
            words.plain = True
        if self._marks:
            space = "" if self._opened else (yield from reader.space())
            if (yield from reader.starts(self._marks.open)):
                reader.take(len(self._marks.open))
                self._opened, space = True, ""
            yield from words.say(space)
            if self._opened:
                yield from self._thought(self._marks.close)
                words.trim = True
        if format.name == "llama3" and self._schemas:
            yield from self._bare_calls("")
        while mark := (yield from reader.until(format.opening if self._schemas else (), words.say)):
            yield from self._calls(mark)

    def _calls(self, mark: str) -> Steps[None]:
        reader, say = self._reader, self._words.say
        match self._format.name:
            case "hermes":
                yield from json_calls(reader, mark, JsonStyle(close="</tool_call>"), say)
            case "llama3":
                yield from self._bare_calls(mark)
            case "mistral" | "mistral_args":
                yield from mistral(reader, mark, say)
            case "qwen3_xml":
                yield from qwen3_xml(reader, mark, self._schemas, say)
            case _:
                yield from deepseek(reader, mark, say)

    def _bare_calls(self, mark: str) -> Steps[None]:
        """Llama writes a call as bare JSON: it is one where it names a tool that there is."""
        yield from json_calls(self._reader, mark, JsonStyle(known=frozenset(self._schemas)), self._words.say)

    def _thought(self, close: str) -> Steps[None]:
        opening = self._format.opening if self._schemas else ()
        while (mark := (yield from self._reader.until((close, *opening), _think))) not in (close, ""):
            yield from self._call_in_thought(mark, close)

    def _call_in_thought(self, mark: str, close: str) -> Steps[None]:
        """Hold back what looks like a call until the thought goes on, or ends, or the answer does."""
        reader = self._reader
        closing = OTHERS.get(self._format.name, ("",))[-1] if self._format.name in ("hermes", "qwen3_xml") else ""
        held = mark
        while True:
            if (at := reader.text.find(close)) >= 0 or (
                at := _goes_on(reader.text, closing, self._format.opening)
            ) >= 0:
                yield from _think(held + reader.take(at))
                return
            if not (yield from reader.more()):
                break
        inner = parse_output(held + reader.text, self._format, tools=self._tools())
        if inner.calls and not inner.text.strip():
            reader.take(len(reader.text))
            for call in inner.calls:
                yield CallBegun(call.name)
                yield CallArguments(call.arguments)
        else:
            yield from _think(held + reader.take(len(reader.text)))

    def _tools(self) -> list[dict[str, Any]]:
        return [{"name": name, "parameters": schema} for name, schema in self._schemas.items()]


def parse_output(
    text: str,
    format: CallFormat = HERMES,
    *,
    tools: Sequence[Mapping[str, Any]] = (),
    thinking: bool = False,
    opened: bool = False,
) -> ParsedOutput:
    """A whole answer."""
    parser = OutputParser(format, tools=tools, thinking=thinking, opened=opened)
    return join_pieces([*parser.push(text), *parser.finish()])


def _goes_on(text: str, closing: str, opening: tuple[str, ...]) -> int:
    """Where a thought goes on behind a call that was written in it; -1 while it may still end with that call."""
    if not closing or (at := text.find(closing)) < 0:
        return -1
    at += len(closing)
    rest = text[at:].lstrip()
    if not rest or any(mark.startswith(rest[: len(mark)]) for mark in opening):
        return -1
    return at


def _think(text: str) -> Iterable[OutputPiece]:
    return [Reasoning(text)] if text else []


class _Words:
    """What is said to the user. White space before, between and behind calls is layout, and so are line ends
    behind a thought and before a call; they are held back until it is known what follows."""

    def __init__(self) -> None:
        self.plain = False  # nothing is held back
        self.trim = False  # a thought just ended
        self._held = ""
        self._blank = True  # nothing was said since the beginning or the last call
        self._called = False

    def say(self, text: str) -> Iterable[OutputPiece]:
        if self.plain:
            return [Content(text)] if text else []
        text = self._held + text
        if self.trim:
            text = text.lstrip("\n")
            self.trim = not text
        if self._blank and not text.strip():
            sure = ""
        else:
            sure = text.rstrip("\n")
            self._blank = self._blank and not sure.strip()
        self._held = text[len(sure) :]
        return [Content(sure)] if sure else []

    def call_begins(self) -> None:
        self._held, self._blank, self._called, self.trim = "", True, True, False

    def finish(self) -> list[OutputPiece]:
        rest, self._held = self._held, ""
        return [Content(rest)] if rest and not (self._called and self._blank) else []
