"""Forecasts over years: the published violations, and numbers as people write them."""

import json
from pathlib import Path

import pytest

from creuset.benchmarks.robustness.monotonicity import Monotonicity, number_in, violation
from creuset.evals.model import Failure, Reply
from creuset.evals.task import Sample

ROWS = json.loads((Path(__file__).parent / "data/monotonicity_medians.json").read_text())["rows"]


def test_violations_are_the_published_ones():
    assert len(ROWS) == 50
    for medians, direction, published in ROWS:
        read = [m for m in medians if m != -10000]
        assert violation(read, direction) == pytest.approx(published, abs=1e-9)


def test_order_kept_is_0_and_reversed_is_1():
    assert violation([1, 2, 3], "increasing") == 0 == violation([3, 2, 1], "decreasing")
    assert violation([3, 2, 1], "increasing") == 1
    assert violation([2, 2, 2], "increasing") == 0


@pytest.mark.parametrize(("text", "strict", "lenient"), [
    ("So: [Answer] 1,234.5 people", 1234.5, 1234.5), ("[Answer] 3 million", 3e6, 3e6),
    ("In 2025, about 17", None, 17), ("[Answer] 2:01:09", 7269, 7269), ("[Answer] -4.5e3", -4500, -4500),
    ("I do not know", None, None), ("[Answer] 5\nNo: [Answer] 7", 7, 7),
])  # fmt: skip
def test_numbers_are_read(text, strict, lenient):
    assert (number_in(text, strict=True), number_in(text, strict=False)) == (strict, lenient)


def test_failed_calls_and_unread_answers_are_counted():
    task, sample = Monotonicity(), Sample(id="0", gold="increasing")
    good = [Reply(text=f"[Answer] {i}", finish="stop") for i in range(5)]
    rows = [{"id": str(i), "cluster": "", **task.score(sample, outcomes)} for i, outcomes in enumerate((
        good, [*good[:4], Failure(reason="timeout")], [Reply(text="who knows", finish="stop")] * 5,
    ))]  # fmt: skip
    found = {m.metric: m for m in task.measures(rows)}
    strict = found["violation.strict"]
    assert (strict.score, strict.n, strict.denominator, strict.failed, strict.unextracted) == (0, 1, 3, 1, 1)
