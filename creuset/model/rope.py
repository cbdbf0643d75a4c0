"""Rotary position embeddings, with base change and context extension by YaRN (arXiv:2309.00071).

Pair i of a head is dimensions i and i + D/2 (Hugging Face's layout, not the interleaved one).

Shapes: T tokens    D head width    H heads    P = D/2 pairs
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from creuset.model.config import ModelConfig, Yarn


class Rotation(NamedTuple):
    """What to turn each pair by, made once a forward and read by every layer."""

    cos_T1P: Tensor
    sin_T1P: Tensor


def frequencies(config: ModelConfig) -> tuple[Tensor, float]:
    """Angle of each pair per position, fp32 (P,), and the factor YaRN multiplies cos and sin by."""
    pairs = torch.arange(0, config.head_dim, 2, dtype=torch.float32)
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
    return ((torch.arange(head_dim // 2, dtype=torch.float32) - low) / width).clamp(0, 1)


def rotation(positions_T: Tensor, freq_P: Tensor, factor: float, dtype: torch.dtype) -> Rotation:
    """Angles are taken in fp32: bf16 cannot tell position 257 from 256."""
    angle_T1P = (positions_T.float()[:, None] * freq_P)[:, None, :]
    return Rotation((angle_T1P.cos() * factor).to(dtype), (angle_T1P.sin() * factor).to(dtype))


def rotate(x_THD: Tensor, by: Rotation) -> Tensor:
    a_THP, b_THP = x_THD.chunk(2, dim=-1)
    cos_T1P, sin_T1P = by
    return torch.cat((a_THP * cos_T1P - b_THP * sin_T1P, b_THP * cos_T1P + a_THP * sin_T1P), dim=-1)
