"""Two evaluations, sample by sample: who is better, are they equal, and what could this many samples show? No torch.

Samples are matched by task and id; tasks whose data or prompts differ are refused by name, since their differences
would be of questions, not of models. What stands on one side only is counted and left out of every figure.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from creuset.core import stats
from creuset.core.errors import DataError
from creuset.core.sentences import sentence
from creuset.types.measure import Results, Row, read_results

ALPHA = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPair:
    """One task of both; differences are B minus A, in shares. `p` is McNemar's, or of a t-test where scores are
    graded; `holm` is p adjusted for all tasks."""

    task: str
    n: int
    a: float
    b: float
    difference: float
    interval: stats.Interval  # paired bootstrap, 95 %
    se: float | None  # of the difference, clustered; None where it cannot be known
    only_a: int | None  # McNemar's b: right in A only; None where scores are graded
    only_b: int | None
    p: float
    holm: float
    test: str
    margin: float
    equivalence_p: float
    smallest: float | None  # difference found with 80 % power
    verdict: str  # b_better, a_better, equivalent, undecided
    clusters: int
    a_only_samples: int = 0  # answered in A alone, and so left out
    b_only_samples: int = 0
    failed: int = 0  # pairs in which a call failed, counted as wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedComparison:
    a: Row
    b: Row
    margin: float
    tasks: list[TaskPair]
    refused: dict[str, str]  # task: why it cannot be compared
    rows: dict[str, list[Row]] = field(default_factory=dict, repr=False)  # matched, for the page

    def json(self) -> Row:
        tasks = [{**asdict(t), "interval": [t.interval.low, t.interval.high]} for t in self.tasks]
        return {
            "a": self.a,
            "b": self.b,
            "margin": self.margin,
            "alpha": ALPHA,
            "tasks": tasks,
            "refused": self.refused,
            "definitions": DEFINITIONS,
        }


DEFINITIONS = {
    "difference": "share right of B minus share right of A, on the same samples",
    "interval": "95 %, paired bootstrap, whole clusters drawn where samples share one; without any flip, "
    "the share of flips that Clopper and Pearson's limit leaves possible",
    "p": "McNemar, exact, on flips; paired t-test, clustered, where scores are graded or samples are clustered",
    "holm": "p adjusted for the number of tasks (Holm); better or worse means holm < 0.05",
    "equivalent": "two one-sided tests reject a difference as large as the margin, at 5 %",
    "smallest": "the true difference that such a sample finds with 80 % power; never below six flips",
}


def compare_runs(a: Path, b: Path, margin: float = 0.02) -> PairedComparison:
    """Compare the evaluations in folders `a` and `b`.

    Raises DataError naming every reason when no task can be compared, ValueError for a margin outside (0, 1).
    """
    if not 0 < margin < 1:
        raise ValueError(f"the margin is a share between 0 and 1, got {margin}")
    first, second = read_results(a, samples=True), read_results(b, samples=True)
    matched: dict[str, list[Row]] = {}
    refused: dict[str, str] = {}
    lone: dict[str, tuple[int, int]] = {}
    for task in sorted({str(r["task"]) for r in (*first.rows, *second.rows)}):
        if why := _mismatch(task, first, second):
            refused[task] = why
            continue
        left, right = (_by_id(run.samples[task], task) for run in (first, second))
        shared = [i for i in left if i in right]
        questions = [i for i in shared if _question(left[i]) != _question(right[i])]
        if questions:
            refused[task] = f"sample `{questions[0]}` was asked in two ways ({len(questions)} of {len(shared)} differ)"
        elif not shared:
            refused[task] = "no sample is in both"
        else:
            matched[task] = [{**left[i], "b": _answers(right[i])} for i in shared]
            lone[task] = (len(left) - len(shared), len(right) - len(shared))
    if not matched:
        reasons = "; ".join(f"{task}: {why}" for task, why in refused.items()) or "there is no task"
        raise DataError(f"`{a}` and `{b}` have nothing to compare: {reasons}")
    pairs = [_pair(task, rows, margin, lone[task]) for task, rows in matched.items()]
    adjusted = stats.holm([pair["p"] for pair in pairs])
    tasks = [TaskPair(**one, holm=p, verdict=_verdict(one, p)) for one, p in zip(pairs, adjusted, strict=True)]
    a_is, b_is = _identity(first), _identity(second)
    return PairedComparison(a=a_is, b=b_is, margin=margin, tasks=tasks, refused=refused, rows=matched)


def _mismatch(task: str, a: Results, b: Results) -> str:
    """Why the task cannot be compared as a whole, or ""."""
    for side, run in (("A", a), ("B", b)):
        if task not in run.samples:
            return f"{side} has no samples of it"
        if not any(row.get("correct") is not None for row in run.samples[task]):
            return f"its samples in {side} are not right or wrong"
    for name in ("data_sha256", "file_sha256", "form", "extractor", "judge", "judge_at", "judge_prompt_sha256"):
        left, right = (sorted({str(r.get(name) or "") for r in run.rows if r["task"] == task}) for run in (a, b))
        if left != right:
            return f"its {name} differs: {', '.join(left) or 'none'} against {', '.join(right) or 'none'}"
    return ""


def _by_id(rows: Sequence[Row], task: str) -> dict[str, Row]:
    found = {str(row.get("id")): row for row in rows if row.get("correct") is not None}
    if "None" in found:
        raise DataError(f"a row of {task} has no id")
    return found


def _question(row: Row) -> str:
    """What was asked, as far as the row says; of hidden prompts the hash."""
    return json.dumps([row.get(k) for k in ("prompt", "prompts", "choices", "pairs", "gold", "asked")], sort_keys=True)


def _answers(row: Row) -> Row:
    asked = ("id", "cluster", "prompt", "prompts", "choices", "pairs", "gold", "asked")
    return {k: v for k, v in row.items() if k not in asked}


def _identity(run: Results) -> Row:
    return {**run.subject, "name": run.name, "evaluation_sha256": run.sha256}


def _pair(task: str, rows: Sequence[Row], margin: float, lone: tuple[int, int]) -> Row:
    a, b = ([float(side["correct"]) for side in sides] for sides in (rows, [row["b"] for row in rows]))
    clusters = [str(row.get("cluster") or "") for row in rows]
    gap = stats.paired_difference(a, b, clusters)
    binary = all(v in (0.0, 1.0) for v in (*a, *b))
    flips = stats.flips(a, b) if binary else (None, None)
    if flips[0] is not None and flips[1] is not None and gap.clusters == gap.n:
        p, test = stats.mcnemar(flips[0], flips[1]), "McNemar, exact"
    else:
        p, test = stats.difference_p(gap), f"paired t, {gap.clusters} clusters" if gap.clusters < gap.n else "paired t"
    between = stats.paired_bootstrap(a, b, clusters)
    if gap.se == 0.0:  # every pair alike: drawn again they stay alike, but of other samples some may flip
        reach = stats.clopper_pearson(0, gap.clusters).high
        between = stats.Interval(max(-1.0, gap.value - reach), min(1.0, gap.value + reach))
    finite = math.isfinite(gap.se)
    floor = stats.fewest_flips() / gap.n if binary else 0.0
    return {
        "task": task, "n": len(rows), "a": sum(a) / len(a), "b": sum(b) / len(b), "difference": gap.value,
        "interval": between, "se": gap.se if finite else None,
        "only_a": flips[0], "only_b": flips[1], "p": p, "test": test, "margin": margin,
        "equivalence_p": stats.equivalence(gap, margin).p, "clusters": gap.clusters,
        "smallest": max(stats.smallest_difference(gap.se), floor) if finite else None,
        "a_only_samples": lone[0], "b_only_samples": lone[1],
        "failed": sum(bool(row.get("failed") or row["b"].get("failed")) for row in rows),
    }  # fmt: skip


def _verdict(pair: Row, holm: float) -> str:
    if holm < ALPHA:
        return "b_better" if pair["difference"] > 0 else "a_better"
    return "equivalent" if pair["equivalence_p"] < ALPHA else "undecided"


SAYS = {
    "b_better": sentence("evals.b_is_better"),
    "a_better": sentence("evals.a_is_better"),
    "equivalent": sentence("evals.equal_within_the_margin"),
    "undecided": sentence("evals.not_decided"),
}


def text(found: PairedComparison) -> str:
    """For a terminal: one line a task, then what was refused."""
    lines = [f"A  {found.a['name']}", f"B  {found.b['name']}", "",
             f"{'task':<24} {'n':>6} {'A':>7} {'B':>7} {'B - A':>8}  {'95 % interval':<19} {'flips A/B':>11} {'p':>8}"
             f" {'Holm':>8} {'shows':>7}  verdict"]  # fmt: skip
    for t in found.tasks:
        between = f"[{t.interval.low:+.4f}, {t.interval.high:+.4f}]"
        flips = "graded" if t.only_a is None else f"{t.only_a}/{t.only_b}"
        shows = "-" if t.smallest is None else f"{t.smallest:.3f}"
        lines.append(f"{t.task:<24} {t.n:>6,} {t.a:>7.4f} {t.b:>7.4f} {t.difference:>+8.4f}  {between:<19} {flips:>11} "
                     f"{t.p:>8.4f} {t.holm:>8.4f} {shows:>7}  {SAYS[t.verdict]}")  # fmt: skip
        if t.a_only_samples or t.b_only_samples:
            lines.append(f"{'':<24} left out: {t.a_only_samples} samples only in A, {t.b_only_samples} only in B")
    lines += ["", f"shows: smallest difference found with 80 % power; equal: within {found.margin:g} (TOST, 5 %)"]
    lines += [f"not compared: {task}: {why}" for task, why in found.refused.items()]
    return "\n".join(lines)
