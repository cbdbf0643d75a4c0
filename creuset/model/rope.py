"""Rotary position embeddings, with base change and context extension by YaRN (arXiv:2309.00071).

Pair i of a head is dimensions i and i + D/2 (Hugging Face's layout, not the interleaved one).

Shapes: T tokens    D head width    H heads    P = D/2 pairs
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from creuset.model.config import ModelConfig, Yarn


class Rotation(NamedTuple):
    """What to turn each pair by, made once a forward, read by every layer. The first half of the sines is negated."""

    cos_T1D: Tensor
    sin_T1D: Tensor


def frequencies(config: ModelConfig) -> tuple[Tensor, float]:
    """Angle of each pair per position, fp32 (P,), and the factor YaRN multiplies cos and sin by."""
    # On the CPU whatever the default device is: a model built on `meta` has to keep these numbers.
    pairs = torch.arange(0, config.head_dim, 2, dtype=torch.float32, device="cpu")
    base_P = 1.0 / config.rope_theta ** (pairs / config.head_dim)
    if config.yarn is None:
        return base_P, 1.0
    keep_P = 1.0 - _ramp(config.yarn, config.head_dim, config.rope_theta)
    freq_P = base_P / config.yarn.factor * (1.0 - keep_P) + base_P * keep_P
    return freq_P, attention_factor(config.yarn)


def attention_factor(yarn: Yarn) -> float:
    if yarn.attention_factor is not None:
        return yarn.attention_factor
    return 0.1 * math.log(yarn.factor) + 1.0


def _ramp(yarn: Yarn, head_dim: int, theta: float) -> Tensor:
    """0 for the pairs that turn fast (left as they are), 1 for those that turn slowly (stretched by `factor`)."""

    def pair_that_turns(times: float) -> float:
        return head_dim * math.log(yarn.original_context / (times * 2 * math.pi)) / (2 * math.log(theta))

    low = max(math.floor(pair_that_turns(yarn.beta_fast)), 0)
    high = min(math.ceil(pair_that_turns(yarn.beta_slow)), head_dim - 1)
    width = (high - low) or 0.001
    return ((torch.arange(head_dim // 2, dtype=torch.float32, device="cpu") - low) / width).clamp(0, 1)


def rotation(positions_T: Tensor, freq_P: Tensor, factor: float, dtype: torch.dtype) -> Rotation:
    """Angles are taken in fp32: bf16 cannot tell position 257 from 256."""
    angle_T1P = (positions_T.float()[:, None] * freq_P)[:, None, :]
    cos_T1P, sin_T1P = (angle_T1P.cos() * factor).to(dtype), (angle_T1P.sin() * factor).to(dtype)
    return Rotation(torch.cat((cos_T1P, cos_T1P), -1), torch.cat((-sin_T1P, sin_T1P), -1))


def rotate(x_THD: Tensor, by: Rotation) -> Tensor:
    y_THD: Tensor = _Rotate.apply(x_THD, by.cos_T1D, by.sin_T1D)  # type: ignore[no-untyped-call]
    return y_THD


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
