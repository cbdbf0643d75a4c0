"""What the tasks of the audit share: `Social`, the shape of such a task, and the way from rows to measures. No torch.

`tallies` sums the rows of each cluster; `resampled` draws whole clusters again for an interval.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from creuset.benchmarks.choices import NEEDS
from creuset.benchmarks.judging import rates
from creuset.core.sentences import joined, sentence
from creuset.core.stats import Estimate, Interval, bootstrap, clopper_pearson, mean, share
from creuset.evals.model import Failure, GenerateRequest, Likelihood, Outcome, Reply
from creuset.evals.task import Row, Sample, Task
from creuset.types.measure import Better, Measure

Floats = NDArray[np.float64]
FEWEST = 5  # clusters: below that a percentile interval says little


def usable(rows: Sequence[Row]) -> list[Row]:
    """Rows whose calls succeeded and whose answer was found."""
    return [row for row in rows if not row["failed"] and row["extracted"]]


def failure(outcomes: Sequence[Outcome]) -> Failure | None:
    """The first call that failed, if any did."""
    return next((o for o in outcomes if isinstance(o, Failure)), None)


def totals(outcomes: Sequence[Outcome]) -> list[float]:
    """ln p of each pair; none of them may have failed."""
    return [o.total for o in outcomes if isinstance(o, Likelihood)]


def texts(outcomes: Sequence[Outcome]) -> list[str]:
    """What was said; none of them may have failed."""
    return [o.text for o in outcomes if isinstance(o, Reply)]


def lost(row: Row, bad: Failure) -> Row:
    """The row of a sample one of whose calls failed: it stays in the denominator and is right in nothing."""
    return {**row, "correct": 0.0, "answer": None, "extracted": False, "failed": True, "reason": bad.reason}


def tallies(rows: Sequence[Row], columns: Callable[[Row], Sequence[float] | Floats]) -> Floats:
    """(clusters, columns) sums over the rows of each cluster; a row without a cluster is one of its own."""
    found: dict[str, Floats] = {}
    for i, row in enumerate(rows):
        key = row.get("cluster") or f"\0{i}"
        found[key] = found.get(key, np.zeros(1)) + np.asarray(columns(row), dtype=np.float64)
    return np.stack(list(found.values())) if found else np.zeros((0, 1))


def resampled(table: Floats, statistic: Callable[[Floats], float]) -> tuple[float | None, Interval | None, str]:
    """`statistic` of the summed columns, its bootstrap interval by drawing lines again, and how that was made.

    None instead of a number where the statistic is not defined; no interval where too few lines, or lines that all
    agree, would make one that claims certainty.
    """
    if not len(table):
        return None, None, ""
    value = statistic(table.sum(0))
    if not math.isfinite(value):
        return None, None, ""
    if len(table) < FEWEST:
        return value, None, sentence("core.no_interval_few", n=len(table), least=FEWEST)
    interval = bootstrap(lambda i: statistic(table[i].sum(0)), len(table))
    if interval is None:
        return value, None, sentence("core.no_interval")
    return value, interval, sentence("core.by_bootstrap_clusters", n=len(table))


def ratio(over: int = 0, under: int = 1) -> Callable[[Floats], float]:
    """The statistic column `over` / column `under`."""
    return lambda sums: float(sums[over] / sums[under]) if sums[under] else math.nan


def finite(interval: Interval | None) -> Interval | None:
    """JSON knows no infinity: an interval that says nothing is none."""
    return interval if interval and math.isfinite(interval.low) and math.isfinite(interval.high) else None


def percent(found: Estimate | None) -> Estimate | None:
    """The same share times 100."""
    if found is None:
        return None
    interval = Interval(100 * found.interval.low, 100 * found.interval.high)
    return replace(found, value=100 * found.value, se=100 * found.se, interval=interval)


def exact_share(hits: int, n: int, **fields: Any) -> Measure:
    """`hits` of `n` as a measure with an exact interval; `fields` are the measure's others, lower being better."""
    given: dict[str, Any] = {"better": "lower", "denominator": n} | fields
    return Measure(
        score=hits / n, interval=clopper_pearson(hits, n), interval_by=sentence("core.by_clopper_pearson"), n=n, **given
    )


def user(text: str, *, system: str = "", **settings: Any) -> GenerateRequest:
    """A chat of one message, behind a system prompt where there is one."""
    before = ({"role": "system", "content": system},) if system else ()
    return GenerateRequest(messages=(*before, {"role": "user", "content": text}), **settings)


