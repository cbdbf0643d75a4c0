"""What is minimized: next-token cross-entropy, load balance over the global batch, router z-loss.

Shapes: T tokens, C model width, V vocabulary, E experts, L MoE layers.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from creuset.model import fused
from creuset.model.layers.router import Routing

CHUNK = 1 << 20  # logits that exist at one time: 4 MB of fp32, about what a core keeps close; on a GPU see `_chunk`


FUSED_CHUNK = 1024  # tokens whose logits exist at one time where one pass over them is all: few sums of the weight's


def _chunk(vocab: int, device: torch.device, *, native: bool) -> int:
    """Tokens whose logits exist at one time. A GPU wants large products, a CPU wants to find them in its cache."""
    if native:
        return FUSED_CHUNK
    return max(64, CHUNK // vocab) if device.type == "cpu" else 2048


class _CrossEntropy(torch.autograd.Function):
    """Weighted sum of -log softmax, whose logits never exist all at once.

    The gradients are made in the forward pass, chunk by chunk: T x V numbers are neither kept nor read twice.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden_TC: Tensor, weight_VC: Tensor, targets_T: Tensor, weights_T: Tensor, native: bool
    ) -> Tensor:
        grad_hidden_TC = torch.empty_like(hidden_TC)
        grad_weight_VC = torch.zeros_like(weight_VC, dtype=torch.float32)
        total = hidden_TC.new_zeros((), dtype=torch.float32)
        chunk = _chunk(len(weight_VC), hidden_TC.device, native=native)
        for start in range(0, len(targets_T), chunk):
            part = slice(start, start + chunk)
            h_tC, y_t, w_t = hidden_TC[part], targets_T[part], weights_T[part]
            slope_tV = h_tC @ weight_VC.T
            if native:
                total += fused.softmax_slope(slope_tV, y_t, w_t).sum()
            else:
                slope_tV, loss = _softmax_slope(slope_tV.float(), y_t, w_t)
                total += loss
                slope_tV = slope_tV.to(hidden_TC.dtype)
            grad_hidden_TC[part] = slope_tV @ weight_VC
            if slope_tV.dtype == torch.float32:
                grad_weight_VC.addmm_(slope_tV.T, h_tC)
            else:
                grad_weight_VC += (slope_tV.T @ h_tC).float()
        ctx.save_for_backward(grad_hidden_TC, grad_weight_VC)
        ctx.dtype = weight_VC.dtype
        return total

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        (slope,) = slopes
        grad_hidden_TC, grad_weight_VC = ctx.saved_tensors
        return grad_hidden_TC * slope.to(grad_hidden_TC.dtype), (grad_weight_VC * slope).to(ctx.dtype), None, None, None


def _softmax_slope(logits_tV: Tensor, y_t: Tensor, w_t: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient of the weighted sum of -log softmax by the logits, in their memory, and that sum."""
    # In place throughout: torch.logsumexp would make another T x V numbers, which costs more than the product.
    max_t1 = logits_tV.amax(-1, keepdim=True)
    gold_t = logits_tV.gather(1, y_t[:, None])[:, 0] - max_t1[:, 0]
    sum_t1 = logits_tV.sub_(max_t1).exp_().sum(-1, keepdim=True)
    loss = (w_t * (sum_t1[:, 0].log() - gold_t)).sum()
    slope_tV = logits_tV.mul_(w_t[:, None] / sum_t1)  # weighted softmax
    return slope_tV.scatter_add_(1, y_t[:, None], -w_t[:, None]), loss


def cross_entropy(
    hidden_TC: Tensor, weight_VC: Tensor, targets_T: Tensor, weights_T: Tensor, *, native: bool = False
) -> Tensor:
    """Sum over tokens of `weights_T` times the nats of `targets_T`; fp32, a scalar.

    `native`: the native library makes the slopes of the logits, where it can (model/fused).
    """
    total: Tensor = _CrossEntropy.apply(  # type: ignore[no-untyped-call]
        hidden_TC, weight_VC, targets_T, weights_T, native and fused.fits(hidden_TC, len(weight_VC))
    )
    return total


def expert_counts(routings: Sequence[Routing]) -> Tensor:
    """How many (token, choice) pairs each expert of each layer got: (L, E), fp32.

    Taken from what the forward pass returned, so recomputation for the backward pass counts nothing twice.
    """
    if not routings:
        return torch.zeros(0, 0)
    num_experts = routings[0].probs_TE.shape[-1]
    return torch.stack([torch.bincount(r.experts_TK.flatten(), minlength=num_experts).float() for r in routings])


def balance_sum(routings: Sequence[Routing], load_LE: Tensor) -> Tensor:
    """Sum over layers and tokens of E * sum_i f_i p_i (arXiv:2501.11873, eq. 3), f given: divide by L and tokens.

    `load_LE` is the share of copies each expert got in the whole previous global batch. It is a constant, so
    the gradient does not depend on how the batch is split into ranks, micro-batches or recomputed blocks
    (docs/adr/0004). It is 1.0 per layer and token when the load is even.
    """
    total = load_LE.new_zeros(())
    for routing, load_E in zip(routings, load_LE, strict=True):
        total = total + load_E.numel() * (routing.probs_TE.float().sum(0) * load_E).sum()
    return total


def z_sum(routings: Sequence[Routing]) -> Tensor:
    """Sum over layers and tokens of logsumexp(router logits)^2 (ST-MoE, arXiv:2202.08906, eq. 5)."""
    total = torch.zeros((), device=routings[0].logits_TE.device) if routings else torch.zeros(())
    for routing in routings:
        total = total + routing.logits_TE.float().logsumexp(-1).square().sum()
    return total
