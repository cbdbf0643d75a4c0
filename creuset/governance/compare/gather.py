"""From artifacts, published figures and declarations to the rows of a scorecard. Reads files; asks nobody.

Reading order: `rows`, then one function a group. A row holds one kind of number: what was measured here and what
others published of the same benchmark are two rows. Two systems that were asked different prompts share a row only
to be seen: it says so and is not weighed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from creuset.core.errors import ConfigError
from creuset.core.sentences import has, joined, sentence
from creuset.governance.compare.ask import AskedSystem, Comparison, Declared, book, criteria
from creuset.governance.compare.card import Cell, Row, Scale, unknown
from creuset.report.language import Text
from creuset.types.measure import read_results

# Requirements of the audit that are about law and fairness or about energy; the others are about security.
OF_LAW = {"5", "6", "7", "10", "11", "12", "13"}
OF_ENERGY = {"14"}
SHARES = {"", "share", "ratio"}


@dataclass(frozen=True, slots=True)
class ResultRow:
    """A row of some results.json, and the artifact that holds it."""

    row: Mapping[str, Any]
    source: str

    @property
    def id(self) -> str:
        # A row of bits per byte has a source of texts in the place of a metric.
        return ".".join(str(self.row[k]) for k in ("task", "metric", "source") if k == "task" or self.row.get(k))

    @property
    def key(self) -> tuple[str, str]:
        """What two systems must share to be in one row."""
        return self.id, str(self.row.get("form", ""))


def results(folder: Path, kind: str) -> list[ResultRow]:
    """The measures of an artifact of `kind`, in its own order."""
    found = read_results(folder, kinds=[kind])
    return [ResultRow(row, f"{kind} {folder.name}, sha256 {found.sha256[:12]}") for row in found.rows]


def measured_rows(asked: Comparison) -> list[Row]:
    """Rows of evaluations and audits."""
    made = []
    for kind in ("evaluation", "audit"):
        columns = [
            {
                f.key: f
                for folder in (s.evaluations if kind == "evaluation" else s.audits)
                for f in reversed(results(folder, kind))
            }
            for s in asked.systems
        ]
        rows = [(key, [c.get(key) for c in columns]) for key in _keys(columns, asked.measures)]
        made += [_measured_row(key, kind, found) for key, found in rows if not _nobody_asked(found)]
    ids = {row.id.partition(" ")[0] for row in made}
    if missing := [m for m in asked.measures if m not in ids]:
        raise ConfigError(f"`{asked.file.name}`: no artifact has the measure `{missing[0]}`")
    return made


def _nobody_asked(found: Sequence[ResultRow | None]) -> bool:
    """Whether all that is known of a row is that the audits left it out: then it is no row."""
    left = str(sentence("audit.left_out"))
    return all(f is None or (f.row.get("score") is None and str(f.row.get("why")) == left) for f in found)


def _keys(columns: Sequence[Mapping[tuple[str, str], ResultRow]], wanted: Sequence[str]) -> list[tuple[str, str]]:
    """The measures that become rows: those asked for, or the first of each task (and form) in the artifacts."""
    keys: dict[tuple[str, str], None] = {}
    heads: dict[tuple[str, str], tuple[str, str]] = {}
    for column in columns:
        for key, found in reversed(list(column.items())):  # they were put in backwards: the first of a name stays
            if wanted:
                if key[0] in wanted:
                    keys.setdefault(key)
            elif heads.setdefault((str(found.row["task"]), key[1]), key) == key:
                keys.setdefault(key)
    return list(keys)


def _measured_row(key: tuple[str, str], kind: str, found: Sequence[ResultRow | None]) -> Row:
    some = next(f.row for f in found if f is not None)
    requirement = str(some.get("requirement", ""))
    group = (
        "quality"
        if kind == "evaluation"
        else ("law" if requirement in OF_LAW else "energy" if requirement in OF_ENERGY else "security")
    )
    id, form = key
    named = f"{id} ({form})" if form else id
    words = f"compare.task {some['task']}"
    label = sentence("compare.labelled", what=sentence(words), named=named) if has(words) else named
    bits = some["task"] == "bpb"
    known = f"compare.measure {id}"
    return Row(
        id=f"{id} {form}".strip(),
        group=group,
        scale=scale_of(some),
        label=sentence("compare.bits_per_byte", source=str(some.get("source")))
        if bits
        else sentence(known)
        if has(known)
        else label,
        unit="bits" if bits else str(some.get("unit", "share")).partition(" of ")[0],
        cells=tuple(_measured_cell(f) for f in found),
        why_unranked=_mismatch([f.row for f in found if f is not None]),
        note=some.get("caveat") or "",
    )


def scale_of(row: Mapping[str, Any]) -> Scale:
    """How a measure becomes a utility, from its unit and from which way it is good."""
    unit, better = str(row.get("unit", "share")), row.get("better", "lower" if row["task"] == "bpb" else "higher")
    if row["task"] == "bpb":
        unit = "bits"
    unit = "share" if unit.startswith("share ") else unit  # "share of trials passed"
    if better == "higher":
        return "share" if unit in SHARES else "percent" if unit == "percent" else "high"
    if better == "lower":
        return "share_low" if unit in SHARES else "low"
    scales: dict[str, Scale] = {"zero": "zero", "fifty": "fifty"}
    return scales.get(str(better), "")


def _mismatch(rows: Sequence[Mapping[str, Any]]) -> str:
    """Why the systems' scores cannot be held against each other, or nothing."""
    for key, what in (
        ("data_sha256", "data"),
        ("file_sha256", "data"),
        ("prompt_sha256", "prompts"),
        ("denominator", "samples"),
    ):
        if len({str(r[key]) for r in rows if r.get(key) and r.get("status", "measured") == "measured"}) > 1:
            return sentence(f"compare.different_{what}")
    return ""


