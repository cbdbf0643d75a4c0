"""Text from outside, on its way through a template: what looks like a control token is broken until the end.

Between the characters of a lookalike stands a mark, a private character that is nowhere else in the conversation. So
the rendered text has whole control tokens only where the template wrote them, whatever it cut and joined. The template
must not notice: a broken text compares, splits and strips as the text that it stands for.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, SupportsIndex

_FIRST_MARK, _LAST_MARK = 0x10F000, 0x10FFFD  # of the private use area
_PRIVATE = re.compile("[\U0010f000-\U0010fffd]")


class Breaker:
    """Breaks lookalikes of control tokens, for one rendering."""

    def __init__(self, controls: re.Pattern[str], names: str, values: Any) -> None:
        """`controls` finds control tokens in any case; `names` has them all in lower case, NUL between them.

        `values`: everything that will be broken; the mark is a character that it does not have.
        """
        used = {c for text in _texts(values) for c in _PRIVATE.findall(text)}
        self.mark = next(chr(c) for c in range(_FIRST_MARK, _LAST_MARK) if chr(c) not in used)
        self._escaped = json.dumps(self.mark)[1:-1]
        self._controls = controls
        self._names = names

    def value(self, value: Any) -> Any:
        """JSON data with its texts and keys broken."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.value(key): self.value(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(inner) for inner in value]
        return value

    def text(self, text: str) -> str:
        """`text`, or a `BrokenText` where it has or may become a part of a control token."""
        broken = self._controls.sub(self._open, text)
        if 0 < len(word := text.strip()) <= 64 and broken == text and word.lower() in self._names:
            # `im_end` between a template's `<|` and `|>` would make a token. Spaces around it stay where they are.
            broken = text.replace(word, self.mark.join(word), 1)
        return text if broken == text and self.mark not in text else BrokenText(broken, self)

    def _open(self, found: re.Match[str]) -> str:
        return self.mark.join(found.group())

    def whole(self, text: str) -> str:
        """Without the marks, in JSON that is all ASCII too."""
        return str.replace(text, self.mark, "").replace(self._escaped, "")


