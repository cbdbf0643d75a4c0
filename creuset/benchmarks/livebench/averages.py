"""LiveBench's averages: a category is the mean of its tasks, the whole is the mean of its categories."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from creuset.benchmarks.livebench.questions import CATEGORIES, TASKS
from creuset.core import stats
from creuset.core.sentences import sentence
from creuset.evals.task import Row, Task
from creuset.types.measure import Measure


def averages(task: Task, rows: Sequence[Row], part: Sequence[str], left_out: dict[str, int]) -> list[Measure]:
    """`average` of all, then categories, then tasks, as far as `part` wants them.

    Where questions of a task are missing, its category and the whole are rows without a score that name it: an average
    of other tasks is not LiveBench's.
    """
    chosen = [t for t in TASKS if t in part or TASKS[t] in part]
    there = {row["task"] for row in rows}
    wanted: dict[str, Sequence[str]] = {"average": tuple(TASKS)} if set(CATEGORIES) <= set(part) else {}
    wanted |= {category: tasks for category, tasks in CATEGORIES.items() if category in part}
    wanted |= {name: (name,) for name in chosen}
    found = []
    for metric, tasks in wanted.items():
        common: dict[str, Any] = {
            "task": task.name,
            "metric": metric,
            "form": task.form,
            "licence": task.licence,
            "extractor": "livebench",
            "caveat": "",
        }
        if {"average", "data_analysis", "tablejoin", "tablereformat"} & {metric}:
            common["caveat"] = getattr(task, "caveat", "")
        extra: dict[str, Any] = {"release": getattr(task, "release", "")}
        if left_out and metric == "average":
            extra["left_out"] = left_out
        if missing := [t for t in tasks if t not in there]:
            found.append(
                Measure(
                    **common,
                    status="not_tested",
                    extra=extra,
                    why=sentence("benchmarks.no_question", name=", ".join(missing)),
                )
            )
        else:
            found.append(_measure(common, extra, [row for row in rows if row["task"] in tasks]))
    return found


def _measure(common: dict[str, Any], extra: dict[str, Any], rows: Sequence[Row]) -> Measure:
    values = [row["correct"] for row in rows]
    clusters = [row.get("cluster", "") for row in rows]
    by_task: dict[str, list[float]] = {}
    for row in rows:
        by_task.setdefault(row["task"], []).append(row["correct"])
    if len(by_task) == 1:
        estimate = stats.share(values, clusters if len(set(clusters)) > 1 else None)
    else:
        estimate = stats.nested_share(values, [(TASKS[row["task"]], row["task"]) for row in rows], clusters)
        extra = extra | {"groups": {t: {"score": sum(v) / len(v), "n": len(v)} for t, v in by_task.items()}}
    if ends := Counter(row["end"] for row in rows if "end" in row):
        extra = extra | {"ends": dict(ends)}
    failed = sum(row["failed"] for row in rows)
    return Measure(
        **common,
        score=estimate.value,
        interval=estimate.interval,
        interval_by=estimate.by,
        n=len(rows) - failed,
        denominator=len(rows),
        failed=failed,
        extra=extra | {"cut": sum(bool(row["cut"]) for row in rows)},
        unextracted=sum(not row["extracted"] and not row["failed"] for row in rows),
    )
