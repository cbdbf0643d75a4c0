"""Attention with grouped queries; `attend` knows where keys and values are.

One model serves training and inference because the only difference is passed in:
`Packed` (here) is whole sequences next to each other, `PagedAttention` (engine/backend/torch/paged_attention.py) is new
tokens whose context lies in slots of a cache.

Shapes:
    T tokens    C model width    D head width    H query heads    G key/value heads
"""

from collections.abc import Callable, Sequence
from functools import cache
from inspect import signature
from itertools import accumulate, groupby
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creuset.model.config import ModelConfig
from creuset.model.layers import Linear
from creuset.model.norm import RMSNorm
from creuset.model.rope import Rotation, rotate


@cache
def _varlen() -> Callable[..., Any] | None:
    """torch's variable-length attention, where it has one that knows causal windows and grouped queries.

    Asked for only where it is used: importing it loads torch's compiler, which takes two seconds.
    """
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    return varlen_attn if {"window_size", "enable_gqa"} <= set(signature(varlen_attn).parameters) else None


class Attend(Protocol):
    def __call__(self, layer: int, q_THD: Tensor, k_TGD: Tensor, v_TGD: Tensor) -> Tensor:
        """What each token reads, (T, H, D). Keys and values are already rotated and normed."""
        ...


class Attention(nn.Module):
    def __init__(self, layer: int, config: ModelConfig) -> None:
        super().__init__()
        self.layer, self.head_dim = layer, config.head_dim
        width, q_width, kv_width = config.hidden, config.heads * config.head_dim, config.kv_heads * config.head_dim
        self.q_proj = Linear(width, q_width, bias=config.qkv_bias)
        self.k_proj = Linear(width, kv_width, bias=config.qkv_bias)
        self.v_proj = Linear(width, kv_width, bias=config.qkv_bias)
        self.o_proj = Linear(q_width, width, bias=False)
        self.q_norm = RMSNorm(config.head_dim, config.norm_eps) if config.qk_norm else None
        self.k_norm = RMSNorm(config.head_dim, config.norm_eps) if config.qk_norm else None

    def forward(self, x_TC: Tensor, turn: Rotation, attend: Attend) -> Tensor:
        q_THD = self.q_proj(x_TC).unflatten(-1, (-1, self.head_dim))
        k_TGD = self.k_proj(x_TC).unflatten(-1, (-1, self.head_dim))
        v_TGD = self.v_proj(x_TC).unflatten(-1, (-1, self.head_dim))
        if self.q_norm is not None and self.k_norm is not None:
            q_THD, k_TGD = self.q_norm(q_THD), self.k_norm(k_TGD)
        y_THD = attend(self.layer, rotate(q_THD, turn), rotate(k_TGD, turn), v_TGD)
        y_TC: Tensor = self.o_proj(y_THD.flatten(1))
        return y_TC


class Packed:
    """Training: whole sequences of the given lengths, each seeing only itself (causal).

    On CUDA in half precision torch's variable-length kernel takes them all at once. Elsewhere neighbours of equal
    length are one batch: a pack sorted by length is faster.
    """

    def __init__(self, lengths: Sequence[int]) -> None:
        self.longest = max(lengths, default=0)
        self.bounds = torch.tensor([0, *accumulate(lengths)], dtype=torch.int32)
        self.runs = [(length, len(list(same))) for length, same in groupby(lengths)]
        self.sizes = [length * count for length, count in self.runs]

    def __call__(self, layer: int, q_THD: Tensor, k_TGD: Tensor, v_TGD: Tensor) -> Tensor:
        if q_THD.is_cuda and q_THD.dtype == torch.bfloat16 and (varlen := _varlen()) is not None:
            if self.bounds.device != q_THD.device:
                self.bounds = self.bounds.to(q_THD.device)
            y_THD: Tensor = varlen(
                q_THD, k_TGD, v_TGD, self.bounds, self.bounds, self.longest, self.longest,
                window_size=(-1, 0), enable_gqa=q_THD.shape[1] != k_TGD.shape[1],
            )  # fmt: skip
            return y_THD
        parts = zip(self.runs, *(torch.split(x, self.sizes) for x in (q_THD, k_TGD, v_TGD)), strict=True)
        done = [_causal(q, k, v, count) for (_, count), q, k, v in parts]
        return done[0] if len(done) == 1 else torch.cat(done)


def _causal(q_THD: Tensor, k_TGD: Tensor, v_TGD: Tensor, count: int) -> Tensor:
    """`count` sequences of equal length, one after the other."""
    q, k, v = (x.view(count, -1, *x.shape[1:]).transpose(1, 2) for x in (q_THD, k_TGD, v_TGD))
    y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=q.shape[1] != k.shape[1])
    return y.transpose(1, 2).flatten(0, 1)
