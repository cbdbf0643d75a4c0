"""Statistics that are scores themselves: ranking, calibration, agreement, parity between groups, pass@k."""

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from creuset.core.sentences import sentence
from creuset.core.stats.interval import Z95, Estimate, Interval
from creuset.core.stats.special import bisect, normal_cdf

Floats = NDArray[np.float64]
ORDERS = 3_432  # so many orders, those of 7 and 7, are counted one by one


def pass_at_k(n: int, right: int, k: int) -> float:
    """Probability that k of n samples, `right` of which pass, hold one that passes (Chen et al. 2021, eq. 1)."""
    if not 0 <= right <= n or not 1 <= k <= n:
        raise ValueError(f"pass@{k} of {n} samples, {right} right")
    return 1.0 - math.comb(n - right, k) / math.comb(n, k)


def ranks(values: ArrayLike) -> Floats:
    """Ranks from 1; ties share their mean rank."""
    x = np.asarray(values, dtype=np.float64)
    _, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return ((ends - counts + 1 + ends) / 2.0)[inverse]


def spearman(x: ArrayLike, y: ArrayLike) -> float:
    """Rank correlation, ties sharing their mean rank; nan where one of the two does not vary."""
    a, b = ranks(x), ranks(y)
    if len(a) != len(b):
        raise ValueError(f"a correlation needs pairs, got {len(a)} and {len(b)} values")
    a, b = a - a.mean(), b - b.mean()
    size = math.sqrt(float((a @ a) * (b @ b)))
    return float(a @ b) / size if size else math.nan


def auroc(scores: ArrayLike, labels: ArrayLike) -> Estimate:
    """Area under the ROC curve, higher scores meaning label 1, ties counted half.

    Interval and standard error by DeLong, DeLong and Clarke-Pearson (1988), in the fast form of Sun and Xu (2014), cut
    to [0, 1]. Where that error is 0, as with classes wholly apart, the interval is Newcombe's (2006, method 5),
    which is as wide as so few samples ask. ValueError for a class that is empty and for a score that is not a number.
    """
    x, y = np.asarray(scores, dtype=np.float64), np.asarray(labels).astype(bool)
    if np.isnan(x).any():
        raise ValueError(f"score {int(np.flatnonzero(np.isnan(x))[0])} of {len(x)} is not a number")
    positive, negative = x[y], x[~y]
    m, n = len(positive), len(negative)
    if not m or not n:
        raise ValueError(f"an AUROC needs both classes, got {m} positive and {n} negative samples")
    together = ranks(np.concatenate([positive, negative]))
    over = (together[:m] - ranks(positive)) / n  # share of negatives below each positive
    under = 1.0 - (together[m:] - ranks(negative)) / m  # share of positives above each negative
    area = float(over.mean())
    se = math.inf
    if m > 1 and n > 1:
        se = math.sqrt(float(over.var(ddof=1)) / m + float(under.var(ddof=1)) / n)
    if se == 0.0:
        return Estimate(area, _newcombe(area, m, n), se, math.inf, m + n, m + n, sentence("core.by_newcombe"))
    interval = Interval(max(0.0, area - Z95 * se), min(1.0, area + Z95 * se))
    return Estimate(area, interval, se, math.inf, m + n, m + n, sentence("core.by_delong"))


def _newcombe(area: float, m: int, n: int) -> Interval:
    """The areas that lie within 1.96 of their own standard errors of `area` (Newcombe 2006, Stat. Med. 25:559)."""
    middle = (m + n) / 2 - 1

    def error(true: float) -> float:
        pair = (1 - true) / (2 - true) + true / (1 + true)
        return math.sqrt(max(0.0, true * (1 - true) * (1 + middle * pair) / (m * n)))

    low = bisect(lambda true: true + Z95 * error(true), area, 0.0, area) if area > 0.0 else 0.0
    high = bisect(lambda true: true - Z95 * error(true), area, area, 1.0) if area < 1.0 else 1.0
    return Interval(low, high)


def tpr_at_fpr(scores: ArrayLike, labels: ArrayLike, fpr: float = 0.01) -> float:
    """Largest true positive rate of a threshold whose false positive rate is at most `fpr`."""
    x, y = np.asarray(scores, dtype=np.float64), np.asarray(labels).astype(bool)
    negative = np.sort(x[~y])[::-1]
    if not len(negative) or not y.any():
        raise ValueError("a rate needs both classes")
    allowed = math.floor(fpr * len(negative) + 1e-9)
    threshold = negative[allowed] if allowed < len(negative) else -math.inf  # samples above it are called positive
    return float((x[y] > threshold).mean())


@dataclass(frozen=True, slots=True)
class Bin:
    confidence: float  # mean of the bin
    correct: float  # share
    n: int


def reliability(confidence: ArrayLike, correct: ArrayLike, *, bins: int = 10) -> list[Bin]:
    """Equal-width bins (low, high] of confidence in [0, 1], 0 in the first; empty bins are left out."""
    p, y = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    if p.shape != y.shape or not len(p):
        raise ValueError(f"{p.shape} confidences for {y.shape} answers")
    if ((p < 0) | (p > 1)).any():
        raise ValueError("a confidence lies between 0 and 1")
    home = np.clip(np.ceil(p * bins).astype(int) - 1, 0, bins - 1)
    return [
        Bin(float(p[inside].mean()), float(y[inside].mean()), int(inside.sum()))
        for b in range(bins)
        if (inside := home == b).any()
    ]


