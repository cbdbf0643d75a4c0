"""The likeliest tokens of a row: in order, equals by their ids, and what is not finite shows."""

import numpy as np
import pytest

from creuset.engine.backend.base import BatchSpan, ForwardBatch
from creuset.engine.backend.candidates import candidates_of
from creuset.engine.settings import EngineSettings
from creuset.testing import tiny_model
from tests.engine.support import runner


@pytest.mark.parametrize(("count", "within"), [(1, 50), (5, 50), (7, 31), (50, 50), (80, 50), (80, 20)])
def test_candidates_are_the_beginning_of_the_sorted_row(count, within):
    # Halves, so that many are equal.
    logits_RV = (np.random.default_rng(3).integers(-9, 9, (4, 50)) / 2).astype(np.float32)
    found = candidates_of(logits_RV, count, within)
    for row, logits_V in enumerate(logits_RV):
        order = sorted(range(min(within, 50)), key=lambda id, at=logits_V: (-at[id], id))[:count]
        assert found.ids_RK[row].tolist() == order
        assert found.logits_RK[row].tolist() == logits_V[order].tolist()
        assert found.logsumexp_R[row] == pytest.approx(np.log(np.exp(logits_V.astype(float)).sum()), abs=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_row_that_is_not_finite_says_so(bad):
    logits_RV = np.zeros((2, 9), dtype=np.float32)
    logits_RV[0, 4] = bad
    for count in (1, 3):
        found = candidates_of(logits_RV, count, 9)
        assert not (np.isfinite(found.logits_RK[0, 0]) and np.isfinite(found.logsumexp_R[0]))
        assert np.isfinite(found.logits_RK[1]).all() and np.isfinite(found.logsumexp_R[1])


def test_a_backend_finds_them_by_its_own_logits():
    settings = EngineSettings(dtype="fp32", max_batch_tokens=64, backend="torch")
    one = runner(tiny_model(), settings)
    one.allocate(4, 16)
    one.forward(ForwardBatch(list(range(20)), [BatchSpan(0, 20, [2, 0])]))
    for expected, found in zip(
        candidates_of(one.logits([3, 19]), 4, 100), one.candidates([3, 19], 4, 100), strict=True
    ):
        assert np.array_equal(expected, found)
