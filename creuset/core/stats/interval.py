"""Intervals of shares, means and any statistic; how sure a score is, whatever it is made of."""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from creuset.core.sentences import sentence
from creuset.core.stats.special import beta_quantile, t_quantile

Z95 = 1.959963984540054  # the 97.5 % quantile of the normal distribution
RESAMPLES = 2000
Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Interval:
    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95 % interval; `by` is what a report prints as the way the interval was made."""

    value: float
    interval: Interval
    se: float  # standard error
    df: float  # degrees of freedom of `se`: clusters - 1; infinite where it is asymptotic
    n: int
    clusters: int  # n where nothing is clustered
    by: str


def wilson(right: int, n: int) -> Interval:
    """95 % interval of a share of `right` in `n` (E. B. Wilson, 1927): honest for small n and near 0 and 1."""
    if n == 0:
        return Interval(0.0, 1.0)
    share, z2 = right / n, Z95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    # Exactly 0 and 1 at the ends, where rounding leaves 1e-17.
    return Interval(max(0.0, middle - half) if right else 0.0, min(1.0, middle + half) if right < n else 1.0)


def clopper_pearson(right: int, n: int, *, level: float = 0.95) -> Interval:
    """Exact interval of a share (Clopper and Pearson, 1934): covers at least `level`, wider than Wilson's.

    For rare events (leaks, successful attacks): 0 of n has the upper limit that "rule of three" approximates.
    """
    if not 0 <= right <= n:
        raise ValueError(f"{right} of {n} is no share")
    tail = (1 - level) / 2
    low = beta_quantile(tail, right, n - right + 1) if right else 0.0
    high = beta_quantile(1 - tail, right + 1, n - right) if right < n else 1.0
    return Interval(low, high)


def mean(values: ArrayLike, clusters: Sequence[Hashable] | None = None) -> Estimate:
    """Mean with a Student-t interval; with `clusters` the standard error allows for samples of one cluster to agree.

    Miller, "Adding error bars to evals" (2024), eq. 4, with the small-sample factor G / (G - 1): without clusters it is
    the usual s / sqrt(n). Degrees of freedom: clusters - 1. With fewer than two clusters nothing is known: the interval
    is (-inf, inf). An empty label is a cluster of its own.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or not len(x):
        raise ValueError(f"a mean needs a list of at least one number, got shape {x.shape}")
    codes, groups = _codes(clusters, len(x))
    centre = float(x.mean())
    sums = np.bincount(codes, weights=x - centre, minlength=groups)
    by = (
        sentence("core.by_t") if groups == len(x)
        else sentence("core.by_t_clusters" if groups != 1 else "core.by_t_cluster", n=groups)
    )  # fmt: skip
    if groups < 2:
        return Estimate(centre, Interval(-math.inf, math.inf), math.inf, 0.0, len(x), groups, by)
    se = math.sqrt(groups / (groups - 1) * float((sums**2).sum())) / len(x)
    half = t_quantile(0.975, groups - 1) * se
    return Estimate(centre, Interval(centre - half, centre + half), se, groups - 1, len(x), groups, by)


def share(values: ArrayLike, clusters: Sequence[Hashable] | None = None) -> Estimate:
    """Mean of values in [0, 1] (`correct` of rows): the interval to use when in doubt.

    0 and 1 without clusters: Wilson. Else Student t (clustered), cut to [0, 1]; where all values agree, and a
    standard error of zero would claim certainty, Wilson with the clusters as trials.
    """
    x = np.asarray(values, dtype=np.float64)
    if ((x < 0) | (x > 1)).any():
        raise ValueError("a share has values from 0 to 1")
    found = mean(x, clusters)
    binary = bool(((x == 0) | (x == 1)).all())
    low, high, by = max(0.0, found.interval.low), min(1.0, found.interval.high), found.by
    if binary and (found.clusters == found.n or found.se == 0.0):
        interval = wilson(round(found.value * found.clusters), found.clusters)
        low, high = interval.low, interval.high
        whole = found.clusters == found.n
        by = sentence("core.by_wilson") if whole else sentence("core.by_wilson_clusters", n=found.clusters)
    return Estimate(found.value, Interval(low, high), found.se, found.df, found.n, found.clusters, by)


