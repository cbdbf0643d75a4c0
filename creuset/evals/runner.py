"""Tasks played with a subject: asked, journaled, counted, scored. No torch.

Reading order: `play` (one task), `_ask` (the samples not yet answered), `_scored` (rows and measures).

A sample is answered once: its outcomes go to the journal (journal.py) as soon as they are there, and a run started
again asks what is missing. Failed calls stay in the denominator; `retry_failed` asks them again. When nothing but
the same refusal comes back (the endpoint is gone, the key is refused) the run stops with one error and what failed
last is not journaled, so that the next run asks it again. `rescore` asks nobody.

A row of NAME.jsonl has `id`, `cluster`, what was asked (`prompt`, a text or messages, and `choices`; or `pairs`,
`prompts` where there are several), what `Task.score` said (`correct`, `answer`, `gold`, `extracted`, `failed` ...) and
`outcomes`. Of tasks whose prompts are harmful, neither questions nor answers are written there.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from creuset.core.artifact import sha256_file, sha256_json
from creuset.core.errors import ConfigError, CreusetError, DataError
from creuset.core.log import Progress, duration
from creuset.core.sentences import joined, sentence
from creuset.evals.journal import Entry, Journal, asked_hash, outcome_json, read
from creuset.evals.model import Failure, ModelClient, NotTestable, Outcome, Reply, Usage
from creuset.evals.prices import Price
from creuset.evals.task import Row, Sample, Task
from creuset.evals.usage import cost_of, said_of, usage_of
from creuset.types.measure import Measure, Status

# Failures that are about the endpoint and not the sample; a run that ends in such a one is not at its end.
GONE = ("connection", "refused_401", "refused_404", "quota")
# Those that may be about the sample: only a row of them says that it is the endpoint.
FATAL = (*GONE, "disconnected", "timeout", "refused_403")
ROW_AT_END = 3  # connections closed for so many samples at the end of a run: it is not at its end
# Those of an endpoint that never answered rightly; after one right answer they are about the sample.
UNUSABLE = ("broken_json", "truncated", "stream_error", "no_logprobs", "http_")
PATIENCE = 10  # samples failing so, one after the other, at least


class Stopped(CreusetError):
    """The run cannot go on and can be resumed: the endpoint is gone or refuses, or the price cap is reached."""

    exit_code = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class PlaySettings:
    """How to play, whatever the task."""

    limit: int | None = None  # first samples
    seed: int = 1234  # of few-shot examples and whatever a task draws; kept with each measure
    width: int = 0  # samples in play; 0: what suits the subject
    retry_failed: bool = False  # ask again what failed in an earlier run
    rescore: bool = False  # ask nobody: score what the journal holds
    harmful: bool = False  # allow tasks whose prompts are harmful
    price: Price | None = None
    judge_price: Price | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskResult:
    """What came out of one task."""

    task: str
    measures: list[Measure]
    rows: list[Row] = field(default_factory=list)  # of NAME.jsonl
    usage: Usage = field(default_factory=Usage)
    asked: int = 0  # samples with an answer or a failure
    samples: int = 0  # of the task, within the limit


async def play(
    task: Task,
    subject: ModelClient,
    folder: Path,
    *,
    journal: Path | None = None,
    playing: PlaySettings | None = None,
    clock: Callable[[], float] = time.monotonic,
    now: Callable[[], float] = time.time,
) -> TaskResult:
    """Play `task` on the files in `folder`; `journal` is where answers are kept, None keeps them in memory only.

    Raises DataError (a bad file), Stopped, DiskFull, ConfigError (a journal of something else). What the subject is
    not able to answer is a measure that says so.
    """
    playing = playing or PlaySettings()
    if task.harmful and not playing.harmful:
        return _not_measured(task, "not_tested", sentence("evals.harmful"))
    if (missing := task.needs - subject.abilities) and not playing.rescore:
        return _not_measured(task, "not_testable", _why_not(subject, missing))
    samples = read_samples(task, folder, playing.limit)
    data_sha256 = data_hash(task, folder, samples)
    head = {
        "task": task.name,
        "version": task.version,
        "form": task.form,
        "data_sha256": data_sha256,
        "subject": subject.identity(),
        "seed": playing.seed,
        **task.settings(),
    }
    if playing.rescore and (journal is None or not journal.is_file()):
        raise ConfigError(f"`{journal}` does not exist: there is nothing to score again")
    if judge := _judge(task, journal if playing.rescore else None):
        task.judged_by = head["judge"] = judge
    with Journal(journal, head) as kept:
        if not playing.rescore:
            try:
                await _ask(task, subject, samples, kept, playing, clock)
            except NotTestable as refused:
                return _not_measured(task, "not_testable", str(refused))
        answered = [(s, entry) for s in samples if (entry := kept.known(s)) is not None]
    if not answered:
        raise ConfigError(f"`{journal}` holds no answer to a sample of {task.name}")
    about = {
        "prompt_sha256": sha256_json([asked_hash(s) for s, _ in answered]),
        "data_sha256": data_sha256,
        "data": ", ".join(task.files),
        "licence": task.licence,
        "seed": playing.seed,
        "form": task.form,
        "date": datetime.fromtimestamp(now(), UTC).isoformat(timespec="seconds"),
    }
    measures, rows = _scored(task, answered, about)
    if lost := _all_failed(answered):
        measures = [replace(m, status="not_tested", why=lost, score=None, interval=None) for m in measures]
    usage = usage_of((o for _, entry in answered for o in entry.outcomes), playing.price, playing.judge_price)
    if task.harmful:
        usage = replace(usage, examples={})  # an endpoint's words may hold a prompt
    measures = [_with_cost(measure, usage.judge) for measure in measures]
    if len(answered) < len(samples) or _cut(task, folder, playing.limit):
        part = sentence("evals.first_only", n=len(answered))
        measures = [replace(m, caveat=joined(part, m.caveat)) if m.score is not None else m for m in measures]
    return TaskResult(
        task=task.name, measures=measures, rows=rows, usage=usage, asked=len(answered), samples=len(samples)
    )


def _all_failed(answered: Sequence[tuple[Sample, Entry]]) -> str:
    """Why there is no score, where no call of any sample succeeded; else ""."""
    reasons: Counter[str] = Counter()
    for _, entry in answered:
        if not entry.outcomes or not all(isinstance(o, Failure) for o in entry.outcomes):
            return ""
        reasons.update(o.reason for o in entry.outcomes if isinstance(o, Failure) and o.attempts)
    counted = [sentence("evals.counted", n=count, what=reason) for reason, count in reasons.most_common()]
    return sentence("evals.all_failed", counted=counted)


def _judge(task: Task, scored_again: Path | None) -> dict[str, Any]:
    """Who judges, where the task is judged; of what is scored again, who judged it."""
    if scored_again is not None:
        found = read(scored_again)
        return dict(found[0].get("judge") or {}) if found else {}
    return task.judge.identity() if task.judge is not None else {}


def read_samples(task: Task, folder: Path, limit: int | None) -> list[Sample]:
    """The first `limit` samples; DataError where there is none, or two of one id."""
    samples = list(islice(task.samples(folder), limit))
    if not samples:
        raise DataError(f"`{folder}` has no sample of {task.name}")
    twice = [id for id, count in Counter(s.id for s in samples).items() if count > 1]
    if twice:
        raise DataError(f"`{folder}`: {task.name} has the sample `{twice[0]}` twice")
    return samples


def _cut(task: Task, folder: Path, limit: int | None) -> bool:
    """Whether the task has more samples than the limit let through."""
    return limit is not None and next(islice(task.samples(folder), limit, None), None) is not None


def data_hash(task: Task, folder: Path, samples: Sequence[Sample]) -> str:
    """sha256 of the task's one file; of names and hashes of several; of the samples where data is in the package."""
    found: list[Path] = []
    for name in task.files if folder.is_dir() else ():
        part = folder / name
        found += sorted(p for p in part.rglob("*") if p.is_file()) if part.is_dir() else sorted(folder.glob(name))
    if folder.is_file():
        found = [folder]
    if len(found) == 1:
        return sha256_file(found[0])
    if found:
        return sha256_json({p.relative_to(folder).as_posix(): sha256_file(p) for p in found})
    return sha256_json([[s.id, asked_hash(s), s.gold] for s in samples])


