"""Facts of evaluations and audits: every row a measure with its interval, or the reason why there is none."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from creuset.governance.dossier.facts import Cell, Facts
from creuset.governance.dossier.figure import pointer
from creuset.governance.dossier.records import Record
from creuset.report.language import Text, both, unit

STATUS = {
    "measured": Text("measured", "mesuré"),
    "reported": Text("reported by its maker", "déclaré par son auteur"),
    "not_applicable": Text("not applicable", "sans objet"),
    "not_testable": Text("not testable from outside", "non testable de l'extérieur"),
    "not_tested": Text("not tested", "non testé"),
}
HEAD = (
    Text("test", "test"), Text("measure", "mesure"), Text("score", "score"),
    Text("95 % interval", "intervalle à 95 %"), Text("n", "n"), Text("status", "état"),
)
PERSONAL = ("7", "8", "9")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a results.json and where it stands there."""

    record: Record
    at: str
    body: dict[str, Any]

    @property
    def status(self) -> str:
        return str(self.body.get("status", "measured"))

    @property
    def metric(self) -> str:
        """Its name, as it is in the record."""
        found = self.body.get("metric") or self.body.get("source") or ""
        words = str(found).removeprefix("bits_per_byte.")
        return f"bits per byte, {words}" if self.body.get("task") == "bpb" and self.body.get("source") else words

    @property
    def named(self) -> Cell:
        """The same for a page, with the unit where it is not a share."""
        if self.metric.startswith("bits per byte, "):
            source = self.metric.removeprefix("bits per byte, ")
            return Text(self.metric, f"{both(unit('bits per byte')).fr}, {source}")
        name = str(self.body.get("unit") or "share")
        if name == "share":
            return self.metric
        words = both(unit(name))
        return Text(f"{self.metric} ({words.en})", f"{self.metric} ({words.fr})")


def rows_of(facts: Facts, role: str) -> Iterator[Row]:
    for record in facts.shelf.of(role=role, file="results.json"):
        body = facts.shelf.body(record)
        name = next((n for n in ("results", "measures") if isinstance(body.get(n), list)), "")
        for number, row in enumerate(body.get(name) or []):
            yield Row(record, pointer(name, number), row)


def fill(facts: Facts) -> None:
    evaluated, audited = list(rows_of(facts, "evaluation")), list(rows_of(facts, "audit"))
    _tables(facts, "scores", evaluated)
    chance = sorted({str(r.body["task"]) for r in evaluated if r.body.get("verdict") == "at chance level"})
    if chance:
        facts.say("scores.chance", ", ".join(chance), ", ".join(chance))
    _tables(facts, "audit", audited)
    for requirement in sorted({str(r.body.get("requirement", "")) for r in audited} - {""}):
        _tables(facts, f"audit.{requirement}", [r for r in audited if str(r.body.get("requirement")) == requirement])
    _tables(facts, "audit.personal", [r for r in audited if str(r.body.get("requirement")) in PERSONAL])
    _tables(facts, "audit.open", [r for r in audited if r.status not in ("measured", "reported")])
    lists = list(dict.fromkeys((r.record, r.at.rsplit("/", 1)[0]) for r in audited))
    if lists:
        facts.add("audit.measured", *lists, operation="measured")
        facts.add("audit.rows", *lists, operation="rows")


def _tables(facts: Facts, key: str, rows: list[Row]) -> None:
    """One table for each results file, since they may be of different subjects."""
    for record in dict.fromkeys(r.record for r in rows):
        mine = [r for r in rows if r.record == record]
        caveats = dict.fromkeys((str(r.body["task"]), str(r.body["caveat"])) for r in mine if r.body.get("caveat"))
        words = [(task, both(caveat)) for task, caveat in caveats]
        whom_en = f"Scored: {record.of}, not the model itself. " if record.of else ""
        whom_fr = f"Évalué : {record.of}, et non le modèle lui-même. " if record.of else ""
        said_en = ". ".join(f"{task}: {why.en.rstrip('.')}" for task, why in words)
        said_fr = ". ".join(f"{task} : {why.fr.rstrip('.')}" for task, why in words)
        caption = Text((whom_en + said_en).strip(), (whom_fr + said_fr).strip()) if record.of or caveats else None
        facts.table(key, HEAD, [_row(facts, r) for r in mine], caption)


def _row(facts: Facts, row: Row) -> tuple[Cell, ...]:
    body, record, at = row.body, row.record, row.at
    key = f"{record.role}.{record.id}.{at.rsplit('/', 1)[-1]}"
    style = "pct1" if _is_share(body) else "g4"
    low = facts.add(f"{key}.low", (record, at + "/interval/0"), style=style) if body.get("interval") else None
    high = facts.add(f"{key}.high", (record, at + "/interval/1"), style=style) if body.get("interval") else None
    status: Cell = STATUS.get(row.status, row.status)
    if body.get("why"):
        words, why = STATUS.get(row.status, Text(row.status, row.status)), both(str(body["why"]))
        status = Text(f"{words.en}: {why.en}", f"{words.fr} : {why.fr}")
    return (
        str(body.get("task", "")), row.named,
        facts.cell(f"{key}.score", (record, at + "/score"), style=style),
        (low, high) if low and high else "–",
        facts.cell(f"{key}.n", (record, at + "/n"), style="int"),
        status,
    )


def _is_share(body: dict[str, Any]) -> bool:
    if "unit" in body:
        return bool(body["unit"] == "share")
    return body.get("task") != "bpb"        # evaluations from before measures had units