def ece(confidence: ArrayLike, correct: ArrayLike, *, bins: int = 10) -> float:
    """Expected calibration error: mean over samples of |share correct - confidence| of their equal-width bin."""
    found = reliability(confidence, correct, bins=bins)
    return sum(b.n * abs(b.correct - b.confidence) for b in found) / sum(b.n for b in found)


def brier(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Mean squared gap of the confidence and 0 or 1."""
    p, y = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    return float(((p - y) ** 2).mean())


@dataclass(frozen=True, slots=True)
class RankTest:
    u: float  # pairs (a, b) with a > b, ties counted half
    p: float  # two-sided
    effect: float  # u / pairs: probability that a random a exceeds a random b


def mann_whitney(a: ArrayLike, b: ArrayLike) -> RankTest:
    """Mann-Whitney U: exact where the sides have few orders (all are counted, ties as they are), else by the normal
    approximation with correction for ties and continuity."""
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    m, n = len(x), len(y)
    if not m or not n:
        raise ValueError(f"a rank test needs values on both sides, got {m} and {n}")
    both = np.concatenate([x, y])
    u = float(ranks(both)[:m].sum()) - m * (m + 1) / 2
    if math.comb(m + n, m) <= ORDERS:
        return RankTest(u, _exact_p(ranks(both), m), u / (m * n))
    _, counts = np.unique(both, return_counts=True)
    ties = float((counts.astype(np.float64) ** 3 - counts).sum()) / ((m + n) * (m + n - 1)) if m + n > 1 else 0.0
    spread = math.sqrt(m * n / 12 * (m + n + 1 - ties))
    if spread == 0.0:
        return RankTest(u, 1.0, u / (m * n))
    z = (max(u, m * n - u) - m * n / 2 - 0.5) / spread
    return RankTest(u, min(1.0, 2 * normal_cdf(-z)), u / (m * n))


def _exact_p(order: Floats, m: int) -> float:
    """Share of the ways to choose `m` of the ranks whose sum lies at least as far from its mean as the first `m`'s."""
    middle = order.sum() * m / len(order)
    reach = abs(float(order[:m].sum()) - middle) - 1e-9
    sums = np.asarray([sum(chosen) for chosen in combinations(order.tolist(), m)])
    return float((np.abs(sums - middle) >= reach).mean())


def rates(predicted: ArrayLike, groups: Sequence[Hashable]) -> dict[Hashable, float]:
    """Share of 1 among `predicted`, group by group."""
    y = np.asarray(predicted, dtype=np.float64)
    if len(y) != len(groups) or not len(y):
        raise ValueError(f"{len(y)} decisions for {len(groups)} group labels")
    where: dict[Hashable, list[int]] = {}
    for i, group in enumerate(groups):
        where.setdefault(group, []).append(i)
    return {group: float(y[indices].mean()) for group, indices in where.items()}


def demographic_parity_difference(predicted: ArrayLike, groups: Sequence[Hashable]) -> float:
    """Largest minus smallest share of positive decisions among the groups; 0 is parity."""
    found = rates(predicted, groups).values()
    return max(found) - min(found)


def equalized_odds_difference(gold: ArrayLike, predicted: ArrayLike, groups: Sequence[Hashable]) -> float:
    """The larger of the groups' spreads in true and in false positive rate; 0 is equal odds.

    NaN where a group has no positive or no negative cases, and so not both rates (fairlearn counts a missing rate as
    0, which would look like perfect or like no equality).
    """
    y, said = np.asarray(gold).astype(bool), np.asarray(predicted, dtype=np.float64)
    labels = list(groups)
    spreads = []
    for wanted in (True, False):
        chosen = np.flatnonzero(y == wanted)
        named = [labels[i] for i in chosen]
        if not named or set(named) != set(labels):
            return math.nan
        spreads.append(demographic_parity_difference(said[chosen], named))
    return max(spreads)


def cohen_kappa(a: Sequence[Hashable], b: Sequence[Hashable]) -> float:
    """Agreement of two raters beyond chance (Cohen, 1960); NaN when both always say the same one thing."""
    if len(a) != len(b) or not a:
        raise ValueError(f"{len(a)} and {len(b)} ratings")
    n, first, second = len(a), Counter(a), Counter(b)
    agreed = sum(x == y for x, y in zip(a, b, strict=True)) / n
    chance = sum(first[label] * second[label] for label in first) / n**2
    return math.nan if chance == 1.0 else (agreed - chance) / (1 - chance)


def krippendorff_alpha(ratings: Sequence[Sequence[Hashable | None]]) -> float:
    """Nominal alpha of any number of raters, one row a unit, None where a rater said nothing (Krippendorff, 2004).

    NaN when no two ratings can be compared, or when every one is the same.
    """
    units = [Counter(r for r in row if r is not None) for row in ratings]
    units = [counts for counts in units if counts.total() > 1]  # a lone rating agrees with nobody
    values = sum(units, Counter[Hashable]())
    n = values.total()
    observed = sum(sum(c * (counts.total() - c) for c in counts.values()) / (counts.total() - 1) for counts in units)
    expected = sum(c * (n - c) for c in values.values())
    return 1.0 - (n - 1) * observed / expected if expected else math.nan
