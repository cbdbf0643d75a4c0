"""One audit: the parts that can be run are run, and what cannot be said has a row that says why. No torch here.

Reading order: `audit` (all parts), `_one` (a part), `_barred` (why a part cannot be run), `keep` (the artifact).

Everything that is asked is journaled in the work folder, sample by sample; a check keeps what it found there as a
whole. An audit that was cut off goes on where it stopped when the same command is given again.
"""

import importlib
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from creuset.benchmarks.part import Found, Room
from creuset.core.artifact import sha256_json
from creuset.core.errors import ConfigError, DataError
from creuset.core.sentences import from_json, joined, sentence, to_json
from creuset.core.stats import Interval
from creuset.evals.model import ModelClient, NotTestable, Usage
from creuset.evals.prices import Price
from creuset.evals.runner import PlaySettings, play
from creuset.evals.task import Row, Task
from creuset.evals.usage import total_usage
from creuset.governance.audit.items import PARTS, REQUIREMENTS, AuditPart, Requirement, chosen, parts_of
from creuset.types.measure import Measure, Status

ItemStatus = Status | Literal["partly"]  # partly: some parts of the requirement ran, others did not
STATUSES: tuple[Status, ...] = ("measured", "reported", "not_testable", "not_tested", "not_applicable")
OUTSIDE = {
    "weights": sentence("audit.needs_weights"),
    "loglikelihood": sentence("audit.needs_loglikelihood"),
    "completion": sentence("audit.needs_completion"),
    "chat": sentence("audit.needs_chat"),
}
_FIELDS = tuple(f for f in Measure.__dataclass_fields__ if f != "extra")


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditPlan:
    """What to audit, and with what."""

    items: tuple[str, ...] = ()  # names or numbers of requirements, names of parts; (): everything
    bench: Path | None = None
    given: Mapping[str, Path] = field(default_factory=dict)
    limit: int | None = None  # first samples of each task
    harmful: bool = False
    seed: int = 1234
    retry_failed: bool = False

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit must be positive, got {self.limit}")
        if self.bench is not None and not self.bench.is_dir():
            raise ValueError(f"`{self.bench}` is not a folder")


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What one part came to."""

    row: str
    part: str
    measures: list[Measure]
    samples: list[Row] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    trouble: str = ""  # a damaged file, a check that failed: the audit went on without it
    left_out: bool = False  # nobody asked for it in this audit


async def audit(
    subject: ModelClient,
    asked: AuditPlan,
    *,
    work: Path,
    model: Path | None = None,
    endpoint: str = "",
    key: str = "",
    judge: ModelClient | None = None,
    paraphraser: ModelClient | None = None,
    price: Price | None = None,
    judge_price: Price | None = None,
    say: Callable[[str], None] = lambda text: None,
    now: Callable[[], float] = time.time,
) -> list[Result]:
    """Every part of the table, in its order: those chosen are run, the others have a row that says that they were not.

    Raises what stops a run: an endpoint that is gone, a full disk.
    """
    date = datetime.fromtimestamp(now(), UTC).isoformat(timespec="seconds")
    room = Room(
        subject=subject,
        model=model,
        work=work,
        bench=asked.bench,
        given=asked.given,
        limit=asked.limit,
        seed=asked.seed,
        date=date,
        endpoint=endpoint,
        key=key,
        say=say,
        paraphraser=paraphraser,
    )
    results = []
    wanted = {part.name for row in chosen(asked.items) for part in parts_of(row, asked.items)}
    for row, requirement in REQUIREMENTS.items():
        parts = [part for part in PARTS if part.row == row]
        if not parts:
            why = requirement.untested or sentence("audit.no_test")
            results.append(Result(row=row, part=requirement.name, measures=[
                _nothing(requirement.name, row, requirement, "not_tested", why, date)
            ]))  # fmt: skip
        for part in parts:
            if part.name not in wanted:
                why = sentence("audit.left_out")
                results.append(Result(row=row, part=part.name, left_out=True, measures=[
                    _nothing(part.name, row, requirement, "not_tested", why, date)
                ]))  # fmt: skip
                continue
            say(f"{row}. {requirement.title['en']}: {part.name}")
            results.append(await _one(part, requirement, asked, room, judge, (price, judge_price)))
    return results


async def _one(
    part: AuditPart,
    requirement: Requirement,
    asked: AuditPlan,
    room: Room,
    judge: ModelClient | None,
    prices: tuple[Price | None, Price | None],
) -> Result:
    task = _task(part, room.subject, judge)
    if barred := _barred(part, task, asked, room):
        return Result(row=part.row, part=part.name, measures=[
            _nothing(part.name, part.row, requirement, *barred, room.date)
        ])  # fmt: skip
    try:
        if task is not None:
            playing = PlaySettings(
                limit=asked.limit,
                seed=asked.seed,
                harmful=asked.harmful,
                retry_failed=asked.retry_failed,
                price=prices[0],
                judge_price=prices[1],
            )
            journal = room.work / "journal" / f"{part.name}.jsonl"
            played = await play(task, room.subject, asked.bench or Path(), journal=journal, playing=playing)
            found, usage = Found(played.measures, played.rows), played.usage
        else:
            found, usage = await _checked(part, room), Usage()
    except NotTestable as refused:
        return Result(row=part.row, part=part.name, measures=[
            _nothing(part.name, part.row, requirement, "not_testable", str(refused), room.date)
        ])  # fmt: skip
    except (DataError, ConfigError) as error:
        room.say(f"{part.name}: {error}")
        return Result(row=part.row, part=part.name, trouble=str(error), measures=[
            _nothing(part.name, part.row, requirement, "not_tested", str(error), room.date)
        ])  # fmt: skip
    measures = [_placed(m, part, requirement, room) for m in found.measures]
    return Result(row=part.row, part=part.name, measures=measures, samples=found.evidence, usage=usage)


def _task(part: AuditPart, subject: ModelClient, judge: ModelClient | None) -> Task | None:
    """The part's task in the first form that the subject can answer."""
    made = [placed(place)() for place in (part.task, part.otherwise) if place]
    if not made:
        return None
    task: Task = next((t for t in made if t.needs <= subject.abilities), made[0])
    if judge is not None and part.judged:
        task.judge = judge
    return task


