"""Splitting what the model writes into answer, thought and tool calls, while it is being written.

    <think>thought</think>answer<tool_call>{"name": ..., "arguments": {...}}</tool_call>

A mark may be cut anywhere by the stream: text that could still become a mark is held back. Joined,
the pieces are the same however the text was cut.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from creuset.types.messages import ToolCall

OPEN_CALL, CLOSE_CALL, OPEN_THINK, CLOSE_THINK = "<tool_call>", "</tool_call>", "<think>", "</think>"


@dataclass(frozen=True, slots=True)
class Content:
    text: str


@dataclass(frozen=True, slots=True)
class Reasoning:
    text: str


OutputPiece = Content | Reasoning | ToolCall


class OutputParser:
    """Feed it text as it comes; it gives pieces. Without `tools` and `thinking`, everything is said."""

    def __init__(self, *, tools: bool, thinking: bool, one_call: bool = False) -> None:
        self._tools, self._thinking, self._one_call = tools, thinking, one_call
        self._held = ""
        self._inside = ""  # the mark we are inside of
        self._calls = 0
        self._spoke = False  # something other than white space was said, or a thought ended
        self._blank = True  # ... or nothing was, since the beginning or the last call
        self._trim = False  # line ends right after a thought are layout

    @property
    def calls(self) -> int:
        return self._calls

    def push(self, text: str) -> Iterator[OutputPiece]:
        if not (self._tools or self._thinking):
            if text:
                yield Content(text)
            return
        self._held += text
        while True:
            before = (self._held, self._inside)
            if self._inside == OPEN_CALL:
                yield from self._in_call()
            elif self._inside == OPEN_THINK:
                yield from self._in_thought()
            else:
                yield from self._outside()
            if not self._held or (self._held, self._inside) == before:
                return

    def finish(self) -> Iterator[OutputPiece]:
        """What is left: a call that was never closed is text, as the model wrote it."""
        rest, self._held = self._held, ""
        if self._inside == OPEN_CALL:
            rest = OPEN_CALL + rest
        if rest and not (self._calls and self._blank and not rest.strip()):
            yield Reasoning(rest) if self._inside == OPEN_THINK else Content(rest)

    def _outside(self) -> Iterator[OutputPiece]:
        if self._trim:
            self._held = self._held.lstrip("\n")
            self._trim = not self._held
        marks = [OPEN_CALL] * self._tools + [OPEN_THINK] * (self._thinking and not self._spoke)
        at, mark = min(((i, m) for m in marks if (i := self._find(m)) >= 0), default=(-1, ""))
        if at < 0:
            sure = self._held[: len(self._held) - max((_overlap(self._held, m) for m in marks), default=0)]
            if self._tools:  # line ends before a call are layout
                sure = sure.rstrip("\n")
            if not sure.strip() and self._blank:
                return  # so is white space before it; before words it is text
            self._held = self._held[len(sure) :]
            yield from self._say(sure)
            return
        said, self._held, self._inside = self._held[:at], self._held[at + len(mark) :], mark
        if said.strip() or not self._blank:
            yield from self._say(said.rstrip("\n") if mark == OPEN_CALL else said)

    def _find(self, mark: str) -> int:
        """Where `mark` is; a thought comes before any words or not at all."""
        at = self._held.find(mark)
        return at if mark == OPEN_CALL or not self._held[: max(at, 0)].strip() else -1

    def _say(self, text: str) -> Iterator[OutputPiece]:
        if text.strip():
            self._spoke, self._blank = True, False
        if text:
            yield Content(text)

    def _in_thought(self) -> Iterator[OutputPiece]:
        at = self._held.find(CLOSE_THINK)
        if at < 0:
            keep = _overlap(self._held, CLOSE_THINK)
            text, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        else:
            text, self._held = self._held[:at], self._held[at + len(CLOSE_THINK) :]
            self._inside, self._spoke, self._trim = "", True, True
        if text:
            yield Reasoning(text)

    def _in_call(self) -> Iterator[OutputPiece]:
        at = self._held.find(CLOSE_CALL)
        if at < 0:
            return
        body, self._held, self._inside = self._held[:at], self._held[at + len(CLOSE_CALL) :], ""
        call = _parse_call(body)
        if call is None:
            yield from self._say(OPEN_CALL + body + CLOSE_CALL)
        elif not (self._one_call and self._calls):
            self._calls += 1
            self._blank = True
            yield call


def _overlap(text: str, mark: str) -> int:
    """Length of the longest end of `text` that begins `mark`."""
    return next((n for n in range(min(len(text), len(mark) - 1), 0, -1) if mark.startswith(text[-n:])), 0)


class _Call(msgspec.Struct):
    name: str
    arguments: msgspec.Raw = msgspec.Raw(b"{}")


def _parse_call(body: str) -> ToolCall | None:
    """None when `body` is not a call: it is then shown as text rather than lost.

    The arguments stay as the model wrote them, to the letter: sent back in the next request they give the
    same prompt, which the prefix cache then knows.
    """
    try:
        call = msgspec.json.decode(body.strip(), type=_Call)
        if not call.name:
            return None
        raw = bytes(call.arguments).decode()
        if raw.startswith('"'):  # some models write the arguments as JSON text already
            raw = msgspec.json.decode(raw, type=str)
        return ToolCall(call.name, raw)
    except (msgspec.DecodeError, RecursionError):
        return None
