"""Pre-training: the next token, and every target counts."""

import torch
from torch import Tensor

from creuset.data.shards.batches import Batch
from creuset.train.objectives.loss import cross_entropy


def count(batch: Batch) -> float:
    return float(len(batch.targets_T))


def loss_sum(batch: Batch, hidden_TC: Tensor, head_VC: Tensor, *, fused: bool = False) -> Tensor:
    return cross_entropy(hidden_TC, head_VC, batch.targets_T, torch.ones_like(batch.weights_T), native=fused)