def placed(place: str) -> Any:
    """The task class or the check at `place`, "module:name" below creuset/benchmarks."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(f"creuset.benchmarks.{module}"), name)


def _barred(part: AuditPart, task: Task | None, asked: AuditPlan, room: Room) -> tuple[Status, str] | None:
    """Why the part cannot be run, if it cannot."""
    needs = part.needs | (task.needs if task else frozenset())
    if missing := sorted(needs - room.subject.abilities):
        own = room.subject.why_not
        return "not_testable", joined(*(own.get(name) or OUTSIDE[name] for name in missing))
    if task is not None and task.harmful and not asked.harmful:
        return "not_tested", sentence("audit.harmful")
    lacking = [sentence("audit.given", name=name, what=what)
               for name, what in part.material.items() if name not in asked.given]  # fmt: skip
    if lacking:
        return "not_tested", sentence("audit.no_material", given=lacking)
    if absent := [str(asked.given[name]) for name in part.material if not asked.given[name].exists()]:
        return "not_tested", sentence("audit.material_absent", paths=", ".join(absent))
    files = task.files if task else ()
    if files and asked.bench is None:
        return "not_tested", sentence("audit.no_data")
    if asked.bench is not None and (gone := [f for f in files if not any(asked.bench.glob(f))]):
        return "not_tested", (
            sentence("audit.files_absent", file=gone[0], number=len(gone) - 1)
            if len(gone) > 1
            else sentence("audit.file_absent", file=gone[0])
        )
    return None


async def _checked(part: AuditPart, room: Room) -> Found:
    """What the check found, or what it found before under the same circumstances."""
    head = sha256_json({
        "part": part.name, "subject": room.subject.identity(), "limit": room.limit, "seed": room.seed,
        "given": {n: str(p) for n, p in room.given.items()}, "bench": str(room.bench),
    })  # fmt: skip
    file = room.work / "checks" / f"{part.name}.json"
    try:
        kept = from_json(json.loads(file.read_text(encoding="utf-8")))
        if kept["head"] == head:
            return Found([measure_of(row) for row in kept["measures"]], kept["evidence"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # absent, torn or of another form: it is made anew
    found: Found = await placed(part.check)(room)
    file.parent.mkdir(parents=True, exist_ok=True)
    said = {"head": head, "measures": [m.row() for m in found.measures], "evidence": found.evidence}
    scratch = file.with_suffix(".partial")
    scratch.write_text(json.dumps(to_json(said), ensure_ascii=False), encoding="utf-8")
    scratch.replace(file)
    return found


def measure_of(row: Mapping[str, Any]) -> Measure:
    """The measure that `Measure.row` wrote; what is not a field of it is `extra`."""
    known = {name: row[name] for name in _FIELDS if name in row}
    known["interval"] = Interval(*row["interval"]) if row.get("interval") else None
    known["articles"] = tuple(row.get("articles") or ())
    return Measure(**known, extra={k: v for k, v in row.items() if k not in _FIELDS})


def _placed(measure: Measure, part: AuditPart, requirement: Requirement, room: Room) -> Measure:
    few = sentence("audit.limited", limit=room.limit) if part.limited and room.limit is not None else ""
    return replace(
        measure.settled(),
        caveat=joined(few, measure.caveat) if measure.score is not None else measure.caveat,
        requirement=part.row,
        articles=measure.articles or requirement.articles,
        date=measure.date or room.date,
    )


def _nothing(task: str, row: str, requirement: Requirement, status: Status, why: str, date: str) -> Measure:
    return Measure(
        task=task, metric="score", status=status, why=why, requirement=row, articles=requirement.articles, date=date
    )


def item_rows(results: Sequence[Result]) -> list[dict[str, Any]]:
    """items.json: each requirement with its words, what its parts came to, and counts by status. No grade.

    All requirements have a row, those that `results` says nothing of too.
    """
    rows = []
    for row, requirement in REQUIREMENTS.items():
        mine = [r for r in results if r.row == row]
        rows.append({
            "row": row, **asdict(requirement), "articles": list(requirement.articles),
            "status": item_status([status_of(r.measures) for r in mine]),
            "parts": [
                {
                    "name": r.part, "status": status_of(r.measures), "trouble": r.trouble,
                    "why": next((m.why for m in r.measures if m.why), ""),
                    "counts": {s: n for s in STATUSES if (n := sum(m.status == s for m in r.measures))},
                    "samples": f"samples/{r.part}.jsonl" if r.samples else "",
                }
                for r in mine
            ],
        })  # fmt: skip
    return rows


def status_of(measures: Iterable[Measure]) -> Status:
    """The most telling status among them: measured, where anything was."""
    have = {m.status for m in measures}
    return next(s for s in STATUSES if s in have)


def item_status(parts: Sequence[Status]) -> ItemStatus:
    """Of a requirement: that of its parts; in part, where some gave figures and others did not run."""
    telling: list[Status] = [status for status in parts if status != "not_applicable"] or list(parts)
    have = {status in ("measured", "reported") for status in telling}
    if len(have) == 2:
        return "partly"
    return next((s for s in STATUSES if s in telling), "not_tested")


def spent(results: Sequence[Result]) -> Usage:
    return total_usage([r.usage for r in results])
