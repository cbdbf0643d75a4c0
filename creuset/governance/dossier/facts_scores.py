"""Facts of evaluations and audits: every row a measure with its interval, or the reason why there is none."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from creuset.core.sentences import has, keyed, sentence
from creuset.governance.dossier.facts import Cell, Facts
from creuset.governance.dossier.figure import pointer
from creuset.governance.dossier.records import Record
from creuset.report.language import unit
from creuset.types.measure import results_of

HEAD = "test measure score interval n status"
PERSONAL = ("7", "8", "9")  # requirements about personal data
# A field that rests on a score of fewer samples is filled in part (dossier.few_samples says so): intervals are then
# up to 36 points wide.
SAMPLE = 30
RULE = 10  # dialogues that a rule must have written to be shown by itself
ASKED = ("loglikelihood", "generate", "chat")  # forms of measures that rest on samples


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One row of a results.json and where it stands there."""

    record: Record
    at: str
    body: dict[str, Any]

    @property
    def status(self) -> str:
        return str(self.body.get("status", "measured"))

    @property
    def requirement(self) -> str:
        return str(self.body.get("requirement") or "")

    @property
    def metric(self) -> str:
        """Its name, as it is in the record."""
        words = str(self.body["metric"]).removeprefix("bits_per_byte.")
        return f"bits per byte, {words}" if self._per_byte else words

    @property
    def named(self) -> str:
        """The same for a page, with the unit where it is not a share."""
        if self._per_byte:
            source = self.metric.removeprefix("bits per byte, ")
            return sentence("dossier.bits_per_byte", unit=unit("bits per byte"), source=source)
        if self.body["unit"] in ("share", ""):
            return self.metric
        return sentence("dossier.with_unit", metric=self.metric, unit=unit(self.body["unit"]))

    @property
    def _per_byte(self) -> bool:
        return self.body["task"] == "bpb" and bool(self.body.get("source"))


def rows_of(facts: Facts, role: str) -> Iterator[ScoreRow]:
    for record in facts.shelf.of(role=role, file="results.json"):
        for number, row in enumerate(results_of(facts.shelf.body(record), Path(record.path)).rows):
            yield ScoreRow(record, pointer("results", number), row)


def fill(facts: Facts) -> None:
    evaluated, audited = list(rows_of(facts, "evaluation")), list(rows_of(facts, "audit"))
    _tables(facts, "scores", evaluated)
    if chance := sorted({str(r.body["task"]) for r in evaluated if r.body.get("verdict") == "at chance level"}):
        facts.texts["scores.chance"] = ", ".join(chance)
    _beside(facts, evaluated)
    _tables(facts, "audit", audited)
    for requirement in sorted({r.requirement for r in audited} - {""}):
        _tables(facts, f"audit.{requirement}", [r for r in audited if r.requirement == requirement])
    _tables(facts, "audit.personal", [r for r in audited if r.requirement in PERSONAL])
    _tables(facts, "audit.open", [r for r in audited if r.status not in ("measured", "reported")])
    if lists := list(dict.fromkeys((r.record, "/results") for r in audited)):
        facts.add("audit.measured", *lists, operation="measured")
        facts.add("audit.rows", *lists, operation="rows")


def _tables(facts: Facts, key: str, rows: list[ScoreRow]) -> None:
    """One table for each results file, since they may be of different subjects."""
    for record in dict.fromkeys(r.record for r in rows):
        mine = [r for r in rows if r.record == record]
        scored = [r for r in mine if r.body.get("score") is not None]
        notes = {(r.body["task"], r.body["caveat"]): keyed(r.body["caveat"]) for r in mine if r.body.get("caveat")}
        facts.table(
            key, HEAD, [*(_cells(facts, r) for r in scored), *_unscored(mine)],
            sentence("dossier.scored", of=record.of) if record.of else "",
            [sentence("dossier.note_of", task=task, note=note) for (task, _), note in notes.items()],
            _short(mine), not scored, list(dict.fromkeys(str(r.body["task"]) for r in scored)),
        )  # fmt: skip


