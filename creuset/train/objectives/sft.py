"""Supervised fine-tuning: the next token, and only targets with weight count.

In rows of dialogues these are what the assistant says, through <|im_end|> (train/dialogues.py); in rows of prose
all of them. What a user or a system message says, and padding, has weight 0.
"""

from torch import Tensor

from creuset.data.shards.batches import Batch
from creuset.train.objectives.loss import cross_entropy


def count(batch: Batch) -> float:
    return float(batch.weights_T.sum())


def loss_sum(batch: Batch, hidden_TC: Tensor, head_VC: Tensor, *, fused: bool = False) -> Tensor:
    return cross_entropy(hidden_TC, head_VC, batch.targets_T, batch.weights_T, native=fused)
