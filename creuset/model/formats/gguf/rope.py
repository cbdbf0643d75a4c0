"""Llama 3's rotary scaling in GGUF: a file keeps the divisor of each pair, config.json the four numbers behind them.

    turns of pair i in the original context    t = c base^(-2i/D) / 2 pi
    share that stays                           k = (t - low) / (high - low), between 0 and 1
    divisor                                    1 / ((1 - k) / factor + k)

From divisors, only c / low and c / high can be told: `low` is 1 in every published model, and taken as 1.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from creuset.model.rope_scaling import RopeScaling

USUAL = (8192.0, 4.0)  # Llama 3.1's original context and high_freq_factor


def llama3_divisors(theta: float, width: int, scaling: RopeScaling) -> tuple[float, ...]:
    """Of each pair of a head's `width` rotated dimensions."""
    return _divisors(theta, width, scaling.factor, scaling.original_context, scaling.low_freq_factor,
                     scaling.high_freq_factor)  # fmt: skip


def _divisors(theta: float, width: int, factor: float, context: float, low: float, high: float) -> tuple[float, ...]:
    turns = context / (2 * math.pi) * theta ** (-np.arange(0, width, 2) / width)
    keep = np.clip((turns - low) / (high - low), 0, 1)
    return tuple((1 / ((1 - keep) / factor + keep)).tolist())


def llama3_scaling(divisors: Sequence[float], theta: float, width: int) -> dict[str, Any] | None:
    """`rope_scaling` of config.json; None where no such numbers give these divisors."""
    found = np.asarray(divisors, np.float64)
    factor = round(float(found.max()), 4)
    if len(found) != width // 2 or not np.isfinite(found).all() or factor <= 1 or found.min() < 0.999:
        return None
    keep = (1 / found - 1 / factor) / (1 - 1 / factor)
    turns = theta ** (-np.arange(0, width, 2) / width) / (2 * math.pi)
    between = (keep > 1e-4) & (keep < 1 - 1e-4)
    tried = [USUAL]
    if between.sum() >= 2:  # keep = (c turns - 1) / (high - 1): a line
        slope, base = np.polyfit(turns[between], keep[between], 1)
        tried.append((round(-slope / base), round(1 - 1 / base, 3)))
    for context, high in tried:
        if high > 1 and context > 0:
            made = np.asarray(_divisors(theta, width, factor, context, 1.0, high))
            if np.allclose(made, found, rtol=2e-5):
                return {
                    "rope_type": "llama3",
                    "factor": factor,
                    "low_freq_factor": 1.0,
                    "high_freq_factor": high,
                    "original_max_position_embeddings": int(context),
                }
    return None
