"""Statistics of scores: pure functions of numbers. No torch here.

Every score this package prints comes with its n and a 95 % interval from here.
"""

import math
from dataclasses import dataclass

import numpy as np

Z95 = 1.959963984540054     # the 97.5 % quantile of the normal distribution
RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Interval:
    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


def wilson(right: int, n: int) -> Interval:
    """95 % interval of a share of `right` in `n` (E. B. Wilson, 1927): honest for small n and near 0 and 1."""
    if n == 0:
        return Interval(0.0, 1.0)
    share, z2 = right / n, Z95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


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
    step = max(1, 2_000_000 // len(parts))      # at most 16 MB of indices at a time
    for start in range(0, resamples, step):
        chosen = draw.integers(0, len(parts), size=(min(step, resamples - start), len(parts)))
        found.append(parts[chosen].sum(1) / wholes[chosen].sum(1))
    return np.concatenate(found)


def mean_of_ratios(
    groups: "list[tuple[np.ndarray, np.ndarray]]", *, seed: int = 17, resamples: int = RESAMPLES
) -> tuple[float, Interval]:
    """Unweighted mean over groups of sum(parts) / sum(wholes), and its interval when units are drawn within groups."""
    mean = float(np.mean([parts.sum() / wholes.sum() for parts, wholes in groups]))
    drawn = [resampled_ratios(*group, seed=seed + i, resamples=resamples) for i, group in enumerate(groups)]
    low, high = np.quantile(np.mean(drawn, axis=0), [0.025, 0.975])
    return mean, Interval(float(low), float(high))
