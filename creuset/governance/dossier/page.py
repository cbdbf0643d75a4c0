"""What a page is before it is Markdown, HTML or PDF: plain data, in one language."""

import re
from dataclasses import dataclass, replace
from typing import Literal

from creuset.report.language import Lang

Status = Literal["filled", "partly", "missing", "not_applicable", "elsewhere"]
Tone = Literal["", "missing", "note", "quiet"]


@dataclass(frozen=True, slots=True)
class Span:
    text: str
    anchor: str = ""        # F12: the figure that the words are a link to
    code: bool = False
    strong: bool = False
    url: str = ""           # another document of the dossier
    name: bool = False      # of a file, a test, a rule: the same in all languages
    jump: str = ""          # another field of the page
    mark: str = ""          # F12: what links to that figure lead to
    said: bool = False      # words of the operator: as they were given

    @property
    def as_it_is(self) -> bool:
        """Not prose of the page: no sign in it is set as French sets it."""
        return bool(self.code or self.anchor or self.name or self.said or self.mark)


Line = tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Para:
    line: Line
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Grid:
    head: tuple[str, ...]
    rows: tuple[tuple[Line, ...], ...]
    caption: str = ""
    small: bool = False
    anchors: tuple[str, ...] = ()       # one a row, where rows can be jumped to

    def numeric(self, column: int) -> bool:
        """Whether the column holds numbers, which stand right: figures, or a dash where there is none."""
        cells = ["".join(s.text for s in row[column]) for row in self.rows]
        return all(NUMBER.fullmatch(c) for c in cells) and any(c != "–" for c in cells)


NUMBER = re.compile(r"[−-]?[\d.,\u202f\u00a0]+( × 10[⁻⁰-⁹¹²³]+)?[\u202f\u00a0]?%?|–")
Block = Para | Grid


@dataclass(frozen=True, slots=True)
class Item:
    """A field of a form, filled as far as it can be."""

    id: str
    label: str
    ref: str
    to: tuple[str, ...]
    status: Status
    blocks: tuple[Block, ...]
    open: tuple[str, ...] = ()          # keys of the questions that are printed as TO COMPLETE


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    blocks: tuple[Block, ...]
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Page:
    id: str                             # annex-xi, mdf-nca
    title: str
    lang: Lang
    head: tuple[Para, ...]              # what stands under the title
    sections: tuple[Section, ...]
    tail: tuple[Section, ...]           # law, records
    front_matter: str = ""              # YAML, cards only
    links: tuple[tuple[str, str], ...] = ()     # where else to go from the page: words, address


def plain(text: str) -> Line:
    """Words as they are; what stands between backticks is code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:     # an odd backtick is a character
        return (Span(text),)
    return tuple(Span(part, code=bool(n % 2)) for n, part in enumerate(parts) if part or len(parts) == 1)


FRENCH = ((re.compile(r" (?=[:»])|(?<=«) "), "\u00a0"), (re.compile(r" (?=[;?!%])"), "\u202f"))


def typeset(page: Page) -> Page:
    """French as it is printed: no line begins with a sign or ends with an opening quote. Figures are left alone."""
    if page.lang != "fr":
        return page

    def words(text: str) -> str:
        for space, kept in FRENCH:
            text = space.sub(kept, text)
        return text

    def line(spans: Line) -> Line:
        return tuple(s if s.as_it_is else replace(s, text=words(s.text)) for s in spans)

    def block(one: Block) -> Block:
        if isinstance(one, Para):
            return replace(one, line=line(one.line))
        return replace(one, head=tuple(map(words, one.head)), caption=words(one.caption),
                       rows=tuple(tuple(map(line, row)) for row in one.rows))

    def section(one: Section) -> Section:
        items = tuple(replace(i, label=words(i.label), blocks=tuple(map(block, i.blocks))) for i in one.items)
        return Section(words(one.title), tuple(map(block, one.blocks)), items)

    head = tuple(replace(para, line=line(para.line)) for para in page.head)
    return replace(page, title=words(page.title), head=head, sections=tuple(map(section, page.sections)),
                   tail=tuple(map(section, page.tail)))
