"""What is minimised. `step` calls one objective and knows none by name.

An objective is two functions (a module that holds both is one): how many targets of a batch count, and the sum of
their losses. The count must be known before the first backward pass, because each gradient is divided by the count
of the whole global batch. The sum over micro-batches and ranks, divided by it, is the loss.

Shapes: T tokens of a micro-batch    C model width    V vocabulary
"""

from typing import Protocol

from torch import Tensor

from creuset.data.shards.batches import Batch


class Objective(Protocol):
    def count(self, batch: Batch) -> float:
        """How many targets of `batch` count; fractions are allowed."""

    def loss_sum(self, batch: Batch, hidden_TC: Tensor, head_VC: Tensor, *, fused: bool = False) -> Tensor:
        """Sum of the losses of the targets that count, in nats; an fp32 scalar that carries gradients.

        `hidden_TC`: the model's output for `batch`; `head_VC`: the output projection. `fused`: the native
        library may compute it (model/fused).
        """
