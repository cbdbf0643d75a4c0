"""The scorecard as data: systems are columns, rows hold one kind of number each. No file, no clock, no network here.

Reading order: `Cell` (a value and why it is believed), `Row` (what is compared and how a value becomes a utility),
`Scorecard`. The page and scorecard.json are drawn from these and from nothing else.
"""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from creuset.core.sentences import sentence
from creuset.report.blocks import Words
from creuset.report.language import in_both

# measured: by this tool on this system; estimated: reckoned from other figures by the formula in its note; reported:
# a number that somebody published; declared: a practice in words; unknown: nothing, and never a zero.
Kind = Literal["measured", "estimated", "reported", "declared", "unknown"]
KINDS: tuple[Kind, ...] = ("measured", "estimated", "reported", "declared", "unknown")

# How a value becomes a utility from 0 to 1 (creuset/governance/compare/rank.py); "" rows are shown and never weighed.
Scale = Literal["share", "share_low", "percent", "zero", "fifty", "high", "low", "points", ""]

GROUPS = ("quality", "published", "security", "strategy", "competition", "law", "speed", "price", "energy", "api",
          "coverage")  # fmt: skip
# Evidence behind a row of another group, or about the audit itself: shown, never weighed, folded at first.
EVIDENCE = ("api", "coverage")
WEIGHED = tuple(g for g in GROUPS if g not in EVIDENCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One value of one system. `value` is None where nothing is known or where only words are: then `words`."""

    kind: Kind
    value: float | None = None
    low: float | None = None  # 95 % interval
    high: float | None = None
    words: Words = ""  # what is shown for a declared cell, or why a cell is unknown
    n: int = 0
    source: str = ""  # an address, or the artifact and its sha256
    date: str = ""
    note: Words = ""  # caveat, load, formula

    def __post_init__(self) -> None:
        if self.kind in ("reported", "declared") and not (self.source and self.date):
            raise ValueError(f"a {self.kind} cell says where it is from and when")
        if self.kind in ("measured", "estimated") and self.value is None:
            raise ValueError(f"the {self.kind} cell has no value")
        if self.kind == "estimated" and not self.note:
            raise ValueError("an estimated cell says what it was reckoned from")
        if self.kind == "unknown" and self.value is not None:
            raise ValueError("an unknown cell has no value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    id: str
    group: str
    label: Words
    scale: Scale
    unit: str = ""
    cells: tuple[Cell, ...] = ()
    why_unranked: Words = ""  # e.g. the systems were asked different prompts
    note: Words = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    name: str
    provider: str = ""
    model: str = ""
    endpoint: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorecard:
    title: Words
    made: str  # date, ISO 8601
    systems: tuple[System, ...]
    rows: tuple[Row, ...]
    volume: dict[str, float] = field(default_factory=dict)
    offers: tuple[dict[str, Any] | None, ...] = ()  # what each system is paid by (money.py), for the reader's volume
    remark: Words = ""  # what a reader must know before anything else
    sources: tuple[str, ...] = ()  # files and artifacts read, with their hashes

    def as_json(self) -> dict[str, Any]:
        """scorecard.json: words that there are in two languages are `{"en": ..., "fr": ...}`, a note is two fields."""
        groups = [{"id": g, **_json(sentence(f"compare.group_{g}")), "weighed": g in WEIGHED} for g in GROUPS]
        return {
            "format": 2,
            "groups": groups,
            **asdict(self),
            "title": _json(self.title),
            "remark": _json(self.remark) if self.remark else None,
            "rows": [_row(row) for row in self.rows],
        }


def _json(words: Words) -> dict[str, str]:
    two = in_both(words)
    return {"en": two.en, "fr": two.fr} if two is not None else {"en": str(words), "fr": str(words)}


def english(words: Words) -> str:
    return _json(words)["en"]


def _row(row: Row) -> dict[str, Any]:
    cells = []
    for cell in row.cells:
        note = _json(cell.note)
        cells.append(asdict(cell) | {
            "words": _json(cell.words) if cell.words else None, "note": note["en"],
            "note_fr": note["fr"] if note["fr"] != note["en"] else "",
        })  # fmt: skip
    return asdict(row) | {
        "label": _json(row.label), "cells": cells, "note": english(row.note), "why_unranked": english(row.why_unranked),
    }  # fmt: skip


def unknown(words: Words = "") -> Cell:
    """A cell of which nothing is known, and why."""
    return Cell(kind="unknown", words=words or sentence("compare.not_known"))