async def _ask(
    task: Task,
    subject: ModelClient,
    samples: Sequence[Sample],
    journal: Journal,
    playing: PlaySettings,
    clock: Callable[[], float],
) -> None:
    waiting = []
    for sample in samples:
        entry = journal.known(sample)
        if entry is None or (playing.retry_failed and entry.failed):
            waiting.append(sample)
    width = playing.width or subject.width
    watch = _Watch(task.name, len(samples), len(samples) - len(waiting), journal, playing, clock, width=width)
    left = iter(waiting)
    works = any(not entry.failed for entry in journal.entries.values())
    failing: list[tuple[Sample, list[Outcome]]] = []  # a row of fatal failures: not yet believed

    async def worker() -> None:
        nonlocal works
        for sample in left:
            outcomes = await task.play(sample, subject)
            reasons = {o.reason: o for o in outcomes if isinstance(o, Failure)}
            if "price_cap" in reasons:
                raise Stopped(f"{task.name}: {reasons['price_cap'].detail}", hint="give a higher --price-cap to go on")
            works = works or not reasons
            if any(reason in FATAL or (not works and reason.startswith(UNUSABLE)) for reason in reasons):
                failing.append((sample, outcomes))
                if len(failing) >= max(PATIENCE, 2 * width):
                    raise _gone(task, failing)
                continue
            for one in (*failing, (sample, outcomes)):
                journal.write(*one)
                watch.count(one[1])
            failing.clear()

    workers = [asyncio.create_task(worker()) for _ in range(min(width, len(waiting)))]
    try:
        await asyncio.gather(*workers)
    finally:
        for running in workers:
            running.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    last = [{o.reason for o in outcomes if isinstance(o, Failure)} for _, outcomes in failing]
    if any(reasons & set(GONE) for reasons in last) or sum("disconnected" in r for r in last) >= ROW_AT_END:
        raise _gone(task, failing)
    for one in failing:
        journal.write(*one)
        watch.count(one[1])


