"""What the social parts of the audit share: sums by cluster, intervals that claim no certainty, shares as percent."""

import math

import numpy as np
import pytest

from creuset.benchmarks.figures import FEWEST, percent, ratio, resampled, tallies
from creuset.core.sentences import sentence
from creuset.core.stats import bootstrap, share


def test_a_percentage_is_the_share_times_a_hundred_with_all_that_belongs_to_it():
    found = share([1.0, 0.0, 1.0, 1.0], ["a", "a", "b", "b"])
    many = percent(found)
    assert (many.value, many.se) == (100 * found.value, 100 * found.se) and percent(None) is None
    assert (many.interval.low, many.interval.high) == (100 * found.interval.low, 100 * found.interval.high)


def test_rows_of_a_cluster_are_one_line_and_a_row_without_one_is_its_own():
    rows = [{"cluster": "a", "x": 1}, {"cluster": "b", "x": 2}, {"cluster": "a", "x": 4}, {"cluster": "", "x": 8},
            {"x": 16}]  # fmt: skip
    assert tallies(rows, lambda r: [r["x"], 1]).tolist() == [[5, 2], [2, 1], [8, 1], [16, 1]]
    assert tallies([], lambda r: [1]).shape == (0, 1)


def test_an_interval_needs_clusters_that_are_several_and_not_all_alike():
    table = np.array([[float(i % 2), 1.0] for i in range(FEWEST)])
    value, interval, by = resampled(table, ratio())
    drawn = bootstrap(lambda i: float(table[i, 0].mean()), FEWEST)
    assert value == pytest.approx(0.4) and (interval.low, interval.high) == (drawn.low, drawn.high)
    assert by == f"bootstrap, {FEWEST} clusters"
    assert resampled(table[1:], ratio())[1:] == (None, f"none: {FEWEST - 1} clusters, {FEWEST} are the fewest")
    assert resampled(np.ones((9, 2)), ratio()) == (1.0, None, sentence("core.no_interval"))
    assert resampled(np.zeros((9, 2)), ratio()) == (None, None, "") == resampled(np.zeros((0, 2)), ratio())
    assert math.isnan(ratio()(np.array([1.0, 0.0]))) and ratio(1, 0)(np.array([2.0, 1.0])) == 0.5
