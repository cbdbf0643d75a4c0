"""Text that is still being written, read by a parser that may ask for more of it.

A parser is a generator. It takes text from the Reader; where it cannot decide yet it yields None, and goes on when more
text has come or the answer has ended. What it takes depends on the text only, never on where the stream was cut.
"""

import re
from collections.abc import Callable, Iterable

from creuset.text.calls.pieces import OutputPiece, Steps


class Reader:
    def __init__(self) -> None:
        self.text = ""  # what came and was not taken
        self.ended = False

    def take(self, count: int) -> str:
        taken, self.text = self.text[:count], self.text[count:]
        return taken

    def more(self) -> Steps[bool]:
        """Wait for more text. False: the answer has ended and there is none."""
        before = len(self.text)
        while not self.ended and len(self.text) == before:
            yield None
        return len(self.text) > before

    def starts(self, *marks: str) -> Steps[str]:
        """The mark that the text begins with, not taken; "" when it begins with none of them."""
        while True:
            for mark in marks:
                if self.text.startswith(mark):
                    return mark
            open_still = any(len(self.text) < len(mark) and mark.startswith(self.text) for mark in marks)
            if not open_still or not (yield from self.more()):
                return ""

    def space(self, also: str = "") -> Steps[str]:
        """Take white space, and the characters of `also`, up to what is neither."""
        taken = ""
        while True:
            rest = self.text.lstrip(" \t\r\n" + also)
            taken += self.take(len(self.text) - len(rest))
            if self.text or not (yield from self.more()):
                return taken

    def until(self, marks: Iterable[str], say: Callable[[str], Iterable[OutputPiece]]) -> Steps[str]:
        """Say the text before the first of `marks`, and take that mark. "" when the answer ended without one."""
        mark = yield from self.until_left(marks, say)
        self.take(len(mark))
        return mark

    def until_left(self, marks: Iterable[str], say: Callable[[str], Iterable[OutputPiece]]) -> Steps[str]:
        """The same, and the mark stays in the reader."""
        marks = tuple(marks)
        while True:
            at, mark = min(((i, m) for m in marks if (i := self.text.find(m)) >= 0), default=(-1, ""))
            if mark:
                yield from say(self.take(at))
                return mark
            keep = 0 if self.ended else max((_overlap(self.text, m) for m in marks), default=0)
            yield from say(self.take(len(self.text) - keep))
            if not ((yield from self.more()) or self.text):
                return ""

    def before(self, mark: str) -> Steps[tuple[str, bool]]:
        """Take the text before `mark`, and the mark. False: there was none, and all was taken."""
        searched = 0
        while (at := self.text.find(mark, searched)) < 0:
            searched = max(0, len(self.text) - len(mark))
            if not (yield from self.more()):
                return self.take(len(self.text)), False
        text = self.take(at)
        self.take(len(mark))
        return text, True

    def match(self, pattern: re.Pattern[str], *, at_most: int = 400) -> Steps[re.Match[str] | None]:
        """The match of `pattern` at the place where the text stands; nothing is taken. It must fit in `at_most`."""
        while True:
            found = pattern.match(self.text[:at_most])
            if found or len(self.text) >= at_most or not (yield from self.more()):
                return found


def _overlap(text: str, mark: str) -> int:
    """Length of the longest end of `text` that begins `mark`."""
    return next((n for n in range(min(len(text), len(mark) - 1), 0, -1) if mark.startswith(text[-n:])), 0)


class JsonScan:
    """Finds where a JSON value ends while it is being written, and where it stops being JSON.

    Line ends and tabs inside strings are let pass, as small models write them. With `close`, a string that has a line
    end right before `close` was never closed: what comes there is the mark, not text.
    """

    def __init__(self, close: str = "") -> None:
        self._stack: list[str] = []  # of the open objects and arrays: the bracket that closes each
        self._next = "value"  # what may come: value, key, colon, after (a comma or a closing bracket)
        self._word = ""  # a number or literal in progress
        self._string = self._escaped = self._empty = False  # `_empty`: a bracket was just opened
        self._closing = "\n" + close if close else ""
        self.done = self.broken = False

    def feed(self, text: str) -> int:
        """How many characters of `text` belong to the value. Stops where it is `done` or `broken`."""
        for at, c in enumerate(text):
            if self._string:
                if self._closing and c == "\n" and text.startswith(self._closing, at):
                    self.broken = True
                    return at
                self._in_string(c)
            elif self._word and (c.isalnum() or c in "+-."):
                self._word += c
                if not _may_be_word(self._word):
                    self.broken = True
                    return at
            else:
                if self._word and not self._end_word():
                    return at
                if self.done:
                    return at
                if not c.isspace() and not self._mark(c):
                    self.broken = True
                    return at
            if self.done:
                return at + 1
        return len(text)

    def holds(self, text: str) -> int:
        """How many characters at the end of `text` must wait: they may begin the mark that closes a broken string."""
        return _overlap(text, self._closing) if self._closing else 0

    def finish(self) -> None:
        """No more text comes: a number at top level ends here; everything else that is open is broken."""
        if self._word and not self._stack:
            self._end_word()
        self.broken = not self.done

    def _in_string(self, c: str) -> None:
        if self._escaped:
            self._escaped = False
        elif c == "\\":
            self._escaped = True
        elif c == '"':
            self._string = False
            self._value_ended("colon" if self._next == "key" else "after")

    def _end_word(self) -> bool:
        word, self._word = self._word, ""
        if not _is_word(word):
            self.broken = True
            return False
        self._value_ended("after")
        return True

    def _value_ended(self, then: str) -> None:
        self._next, self._empty = then, False
        self.done = not self._stack and then == "after"

    def _mark(self, c: str) -> bool:
        if self._next == "value" and c in "{[":
            self._stack.append("}" if c == "{" else "]")
            self._next, self._empty = ("key" if c == "{" else "value"), True
        elif c == '"' and self._next in ("value", "key"):
            self._string = True
        elif self._stack and c == self._stack[-1] and (self._next == "after" or self._empty):
            self._stack.pop()
            self._value_ended("after")
        elif c == ":" and self._next == "colon":
            self._next = "value"
        elif c == "," and self._next == "after" and self._stack:
            self._next = "key" if self._stack[-1] == "}" else "value"
        elif self._next == "value" and _may_be_word(c):
            self._word, self._empty = c, False
        else:
            return False
        return True


_LITERALS = ("true", "false", "null")


def _may_be_word(word: str) -> bool:
    if word[0] in "-0123456789":
        return all(c in "+-.eE0123456789" for c in word)
    return any(literal.startswith(word) for literal in _LITERALS)


def _is_word(word: str) -> bool:
    return word in _LITERALS or word[0] in "-0123456789"