def _gone(task: Task, failing: Sequence[tuple[Sample, list[Outcome]]]) -> Stopped:
    last = next(o for o in failing[-1][1] if isinstance(o, Failure))
    what = "check the key (--key-env), then " if last.reason in ("refused_401", "refused_403") else ""
    what = "check the URL and --model, then " if last.reason == "refused_404" else what
    return Stopped(
        f"{task.name}: nothing but failures for {len(failing)} samples: {said_of(last.reason)} ({last.detail})",
        hint=f"what was answered before is kept: {what}run the same command again",
    )


class _Watch:
    """The line on stderr: how far, how fast, how long, how much."""

    def __init__(
        self,
        name: str,
        total: int,
        before: int,
        journal: Journal,
        playing: PlaySettings,
        clock: Callable[[], float],
        *,
        width: int,
    ) -> None:
        """`width`: samples that are in play at once."""
        self._width = width
        self._name, self._total, self._before, self._clock = name, total, before, clock
        self._begun, self._done, self._failed = clock(), 0, 0
        self._prices, self._spent = (playing.price, playing.judge_price), 0.0
        self._line = Progress()
        for entry in journal.entries.values():
            self._pay(entry.outcomes)
        if before < total:
            self.show()

    def count(self, outcomes: Sequence[Outcome]) -> None:
        self._done += 1
        self._failed += any(isinstance(o, Failure) for o in outcomes)
        self._pay(outcomes)
        self.show()

    def show(self) -> None:
        done = self._before + self._done
        said = f"{self._name}: {done:,}/{self._total:,} samples"
        if rate := self._rate():
            said += f", {rate:,.1f}/s"
            if done < self._total:
                said += f", {duration((self._total - done) / rate)} left"
        if self._failed:
            said += f", {self._failed:,} failed"
        if (price := self._prices[0] or self._prices[1]) is not None:
            said += f", {self._spent:.4f} {price.currency}"
        self._line.show(said, final=done == self._total)

    def _rate(self) -> float:
        """Samples a second; 0.0 while it is not known.

        So many are in play at once that the first answers say little: they tell how long one takes, and not how many
        come in that time. And what took a moment is no rate.
        """
        seconds = self._clock() - self._begun
        return self._done / seconds if self._done >= self._width and seconds >= 1.0 else 0.0

    def _pay(self, outcomes: Sequence[Outcome]) -> None:
        if any(self._prices):
            self._spent += cost_of(usage_of(outcomes, *self._prices))


def _with_cost(measure: Measure, judge: Usage | None) -> Measure:
    """What the judge of all samples cost, beside each figure that it judged."""
    if judge is None or "judge" not in measure.extra:
        return measure
    cost = "no price is known" if judge.cost is None else f"{judge.cost:.4f} {judge.currency}"
    return replace(measure, extra=measure.extra | {"judge_cost": cost})


def _scored(
    task: Task, answered: Sequence[tuple[Sample, Entry]], about: dict[str, Any]
) -> tuple[list[Measure], list[Row]]:
    judged: list[Row] = []
    rows: list[Row] = []
    for sample, entry in answered:
        row = task.score(sample, entry.outcomes)
        judged.append({"id": sample.id, "cluster": sample.cluster, **row})
        if task.harmful:
            rows.append({**judged[-1], "answer": None, "hidden": True, "asked": entry.asked})
            continue
        shown = {"id": sample.id, "cluster": sample.cluster, **asked_of(sample), "gold": sample.gold, **row}
        if "answer" not in shown and len(entry.outcomes) == 1 and isinstance(only := entry.outcomes[0], Reply):
            shown["answer"] = only.text
        rows.append({**shown, "outcomes": [outcome_json(o) for o in entry.outcomes]})
    measures = []
    for measure in task.measures(judged):
        given = {name: value for name, value in about.items() if getattr(measure, name) in ("", None)}
        measures.append(replace(measure.settled(), **given))
    return measures, rows


def asked_of(sample: Sample) -> Row:
    """What a sample asks, for people to read."""
    if sample.pairs:
        contexts = {p.context for p in sample.pairs}
        if len(contexts) == 1:
            return {"prompt": contexts.pop(), "choices": [p.continuation for p in sample.pairs]}
        return {"pairs": [[p.context, p.continuation] for p in sample.pairs]}
    if sample.texts:
        return {}  # a document is not copied into the results
    prompts = [list(a.messages) or a.prompt for a in sample.asks]
    return {"prompt": prompts[0]} if len(prompts) == 1 else {"prompts": prompts}


def _not_measured(task: Task, status: Status, why: str) -> TaskResult:
    measure = Measure(task=task.name, metric="score", status=status, why=why, form=task.form, licence=task.licence)
    return TaskResult(task=task.name, measures=[measure])


def _why_not(subject: ModelClient, missing: frozenset[Any]) -> str:
    """The client's own words where it has some."""
    own = subject.why_not
    return joined(*(own.get(name) or sentence("evals.subject_has_no", ability=name) for name in sorted(missing)))
