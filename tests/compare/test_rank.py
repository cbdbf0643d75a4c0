"""Cells to utilities to standings: known by hand, and what must hold for any cells."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from creuset.compare.card import GROUPS, Cell, Row, Text, unknown
from creuset.compare.rank import best, row_weights, sensitivity, standings, utilities


def measured(value, low=None, high=None):
    return unknown() if value is None else Cell(kind="measured", value=value, low=low, high=high)


def row(group, scale, *values, why=""):
    return Row(id=f"{group}.{scale}", group=group, label=Text("x", "x"), scale=scale,
               cells=tuple(measured(v) for v in values), why_unranked=why)


@pytest.mark.parametrize(("scale", "values", "marks"), [
    ("share", [0.25, None, 1.0], [0.25, None, 1.0]),
    ("share_low", [0.25, None], [0.75, None]),
    ("percent", [88.5], [0.885]),
    ("zero", [-0.2, 0.0], [0.8, 1.0]),
    ("fifty", [50.0, 60.0, 0.0], [1.0, 0.8, 0.0]),
    ("high", [10.0, 40.0], [0.25, 1.0]),
    ("low", [2.0, 8.0, None], [1.0, 0.25, None]),
    ("low", [0.0, 8.0], [1.0, 0.0]),
    ("", [1.0, 2.0], [None, None]),
])  # fmt: skip
def test_a_value_becomes_a_utility_by_the_rule_of_its_scale(scale, values, marks):
    assert utilities(scale, values) == pytest.approx(marks)


def test_an_unknown_cell_is_left_out_and_is_no_zero():
    rows = [row("quality", "share", 0.8, 0.8), row("speed", "high", 10.0, None)]
    both, half = standings(rows, {"quality": 1, "speed": 1})
    assert both.total == pytest.approx(0.9) and both.coverage == 1
    assert half.total == pytest.approx(0.8) and half.coverage == 0.5
    assert (both.low, both.high) == pytest.approx((0.9, 0.9))
    assert (half.low, half.high) == pytest.approx((0.4, 0.9))
    assert half.by_group == pytest.approx({"quality": 0.8})


def test_rows_of_a_group_share_its_weight_and_rows_that_nobody_knows_take_none():
    rows = [row("law", "points", 1.0), row("law", "points", 0.0), row("law", "points", None), row("law", "", 3.0)]
    assert row_weights(rows, {"law": 4}) == [2, 2, 0, 0]


def test_a_row_that_is_not_comparable_is_never_weighed():
    rows = [row("quality", "share", 0.5, 0.5), row("quality", "share", 0.0, 1.0, why="different prompts")]
    assert [s.total for s in standings(rows, {"quality": 1})] == [0.5, 0.5]


def test_on_common_ground_only_rows_known_for_all_count():
    rows = [row("quality", "share", 0.2, 0.9), row("speed", "high", 10.0, None)]
    assert [s.total for s in standings(rows, {"quality": 1, "speed": 9}, shared_only=True)] == [0.2, 0.9]


def test_nothing_known_has_no_total():
    alone = standings([row("quality", "share", None, 0.5)], {"quality": 1})[0]
    assert alone.total is None and (alone.low, alone.high) == (0, 1)
    assert standings([row("quality", "share", 0.5)], {"quality": 0})[0].total is None


def test_sensitivity_goes_from_without_the_group_to_nothing_else():
    rows = [row("quality", "share", 0.2, 0.9), row("price", "low", 1.0, 4.0)]
    curve = sensitivity(rows, {"quality": 3, "price": 1}, "price", steps=4)
    assert curve[0] == (0.0, pytest.approx([0.2, 0.9])) and curve[-1] == (1.0, pytest.approx([1.0, 0.25]))
    assert curve[1][1] == pytest.approx([s.total for s in standings(rows, {"quality": 3, "price": 1})])


cells = st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=3, max_size=3)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(list(GROUPS)), cells), min_size=1, max_size=6),
       st.dictionaries(st.sampled_from(list(GROUPS)), st.integers(0, 10)))
def test_the_total_lies_between_its_bounds_and_is_the_sum_of_its_groups(rows, weights):
    for one in standings([row(g, "share", *v) for g, v in rows], weights):
        if one.total is not None:
            assert -1e-9 <= one.low <= one.total + 1e-9 and one.total <= one.high + 1e-9 <= 1 + 2e-9
            assert sum(one.by_group.values()) == pytest.approx(one.total)
            assert one.high - one.low == pytest.approx(1 - one.coverage)


def test_what_cannot_be_told_from_the_best_is_marked_with_it():
    close = [measured(0.9, 0.85, 0.95), measured(0.88, 0.83, 0.93), measured(0.5, 0.4, 0.6), unknown()]
    assert best("share", close) == [True, True, False, False]
    assert best("share", [measured(0.9), unknown()]) == [False, False]
    assert best("low", [measured(2.0), measured(1.0)]) == [False, True]


def test_a_cell_that_does_not_say_where_it_is_from_is_refused():
    with pytest.raises(ValueError, match="says where it is from"):
        Cell(kind="reported", value=1.0)
    with pytest.raises(ValueError, match="has no value"):
        Cell(kind="unknown", value=0.0)
