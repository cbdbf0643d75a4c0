"""A form of the dossier before it is Markdown, HTML or PDF: its sections and fields, in one language."""

from dataclasses import dataclass
from typing import Literal

from creuset.report.blocks import Block, Para, Section
from creuset.report.language import Lang, say

Status = Literal["filled", "partly", "missing", "not_applicable", "elsewhere"]


@dataclass(frozen=True, slots=True)
class Item:
    """A field of a form, filled as far as it can be."""

    id: str
    label: str
    ref: str
    to: tuple[str, ...]
    status: Status
    blocks: tuple[Block, ...]
    open: tuple[str, ...] = ()  # keys of the questions that are printed as TO COMPLETE


@dataclass(frozen=True, slots=True)
class FormSection:
    title: str
    blocks: tuple[Block, ...]
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Page:
    id: str  # annex-xi, mdf-nca
    title: str
    lang: Lang
    head: tuple[Para, ...]  # what stands under the title
    sections: tuple[FormSection, ...]
    tail: tuple[FormSection, ...]  # law, records
    front_matter: str = ""  # YAML, cards only
    links: tuple[tuple[str, str], ...] = ()  # where else to go from the page: words, address
    public: bool = False  # a notice: fields have no state and no reference

    def blocks(self) -> tuple[Block, ...]:
        """The page as blocks of `creuset.report`."""
        return (*self.head, *(self._section(one) for one in (*self.sections, *self.tail)))

    def _section(self, section: FormSection) -> Section:
        return Section(section.title, (*section.blocks, *map(self._item, section.items)))

    def _item(self, item: Item) -> Section:
        if self.public:
            return Section(item.label, item.blocks, level=3, id=item.id)
        marks = [(item.ref, item.ref)] * bool(item.ref)
        marks += [(r, say(self.lang, f"dossier.recipient_{r}")) for r in item.to]
        return Section(item.label, item.blocks, level=3, id=item.id, status=item.status, marks=tuple(marks))
