"""Objectives: which targets count, and that a step minimises the one that it is given and no other."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from creuset.data.shards.batches import Batch, PackedRow, pack
from creuset.model.attention import Packed
from creuset.testing import tiny_model
from creuset.train.objectives import Objective, pretrain, sft
from creuset.train.step import train_step
from tests.train.test_training import fresh, tiny_run

WEIGHTS = np.array([0, 1, 0.5, 0, 1, 0, 0, 1], dtype=np.float32)


def batch() -> Batch:
    draw = np.random.default_rng(3)
    return pack([PackedRow(draw.integers(0, 512, 8), draw.integers(0, 512, 8), WEIGHTS, np.array([0]))])


@pytest.mark.parametrize(("objective", "weights"), [(pretrain, np.ones(8, dtype=np.float32)), (sft, WEIGHTS)])
def test_the_sum_is_that_of_the_definition_over_the_targets_that_count(
    objective: Objective, weights: np.ndarray
) -> None:
    hidden_TC = torch.randn(8, 16, generator=torch.Generator().manual_seed(1), requires_grad=True)
    head_VC = torch.randn(512, 16, generator=torch.Generator().manual_seed(2), requires_grad=True)
    found = objective.loss_sum(batch(), hidden_TC, head_VC)
    nats_T = F.cross_entropy(hidden_TC @ head_VC.T, batch().targets_T, reduction="none")
    wanted = (nats_T * torch.from_numpy(weights)).sum()
    torch.testing.assert_close(found, wanted)
    assert objective.count(batch()) == weights.sum()
    for mine, theirs in zip(
        torch.autograd.grad(found, [hidden_TC, head_VC]), torch.autograd.grad(wanted, [hidden_TC, head_VC]), strict=True
    ):
        torch.testing.assert_close(mine, theirs)


def test_a_step_minimises_what_it_is_given() -> None:
    """An objective of the test's own: four targets count, and each costs the square of the first hidden number."""

    class Own:
        def count(self, batch: Batch) -> float:
            return 4.0

        def loss_sum(self, batch: Batch, hidden_TC: Tensor, head_VC: Tensor, *, fused: bool = False) -> Tensor:
            return hidden_TC[:4, 0].float().square().sum()

    settings = tiny_run(balance_coef=0.0, z_coef=0.0)
    model, one = tiny_model(settings.model), batch()
    with torch.no_grad():
        wanted = float(model(one.tokens_T, one.positions_T, Packed(one.lengths))[:4, 0].square().sum()) / 4
    state = fresh(settings)
    report = train_step(state, [one], Own())
    assert report.loss == pytest.approx(wanted) and report.trained == 4
    assert train_step(state, [one], Own()).loss < wanted
