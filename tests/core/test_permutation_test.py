"""Groups of names: the estimate is least squares, the tests are honest, the smallest gap is what a sample can show."""

import math
import random
from typing import TYPE_CHECKING

import numpy as np
import pytest

from creuset.core.stats import smallest_difference
from creuset.core.stats.permutation_test import NamedAnswer, adjusted, contrast, name_effects, spread_by_chance
from tests.lazy import lazily

if TYPE_CHECKING:
    import statsmodels.api as sm
    from scipy import stats
else:
    stats = lazily("scipy.stats")
    sm = lazily("statsmodels.api")


def dealt(seed, *, gap=0.0, names=10, situations=10, taste=0.5, noise=0.5, mood=0.0, lost=0.0):
    """Two groups in two strata, two names of each a prompt: `taste` of names, `mood` of situations about a group."""
    draw = random.Random(seed)
    likes = {(s, g, i): draw.gauss(0, taste) for s in "fm" for g in "ab" for i in range(names)}
    decks = {cell: [] for cell in [(s, g) for s in "fm" for g in "ab"]}
    answers = []
    for k in range(situations):
        moods = {g: draw.gauss(0, mood) for g in "ab"}
        for level in (-1.0, 1.0):
            hard = level + draw.gauss(0, 1)
            for (s, g), deck in decks.items():
                for _ in range(2):
                    deck.extend(draw.sample(range(names), names) if not deck else [])
                    i = deck.pop()
                    value = hard + likes[s, g, i] + moods[g] + gap * (g == "b") + draw.gauss(0, noise)
                    if draw.random() >= lost:
                        answers.append(NamedAnswer(f"{g}{i}", g, s, f"{k}/{level}", str(k), value))
    return answers


def test_effects_of_names_are_those_of_least_squares_with_prompts():
    answers = dealt(1, lost=0.1)
    effects = name_effects(answers)
    names, prompts = list(effects), sorted({a.prompt for a in answers})
    x = np.zeros((len(answers), len(names) + len(prompts)))
    for row, a in zip(x, answers, strict=True):
        row[names.index((a.stratum, a.group, a.name))] = row[len(names) + prompts.index(a.prompt)] = 1.0
    solved = np.linalg.lstsq(x, np.asarray([a.value for a in answers]), rcond=None)[0][: len(names)]
    mine = np.asarray(list(effects.values()))
    assert mine - mine.mean() == pytest.approx(solved - solved.mean(), abs=1e-9)


def test_the_gap_is_the_mean_of_pairs_where_nothing_is_lost():
    answers = dealt(2, gap=0.4, names=8, situations=16)
    told = contrast(answers, "a", "b", shuffles=99)
    plain = {g: np.mean([a.value for a in answers if a.group == g]) for g in "ab"}
    # Every name was dealt as often; only which prompts it met is left to chance.
    assert told.value == pytest.approx(plain["b"] - plain["a"], abs=0.05)
    assert (told.names, told.situations) == (32, 16) and contrast(answers, "a", "nobody") is None
    back = contrast(answers, "b", "a", shuffles=99)
    assert back.value == pytest.approx(-told.value) and back.interval.low == pytest.approx(-told.interval.high)


@pytest.mark.parametrize("taste, mood", [(0.6, 0.0), (0.0, 0.6), (0.4, 0.4), (0.0, 0.0)])
def test_the_interval_covers_whether_names_or_situations_vary(taste, mood):
    told = [contrast(dealt(seed, gap=0.3, taste=taste, mood=mood), "a", "b", shuffles=0) for seed in range(60)]
    covered = np.mean([0.3 in t.interval for t in told])
    assert 0.88 <= covered <= 1.0
    # What pairs as samples would claim is far too sure of itself.
    spread = np.std([t.value for t in told])
    assert np.mean([t.se for t in told]) == pytest.approx(spread, rel=0.3)


def test_chance_is_taken_for_a_gap_in_one_sample_of_twenty_at_most():
    ps = [contrast(dealt(seed, mood=0.3), "a", "b", shuffles=199).p for seed in range(60)]
    assert np.mean(np.asarray(ps) < 0.05) <= 0.10
    assert np.mean([contrast(dealt(s, gap=1.5), "a", "b", shuffles=199).p < 0.05 for s in range(8)]) == 1.0


