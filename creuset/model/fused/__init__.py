"""What training computes in one pass on a CPU, forward and backward, by the native library (native/train.h).

Whoever calls asks first whether the kernels fit: `fits` for rows, `turns` for heads, `attends` for attention.
"""

from creuset.model.fused.attention import attend, attends
from creuset.model.fused.interface import available, fits
from creuset.model.fused.muon import MuonStack, update, updates
from creuset.model.fused.rows import heads, norm, softmax_slope, swiglu, swiglu_back, turns

__all__ = [
    "MuonStack", "attend", "attends", "available", "fits", "heads", "norm", "softmax_slope", "swiglu", "swiglu_back",
    "turns", "update", "updates",
]  # fmt: skip