class BrokenText(str):
    """A text with marks in it that behaves as the text without them. Results stay broken."""

    _breaker: Breaker

    def __new__(cls, broken: str, breaker: Breaker) -> "BrokenText":
        self = super().__new__(cls, broken)
        self._breaker = breaker
        return self

    @property
    def _whole(self) -> str:
        return self._breaker.whole(str.__str__(self))

    def _cut(self, start: int, end: int) -> str:
        """Characters `start` to `end` of the whole text, each with the mark behind it."""
        places = self.__dict__.get("_places")
        if places is None:
            raw, mark = str.__str__(self), self._breaker.mark
            places = [at for at, c in enumerate(raw) if c != mark] + [len(raw)]
            self.__dict__["_places"] = places
        return BrokenText(str.__str__(self)[places[start] : places[max(start, end)]], self._breaker)

    def _again(self, change: Callable[[str], str]) -> str:
        """A change that keeps characters, on the broken text; it may have made a lookalike of what was none."""
        changed = change(str.__str__(self))
        return BrokenText(self._breaker._controls.sub(self._breaker._open, changed), self._breaker)

    def __hash__(self) -> int:
        return hash(self._whole)

    def __eq__(self, other: object) -> bool:
        return bool(self._whole == _whole_of(other))

    def __ne__(self, other: object) -> bool:
        return bool(self._whole != _whole_of(other))

    def __lt__(self, other: str) -> bool:
        return bool(self._whole < _whole_of(other))

    def __le__(self, other: str) -> bool:
        return bool(self._whole <= _whole_of(other))

    def __gt__(self, other: str) -> bool:
        return bool(self._whole > _whole_of(other))

    def __ge__(self, other: str) -> bool:
        return bool(self._whole >= _whole_of(other))

    def __contains__(self, part: Any) -> bool:
        return _whole_of(part) in self._whole

    def __len__(self) -> int:
        return len(self._whole)

    def __iter__(self) -> Iterator[str]:
        return (self._cut(at, at + 1) for at in range(len(self._whole)))

    def __getitem__(self, key: SupportsIndex | slice) -> str:
        size = len(self._whole)
        if isinstance(key, slice):
            start, end, step = key.indices(size)
            if step == 1:
                return self._cut(start, end)
            return BrokenText(self._breaker.mark.join(self._whole[key]), self._breaker)
        at = range(size)[key]
        return self._cut(at, at + 1)

    def strip(self, chars: str | None = None, /) -> str:
        return self._stripped(str.lstrip, chars)._stripped(str.rstrip, chars)

    def lstrip(self, chars: str | None = None, /) -> str:
        return self._stripped(str.lstrip, chars)

    def rstrip(self, chars: str | None = None, /) -> str:
        return self._stripped(str.rstrip, chars)

    def _stripped(self, how: Callable[[str, str | None], str], chars: str | None) -> "BrokenText":
        whole = self._whole
        left = how(whole, None if chars is None else _whole_of(chars))
        start = len(whole) - len(left) if how is str.lstrip else 0
        cut = self._cut(start, start + len(left))
        assert isinstance(cut, BrokenText)
        return cut

    def split(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list[str]:
        return self._pieces(self._whole.split(_whole_of(sep), maxsplit), sep)

    def rsplit(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list[str]:
        return self._pieces(self._whole.rsplit(_whole_of(sep), maxsplit), sep)

    def splitlines(self, keepends: bool = False) -> list[str]:
        return self._pieces(self._whole.splitlines(keepends), None)

    def partition(self, sep: str, /) -> tuple[str, str, str]:
        first, middle, _ = self._whole.partition(_whole_of(sep))
        return self._three(len(first), len(middle))

    def rpartition(self, sep: str, /) -> tuple[str, str, str]:
        first, middle, _ = self._whole.rpartition(_whole_of(sep))
        return self._three(len(first), len(middle))

    def _three(self, first: int, middle: int) -> tuple[str, str, str]:
        return self._cut(0, first), self._cut(first, first + middle), self._cut(first + middle, len(self))

    def _pieces(self, pieces: list[str], sep: str | None) -> list[str]:
        """The broken text of each of `pieces`, which follow one another in the whole text."""
        found, at, whole, gap = [], 0, self._whole, len(_whole_of(sep) or "")
        for piece in pieces:
            at = at if sep is not None else whole.index(piece, at)
            found.append(self._cut(at, at + len(piece)))
            at += len(piece) + gap
        return found

    def replace(self, old: str, new: str, count: SupportsIndex = -1, /) -> str:
        if not _whole_of(old):
            return self._again(lambda raw: raw)
        return BrokenText(str(new).join(map(str, self.split(old, count))), self._breaker)._again(lambda raw: raw)

    def startswith(self, part: Any, *where: Any) -> bool:
        return self._whole.startswith(_whole_of(part), *where)

    def endswith(self, part: Any, *where: Any) -> bool:
        return self._whole.endswith(_whole_of(part), *where)

    def find(self, part: str, *where: Any) -> int:
        return self._whole.find(_whole_of(part), *where)

    def rfind(self, part: str, *where: Any) -> int:
        return self._whole.rfind(_whole_of(part), *where)

    def index(self, part: str, *where: Any) -> int:
        return self._whole.index(_whole_of(part), *where)

    def rindex(self, part: str, *where: Any) -> int:
        return self._whole.rindex(_whole_of(part), *where)

    def count(self, part: str, *where: Any) -> int:
        return self._whole.count(_whole_of(part), *where)

    def removeprefix(self, part: str, /) -> str:
        return self._cut(len(part), len(self)) if self.startswith(part) else self

    def removesuffix(self, part: str, /) -> str:
        return self._cut(0, len(self) - len(part)) if part and self.endswith(part) else self

    def lower(self) -> str:
        return self._again(str.lower)

    def upper(self) -> str:
        return self._again(str.upper)

    def title(self) -> str:
        return self._breaker.text(self._whole.title())

    def capitalize(self) -> str:
        return self._again(str.capitalize)


def _whole_of(value: Any) -> Any:
    if isinstance(value, BrokenText):
        return value._whole
    return tuple(map(_whole_of, value)) if isinstance(value, tuple) else value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(key)
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
