"""Gates for continuous integration: what a run must reach, and what a newer run must not lose against an older one.

    requirement("gsm8k.exact>=0.5")      a measure of the run; `@low`, `@high`: an end of its interval
    unmet(requirements, rows)            why each requirement that is not met is not; [] where all are
    last_run(folder, but=new)            the newest evaluation in a folder of evaluations
    failing(comparison, "worse")         why a newer run (B) fails against an older one (A); [] where it does not

A measure that is absent, or that could not be measured, meets nothing. A gate never passes for want of a figure.
"""

import difflib
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from creuset.core.errors import ArtifactError, ConfigError
from creuset.evals.paired import PairedComparison
from creuset.types.measure import RESULTS, Results, Row, read_results

FailIf = Literal["worse", "unproved"]
FAIL_IF: dict[FailIf, tuple[str, ...]] = {  # verdicts of a task for which the newer run fails
    "worse": ("a_better",),
    "unproved": ("a_better", "undecided"),
}
SIGNS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt,
}  # fmt: skip
FORM = re.compile(
    r"(?P<task>[^.<>=@\s]+)\.(?P<metric>[^<>=@]+?)(@(?P<end>low|high))?\s*(?P<sign>>=|<=|>|<)\s*(?P<bound>\S+)"
)
USUAL = {"exact": "em_strict", "exact_match": "em_strict", "accuracy": "acc"}  # names that other tools have for ours


@dataclass(frozen=True, slots=True)
class Needed:
    """One `--require`."""

    text: str
    task: str
    metric: str
    end: str  # "", low, high: which end of the interval is meant
    sign: str
    bound: float


def requirement(text: str) -> Needed:
    """`gsm8k.exact>=0.5`, `bbq.acc@low>0.4`, `xstest.over_refusal<=0.1`. ConfigError where it is of another form."""
    found = FORM.fullmatch(text.strip())
    hint = "write TASK.METRIC>=NUMBER, such as gsm8k.exact>=0.5; TASK.METRIC@low is the lower end of the interval"
    if found is None:
        raise ConfigError(f"`--require {text}` is not a requirement", hint=hint)
    try:
        bound = float(found["bound"])
    except ValueError:
        raise ConfigError(f"`--require {text}`: `{found['bound']}` is not a number", hint=hint) from None
    if not math.isfinite(bound):
        raise ConfigError(f"`--require {text}`: the bound must be a finite number, got {bound}", hint=hint)
    return Needed(text, found["task"], found["metric"].strip(), found["end"] or "", found["sign"], bound)


def refuse_unasked(needed: Sequence[Needed], tasks: Sequence[str]) -> None:
    """ConfigError, before anybody is asked, where a requirement is about a task that the run does not have."""
    for one in needed:
        if one.task not in tasks:
            near = difflib.get_close_matches(one.task, tasks, n=1)
            raise ConfigError(
                f"`--require {one.text}`: the run has no task `{one.task}`",
                hint=f"did you mean `{near[0]}`?" if near else f"it has {', '.join(tasks)}",
            )


def unmet(needed: Sequence[Needed], rows: Sequence[Row]) -> list[str]:
    """Why each requirement that is not met is not, in order. ConfigError for a metric that its task does not have."""
    return [why for one in needed if (why := _unmet(one, rows))]


def _unmet(one: Needed, rows: Sequence[Row]) -> str:
    metrics = {str(row["metric"]): row for row in rows if row["task"] == one.task}
    metric = one.metric if one.metric in metrics else USUAL.get(one.metric, one.metric)
    if metric not in metrics:
        if whole := next((row for row in metrics.values() if row.get("score") is None), None):
            return f"{one.text}: {one.task} was not measured: {whole.get('why') or whole.get('status')}"
        near = difflib.get_close_matches(one.metric, metrics, n=1)
        raise ConfigError(
            f"`--require {one.text}`: {one.task} has no measure `{one.metric}`",
            hint=f"did you mean `{near[0]}`?" if near else f"it has {', '.join(metrics) or 'none'}",
        )
    row = metrics[metric]
    name = f"{one.task}.{metric}"
    value = row.get("score")
    if value is None:
        return f"{one.text}: {name} was not measured: {row.get('why') or row.get('status')}"
    if one.end:
        if not row.get("interval"):
            return f"{one.text}: {name} has no interval"
        value = row["interval"][one.end == "high"]
    if SIGNS[one.sign](float(value), one.bound):
        return ""
    of = f" ({one.end} end of the interval)" if one.end else ""
    return f"{one.text}: {name} is {value:.4f}{of}, n = {row.get('n') or 0:,}"


def last_run(folder: Path, *, but: Path | None = None) -> Path | None:
    """`folder`, where it is an evaluation; else the newest in it, by the date in its results, `but` left out.

    None where there is none yet; ArtifactError where there is no such folder.
    """
    if (folder / RESULTS).is_file():
        return folder
    if not folder.is_dir():
        raise ArtifactError(
            f"`{folder}`: there is no such folder", hint="`creuset eval ... --out FOLDER/NAME` makes one"
        )
    runs = [p for p in sorted(folder.iterdir()) if (p / RESULTS).is_file()]
    runs = [p for p in runs if but is None or p.resolve() != but.resolve()]
    return max(runs, key=lambda path: (_date(read_results(path)), path.name), default=None)


def _date(run: Results) -> str:
    """ISO 8601; "" for a run of before there were dates: older than all others."""
    dates: list[str] = [str(row["date"]) for row in run.rows if row.get("date")]
    return max([str(run.about.get("date") or ""), *dates])


def failing(found: PairedComparison, fail_if: FailIf) -> list[str]:
    """Why the newer run B fails against A.

    `worse`: in some task A is better, after Holm's correction. `unproved`: or it was not shown that B is better or
    equal within the margin. A task that only A has, or that was asked in another way, fails too: it cannot be told.
    What is not scored sample by sample in A (bits per byte) is no reason.
    """
    verdicts = FAIL_IF[fail_if]
    said = {"a_better": "is worse than before", "undecided": "was not shown to be as good as before"}
    bad = [
        f"{t.task} {said[t.verdict]}: {t.b:.4f}, was {t.a:.4f} (difference {t.difference:+.4f}, "
        f"95 % [{t.interval.low:+.4f}, {t.interval.high:+.4f}], p after Holm {t.holm:.4f}, n = {t.n:,})"
        for t in found.tasks
        if t.verdict in verdicts
    ]
    return bad + [f"{task} cannot be compared: {why}" for task, why in _lost(found.refused).items()]


def _lost(refused: Mapping[str, str]) -> dict[str, str]:
    return {task: why for task, why in refused.items() if not why.startswith(("A has no samples", "its samples in A"))}
