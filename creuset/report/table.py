"""Measures as a table with a plot in it: one axis a unit, intervals as bands, chance as a line. No torch."""

from collections.abc import Mapping, Sequence
from typing import Any

from creuset.core.sentences import keyed, sentence
from creuset.report import chart
from creuset.report.blocks import Block, Column, FactList, Grid, GridCell, Line, Para, Said, Span, line
from creuset.report.language import score
from creuset.types.measure import Measure

Row = Mapping[str, Any]
STATUS = {
    "measured": sentence("report.measured"),
    "partly": sentence("report.in_part"),
    "reported": sentence("report.reported_by_others"),
    "not_applicable": sentence("report.not_applicable"),
    "not_testable": sentence("report.not_testable_from_outside"),
    "not_tested": sentence("report.not_tested"),
}
GOOD = {
    "higher": sentence("report.higher_is_better"),
    "lower": sentence("report.lower_is_better"),
    "zero": sentence("report.0_is_ideal"),
    "fifty": sentence("report.50_is_ideal"),
}
_FIELDS = {
    "interval_by": sentence("report.field_interval_by"),
    "form": sentence("report.field_form"),
    "extractor": sentence("report.field_extractor"),
    "chance": sentence("report.field_chance"),
    "verdict": sentence("report.field_verdict"),
    "caveat": sentence("report.field_caveat"),
    "articles": sentence("report.field_articles"),
    "data": sentence("report.field_data"),
    "data_sha256": sentence("report.field_data_sha256"),
    "prompt_sha256": sentence("report.field_prompt_sha256"),
    "licence": sentence("report.field_licence"),
    "seed": sentence("report.field_seed"),
    "date": sentence("report.field_date"),
    "judge": sentence("report.field_judge"),
    "judge_models": sentence("report.field_judge_models"),
    "judge_at": sentence("report.field_judge_at"),
    "judge_temperature": sentence("report.field_judge_temperature"),
    "judge_prompt_sha256": sentence("report.field_judge_prompt_sha256"),
    "judge_calls": sentence("report.field_judge_calls"),
    "judge_failed": sentence("report.field_judge_failed"),
    "unread": sentence("report.field_unread"),
    "judge_cost": sentence("report.field_judge_cost"),
    "by_rule": sentence("report.field_by_rule"),
    "rule_then_judge": sentence("report.field_rule_then_judge"),
    "differ": sentence("report.field_differ"),
    "range": sentence("report.field_range"),
}
_WORDS = {"interval_by", "caveat", "verdict"}  # prose: what has no French is quoted as English
_SHOWN = {"task", "metric", "score", "interval", "unit", "better", "n", "denominator", "failed", "unextracted",
          "status", "why", "requirement", "rule_rates", *_FIELDS}  # fmt: skip


def tag(status: str) -> Span:
    """The state of a figure or a requirement, in a frame."""
    return Span(STATUS.get(status, status), tone=f"tag {status}" if status in STATUS else "tag")


