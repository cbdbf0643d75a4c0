"""What a page is before it is HTML, Markdown or PDF: a list of blocks, made of plain data.

Reading order: `Span` (words of one look), `Line`, then the blocks. Words are a string, or a `Text` in both languages.
`creuset.report.html`, `.markdown` and `.pdf` render the same blocks.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from creuset.report.language import Lang, Text, in_both
from creuset.report.markup import Markup

Words = str | Text


@dataclass(frozen=True, slots=True)
class Span:
    """Words of one look."""

    text: Words
    anchor: str = ""  # F12: the figure that the words are a link to
    code: bool = False
    strong: bool = False
    url: str = ""  # another document of the same folder, without its ending
    name: bool = False  # of a file, a test, a rule: the same in all languages
    jump: str = ""  # id of another place of the page
    mark: str = ""  # F12: what links to that figure lead to
    said: bool = False  # words of the operator: as they were given
    tone: str = ""  # a class of the style sheet: soft, good, bad, warn, tag ...
    picture: Markup | None = None  # a small chart, in HTML only; `text` says the same

    @property
    def as_it_is(self) -> bool:
        """Whether this is no prose of the page: no sign in it is set as French sets it."""
        return bool(self.code or self.anchor or self.name or self.said or self.mark)


Line = tuple[Span, ...]
Said = Words | Span | Line


@dataclass(frozen=True, slots=True)
class Para:
    line: Line
    tone: str = ""  # a class of the style sheet: soft, quiet, note, missing ...


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. `kind` are classes: n (numbers, right), m (not in narrow windows), bar, name ..."""

    title: Words
    kind: str = ""
    sort: bool = False
    title_line: Line = ()  # instead of the title, where it is more than words


@dataclass(frozen=True, slots=True)
class GridCell:
    """A cell that is sorted by `value`."""

    said: Said
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Grid:
    """A table. `more` holds what each row opens on; `status` what it is filtered by; rows of one cell are headings."""

    head: tuple[Words | Column, ...]
    rows: tuple[tuple[Said | GridCell, ...], ...]
    caption: Words = ""
    small: bool = False
    anchors: tuple[str, ...] = ()  # one a row, where rows can be jumped to
    kind: str = ""
    more: tuple[tuple["Block", ...], ...] = ()
    status: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[Column, ...]:
        return tuple(one if isinstance(one, Column) else Column(one) for one in self.head)

    def lines(self) -> Iterator[tuple[Line, ...]]:
        """The words of each row."""
        for row in self.rows:
            yield tuple(line(cell.said if isinstance(cell, GridCell) else cell) for cell in row)

    def numeric(self, column: int) -> bool:
        """Whether the column holds numbers, which stand right: figures, or a dash where there is none."""
        cells = ["".join(str(s.text) for s in row[column]) for row in self.lines() if len(row) > 1]
        return all(NUMBER.fullmatch(c) for c in cells) and any(c not in ("–", "") for c in cells)


NUMBER = re.compile(r"[−-]?[\d.,\u202f\u00a0]+( × 10[⁻⁰-⁹¹²³]+)?[\u202f\u00a0]?%?|–|")


@dataclass(frozen=True, slots=True)
class FactList:
    """Names and what they are."""

    rows: tuple[tuple[Said, Said], ...]


@dataclass(frozen=True, slots=True)
class Bullets:
    items: tuple[Line, ...]
    tone: str = ""  # a class of the style sheet: soft, quiet, note, missing ...


@dataclass(frozen=True, slots=True)
class Pre:
    """Text as it is, in a frame."""

    text: str


@dataclass(frozen=True, slots=True)
class Details:
    """Blocks that are folded."""

    summary: Said
    blocks: tuple["Block", ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing of `creuset.report.chart`; in Markdown and PDF its caption alone."""

    drawn: Markup
    caption: Words = ""


@dataclass(frozen=True, slots=True)
class Widget:
    """The part of a page that a script works on: in HTML only."""

    markup: Markup


@dataclass(frozen=True, slots=True)
class Section:
    """Blocks under a heading. `marks` stand beside it: what is shown, and what it means."""

    title: Said
    blocks: tuple["Block", ...]
    level: Literal[2, 3] = 2
    id: str = ""
    status: str = ""
    marks: tuple[tuple[str, str], ...] = ()


Block = Para | Grid | FactList | Bullets | Pre | Details | Chart | Widget | Section


def line(*said: Said) -> Line:
    """Words, spans and lines, one behind the other."""
    spans: list[Span] = []
    for one in said:
        spans += one if isinstance(one, tuple) else [one if isinstance(one, Span) else Span(one)] if one else []
    return tuple(spans)


def plain(text: str) -> Line:
    """Words as they are; what stands between backticks is code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # an odd backtick is a character
        return (Span(text),)
    return tuple(Span(part, code=bool(n % 2)) for n, part in enumerate(parts) if part or len(parts) == 1)


def spans(blocks: Iterable[Block]) -> Iterator[Span]:
    """All spans of the blocks, in their order."""
    for block in blocks:
        match block:
            case Para():
                yield from block.line
            case Grid():
                for row in block.lines():
                    for cell in row:
                        yield from cell
                for more in block.more:
                    yield from spans(more)
            case FactList():
                for pair in block.rows:
                    yield from line(*pair)
            case Bullets():
                for item in block.items:
                    yield from item
            case Section() | Details():
                yield from spans(block.blocks)
            case _:
                pass


def simple(block: Block) -> Iterator[Para | Grid | Section]:
    """The block as paragraphs, tables and sections: for papers, which fold nothing and run nothing."""
    match block:
        case Para() | Grid() | Section():
            yield block
        case FactList():
            yield Grid(("", ""), block.rows)
        case Bullets():
            yield from (Para(line("• ", item), block.tone) for item in block.items)
        case Pre():
            yield from (Para((Span(part, code=True),)) for part in block.text.splitlines() or [""])
        case Details():
            yield Para(tuple(Span(s.text, strong=True) for s in line(block.summary)))
            for inside in block.blocks:
                yield from simple(inside)
        case Chart():
            yield from [Para((Span(block.caption),), "soft")] if block.caption else []
        case _:
            pass


FRENCH = ((re.compile(r" (?=[:»])|(?<=«) "), "\u00a0"), (re.compile(r" (?=[;?!%])"), "\u202f"))


def typeset(text: str) -> str:
    """French as it is printed: no line begins with a sign or ends with an opening quote."""
    for space, kept in FRENCH:
        text = space.sub(kept, text)
    return text


def spoken(words: Words, lang: Lang, *, as_it_is: bool = False) -> str:
    """The words in one language; French is set as it is printed unless they are to stay `as_it_is`."""
    two = in_both(words)
    text = two.of(lang) if two is not None else str(words)
    return typeset(text) if lang == "fr" and not as_it_is else text