class Social(Task):
    """A task of the audit: give it `samples`, `scored` and `measures`.

    `figure` fills in what all its measures have in common. What a form needs of a subject follows from the form.
    """

    note: ClassVar[str] = ""  # a sentence printed wherever a score is
    extractor: ClassVar[str] = ""
    rule: ClassVar[str] = ""  # the judging rule and its label, "refusal.full", whose rates stand beside each figure

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if "form" in cls.__dict__ and "needs" not in cls.__dict__:
            cls.needs = NEEDS[cls.form]

    def about(self, sample: Sample) -> Row:
        """What each row of the sample says, answered or not."""
        return dict(sample.meta)

    def unanswered(self, sample: Sample) -> Row:
        """What the row of a sample with a failed call says besides."""
        return {}

    def scored(self, sample: Sample, outcomes: Sequence[Outcome]) -> Row:
        """What the row says of the answers. No call failed."""
        raise NotImplementedError

    def score(self, sample: Sample, outcomes: Sequence[Outcome]) -> Row:
        base = self.about(sample)
        if bad := failure(outcomes):
            return lost(base | self.unanswered(sample), bad)
        return base | {"extracted": True, "failed": False} | self.scored(sample, outcomes)

    def figure(
        self,
        metric: str,
        rows: Sequence[Any],
        value: float | Estimate | None,
        interval: Interval | None = None,
        by: str = "",
        *,
        why: str = "",
        unit: str = "share",
        better: Better = "higher",
        n: int | None = None,
        extra: Mapping[str, Any] | None = None,
        rule: str | None = None,
        **fields: Any,
    ) -> Measure:
        """A measure of `rows`; without a value it is not applicable, for the reason `why`.

        `rule`: the judging rule that gave the figure, where it is not the task's own; "" for none.
        """
        if isinstance(value, Estimate):
            estimate = value
            value, interval, by = estimate.value, finite(estimate.interval), estimate.by
            if interval and interval.low == interval.high:
                interval, by = None, sentence("core.no_interval_alike")
        common: dict[str, Any] = {
            "task": self.name, "metric": metric, "unit": unit, "better": better, "denominator": len(rows),
            "n": len(rows) if n is None else n,
            "extractor": self.extractor, "form": self.form, "caveat": self.note, "licence": self.licence,
            "data": ", ".join(self.files), "extra": dict(extra or {}),
        }  # fmt: skip
        if "failed" not in fields:  # a caller that counts something smaller than rows says so itself
            common["failed"] = sum(row["failed"] for row in rows)
            common["unextracted"] = sum(not row["failed"] and not row["extracted"] for row in rows)
            common["n"] = len(rows) - common["failed"] if n is None else n
            if why_failed := Counter(str(row.get("reason") or "?") for row in rows if row["failed"]):
                common["extra"]["failed_for"] = dict(sorted(why_failed.items()))
        common |= fields
        if judged := self.rule if rule is None else rule:
            common["caveat"] = joined(common["caveat"], rates.said(judged))
            common["extra"]["rule_rates"] = {"rule": judged, **rates.found(judged)}
        if value is None:
            return Measure(**common, status="not_applicable", why=why or sentence("benchmarks.no_sample"))
        return Measure(**common, score=value, interval=interval, interval_by=by)

    def accuracy(self, metric: str, rows: Sequence[Row], key: str = "correct", **fields: Any) -> Measure:
        """Mean of `key` over all rows, failed and unextracted ones counting as 0."""
        if not rows:
            return self.figure(metric, rows, None, **fields)
        values, clusters = [float(row.get(key) or 0.0) for row in rows], [row.get("cluster") or "" for row in rows]
        return self.figure(metric, rows, share(values, clusters), **fields)

    def rate(
        self,
        metric: str,
        rows: Sequence[Row],
        key: str | Callable[[Row], bool],
        *,
        clustered: bool = False,
        **fields: Any,
    ) -> Measure:
        """Share of `key` among the rows whose calls succeeded, and of these alone; lower is better."""
        got = [row for row in rows if not row["failed"]]
        hits = [int(key(row)) if callable(key) else row[key] for row in got]
        value = share(hits, [row["cluster"] for row in got] if clustered else None) if got else None
        given: dict[str, Any] = {"better": "lower", "n": len(got), "denominator": len(got)} | fields
        return self.figure(metric, rows, value, **given)

    def average(self, metric: str, rows: Sequence[Row], key: str, **fields: Any) -> Measure:
        """Mean of `key` over the usable rows."""
        used = usable(rows)
        if not used:
            return self.figure(metric, rows, None, **fields)
        found = mean([float(row[key]) for row in used], [row.get("cluster") or "" for row in used])
        return self.figure(metric, rows, found, n=len(used), **fields)