def _beside(facts: Facts, rows: list[ScoreRow]) -> None:
    """What a reader of the scores needs beside them: what bits per byte are, guessing's score, and rule by rule."""
    if bits := next((r.record for r in rows if r.body["task"] == "bpb"), None):
        facts.cells("bpb", bits, "", {
            "definition": "/definitions/bpb words", "context": "/settings/context int", "dtype": "/settings/dtype text",
        })  # fmt: skip
    facts.table("chance", "test chance", [
        (task, facts.cell(f"chance.{task}", (row.record, row.at + "/chance"), style="pct1"))
        for task, row in {str(r.body["task"]): r for r in rows if "chance" in r.body}.items()
    ])  # fmt: skip
    for row in rows:
        rules = [rule for rule, group in (row.body.get("by_rule") or {}).items() if group["n"] >= RULE]
        places = [(rule, row.at + pointer("by_rule", rule)) for rule in rules]
        facts.table("rules", "rule score interval n", [
            (rule, *_scored(facts, f"rules.{row.record.id}.{rule}", row.record, at, "pct1")) for rule, at in places
        ], notes=[sentence("dossier.by_rule", task=str(row.body["task"]), least=RULE)])  # fmt: skip


def _short(rows: list[ScoreRow]) -> list[str]:
    """Why a field that rests on these rows is not filled: tests that did not run, and scores of few samples."""
    every = {str(r.body["task"]) for r in rows}
    ran = {str(r.body["task"]) for r in rows if r.body.get("score") is not None}
    most: dict[str, int] = {}
    for row in rows:
        if row.body.get("score") is not None and row.body.get("form") in ASKED:
            most[str(row.body["task"])] = max(most.get(str(row.body["task"]), 0), int(row.body.get("n") or 0))
    few = [task for task, n in most.items() if n < SAMPLE]
    lost = [sentence("dossier.not_all_ran")] if every - ran else []
    return [*lost, *([sentence("dossier.few_samples", tasks=", ".join(few))] if few else [])]


def _unscored(rows: list[ScoreRow]) -> list[tuple[Cell, ...]]:
    """What has no score: a row for each reason, with the tests that it holds for."""
    reasons: dict[tuple[str, str], list[ScoreRow]] = {}
    for row in rows:
        if row.body.get("score") is None:
            reasons.setdefault((row.status, str(row.body.get("why") or "")), []).append(row)
    return [
        (
            ", ".join(dict.fromkeys(str(r.body["task"]) for r in same)),
            same[0].named if len(same) == 1 else "–",
            "–",
            "–",
            "–",
            _said(same[0]),
        )
        for same in reasons.values()
    ]


def _said(row: ScoreRow) -> str:
    known = f"dossier.status_{row.status}"
    status = sentence(known) if has(known) else row.status
    why = row.body.get("why")
    return sentence("dossier.status_why", status=status, why=keyed(why)) if why else status


def _cells(facts: Facts, row: ScoreRow) -> tuple[Cell, ...]:
    body, record, at = row.body, row.record, row.at
    key = f"{record.role}.{record.id}.{at.rsplit('/', 1)[-1]}"
    style = "pct1" if body["unit"] == "share" else "score"
    return (str(body["task"]), row.named, *_scored(facts, key, record, at, style), _said(row))


def _scored(facts: Facts, key: str, record: Record, at: str, style: str) -> tuple[Cell, Cell, Cell]:
    """Score, interval and n of what stands at `at`; a dash where it has no interval."""
    low = facts.add(f"{key}.low", (record, at + "/interval/0"), style=style)
    high = facts.add(f"{key}.high", (record, at + "/interval/1"), style=style)
    score = facts.cell(f"{key}.score", (record, at + "/score"), style=style)
    return score, (low, high) if low and high else "–", facts.cell(f"{key}.n", (record, at + "/n"), style="int")