def number(value: object) -> str:
    """A score as people read it: four significant digits, thousands apart; JSON has the rest."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}".replace(",", "\u202f") if isinstance(value, int) else score(value)


def tick(value: float) -> str:
    return f"{value:.3g}"


def interval_text(row: Row) -> str:
    found = row.get("interval")
    return f"[{number(found[0])}, {number(found[1])}]" if found else ""


def _says_why(row: Row) -> bool:
    """Whether a figure that has no interval says why."""
    return bool(_real(row.get("score")) and not row.get("interval") and row.get("interval_by"))


def axis(rows: Sequence[Row]) -> tuple[float, float] | None:
    """The ends that the bars of `rows` share: those of the unit where it has ends, else of what is drawn."""
    ends = [float(v) for row in rows for v in (row.get("score"), *(row.get("interval") or ())) if _real(v)]
    if not ends:
        return None
    low, high = min(ends), max(ends)
    units = {row.get("unit", "share") for row in rows if _real(row.get("score"))}
    if units == {"percent"} and low >= 0 and high <= 100:
        return 0.0, 100.0
    if units == {"share"} and low >= -1 and high <= 1:
        return (0.0, 1.0) if low >= 0 else (-1.0, 1.0)
    low = min(low, 0.0)
    return (low, high if high > low else low + 1.0)


def figure(value: float, tone: str = "") -> GridCell:
    """A number in a table that is sorted by it."""
    return GridCell(Span(number(value), tone=tone), value)


def bar(row: Row, ends: tuple[float, float]) -> Span:
    """The interval as a band, the score as a dot, chance or the ideal as a line; nothing for no score."""
    score = row.get("score")
    if not isinstance(score, int | float) or isinstance(score, bool):
        return Span("")
    said = f"{number(score)} {interval_text(row)}".strip()
    ideal = {"zero": 0.0, "fifty": 50.0}.get(str(row.get("better")), row.get("chance"))
    return Span("", picture=chart.interval(score, row.get("interval"), ends, ideal, said))


def scale(ends: tuple[float, float], unit: str) -> Line:
    """What stands above the bars of a table."""
    return line(tick(ends[0]), " ", Span(unit.replace(" ", "\u00a0"), tone="unit"), " ", tick(ends[1]))


def measure_table(rows: Sequence[Row], *, task: bool = True) -> list[Block]:
    """A sortable table for each unit; a row opens on all that is known of it. `task`: with the column of that name,
    which a table of one task alone does not need. Below stands how often the rules err that gave the figures."""
    groups: dict[tuple[str, bool], list[Row]] = {}
    for row in rows:
        scored = _real(row.get("score"))
        groups.setdefault((str(row.get("unit", "share")) if scored else "", _signed(row)), []).append(row)
    ordered = sorted(groups.items(), key=lambda item: item[0][0] == "")  # what has no score comes last
    return [*(_table(group, unit, task=task) for (unit, _), group in ordered), *rule_notes(rows)]


def rule_notes(rows: Sequence[Row]) -> list[Block]:
    """What a judging rule misses and what it sees wrongly, once for each note: no figure of a rule stands without."""
    judged = [row for row in rows if row.get("rule_rates") and _real(row.get("score")) and row.get("caveat")]
    return [Para((Span(keyed(row["caveat"])),), "soft") for row in {str(r["caveat"]): r for r in judged}.values()]


def _signed(row: Row) -> bool:
    """Shares below zero (bias scores) have an axis of their own."""
    found = [row.get("score"), *(row.get("interval") or ())]
    return any(isinstance(v, int | float) and v < 0 for v in found) or row.get("better") == "zero"


def _table(rows: Sequence[Row], unit: str, *, task: bool) -> Grid:
    ends = axis(rows)
    head = (
        *([Column(sentence("report.task_2"), "name", sort=True)] if task else []),
        Column(sentence("report.metric"), "name", sort=True),
        Column("score", "n score", sort=True),
        Column(sentence("report.95_interval"), "n m interval"),
        Column(sentence("report.status"), "bar", title_line=scale(ends, unit) if ends else ()),
        Column("n", "n m count", sort=True),
        Column(sentence("report.failed_2"), "n m few", sort=True),
        Column(sentence("report.not_extracted"), "n m few", sort=True),
    )
    return Grid(
        head,
        tuple(_cells(row, ends, task=task) for row in rows),
        more=tuple((_more(row),) for row in rows),
        kind="measures" if task else "measures one",
    )


def _cells(row: Row, ends: tuple[float, float] | None, *, task: bool) -> tuple[Said | GridCell, ...]:
    scored, status = _real(row.get("score")), str(row.get("status", "measured"))
    n, asked = row.get("n") or 0, row.get("denominator") or row.get("n") or 0
    return (
        *([Span(str(row["task"]), name=True)] if task else []),
        Span(str(row["metric"]), name=True),
        figure(row["score"]) if scored else "",
        interval_text(row) or (Span(keyed(str(row["interval_by"])), tone="soft") if _says_why(row) else ""),
        line(bar(row, ends) if ends and scored else "", tag(status) if status != "measured" else ""),
        GridCell(f"{number(n)} / {number(asked)}" if asked != n else number(n), n),
        *(figure(row.get(key) or 0, "bad" if row.get(key) else "soft") for key in ("failed", "unextracted")),
    )


def _more(row: Row) -> FactList:
    facts: list[tuple[Said, Said]] = []
    if why := row.get("why"):
        facts.append((sentence("report.why"), keyed(str(why))))
    if row.get("better") in GOOD and _real(row.get("score")):
        facts.append((sentence("report.to_read"), GOOD[row["better"]]))
    if interval := interval_text(row):
        facts.append((sentence("report.95_interval"), interval))
    n = row.get("n") or 0
    facts.append(("n", line(number(n), sentence("report.scored_of"), number(row.get("denominator") or n))))
    for key, words in (("failed", sentence("report.failed_2")), ("unextracted", sentence("report.not_extracted"))):
        facts.append((words, number(row.get(key) or 0)))
    for name, words in _FIELDS.items():
        value = row.get(name)
        if value not in (None, "", [], (), {}):
            said = ", ".join(map(number, value)) if isinstance(value, list | tuple) else number(value)
            said = _brief(value) if isinstance(value, dict) else keyed(said) if name in _WORDS else said
            facts.append((words, str(value) if name == "seed" else said))  # a seed is no quantity
    facts += [
        (Span(name, name=True), _brief(row[name]))
        for name in sorted(set(row) - _SHOWN)
        if row[name] not in (None, "", [], {})
    ]
    return FactList(tuple(facts))


def _brief(value: object) -> str:
    """What a task added: short things whole, long ones cut; results.json has them."""
    said = number(value) if not isinstance(value, dict) else ", ".join(f"{k}: {number(v)}" for k, v in value.items())
    return said if len(said) <= 600 else said[:600] + " ..."


def _real(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def csv_fields() -> list[str]:
    """Columns of results.csv: a measure's fields, the interval as two."""
    names = [name for name in Measure.__dataclass_fields__ if name not in ("extra", "interval")]
    at = names.index("score") + 1
    return [*names[:at], "low", "high", *names[at:]]
