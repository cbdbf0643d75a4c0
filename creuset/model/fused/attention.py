"""Causal attention of whole sequences by the native library (native/train_attention.inc).

Shapes: T tokens    H query heads    G key/value heads    D head width
"""

from typing import Any

import torch
from torch import Tensor

from creuset.model.fused import interface as native


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, q_THD: Tensor, k_TGD: Tensor, v_TGD: Tensor, sequences: int, window: int, scale: float
    ) -> Tensor:
        q_THD, k_TGD, v_TGD = q_THD.contiguous(), k_TGD.contiguous(), v_TGD.contiguous()
        y_THD, logs_TH = torch.empty_like(q_THD), q_THD.new_empty(q_THD.shape[:2], dtype=torch.float32)
        ctx.shape = (sequences, len(q_THD) // sequences, q_THD.shape[1], *k_TGD.shape[1:], window, scale)
        at = [native.at(x) for x in (q_THD, k_TGD, v_TGD, y_THD, logs_TH)]
        native.call("attend", native.Sequences(*at, None, None, None, None, *ctx.shape), q_THD, native.threads())
        ctx.save_for_backward(q_THD, k_TGD, v_TGD, y_THD, logs_TH)
        return y_THD

    @staticmethod
    def backward(ctx: Any, dy_THD: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None, None]:
        saved, dy_THD = ctx.saved_tensors, dy_THD.contiguous()
        q_THD, k_TGD, v_TGD, _, _ = saved
        slopes = (torch.empty_like(q_THD), torch.empty_like(k_TGD), torch.empty_like(v_TGD))
        at = [native.at(x) for x in (*saved, dy_THD, *slopes)]
        native.call("attend_back", native.Sequences(*at, *ctx.shape), q_THD, native.threads())
        return *slopes, None, None, None


def attends(q_THD: Tensor, k_TGD: Tensor, v_TGD: Tensor) -> bool:
    """Whether `attend` computes heads of these shapes."""
    return k_TGD.shape == v_TGD.shape and native.fits(q_THD, q_THD.shape[-1])


def attend(q_THD: Tensor, k_TGD: Tensor, v_TGD: Tensor, *, sequences: int, window: int, scale: float | None) -> Tensor:
    """What each token reads, (T, H, D), of `sequences` of equal length; `window` 0: of all tokens before it."""
    by = q_THD.shape[-1] ** -0.5 if scale is None else scale
    y_THD: Tensor = _Attend.apply(q_THD, k_TGD, v_TGD, sequences, window, by)  # type: ignore[no-untyped-call]
    return y_THD
