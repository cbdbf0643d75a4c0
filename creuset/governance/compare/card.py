"""The scorecard as data: systems are columns, rows hold one kind of number each. No file, no clock, no network here.

Reading order: `Cell` (a value and why it is believed), `Row` (what is compared and how a value becomes a utility),
`Scorecard`. The page and scorecard.json are drawn from these and from nothing else.
"""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from creuset.report.language import Text

# measured: by this tool on this system; estimated: reckoned from other figures by the formula in its note; reported:
# a number that somebody published; declared: a practice in words; unknown: nothing, and never a zero.
Kind = Literal["measured", "estimated", "reported", "declared", "unknown"]
KINDS: tuple[Kind, ...] = ("measured", "estimated", "reported", "declared", "unknown")

# How a value becomes a utility from 0 to 1 (creuset/governance/compare/rank.py); "" rows are shown and never weighed.
Scale = Literal["share", "share_low", "percent", "zero", "fifty", "high", "low", "points", ""]

GROUPS: dict[str, tuple[str, str]] = {
    "quality": ("Quality, measured here", "Qualité, mesurée ici"),
    "published": ("Quality, as published by others", "Qualité, publiée par d'autres"),
    "security": ("Security and confidentiality", "Sécurité et confidentialité"),
    "strategy": ("Strategy", "Stratégie"),
    "competition": ("Competition", "Concurrence"),
    "law": ("Law and fairness", "Droit et équité"),
    "speed": ("Speed, measured here", "Vitesse, mesurée ici"),
    "price": ("Price", "Prix"),
    "energy": ("Energy", "Énergie"),
    "api": ("What the API answers, request by request", "Ce que l'interface sait faire, requête par requête"),
    "coverage": ("What the audit could test", "Ce que l'audit a pu vérifier"),
}
# Evidence behind a row of another group, or about the audit itself: shown, never weighed, folded at first.
EVIDENCE = ("api", "coverage")
WEIGHED = tuple(g for g in GROUPS if g not in EVIDENCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One value of one system. `value` is None where nothing is known or where only words are: then `words`."""

    kind: Kind
    value: float | None = None
    low: float | None = None            # 95 % interval
    high: float | None = None
    words: Text | None = None           # what is shown for a declared cell, or why a cell is unknown
    n: int = 0
    source: str = ""                    # an address, or the artifact and its sha256
    date: str = ""
    note: str = ""                      # caveat, load, formula
    note_fr: str = ""                   # the same in French; "": the page shows `note` in both languages

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
    label: Text
    scale: Scale
    unit: str = ""
    cells: tuple[Cell, ...] = ()
    why_unranked: str = ""              # e.g. the systems were asked different prompts
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    name: str
    provider: str = ""
    model: str = ""
    endpoint: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorecard:
    title: Text
    made: str                           # date, ISO 8601
    systems: tuple[System, ...]
    rows: tuple[Row, ...]
    volume: dict[str, float] = field(default_factory=dict)
    offers: tuple[dict[str, Any] | None, ...] = ()  # what each system is paid by (money.py), for the reader's volume
    remark: Text | None = None          # what a reader must know before anything else
    sources: tuple[str, ...] = ()       # files and artifacts read, with their hashes

    def as_json(self) -> dict[str, Any]:
        return {
            "format": 2,
            "groups": [{"id": g, "en": en, "fr": fr, "weighed": g in WEIGHED} for g, (en, fr) in GROUPS.items()],
            **asdict(self),
        }


def unknown(en: str = "not known", fr: str = "inconnu") -> Cell:
    return Cell(kind="unknown", words=Text(en, fr))
