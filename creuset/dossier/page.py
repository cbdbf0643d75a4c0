"""What a page is before it is Markdown, HTML or PDF: plain data, in one language."""

from dataclasses import dataclass
from typing import Literal

from creuset.dossier.words import Lang

Status = Literal["filled", "partly", "missing", "not_applicable", "elsewhere"]
Tone = Literal["", "missing", "note", "quiet"]


@dataclass(frozen=True, slots=True)
class Span:
    text: str
    anchor: str = ""        # F12: the figure that the words are a link to
    code: bool = False
    strong: bool = False
    url: str = ""           # another document of the dossier


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


def plain(text: str) -> Line:
    return (Span(text),)
