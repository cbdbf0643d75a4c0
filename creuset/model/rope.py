"""Rotary position embeddings, with base change and the kinds of context extension of model/rope_scaling.py.

Pair i of a head is dimensions i and i + D/2 (Hugging Face's layout, not the interleaved one). Where only the first
dimensions of a head are rotated, D is their number.

Shapes: T tokens    D rotated width    H heads    P = D/2 pairs
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from creuset.model.config import ModelConfig
from creuset.model.rope_scaling import pair_angles


class Rotation(NamedTuple):
    """What to turn each pair by, made once a forward, read by every layer. The first half of the sines is negated."""

    cos_T1D: Tensor
    sin_T1D: Tensor


def frequencies(config: ModelConfig, *, local: bool = False, long: bool = False) -> tuple[Tensor, float]:
    """Angle of each pair per position, fp32 (P,), and the factor that cos and sin are multiplied by.

    `local`: of the layers with a sliding window, where they have their own. `long`: of sequences longer than LongRoPE's
    original context.
    """
    freq_P, factor = pair_angles(config, local=local, long=long)
    # On the CPU whatever the default device is: a model built on `meta` has to keep these numbers.
    return torch.from_numpy(freq_P), factor


class Rotary:
    """What a forward pass turns queries and keys by, for each kind of layer: all others, those with a window.

    No module and no buffers: `model.to(torch.bfloat16)` would round the angles.
    """

    def __init__(self, config: ModelConfig) -> None:
        locals_ = [False] if config.local_rope_theta is None else [False, True]
        self.short = [frequencies(config, local=local) for local in locals_]
        self.border = config.rope_border
        self.long = [frequencies(config, local=local, long=True) for local in locals_]

    def turns(
        self, positions_T: Tensor, lengths: Sequence[tuple[int, int]], dtype: torch.dtype
    ) -> tuple[Rotation, ...]:
        """`lengths`: of each sequence in the batch, the number of its tokens there, and of all its tokens."""
        long_T = beyond(lengths, self.border, positions_T.device)
        return tuple(
            self._turn(positions_T, short, dtype)
            if long_T is None
            else chosen(long_T, self._turn(positions_T, long, dtype), self._turn(positions_T, short, dtype))
            for short, long in zip(self.short, self.long, strict=True)
        )

    def _turn(self, positions_T: Tensor, kind: tuple[Tensor, float], dtype: torch.dtype) -> Rotation:
        return rotation(positions_T, kind[0].to(positions_T.device), kind[1], dtype)


def beyond(lengths: Sequence[tuple[int, int]], border: int | None, device: torch.device) -> Tensor | None:
    """(T,) which tokens belong to a sequence of more than `border` tokens; None when there is no such sequence."""
    if border is None or all(length <= border for _, length in lengths):
        return None
    return torch.tensor([length > border for count, length in lengths for _ in range(count)], device=device)


def chosen(where_T: Tensor, one: Rotation, other: Rotation) -> Rotation:
    where_T11 = where_T[:, None, None]
    return Rotation(*(torch.where(where_T11, a, b) for a, b in zip(one, other, strict=True)))


def rotation(positions_T: Tensor, freq_P: Tensor, factor: float, dtype: torch.dtype) -> Rotation:
    """Angles are taken in fp32: bf16 cannot tell position 257 from 256."""
    angle_T1P = (positions_T.float()[:, None] * freq_P)[:, None, :]
    cos_T1P, sin_T1P = (angle_T1P.cos() * factor).to(dtype), (angle_T1P.sin() * factor).to(dtype)
    return Rotation(torch.cat((cos_T1P, cos_T1P), -1), torch.cat((-sin_T1P, sin_T1P), -1))


def rotate(x_THD: Tensor, by: Rotation) -> Tensor:
    """The first dimensions of each head turned, as many as `by` has; the others as they are."""
    width = by.cos_T1D.shape[-1]
    if width == x_THD.shape[-1]:
        y_THD: Tensor = _Rotate.apply(x_THD, by.cos_T1D, by.sin_T1D)  # type: ignore[no-untyped-call]
        return y_THD
    turned_THD = _Rotate.apply(x_THD[..., :width], by.cos_T1D, by.sin_T1D)  # type: ignore[no-untyped-call]
    return torch.cat((turned_THD, x_THD[..., width:]), -1)


class _Rotate(torch.autograd.Function):
    """x cos + swapped(x) sin, and back by the opposite angle: nothing of x is kept."""

    @staticmethod
    def forward(ctx: Any, x_THD: Tensor, cos_T1D: Tensor, sin_T1D: Tensor) -> Tensor:
        ctx.save_for_backward(cos_T1D, sin_T1D)
        return torch.addcmul(x_THD * cos_T1D, x_THD.roll(x_THD.shape[-1] // 2, -1), sin_T1D)

    @staticmethod
    def backward(ctx: Any, dy_THD: Tensor) -> tuple[Tensor, None, None]:
        cos_T1D, sin_T1D = ctx.saved_tensors
        swapped_THD = dy_THD.roll(dy_THD.shape[-1] // 2, -1)
        return torch.addcmul(dy_THD * cos_T1D, swapped_THD, sin_T1D, value=-1), None, None