def nested_share(
    values: ArrayLike, paths: Sequence[tuple[Hashable, ...]], clusters: Sequence[Hashable] | None = None
) -> Estimate:
    """Mean of means of values in [0, 1]: every child of a level counts the same, whatever its number of samples.

    `paths` places each sample, from the top: ("math", "olympiad"). The leaves are fixed strata, not drawn: the standard
    error is that of the weighted sum with each value taken from its leaf's mean, summed over clusters (which may lie
    across leaves), times G / (G - leaves); of one leaf it is that of `mean`. Where it is zero: Wilson, as in `share`.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or not len(x) or len(paths) != len(x) or len({len(p) for p in paths}) != 1:
        raise ValueError(f"{len(paths)} places of one depth are needed for values of shape {x.shape}")
    if ((x < 0) | (x > 1)).any():
        raise ValueError("a share has values from 0 to 1")
    children: dict[tuple[Hashable, ...], set[Hashable]] = {}
    for path in paths:
        for depth, step in enumerate(path):
            children.setdefault(path[:depth], set()).add(step)
    leaf, leaves = _codes([str(p) for p in paths], len(x))
    sizes = np.bincount(leaf)
    shares = [math.prod(1 / len(children[path[:depth]]) for depth in range(len(path))) for path in paths]
    weights = np.asarray(shares) / sizes[leaf]
    codes, groups = _codes(clusters, len(x))
    centre = float((weights * x).sum())
    by = sentence("core.by_t_strata", n=leaves)
    if groups != len(x):
        by = sentence("core.by_t_strata_clusters", n=leaves, m=groups)
    if groups <= leaves:
        return Estimate(centre, Interval(0.0, 1.0), math.inf, 0.0, len(x), groups, by)
    rest = weights * (x - (np.bincount(leaf, weights=x) / sizes)[leaf])
    sums = np.bincount(codes, weights=rest, minlength=groups)
    se = math.sqrt(groups / (groups - leaves) * float((sums**2).sum()))
    if se < 1e-12:
        return Estimate(
            centre,
            wilson(round(centre * groups), groups),
            0.0,
            groups - leaves,
            len(x),
            groups,
            f"Wilson, {groups} clusters as trials",
        )
    half = t_quantile(0.975, groups - leaves) * se
    return Estimate(
        centre, Interval(max(0.0, centre - half), min(1.0, centre + half)), se, groups - leaves, len(x), groups, by
    )


def _codes(clusters: Sequence[Hashable] | None, n: int) -> tuple[Indices, int]:
    """(n,) number of each sample's cluster, and how many there are."""
    if clusters is None:
        return np.arange(n), n
    if len(clusters) != n:
        raise ValueError(f"{len(clusters)} cluster labels for {n} values")
    known: dict[Hashable, int] = {}
    codes = [
        known.setdefault(label if label not in ("", None) else ("", i), len(known)) for i, label in enumerate(clusters)
    ]
    return np.asarray(codes, dtype=np.int64), len(known)


def bootstrap(
    statistic: Callable[[Indices], float],
    n: int,
    *,
    clusters: Sequence[Hashable] | None = None,
    strata: Sequence[Hashable] | None = None,
    seed: int = 17,
    resamples: int = RESAMPLES,
) -> Interval | None:
    """95 % percentile interval of any statistic of `n` samples; `statistic` gets the indices drawn, with repetitions.

    Whole clusters are drawn where there are some; with `strata` each stratum is drawn by itself and keeps its number
    (of clusters): for classes that a statistic needs both of. Resamples in which the statistic is not finite are left
    out; None when that is more than half of them, and when all come to one value: an interval of no width would claim
    certainty.

        bootstrap(lambda i: ece(confidence[i], correct[i]), len(correct))
    """
    if n < 1:
        raise ValueError("nothing to draw from")
    codes, groups = _codes(clusters, n)
    layers, number = _codes(strata, n) if strata is not None else (np.zeros(n, dtype=np.int64), 1)
    order = np.argsort(codes, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(codes, minlength=groups))[:-1])
    home = np.zeros(groups, dtype=np.int64)
    home[codes] = layers
    if (home[codes] != layers).any():
        raise ValueError("a cluster lies in two strata")
    of = [np.flatnonzero(home == layer) for layer in range(number)]
    draw, found = np.random.default_rng(seed), []
    for _ in range(resamples):
        # One stratum is every cluster in its order.
        parts = [units[draw.integers(0, len(units), len(units))] for units in of]
        chosen = parts[0] if len(parts) == 1 else np.concatenate(parts)
        found.append(statistic(chosen if clusters is None else np.concatenate([members[c] for c in chosen])))
    return _percentiles(np.asarray(found, dtype=np.float64))


def _percentiles(found: NDArray[np.float64]) -> Interval | None:
    finite = found[np.isfinite(found)]
    if 2 * len(finite) < len(found):
        return None
    low, high = np.quantile(finite, [0.025, 0.975])
    return Interval(float(low), float(high)) if low < high else None


def bootstrap_ratio(
    parts: "np.ndarray", wholes: "np.ndarray", *, seed: int = 17, resamples: int = RESAMPLES
) -> Interval:
    """95 % percentile interval of sum(parts) / sum(wholes) when the units are drawn again, with replacement.

    With bits and bytes of documents this is the interval of bits per byte with the document as unit.
    """
    ratios = resampled_ratios(parts, wholes, seed=seed, resamples=resamples)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return Interval(float(low), float(high))


def resampled_ratios(
    parts: "np.ndarray", wholes: "np.ndarray", *, seed: int = 17, resamples: int = RESAMPLES
) -> "np.ndarray":
    """(resamples,) the ratio in each resample."""
    assert len(parts) == len(wholes) > 0, f"{len(parts)} parts, {len(wholes)} wholes"
    draw, found = np.random.default_rng(seed), []
    step = max(1, 2_000_000 // len(parts))  # at most 16 MB of indices at a time
    for start in range(0, resamples, step):
        chosen = draw.integers(0, len(parts), size=(min(step, resamples - start), len(parts)))
        found.append(parts[chosen].sum(1) / wholes[chosen].sum(1))
    return np.concatenate(found)


def mean_of_ratios(
    groups: "list[tuple[np.ndarray, np.ndarray]]", *, seed: int = 17, resamples: int = RESAMPLES
) -> tuple[float, Interval]:
    """Unweighted mean over groups of sum(parts) / sum(wholes), and its interval when units are drawn within groups."""
    centre = float(np.mean([parts.sum() / wholes.sum() for parts, wholes in groups]))
    drawn = [resampled_ratios(*group, seed=seed + i, resamples=resamples) for i, group in enumerate(groups)]
    low, high = np.quantile(np.mean(drawn, axis=0), [0.025, 0.975])
    return centre, Interval(float(low), float(high))
