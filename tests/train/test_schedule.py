"""The schedule by its definition: warm-up in equal parts, a plateau, then 1 - sqrt (arXiv:2405.18392, section 3)."""

import math

import pytest

from creuset.train.schedule import wsd


def test_warm_up_plateau_and_fall_are_those_of_the_definition() -> None:
    shares = [wsd(step, steps=20, warmup=4, decay_share=0.5, floor=0.0) for step in range(20)]
    assert shares[:4] == [0.25, 0.5, 0.75, 1.0]
    assert shares[4:10] == [1.0] * 6
    assert shares[10:] == pytest.approx([1 - math.sqrt((n + 1) / 10) for n in range(10)])
    assert shares[-1] == 0.0


def test_the_floor_is_what_is_left_at_the_end() -> None:
    shares = [wsd(step, steps=10, warmup=0, decay_share=1.0, floor=0.1) for step in range(10)]
    assert shares == pytest.approx([0.1 + 0.9 * (1 - math.sqrt((n + 1) / 10)) for n in range(10)])
    assert shares[-1] == pytest.approx(0.1)


def test_without_a_decay_the_peak_stays() -> None:
    assert [wsd(step, steps=5, warmup=0, decay_share=0.0) for step in range(5)] == [1.0] * 5


def test_a_warm_up_longer_than_the_run_only_warms_up() -> None:
    assert [wsd(step, steps=3, warmup=10, decay_share=0.5) for step in range(3)] == [0.1, 0.2, 0.3]


def test_a_step_after_the_last_has_the_rate_of_the_last() -> None:
    assert wsd(12, steps=10, warmup=0, decay_share=0.5, floor=0.25) == 0.25
