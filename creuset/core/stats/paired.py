"""Two models on the same samples: is one better, are they equal within a margin, and what could the sample show?

Differences are always second minus first: what is gained by going from A to B.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from creuset.core.stats.interval import RESAMPLES, Estimate, Interval, bootstrap, clopper_pearson, mean
from creuset.core.stats.special import binomial_cdf, t_cdf, t_quantile


def flips(a: ArrayLike, b: ArrayLike) -> tuple[int, int]:
    """(right only in A, right only in B): McNemar's b and c. Values are 0 and 1."""
    first, second = _pair(a, b)
    if not all(((x == 0) | (x == 1)).all() for x in (first, second)):
        raise ValueError("flips are counted of 0 and 1 only")
    return int(((first == 1) & (second == 0)).sum()), int(((first == 0) & (second == 1)).sum())


def mcnemar(only_a: int, only_b: int) -> float:
    """Two-sided p of McNemar's exact test: the binomial one of the samples on which the two disagree."""
    total = only_a + only_b
    return min(1.0, 2 * binomial_cdf(min(only_a, only_b), total)) if total else 1.0


def paired_difference(a: ArrayLike, b: ArrayLike, clusters: Sequence[Hashable] | None = None) -> Estimate:
    """Mean of b - a with the standard error of the differences (Miller 2024, section 4), clustered if told."""
    first, second = _pair(a, b)
    return mean(second - first, clusters)


def difference_p(difference: Estimate) -> float:
    """Two-sided p of the t-test that the true mean of b - a is zero; 1 where its error is unknown.

    Where all differences are alike and not 0 their error is 0, and the t-test says nothing: the exact sign test does.
    """
    if difference.value and difference.se <= 1e-12 * abs(difference.value):
        return min(1.0, 2 * 0.5**difference.clusters)
    if difference.se == 0.0 or math.isinf(difference.se):
        return 1.0
    return 2 * t_cdf(-abs(difference.value) / difference.se, difference.df)


def paired_bootstrap(
    a: ArrayLike,
    b: ArrayLike,
    clusters: Sequence[Hashable] | None = None,
    *,
    seed: int = 17,
    resamples: int = RESAMPLES,
) -> Interval:
    """95 % percentile interval of the mean of b - a, samples (or whole clusters) drawn together for both."""
    first, second = _pair(a, b)
    gaps = second - first
    found = bootstrap(lambda i: float(gaps[i].mean()), len(gaps), clusters=clusters, seed=seed, resamples=resamples)
    if found is not None:
        return found
    # All alike: drawn again they stay alike, but of other samples some may differ.
    units = mean(gaps, clusters).clusters
    reach = clopper_pearson(0, units).high * max(1.0, float(np.abs(gaps).max()))
    return Interval(float(gaps.mean()) - reach, float(gaps.mean()) + reach)


def _pair(a: ArrayLike, b: ArrayLike) -> tuple["np.ndarray", "np.ndarray"]:
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise ValueError(f"pairs need two lists of one length, got {first.shape} and {second.shape}")
    return first, second


def holm(ps: Sequence[float]) -> list[float]:
    """p-values adjusted for being several (S. Holm, 1979), in the order given; compare each with 0.05."""
    adjusted, running = [0.0] * len(ps), 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        running = max(running, min(1.0, (len(ps) - rank) * ps[index]))
        adjusted[index] = running
    return adjusted


@dataclass(frozen=True, slots=True)
class Equivalence:
    margin: float
    p: float  # the larger of the two one-sided p-values
    equivalent: bool  # p < 0.05: the difference lies within (-margin, margin)


def equivalence(difference: Estimate, margin: float) -> Equivalence:
    """Two one-sided t-tests (Schuirmann, 1987) of |difference| < margin, at 5 %.

    Not finding a difference is not equivalence: this is the test that can say "the same, within the margin".
    A standard error of zero (every pair alike) says nothing about other samples: then p is that of `n` (clusters
    as trials) samples without one flip among them, (1 - margin)^n.
    """
    if not margin > 0:
        raise ValueError(f"an equivalence margin is above 0, got {margin}")
    if math.isinf(difference.se):
        p = 1.0
    elif difference.se == 0.0:
        p = max(0.0, 1.0 - margin) ** difference.clusters if abs(difference.value) < margin else 1.0
    else:
        above = 1.0 - t_cdf((difference.value + margin) / difference.se, difference.df)
        below = t_cdf((difference.value - margin) / difference.se, difference.df)
        p = max(above, below)
    return Equivalence(margin, p, p < 0.05)


def smallest_difference(se: float, *, power: float = 0.8, alpha: float = 0.05, df: float = math.inf) -> float:
    """The true difference that a two-sided test at `alpha` finds with probability `power` (Miller 2024, eq. 9).

    `se`: standard error of the difference, with `df` degrees of freedom. A smaller true difference will mostly look
    like none.
    """
    return (t_quantile(1 - alpha / 2, df) + t_quantile(power, df)) * se


def fewest_flips(alpha: float = 0.05) -> int:
    """Flips, all one way, below which McNemar's exact test cannot be significant: 6 for 5 %, 8 for 1 %."""
    count = 1
    while mcnemar(0, count) >= alpha:
        count += 1
    return count