def test_the_smallest_detectable_gap_is_found_in_four_samples_of_five():
    first = contrast(dealt(0), "a", "b", shuffles=0)
    gap = float(np.median([contrast(dealt(s), "a", "b", shuffles=0).detectable() for s in range(10)]))
    found = np.mean([contrast(dealt(s, gap=gap), "a", "b", shuffles=199).p < 0.05 for s in range(40)])
    assert 0.65 <= found <= 0.95
    assert first.detectable() == pytest.approx(smallest_difference(first.se, df=first.df))
    assert first.detectable(4) > first.detectable() and smallest_difference(1.0) == pytest.approx(2.8016, abs=1e-4)
    wanted = stats.t.ppf(0.975, 10) + stats.t.ppf(0.8, 10)
    assert smallest_difference(1.0, df=10) == pytest.approx(wanted)


def test_shuffling_is_that_of_scipy_and_agreement_shows_nothing():
    answers = [
        NamedAnswer(f"{g}{i}", g, "s", f"{i}", f"{i}", v)
        for g, values in (("a", [0.1, 0.5, 0.2, 0.9, 0.4]), ("b", [1.0, 0.8, 1.4, 0.3, 1.2]))
        for i, v in enumerate(values)
    ]
    effects = {("s", a.group, a.name): a.value for a in answers}
    told = contrast(answers, "a", "b", effects=effects)
    exact = stats.permutation_test(
        ([1.0, 0.8, 1.4, 0.3, 1.2], [0.1, 0.5, 0.2, 0.9, 0.4]), lambda x, y: np.mean(x) - np.mean(y)
    ).pvalue
    assert told.p_names == pytest.approx(exact, abs=0.01) and told.value == pytest.approx(0.52)
    same = [NamedAnswer(a.name, a.group, a.stratum, a.prompt, a.situation, 1.0) for a in dealt(3)]
    told = contrast(same, "a", "b", shuffles=99)
    assert (told.value, told.se, told.interval, told.p, told.detectable()) == (0.0, 0.0, None, 1.0, None)


def test_the_gap_at_equal_facts_is_that_of_ordinary_least_squares():
    draw = random.Random(5)
    effects, facts = {}, {}
    for s in "fm":
        for g in "ab":
            for i in range(10):
                rare = draw.gauss(2.0 * (g == "b"), 1)
                facts[s, g, f"{g}{i}"] = (rare, draw.gauss(0, 1))
                effects[s, g, f"{g}{i}"] = 0.7 * rare + draw.gauss(0, 0.1)
    value, interval = adjusted(effects, facts, "a", "b")
    keys = list(effects)
    x = np.asarray([[key[1] == "b", key[0] == "f", key[0] == "m", *facts[key]] for key in keys], dtype=float)
    fitted = sm.OLS(np.asarray([effects[key] for key in keys]), x).fit()
    assert value == pytest.approx(fitted.params[0]) and 0.0 in interval  # all of the gap is rarity
    assert (interval.low, interval.high) == pytest.approx(tuple(fitted.conf_int()[0]))
    assert adjusted(effects, {k: (float(k[1] == "b"), 0.0) for k in facts}, "a", "b") is None
    assert adjusted({}, {}, "a", "b") is None


def test_spread_by_chance_is_known_and_found_where_it_is_real():
    draw = np.random.default_rng(3)
    groups, strata = np.repeat(np.arange(4), 12), np.tile(np.repeat([0, 1], 6), 4)
    asked = np.full((48, 1), 9.0)
    fair = draw.binomial(9, 0.5, (48, 1)).astype(float)
    chance, p = spread_by_chance(fair, asked, groups, strata, shuffles=499)
    assert 0.03 < chance < 0.2 and p > 0.05
    unfair = np.where(groups[:, None] == 2, 2.0, 5.0) + draw.integers(0, 2, (48, 1))
    assert spread_by_chance(unfair, asked, groups, strata, shuffles=499)[1] == pytest.approx(1 / 500)
    chance, p = spread_by_chance(fair, np.zeros((48, 1)), groups, strata, shuffles=9)
    assert math.isnan(chance) and p == 1.0
