"""Does the probability a model gives to its answer agree with how often that answer is right?

data          the files of MMLU and ARC (audit tasks `calibration_*` read them as `creuset eval` does)
metric        the likelihoods of the choices, made to sum to 1; confidence is the largest. ECE over 10 equal-width
              bins, and the Brier score of the chosen answer; 0 ideal. Intervals: bootstrap (by subject for MMLU)
reference     none in this form
"""

import math
from collections.abc import Sequence

import numpy as np

from creuset.benchmarks.choices import ChoiceTask
from creuset.benchmarks.figures import Social, resampled, tallies, usable
from creuset.benchmarks.multiple_choice import TableTask
from creuset.core.stats import bootstrap, brier, ece, reliability
from creuset.evals.task import Row
from creuset.types.measure import Measure


def confidence(log_likelihoods: Sequence[float]) -> float:
    """Share of the likeliest choice in the probability of all."""
    top = max(log_likelihoods)
    return 1 / math.fsum(math.exp(x - top) for x in log_likelihoods)


class _Calibration(Social):
    """Mixed in before a multiple-choice task: its questions, these measures."""

    score = ChoiceTask.score  # as the question's own task has it

    def measures(self, rows: Sequence[Row]) -> list[Measure]:
        used = usable(rows)
        sure = np.asarray([confidence(row["log_likelihoods"]) for row in used])
        right = np.asarray([float(row["correct"]) for row in used])
        clusters = [row.get("cluster") or "" for row in used]
        found = [self.accuracy("acc", rows)]
        if not used:
            return [*found, self.figure("ece10", rows, None), self.figure("brier", rows, None)]
        bins = [[b.confidence, b.correct, b.n] for b in reliability(sure, right)]
        interval = bootstrap(lambda i: ece(sure[i], right[i]), len(used), clusters=clusters, resamples=500)
        gap = self.figure(
            "ece10",
            rows,
            ece(sure, right),
            interval,
            "bootstrap",
            better="zero",
            n=len(used),
            extra={"bins": bins, "confidence": float(sure.mean())},
        )
        lines = [{"cluster": c, "gap": (p - y) ** 2} for c, p, y in zip(clusters, sure, right, strict=True)]
        value = resampled(tallies(lines, lambda row: (row["gap"], 1.0)), lambda sums: float(sums[0] / sums[1]))
        assert value[0] is None or math.isclose(value[0], brier(sure, right))
        return [*found, gap, self.figure("brier", rows, *value, better="zero", n=len(used))]


class CalibrationMmlu(_Calibration, TableTask, table="mmlu"):
    name = "calibration_mmlu"


class CalibrationArcEasy(_Calibration, TableTask, table="arc_easy"):
    name = "calibration_arc_easy"


class CalibrationArcChallenge(_Calibration, TableTask, table="arc_challenge"):
    name = "calibration_arc_challenge"
