"""Statistics against their definitions."""

import numpy as np
import pytest

from creuset.benchmarks.choices import verdict
from creuset.core.stats import Interval, bootstrap_ratio, mean_of_ratios, wilson
from creuset.model.windows import windows

Z2 = 1.959963984540054**2


@pytest.mark.parametrize(("right", "n"), [(37, 120), (5, 10), (1, 3), (990, 1000)])
def test_the_wilson_interval_solves_its_own_definition(right, n):
    found, share = wilson(right, n), right / n
    for bound in (found.low, found.high):
        assert (share - bound) ** 2 == pytest.approx(Z2 * bound * (1 - bound) / n)


@pytest.mark.parametrize("n", [1, 30, 10_000])
def test_the_wilson_interval_of_all_or_nothing_has_a_closed_form(n):
    assert (wilson(0, n).low, wilson(0, n).high) == pytest.approx((0.0, Z2 / (n + Z2)))
    assert (wilson(n, n).low, wilson(n, n).high) == pytest.approx((n / (n + Z2), 1.0))


def test_the_bootstrap_is_that_of_the_definition_loop():
    draw = np.random.default_rng(0)
    parts, wholes = draw.random(50) * 100, draw.integers(10, 200, 50).astype(float)
    found = bootstrap_ratio(parts, wholes, seed=3, resamples=500)
    again, ratios = np.random.default_rng(3), []
    for _ in range(500):
        chosen = again.integers(0, 50, size=(1, 50))[0]
        ratios.append(sum(parts[i] for i in chosen) / sum(wholes[i] for i in chosen))
    ratios.sort()
    assert [found.low, found.high] == pytest.approx(np.quantile(ratios, [0.025, 0.975]))
    assert parts.sum() / wholes.sum() in found


def test_the_bootstrap_interval_holds_the_truth_as_often_as_it_says():
    draw, hits = np.random.default_rng(1), 0
    for trial in range(200):
        wholes = draw.integers(50, 150, 60).astype(float)
        parts = wholes * draw.normal(2.0, 0.3, 60)
        hits += 2.0 in bootstrap_ratio(parts, wholes, seed=trial, resamples=400)
    assert 0.88 < hits / 200 <= 0.99


def test_a_mean_over_sources_weighs_them_alike():
    small = (np.array([10.0, 12.0]), np.array([10.0, 10.0]))
    large = (np.full(100, 30.0), np.full(100, 10.0))
    mean, interval = mean_of_ratios([small, large])
    assert mean == pytest.approx((1.1 + 3.0) / 2)
    assert (interval.low, interval.high) == pytest.approx((2.0, 2.1))


@pytest.mark.parametrize("targets", [1, 7, 8, 9, 16, 50])
@pytest.mark.parametrize(("context", "overlap"), [(8, 0), (8, 3), (8, 7), (100, 5)])
def test_every_token_of_a_cut_document_is_scored_exactly_once(targets, context, overlap):
    cut = windows(targets, context=context, overlap=overlap)
    assert [i for w in cut for i in range(w.scored, w.end)] == list(range(targets))
    assert all(w.start <= w.scored and w.end - w.start <= context for w in cut)
    assert all(w.scored - w.start == (overlap if w.start else 0) or targets <= context for w in cut[1:])


def test_a_score_says_whether_it_is_more_than_guessing():
    assert verdict(Interval(0.3, 0.4), 0.25) == "above chance"
    assert verdict(Interval(0.2, 0.4), 0.25) == "at chance level"
    assert verdict(Interval(0.1, 0.2), 0.25) == "below chance"
