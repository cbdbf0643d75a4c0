"""Cells to utilities to standings: known by hand, and what must hold for any cells."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from creuset.governance.compare.card import EVIDENCE, WEIGHED, Cell, Row, unknown
from creuset.governance.compare.rank import (
    DRAWS,
    LEAST_KNOWN,
    Standing,
    before,
    best,
    first_shares,
    halves,
    parts,
    places,
    sensitivity,
    standings,
    utilities,
    weighable,
    weightings,
)
from creuset.report.language import Text


def measured(value, low=None, high=None):
    return unknown() if value is None else Cell(kind="measured", value=value, low=low, high=high)


def row(group, scale, *values, why=""):
    """Values, or (value, low, high)."""
    cells = tuple(measured(*v) if isinstance(v, tuple) else measured(v) for v in values)
    return Row(id=f"{group}.{scale}", group=group, label=Text("x", "x"), scale=scale, cells=cells, why_unranked=why)


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
    (law,) = parts(rows)
    assert (law["law"].known, law["law"].points) == (1.0, 0.5)


def test_evidence_is_never_weighed():
    for group in EVIDENCE:
        assert not weighable(row(group, "share", 1.0)) and group not in WEIGHED
    rows = [row("quality", "share", 0.5), row("api", "share", 1.0)]
    assert standings(rows, {"quality": 1, "api": 9})[0].total == 0.5


def test_a_row_that_is_not_comparable_is_never_weighed():
    rows = [row("quality", "share", 0.5, 0.5), row("quality", "share", 0.0, 1.0, why="different prompts")]
    assert [s.total for s in standings(rows, {"quality": 1})] == [0.5, 0.5]


def test_on_common_ground_only_rows_known_for_all_count():
    rows = [row("quality", "share", 0.2, 0.9), row("speed", "high", 10.0, None)]
    assert [s.total for s in standings(rows, {"quality": 1, "speed": 9}, shared_only=True)] == [0.2, 0.9]


def test_nothing_known_has_no_total_but_as_the_worst_it_is_zero():
    rows = [row("quality", "share", None, 0.5)]
    alone = standings(rows, {"quality": 1})[0]
    assert alone.total is None and (alone.low, alone.high) == (0, 1)
    assert standings(rows, {"quality": 1}, missing="worst")[0].total == 0.0
    assert standings(rows, {"quality": 1}, missing="interval")[0].total is None
    for missing in ("ignore", "worst", "interval"):
        assert standings([row("quality", "share", 0.5)], {"quality": 0}, missing=missing)[0].total is None
    assert standings([], {"quality": 1}) == []
    assert [s.total for s in standings([row("api", "share", 1.0, 0.5)], {"api": 1})] == [None, None]


@pytest.mark.parametrize(("missing", "total", "half"), [
    ("ignore", 0.8, 0.1), ("worst", 0.4, 0.05), ("interval", 0.65, 0.05),
])  # fmt: skip
def test_what_the_unknown_counts_is_the_readers_choice(missing, total, half):
    rows = [row("quality", "share", (0.8, 0.7, 0.9), 0.1), row("speed", "high", None, 10.0)]
    one = standings(rows, {"quality": 1, "speed": 1}, missing=missing)[0]
    assert (one.total, one.half, one.coverage) == pytest.approx((total, half, 0.5))
    assert (one.low, one.high) == pytest.approx((0.4, 0.9))
    assert one.by_group == pytest.approx({"quality": 0.8 if missing == "ignore" else 0.4})


def test_half_widths_add_as_squares_and_by_weight():
    rows = [
        row("quality", "share", (0.5, 0.2, 0.8)),
        row("quality", "share", (0.5, 0.1, 0.9)),
        row("price", "low", 4.0),
    ]
    one = standings(rows, {"quality": 3, "price": 1})[0]
    assert one.half == pytest.approx((((3 * 0.3 / 2) ** 2 + (3 * 0.4 / 2) ** 2) ** 0.5) / 4)


@pytest.mark.parametrize(("scale", "cell", "half"), [
    ("share", (0.9, 0.7, 1.3), 0.15),       # above 1 nothing is gained
    ("share_low", (0.2, 0.1, 0.3), 0.1),
    ("zero", (0.0, -0.2, 0.4), 0.2),        # the ideal lies inside
    ("zero", (0.3, 0.2, 0.4), 0.1),
    ("percent", (50.0, 40.0, 60.0), 0.1),
    ("low", (2.0, 1.0, 4.0), 0.25),         # 2/1 is cut to 1: from 0.5 to 1
    ("", (1.0, 0.0, 2.0), 0.0),
])  # fmt: skip
def test_an_interval_becomes_half_a_width_in_utility(scale, cell, half):
    assert halves(scale, [measured(*cell), unknown(), measured(2.0)])[0] == pytest.approx(half)
    assert halves(scale, [measured(*cell), unknown(), measured(2.0)])[1:] == [0, 0]


def stand(total, half=0.0, low=None, high=None):
    return Standing(total, 1.0, total if low is None else low, total if high is None else high, half, {})


def test_one_is_before_another_only_beyond_both_intervals():
    assert before(stand(0.51), stand(0.5), "ignore") and not before(stand(0.5), stand(0.51), "ignore")
    assert not before(stand(0.55, 0.03), stand(0.5, 0.04), "ignore"), "0.05 is both halves together"
    assert before(stand(0.56, 0.03), stand(0.5, 0.04), "ignore")
    assert not before(stand(0.9, low=0.4, high=1.0), stand(0.5), "interval"), "its worst is behind"
    assert before(stand(0.9, low=0.6, high=1.0), stand(0.5), "interval")
    assert not before(stand(None), stand(0.5), "ignore") and not before(stand(0.5), stand(None), "ignore")


def test_places_say_who_cannot_be_told_apart():
    found = [stand(0.9, 0.05), stand(0.85, 0.05), stand(0.2), stand(None), stand(0.2)]
    assert places(found, "ignore") == [(1, 2), (1, 2), (3, 4), None, (3, 4)]


def test_a_system_of_which_too_little_is_known_has_a_total_and_no_place():
    rows = [row("quality", "share", 0.9, 0.2), row("law", "points", None, 1.0), row("price", "low", None, 4.0)]
    found = standings(rows, {"quality": 1, "law": 1, "price": 1})
    assert found[0].total == pytest.approx(0.9) and found[0].coverage == pytest.approx(1 / 3)
    assert places(found, "ignore") == [None, (1, 1)], "0.9 of a third is no first place"
    half = standings(rows, {"quality": 1, "law": 1}, missing="interval")
    assert half[0].coverage == pytest.approx(LEAST_KNOWN) and places(half, "interval")[0] is not None


def test_weightings_are_even_over_the_simplex():
    drawn = list(weightings(["quality", "law", "price"]))
    assert len(drawn) == DRAWS and all(sum(w.values()) == pytest.approx(1) and min(w.values()) > 0 for w in drawn)
    for group in ("quality", "law", "price"):
        weights = [w[group] for w in drawn]
        assert sum(weights) / DRAWS == pytest.approx(1 / 3, abs=0.01)
        # On the even simplex of three, P(weight > t) = (1 - t)^2.
        for t in (0.2, 0.5, 0.8):
            assert sum(w > t for w in weights) / DRAWS == pytest.approx((1 - t) ** 2, abs=0.02)


def test_first_shares_are_areas_of_the_simplex():
    # Totals are w and 1 - w: each is first on half of the weightings.
    rows = [row("quality", "share", 1.0, 0.0), row("law", "points", 0.0, 1.0)]
    (a, tied_a), (b, tied_b) = first_shares(parts(rows), "ignore")
    assert a == pytest.approx(0.5, abs=0.01) and b == pytest.approx(0.5, abs=0.01)
    assert tied_a == pytest.approx(a, abs=0.001) and tied_b == pytest.approx(b, abs=0.001)
    # With half-widths h on both shares, |2w - 1| <= h sqrt 2 |w| is a tie.
    blurred = [row("quality", "share", (1.0, 0.8, 1.0), (0.0, 0.0, 0.2)), row("law", "points", 0.0, 1.0)]
    (a, tied_a), (b, tied_b) = first_shares(parts(blurred), "ignore")
    edge = 0.1 * 2**0.5
    assert a == pytest.approx(1 - 1 / (2 - edge), abs=0.01) and b == pytest.approx(1 / (2 + edge), abs=0.01)
    assert tied_a == pytest.approx(1 - b, abs=0.001) and tied_b == pytest.approx(1 - a, abs=0.001)
    assert first_shares([{}, {}], "ignore") == [(0.0, 0.0), (0.0, 0.0)]
    unknown_here = [row("quality", "share", 0.4, None)]
    assert first_shares(parts(unknown_here), "interval") == [(1.0, 1.0), (0.0, 0.0)]


def test_sensitivity_goes_from_without_the_group_to_nothing_else():
    rows = [row("quality", "share", 0.2, 0.9), row("price", "low", 1.0, 4.0)]
    curve = sensitivity(rows, {"quality": 3, "price": 1}, "price", steps=4)
    assert curve[0] == (0.0, pytest.approx([0.2, 0.9])) and curve[-1] == (1.0, pytest.approx([1.0, 0.25]))
    assert curve[1][1] == pytest.approx([s.total for s in standings(rows, {"quality": 3, "price": 1})])


cells = st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=3, max_size=3)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(list(WEIGHED)), cells), min_size=1, max_size=6),
    st.dictionaries(st.sampled_from(list(WEIGHED)), st.integers(0, 10)),
)
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
    with pytest.raises(ValueError, match="reckoned from"):
        Cell(kind="estimated", value=0.0)
    with pytest.raises(ValueError, match="the estimated cell has no value"):
        Cell(kind="estimated", note="x")
