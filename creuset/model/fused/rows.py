"""Norms, heads and SwiGLU as nodes of autograd that read and write each number once (native/train_rows.inc).

What they compute is defined where it is computed without them: model/layers/norm.py, model/rope.py, model/moe.py.

Shapes: T tokens    C width    H heads    D head width    R rotated width    F inner width
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from creuset.model.fused import interface as native


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_C: Tensor, eps: float) -> Tensor:
        x = x.contiguous()
        width = x.shape[-1]
        rows = x.numel() // width
        y, inverse = torch.empty_like(x), x.new_empty(rows, dtype=torch.float32)
        about = native.NormRows(
            native.at(x), native.at(weight_C), native.at(y), native.at(inverse), width=width, eps=eps
        )
        native.call("norm", about, x, rows, native.threads())
        ctx.save_for_backward(x, weight_C, inverse)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, Tensor, None]:
        x, weight_C, inverse = ctx.saved_tensors
        dy, dx, width = dy.contiguous(), torch.empty_like(x), x.shape[-1]
        dweight_C = torch.empty(width, dtype=torch.float32)
        about = native.NormRows(
            native.at(x), native.at(weight_C), None, native.at(inverse), native.at(dy), None, native.at(dx), width=width
        )
        native.call("norm_back", about, x, x.numel() // width, native.threads(), native.at(dweight_C))
        return dx, dweight_C.to(weight_C.dtype), None


def norm(x: Tensor, weight_C: Tensor, eps: float) -> Tensor:
    """RMSNorm of the last dimension."""
    y: Tensor = _Norm.apply(x, weight_C, eps)  # type: ignore[no-untyped-call]
    return y


class _Heads(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x_THD: Tensor, weight_D: Tensor | None, cos_T1R: Tensor, sin_T1R: Tensor, eps: float
    ) -> Tensor:
        x_THD = x_THD.contiguous()
        tokens, heads, width = x_THD.shape
        y_THD = torch.empty_like(x_THD)
        inverse = None if weight_D is None else x_THD.new_empty(tokens, heads, dtype=torch.float32)
        about = native.Heads(
            native.at(x_THD), native.at(weight_D), native.at(cos_T1R), native.at(sin_T1R), native.at(y_THD),
            native.at(inverse), heads=heads, width=width, rotated=cos_T1R.shape[-1], eps=eps,
        )  # fmt: skip
        native.call("heads", about, x_THD, tokens, native.threads())
        ctx.save_for_backward(x_THD, weight_D, cos_T1R, sin_T1R, inverse)
        return y_THD

    @staticmethod
    def backward(ctx: Any, dy_THD: Tensor) -> tuple[Tensor, Tensor | None, None, None, None]:
        x_THD, weight_D, cos_T1R, sin_T1R, inverse = ctx.saved_tensors
        dy_THD, dx_THD = dy_THD.contiguous(), torch.empty_like(x_THD)
        tokens, heads, width = x_THD.shape
        dweight_D = torch.empty(width, dtype=torch.float32)
        about = native.Heads(
            native.at(x_THD), native.at(weight_D), native.at(cos_T1R), native.at(sin_T1R), None, native.at(inverse),
            native.at(dy_THD), native.at(dx_THD), heads=heads, width=width, rotated=cos_T1R.shape[-1],
        )  # fmt: skip
        native.call("heads_back", about, x_THD, tokens, native.threads(), native.at(dweight_D))
        return dx_THD, None if weight_D is None else dweight_D.to(weight_D.dtype), None, None, None


def turns(x_THD: Tensor, turn: Sequence[Tensor]) -> bool:
    """Whether `heads` computes these heads: their width, and how many of their numbers are rotated."""
    width, rotated = x_THD.shape[-1], turn[0].shape[-1]
    return native.fits(x_THD, width, rotated // 2) and width <= native.WIDEST_HEAD and turn[0].dtype == x_THD.dtype


def heads(x_THD: Tensor, weight_D: Tensor | None, cos_T1R: Tensor, sin_T1R: Tensor, eps: float) -> Tensor:
    """Each head normed where there is a weight, its first R numbers turned as model/rope.py's `rotate` does."""
    y_THD: Tensor = _Heads.apply(x_THD, weight_D, cos_T1R, sin_T1R, eps)  # type: ignore[no-untyped-call]
    return y_THD


def swiglu(h_PF: Tensor) -> Tensor:
    """(P, F): silu of the first half of each row times the second half of (P, 2F). No autograd."""
    rows, width = len(h_PF), h_PF.shape[1] // 2
    y_PF = h_PF.new_empty(rows, width)
    native.call("swiglu", native.Swiglu(native.at(h_PF), native.at(y_PF), width=width), h_PF, rows, native.threads())
    return y_PF


def swiglu_back(h_PF: Tensor, da_PF: Tensor, scale_P: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Backward of `swiglu` whose result is multiplied by `scale_P` (fp32): that product (P, F), the gradient of `h_PF`
    and the gradient of the scale (P). `da_PF` is the gradient of the product."""
    rows, width = da_PF.shape
    y_PF, dh_PF, dscale_P = torch.empty_like(da_PF), torch.empty_like(h_PF), torch.empty_like(scale_P)
    about = native.Swiglu(
        native.at(h_PF), native.at(y_PF), native.at(da_PF), native.at(scale_P), native.at(dscale_P), native.at(dh_PF),
        width=width,
    )  # fmt: skip
    native.call("swiglu_back", about, h_PF, rows, native.threads())
    return y_PF, dh_PF, dscale_P


def softmax_slope(logits_TV: Tensor, targets_T: Tensor, weights_T: Tensor) -> Tensor:
    """(T) fp32: weight times the nats of the target. `logits_TV` become their own gradient of the sum."""
    losses_T = logits_TV.new_empty(len(logits_TV), dtype=torch.float32)
    about = native.SoftmaxRows(
        native.at(logits_TV), native.at(targets_T), native.at(weights_T), native.at(losses_T), logits_TV.shape[1]
    )
    native.call("softmax_slope", about, logits_TV, len(logits_TV), native.threads())
    return losses_T
