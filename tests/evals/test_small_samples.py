"""Few samples, or samples that all agree: no interval claims certainty, and where there is none the page says why."""

import json
import math

import numpy as np
import pytest

from creuset.core import stats
from creuset.core.sentences import sentence
from creuset.report.html import render
from creuset.report.table import measure_table
from creuset.types.measure import Measure, results_of


@pytest.mark.parametrize("n", [1, 2, 6, 40])
def test_all_alike_is_no_certainty(n):
    alike = stats.share([1.0] * n)
    assert alike.value == 1.0 and alike.interval.low < 1.0 and alike.interval.high == 1.0
    assert stats.bootstrap(lambda i: 1.0, n) is None
    gap = stats.paired_bootstrap([0.0] * n, [0.1] * n)
    assert gap.low < 0.1 < gap.high
    wider = stats.paired_bootstrap([0.0] * (n + 1), [0.1] * (n + 1))
    assert gap.low < wider.low and wider.high < gap.high, "more samples tell more"


@pytest.mark.parametrize("n", [2, 3, 6])
def test_classes_wholly_apart_have_an_area_of_one_and_an_interval_as_wide_as_n_asks(n):
    found = stats.auroc([*range(n), *range(10, 10 + n)], [0] * n + [1] * n)
    assert found.value == 1.0 == found.interval.high and 0.0 < found.interval.low < 0.85
    with pytest.raises(ValueError, match="score 1 of 2 is not a number"):
        stats.auroc([1.0, math.nan], [0, 1])


def test_six_equal_improvements_are_a_small_p_and_two_are_not():
    six, two = (stats.paired_difference([0.0] * n, [0.1] * n) for n in (6, 2))
    assert stats.difference_p(six) == pytest.approx(0.03125) and stats.difference_p(two) == 0.5


def test_a_group_without_positive_cases_has_no_odds():
    gold = said = [1, 0, 1, 0, 0, 0, 0, 0]
    assert math.isnan(stats.equalized_odds_difference(gold, said, list("aaaabbbb")))


@pytest.mark.parametrize(
    ("a", "b"), [([1, 2, 3], [4, 5, 6]), ([1.0, 5.0], [2.0, 3.0, 4.0]), ([7, 8, 9, 10, 11], [1, 2, 3, 4])]
)
def test_a_rank_test_of_few_is_exact(a, b):
    from scipy.stats import mannwhitneyu

    assert stats.mann_whitney(a, b).p == pytest.approx(mannwhitneyu(a, b, method="exact").pvalue)


def test_a_rank_test_of_few_with_ties_counts_all_orders():
    from scipy.stats import permutation_test

    a, b = [1.0, 2.0, 2.0], [2.0, 3.0, 3.0, 4.0]

    def reach(x, y):
        return abs(stats.mann_whitney(x, y).u - len(x) * len(y) / 2)

    wanted = permutation_test((np.array(a), np.array(b)), reach, alternative="greater", n_resamples=np.inf).pvalue
    assert stats.mann_whitney(a, b).p == pytest.approx(wanted)
    assert stats.mann_whitney([1.0, 1.0], [1.0, 1.0, 1.0]).p == 1.0


# -- on pages ---------------------------------------------------------------------------------------------------------


def measure(**fields):
    return Measure(task="t", metric="m", n=3, denominator=3, **fields).settled()


@pytest.mark.parametrize(
    "fields",
    [
        {"score": 0.5, "interval": stats.Interval(0.5, 0.5), "interval_by": "bootstrap"},
        {"score": 0.5, "interval": stats.Interval(-math.inf, math.inf), "interval_by": "Student t"},
        {"score": 0.5, "interval": None, "interval_by": "bootstrap, 1,000 resamples"},
    ],
)
def test_an_interval_that_says_nothing_is_none_and_the_page_says_why(fields):
    found = measure(**fields)
    assert found.interval is None and found.interval_by == sentence("core.no_interval")
    shown = render(measure_table([found.row()]))
    assert "none: the samples all agree, or are too few" in shown
    assert "les échantillons concordent tous" in shown, "in French too"


def test_what_has_an_interval_or_needs_none_stays_as_it_is():
    for fields in (
        {"score": 0.5, "interval": stats.Interval(0.4, 0.6), "interval_by": "Wilson"},
        {"score": 3e9, "unit": "FLOP"},
    ):
        assert measure(**fields) == Measure(task="t", metric="m", n=3, denominator=3, **fields)
    own = sentence("core.no_interval_trials")
    assert measure(score=1.0, interval_by=own).interval_by == own


def test_the_range_of_an_old_estimate_of_energy_is_read_as_no_interval(tmp_path):
    row = {
        "task": "energy",
        "metric": "training.kwh",
        "unit": "kWh",
        "score": 2.0,
        "interval": [1.0, 4.0],
        "interval_by": "range of rated powers, 3.75 to 17.5 W a core; not a confidence interval",
    }
    (found,) = results_of(json.loads(json.dumps({"results": [row]})), tmp_path).rows
    assert found["interval"] is None and found["range"] == [1.0, 4.0] and found["interval_by"] == ""


def test_a_range_of_assumptions_stands_in_no_column_of_intervals():
    row = measure(score=2.0, unit="kWh", extra={"range": [1.0, 4.0], "counter": False}).row()
    shown = render(measure_table([row]))
    first, rest = shown.split("</tr>", 2)[1:]
    assert "1.000" not in first and "range of assumptions, no interval" in rest and "1.000, 4.000" in rest
