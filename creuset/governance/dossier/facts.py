"""What the records say, by name: the figures, words and tables that forms call for.

Reading order: `Facts` (the shelf of names), `gather` (who fills it). Nothing here is typed by hand: a figure has its
place in a record, a word is chosen by what a record says, and what no record says has no name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from creuset.core.sentences import sentence
from creuset.governance.dossier.figure import Figure, RecordPlace, compute, pointer
from creuset.governance.dossier.records import Record, Shelf

Cell = Figure | str | tuple[Figure, Figure]  # words (a sentence, or a name that no language changes); from, to


@dataclass(frozen=True, slots=True)
class Table:
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    subject: str = ""  # whom the rows are about, where that is not the model itself
    notes: tuple[str, ...] = ()  # how to read the rows
    short: tuple[str, ...] = ()  # of scores: why a field that rests on them is filled in part only
    empty: bool = False  # of scores: there is none among the rows
    tasks: tuple[str, ...] = ()  # of scores: the tests that gave them


@dataclass(slots=True)
class Facts:
    shelf: Shelf
    figures: dict[str, Figure] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    tables: dict[str, list[Table]] = field(default_factory=dict)

    def add(self, key: str, *places: tuple[Record, str], operation: str = "read", style: str = "auto") -> Figure | None:
        """The figure at these places; None, and no name, where a record does not say it."""
        if key in self.figures:
            return self.figures[key]
        sources = tuple(RecordPlace(record.id, at) for record, at in places)
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

    def cell(self, key: str, *places: tuple[Record, str], operation: str = "read", style: str = "auto") -> Cell:
        """The same for a table, where what is not said is a dash."""
        return self.add(key, *places, operation=operation, style=style) or "–"

    def cells(self, key: str, record: Record, at: str, columns: Mapping[str, str]) -> tuple[Cell, ...]:
        """A figure of each column, read at `at` in the record: name -> place, or place and style: "/steps int"."""
        made = []
        for name, column in columns.items():
            place, _, style = column.partition(" ")
            made.append(self.cell(f"{key}.{name}", (record, at + place), style=style or "auto"))
        return tuple(made)

    def counts(self, key: str, head: str, record: Record, at: Sequence[str], then: str = "") -> None:
        """A table of two columns: each name in the object at `at` in the record, and its figure (at `then` in it)."""
        found = self.shelf.find(record, *at)
        names = found if isinstance(found, dict) else {}
        self.table(
            key, head, [(name, self.cell(f"{key}.{name}", (record, pointer(*at, name) + then))) for name in names]
        )

    def table(
        self,
        key: str,
        head: str,
        rows: Sequence[Sequence[Cell]],
        subject: str = "",
        notes: Sequence[str] = (),
        short: Sequence[str] = (),
        empty: bool = False,
        tasks: Sequence[str] = (),
    ) -> None:
        """A table under `key`, if it has rows; `head` are keys of sentences of the dossier, one a column."""
        if rows:
            words = tuple(sentence(f"dossier.{name}") for name in head.split())
            assert all(len(row) == len(words) for row in rows), f"table `{key}`: rows are not as wide as their head"
            made = Table(words, tuple(map(tuple, rows)), subject, tuple(notes), tuple(short), empty, tuple(tasks))
            self.tables.setdefault(key, []).append(made)

    def value(self, key: str) -> Any:
        found = self.figures.get(key)
        return found.value if found else None


def gather(shelf: Shelf) -> Facts:
    from creuset.governance.dossier import facts_data, facts_model, facts_read, facts_scores

    facts = Facts(shelf)
    facts_model.fill(facts)
    facts_read.fill(facts)
    facts_data.fill(facts)
    facts_scores.fill(facts)
    return facts
