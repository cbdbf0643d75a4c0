"""From rows to a measure: the share of correct answers, with its interval and all that is counted beside it."""

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from creuset.core import stats
from creuset.core.sentences import sentence
from creuset.types.measure import Measure, Row

if TYPE_CHECKING:
    from creuset.evals.task import Task


def correct_measure(
    task: "Task",
    metric: str,
    rows: Sequence[Row],
    *,
    key: str = "correct",
    extracted: str = "extracted",
    extractor: str = "",
    extra: dict[str, Any] | None = None,
    caveat: str = "",
) -> Measure:
    """Share of `row[key]` over all rows, failed ones included. Clustered where rows name their clusters.

    extra gains `cut` (contexts that lost their beginning, or replies that hit the limit of tokens) and `groups`:
    score and n of each cluster, where there are at most 100.
    """
    known = dict(extra or {})
    fields: dict[str, Any] = {
        "task": task.name,
        "metric": metric,
        "form": task.form,
        "licence": task.licence,
        "extractor": extractor,
        "caveat": caveat,
    }
    if not rows:
        return Measure(**fields, status="not_tested", why=sentence("benchmarks.no_item"), extra=known)
    clusters = [row.get("cluster", "") for row in rows]
    losses = [bool(row.get("failed")) for row in rows]
    several = len(set(clusters)) > 1  # of one cluster alone nothing could be said
    found = stats.share([row[key] for row in rows], clusters if several else None)
    failed = sum(losses)
    known["cut"] = sum(bool(row.get("cut")) for row in rows)
    if several and len(set(clusters)) <= 100:
        members: dict[str, list[float]] = defaultdict(list)
        for row, cluster in zip(rows, clusters, strict=True):
            members[cluster].append(row[key])
        known["groups"] = {name: {"score": sum(v) / len(v), "n": len(v)} for name, v in sorted(members.items())}
    return Measure(
        **fields,
        score=found.value,
        interval=found.interval,
        interval_by=found.by,
        n=len(rows) - failed,
        denominator=len(rows),
        failed=failed,
        unextracted=sum(not row.get(extracted, True) and not lost for row, lost in zip(rows, losses, strict=True)),
        extra=known,
    )
