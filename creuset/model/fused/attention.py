"""Causal attention of whole sequences by the native library (native/train_attention.inc).

Shapes: T tokens    S sequences    H query heads    G key/value heads    D head width
"""

from typing import Any

import torch
from torch import Tensor

from creuset.model.fused import interface as native


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, q_THD: Tensor, k_TGD: Tensor, v_TGD: Tensor, bounds: Tensor, longest: int, window: int, scale: float
    ) -> Tensor:
        q_THD, k_TGD, v_TGD = q_THD.contiguous(), k_TGD.contiguous(), v_TGD.contiguous()
        y_THD, logs_TH = torch.empty_like(q_THD), q_THD.new_empty(q_THD.shape[:2], dtype=torch.float32)
        ctx.shape = (len(bounds) - 1, longest, q_THD.shape[1], *k_TGD.shape[1:], window, scale)
        at = [native.at(x) for x in (bounds, q_THD, k_TGD, v_TGD, y_THD, logs_TH)]
        native.call("attend", native.Sequences(*at, None, None, None, None, *ctx.shape), q_THD, native.threads())
        ctx.save_for_backward(bounds, q_THD, k_TGD, v_TGD, y_THD, logs_TH)
        return y_THD

    @staticmethod
    def backward(ctx: Any, dy_THD: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None, None, None]:
        saved, dy_THD = ctx.saved_tensors, dy_THD.contiguous()
        slopes = tuple(torch.empty_like(x) for x in saved[1:4])
        at = [native.at(x) for x in (*saved, dy_THD, *slopes)]
        native.call("attend_back", native.Sequences(*at, *ctx.shape), dy_THD, native.threads())
        return slopes[0], slopes[1], slopes[2], None, None, None, None


def attends(q_THD: Tensor, k_TGD: Tensor, v_TGD: Tensor) -> bool:
    """Whether `attend` computes heads of these shapes."""
    return k_TGD.shape == v_TGD.shape and native.fits(q_THD, q_THD.shape[-1])


def attend(
    q_THD: Tensor, k_TGD: Tensor, v_TGD: Tensor, *, bounds: Tensor, longest: int, window: int, scale: float | None
) -> Tensor:
    """What each token reads, (T, H, D). Sequence s has the tokens bounds[s] to bounds[s + 1], (S + 1) of int32; the
    longest of them has `longest`. `window` 0: a token sees all of its sequence before it."""
    by = q_THD.shape[-1] ** -0.5 if scale is None else scale
    y_THD: Tensor = _Attend.apply(q_THD, k_TGD, v_TGD, bounds, longest, window, by)  # type: ignore[no-untyped-call]
    return y_THD