def _measured_cell(found: ResultRow | None) -> Cell:
    if found is None:
        return unknown(sentence("compare.not_measured"))
    row = found.row
    status = row.get("status", "measured")
    if row.get("score") is None or status not in ("measured", "reported"):
        words = sentence(f"compare.status_{'not_tested' if status in ('measured', 'reported') else status}")
        return Cell(kind="unknown", words=words, note=row.get("why") or "", source=found.source)
    low, high = row.get("interval") or (None, None)
    lost = [sentence(f"compare.lost_{k}", n=row[k]) for k in ("failed", "unextracted") if row.get(k)]
    cell = Cell(
        kind="measured",
        value=float(row["score"]),
        low=low,
        high=high,
        n=int(row.get("n") or 0),
        source=found.source,
        date=str(row.get("date", "")),
        note=joined(*lost, row.get("caveat") or ""),
    )
    if status == "reported":
        return replace(
            cell, kind="reported", source=f"{found.source}: {row.get('why', '')}", date=cell.date or "no date given"
        )
    if row.get("counter") is False or row.get("unit") == "FLOP":
        # No instrument was read: rated power and time, or arithmetic on the model's shape.
        how = row.get("method") or sentence("compare.by_arithmetic")
        low, high = row.get("range") or (low, high)  # of assumptions: the note says so
        return replace(cell, kind="estimated", low=low, high=high, note=joined(*lost, row.get("caveat") or "", how))
    return cell


def published_rows(systems: Sequence[AskedSystem]) -> list[Row]:
    """What others published of the systems that say `reported`; none where no system does."""
    if not any(s.reported for s in systems):
        return []
    rows: dict[str, Row] = {}
    for bench in book()["benchmark"]:
        source = book()["source"][bench["source"]]
        cells = tuple(_published_cell(s, bench["scores"], source) for s in systems)
        if before := rows.get(bench["id"]):
            cells = tuple(new if new.value is not None else old for new, old in zip(cells, before.cells, strict=True))
        base = sentence("compare.base_model") if bench.get("base") else ""
        label = Text(bench["label"], bench.get("label_fr", bench["label"]))
        rows[bench["id"]] = Row(
            id=f"published.{bench['id']}",
            group="published",
            label=label,
            scale="percent",
            unit="percent",
            cells=cells,
            why_unranked=base,
        )
    return [r for r in rows.values() if any(c.value is not None for c in r.cells)]


def _published_cell(system: AskedSystem, scores: Mapping[str, float], source: Mapping[str, str]) -> Cell:
    if not system.reported:
        return unknown(sentence("compare.nothing_published"))
    if system.reported not in scores:
        why = book()["system"][system.reported].get("scores_why")
        cell = unknown(sentence("compare.not_published"))
        return replace(cell, note=Text(**why)) if why else cell
    return Cell(
        kind="reported",
        value=scores[system.reported],
        source=f"{source['title']}: {source['url']}",
        date=f"read by {book()['read']}",
        note=system.note,
    )


def declared_rows(systems: Sequence[AskedSystem]) -> list[Row]:
    """Criteria that somebody says something about, and those of the scale that nobody does: both are shown."""
    words, known = criteria()
    rows = []
    for one in known:
        facts = [s.declared.get(one.id) for s in systems]
        in_words = any(f is not None and f.value in words for f in facts) or all(f is None for f in facts)
        rows.append(
            Row(
                id=one.id,
                group=one.group,
                label=one.label,
                scale="points" if in_words else "",
                unit="points" if in_words else "words",
                cells=tuple(_declared_cell(f, words) for f in facts),
            )
        )
    return rows


def _declared_cell(fact: Declared | None, words: Mapping[str, tuple[Text, float]]) -> Cell:
    if fact is None:
        return unknown(sentence("compare.nobody_said"))
    note = Text(fact.note, fact.note_fr) if fact.note_fr else fact.note
    said: dict[str, Any] = {"source": fact.source, "date": fact.date, "note": note}
    if fact.value == "unknown":  # somebody looked, and found no answer
        return replace(unknown(sentence("compare.no_answer_found")), **said)
    text, points = words.get(fact.value, (Text(fact.value, fact.fr or fact.value), None))
    points = points if fact.own else None
    return Cell(kind="declared", value=points, words=text, **said)
