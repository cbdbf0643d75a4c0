"""What is audited: the requirements, and the parts (tests) that measure each. Both are rows of items.toml. No torch.

Requirements 2 to 15 and 17 to 19 are measured as far as the subject allows. Number 20 is said to be untested, so that
nobody takes its absence for a pass. Number 1 (capabilities) is `creuset eval`, 16 (documents) is `creuset dossier`.
A requirement has no grade: it has evidence, with intervals.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from creuset.core.sentences import sentence
from creuset.report.language import Lang

Words = dict[Lang, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPart:
    """One test of a requirement. It has either a task or a check, named "module:name" below creuset/benchmarks."""

    name: str  # unique in the audit: "bbq", "canaries"
    row: str  # number of its requirement, "2" to "19"
    task: str = ""  # a class of tasks
    otherwise: str = ""  # another form of it, for subjects that cannot answer the first
    judged: bool = False  # the task takes a second opinion: its `judge` is set, where there is one
    check: str = ""  # a coroutine: Room -> Found
    needs: frozenset[str] = frozenset()  # abilities, beside those that the task names itself
    material: Mapping[str, str] = field(default_factory=dict)  # NAME of --given NAME=PATH: what it is, for people
    optional: Mapping[str, str] = field(default_factory=dict)  # the same, of what it can do without
    limited: bool = False  # the check draws fewer samples where --limit says so
    reported: bool = False  # its measures are somebody else's: nothing is asked of the subject

    def __post_init__(self) -> None:
        if bool(self.task) == bool(self.check):
            raise ValueError(f"part `{self.name}` has either a task or a check")


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One row of the requirement table; items.toml says what the fields hold."""

    name: str  # what --items takes
    title: Words
    asks: Words
    articles: tuple[str, ...]
    hint: Words
    untested: str = ""


def _read() -> tuple[dict[str, Requirement], tuple[AuditPart, ...]]:
    table = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    parts = tuple(
        AuditPart(row=row, **part | {
            "needs": frozenset(part.get("needs", ())),
            "material": {name: sentence(key) for name, key in part.get("material", {}).items()},
        })
        for row, requirement in table.items() for part in requirement.pop("parts", ())
    )  # fmt: skip
    return {
        row: Requirement(**r | {
            "articles": tuple(r["articles"]), "untested": sentence(r["untested"]) if "untested" in r else "",
        })
        for row, r in table.items()
    }, parts  # fmt: skip


REQUIREMENTS, PARTS = _read()


def chosen(names: tuple[str, ...]) -> dict[str, Requirement]:
    """The requirements that `names` say, by name, by number or by the name of a part; all of them for none."""
    if not names:
        return REQUIREMENTS
    rows = {row for row, r in REQUIREMENTS.items() if row in names or r.name in names}
    rows |= {part.row for part in PARTS if part.name in names}
    return {row: r for row, r in REQUIREMENTS.items() if row in rows}


def parts_of(row: str, names: tuple[str, ...]) -> list[AuditPart]:
    """The parts of a requirement; only those named, where parts of it are named."""
    all_parts = [part for part in PARTS if part.row == row]
    if row in names or REQUIREMENTS[row].name in names:
        return all_parts
    return [part for part in all_parts if part.name in names] or all_parts


def unknown(names: tuple[str, ...]) -> list[str]:
    """Those of `names` that are neither a requirement nor a part."""
    known = set(REQUIREMENTS) | {r.name for r in REQUIREMENTS.values()} | {part.name for part in PARTS}
    return [name for name in names if name not in known]
