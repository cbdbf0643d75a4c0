"""Masking a text while it is written: what comes out, joined, is what masking the whole text gives.

Text is held back only where something that is masked may still be going on: the word that is being written, digits that
are not far away, a mark such as `(` that may belong to a spelled address. What stands before is released, with what was
recognised in it replaced. A word that was released keeps its place in the context that the recognisers look at.
"""

import re
from collections.abc import Collection

from creuset.core.personal import PLAIN, places

CONTEXT = 600  # characters before a place that may decide what it is
NEAR = 64  # a digit so near to the end may belong to what is going on
LEAD = 24  # a number may begin with letters: so many characters before its first digit
LEAD_WORDS = 140  # and an address or a date of birth with words
SPELLED = 80  # name [at] example [dot] com
_LEADING = frozenset({"address", "born"})
_DIGIT = re.compile(r"\d")
_WORD = re.compile(r"\S*\Z")
_MARK = re.compile(r"[\[(]([A-Za-z]{0,8})")
_SPELLED = frozenset({"at", "arobase", "chez", "dot", "point", "punkt", "punto"})
_BEFORE = re.compile(r"\S+\s*\Z")


class StreamMasker:
    def __init__(self, kinds: Collection[str]) -> None:
        self._kinds = frozenset(kinds)
        self._numbers = bool(self._kinds - set(PLAIN)) or "ip" in self._kinds
        self._lead = LEAD_WORDS if self._kinds & _LEADING else LEAD
        self._text, self._done = "", 0  # what is known of the text, and how much of it was released
        self.found: set[str] = set()  # kinds

    def push(self, text: str) -> str:
        self._text += text
        return self._release(self._open())

    def finish(self) -> str:
        return self._release(len(self._text))

    def _release(self, end: int) -> str:
        if end <= self._done:
            return ""
        parts, at = [], self._done
        for place in places(self._text, self._kinds):
            if place.end <= self._done:
                continue
            if place.end > end or (place.end == end < len(self._text)):
                end = min(end, max(place.start, at))
                break
            self.found.add(place.kind)
            if place.start >= at:
                parts += [self._text[at : place.start], f"[{place.kind.upper()}]"]
            at = max(at, place.end)
        parts.append(self._text[at:end])
        self._done = max(end, at)
        self._forget()
        return "".join(parts)

    def _forget(self) -> None:
        """Of what was released, a little is kept for its sense, from the begin of a word on."""
        excess = self._done - CONTEXT
        if excess > CONTEXT:
            cut = self._text.rfind(" ", 0, excess) + 1
            self._text, self._done = self._text[cut:], self._done - cut

    def _open(self) -> int:
        """Where what may still be going on begins."""
        text, size = self._text, len(self._text)
        begin = _WORD.search(text).start()  # type: ignore[union-attr]
        if begin == size or begin > 0:
            begin = min(begin, _at_word(text, begin))
        tail = max(self._done, size - SPELLED)
        if "email" in self._kinds:
            for mark in _MARK.finditer(text, tail):
                if mark.end() == size or mark[1].lower() in _SPELLED:
                    begin = min(begin, _at_word(text, mark.start()))
                    break
        if self._numbers:
            first = last = previous = size
            for match in _DIGIT.finditer(text, self._done):
                last = match.start()
                if first == size or last - previous > NEAR:
                    first = last
                previous = last
            if size - last <= NEAR and first < size:
                begin = min(begin, max(0, first - self._lead))
            if self._kinds & _LEADING:
                begin = min(begin, max(0, size - self._lead))
        while 0 < begin < size and not text[begin - 1].isspace():
            begin -= 1
        return max(begin, self._done)


def _at_word(text: str, end: int) -> int:
    """Where the word before `end` begins."""
    found = _BEFORE.search(text[max(0, end - CONTEXT) : end])
    return end if found is None else max(0, end - CONTEXT) + found.start()
