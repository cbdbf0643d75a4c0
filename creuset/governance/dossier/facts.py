"""What the records say, by name: the figures, words and tables that forms call for.

Reading order: `Facts` (the shelf of names), `gather` (who fills it). Nothing here is typed by hand: a figure has its
place in a record, a word is chosen by what a record says, and what no record says has no name.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from creuset.core.errors import DataError
from creuset.governance.dossier.figure import Figure, Source, compute
from creuset.governance.dossier.records import Record, Shelf
from creuset.report.language import Text

Cell = Figure | Text | str | tuple[Figure, Figure]      # two figures: from, to


@dataclass(frozen=True, slots=True)
class Table:
    head: tuple[Text, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: Text | None = None


@dataclass(slots=True)
class Facts:
    shelf: Shelf
    figures: dict[str, Figure] = field(default_factory=dict)
    texts: dict[str, Text] = field(default_factory=dict)
    tables: dict[str, list[Table]] = field(default_factory=dict)

    def add(
        self, key: str, *places: tuple[Record, str], operation: str = "read", style: str = "auto"
    ) -> Figure | None:
        """The figure at these places; None, and no name, where a record does not say it."""
        if key in self.figures:
            return self.figures[key]
        sources = tuple(Source(record.id, at) for record, at in places)
        try:
            value = compute(operation, [self.shelf.read(s) for s in sources])
        except KeyError:
            return None
        if value is None or isinstance(value, dict | list):
            return None
        made = Figure(
            key=key, number=len(self.figures) + 1, value=value, sources=sources, operation=operation, style=style
        )
        self.figures[key] = made
        return made

    def cell(
        self, key: str, *places: tuple[Record, str], operation: str = "read", style: str = "auto"
    ) -> Cell:
        """The same for a table, where what is not said is a dash."""
        return self.add(key, *places, operation=operation, style=style) or "–"

    def say(self, key: str, en: str, fr: str) -> None:
        self.texts[key] = Text(en, fr)

    def table(
        self, key: str, head: Sequence[Text], rows: Sequence[Sequence[Cell]], caption: Text | None = None
    ) -> None:
        if rows:
            for row in rows:
                if len(row) != len(head):
                    raise DataError(f"table `{key}`: a row of {len(row)} under a head of {len(head)}")
            self.tables.setdefault(key, []).append(Table(tuple(head), tuple(map(tuple, rows)), caption))

    def value(self, key: str) -> Any:
        found = self.figures.get(key)
        return found.value if found else None


def gather(shelf: Shelf) -> Facts:
    from creuset.governance.dossier import facts_data, facts_model, facts_scores

    facts = Facts(shelf)
    facts_model.fill(facts)
    facts_data.fill(facts)
    facts_scores.fill(facts)
    return facts
