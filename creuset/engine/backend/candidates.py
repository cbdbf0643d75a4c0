"""The likeliest tokens of rows of logits: what plain requests choose from, so that no whole rows need be handed over.

This is the definition, on NumPy arrays. A backend may find the same beside its output head.

Shapes: R rows    V vocabulary    K candidates
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from creuset.engine.backend.base import Logits


class Candidates(NamedTuple):
    """The K likeliest tokens of each row, highest logit first; of equals, the lower id first.

    A row with a logit that is not finite has one that is not finite in its first place, or a sum that is not.
    """

    ids_RK: NDArray[np.int64]
    logits_RK: NDArray[np.float32]
    logsumexp_R: NDArray[np.float64]  # of the whole row: ln p of a token is its logit less this


def candidates_of(logits_RV: Logits, count: int, within: int) -> Candidates:
    """The `count` likeliest of the first `within` tokens (all that there are, where there are fewer)."""
    width = min(within, logits_RV.shape[1])
    count = min(count, width)
    ids_RK = np.empty((len(logits_RV), count), dtype=np.int64)
    for row, logits_V in enumerate(logits_RV):
        ids_RK[row] = [logits_V[:width].argmax()] if count == 1 else likeliest(logits_V[:width], count)
    high_R1 = logits_RV.max(axis=1, keepdims=True).astype(np.float64)
    with np.errstate(invalid="ignore"):  # rows that are not finite say so by what comes out
        sums_R = np.exp(logits_RV - high_R1).sum(axis=1)
        return Candidates(ids_RK, np.take_along_axis(logits_RV, ids_RK, 1), high_R1[:, 0] + np.log(sums_R))


def likeliest(scores_V: NDArray[np.floating], count: int) -> NDArray[np.int64]:
    """Ids of the `count` highest scores, highest first; of equals, the lower id first."""
    if count < len(scores_V):
        edge = np.partition(scores_V, len(scores_V) - count)[len(scores_V) - count]
        ids = np.flatnonzero(~(scores_V < edge))  # a NaN is not below anything
    else:
        ids = np.arange(len(scores_V))
    order: NDArray[np.int64] = ids[np.argsort(-scores_V[ids], kind="stable")][:count]
    return order
