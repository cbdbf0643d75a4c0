"""Attention with grouped queries; `attend` knows where keys and values are.

One model serves training and inference because the only difference is passed in:
`Packed` (here) is whole sequences next to each other, `PagedAttention` (engine/backend/torch/paged_attention.py) is new
tokens whose context lies in slots of a cache.

Shapes:
    T tokens    C model width    D head width    H query heads    G key/value heads
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from inspect import signature
from itertools import accumulate, groupby
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from creuset.model import fused
from creuset.model.config import ModelConfig
from creuset.model.layers.linear import Linear
from creuset.model.layers.norm import RMSNorm
from creuset.model.rope import Rotation, rotate

ROWS = 512  # queries that are scored at once where torch's kernel does not do it all


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


@dataclass(frozen=True, slots=True)
class ScoreRule:
    """How a layer makes weights of queries and keys. The default is 1 / sqrt(D), everything before it, softmax."""

    scale: float | None = None  # scores are multiplied by it; None: 1 / sqrt(D)
    window: int = 0  # a token sees that many, itself included; 0: all
    cap: float = 0.0  # scores s become cap tanh(s / cap); 0: as they are
    sinks_H: Tensor | None = None  # a logit a head that joins the softmax and has no value

    @property
    def plain(self) -> bool:
        """Whether torch's attention computes it, with a mask at most."""
        return not self.cap and self.sinks_H is None


PLAIN = ScoreRule()
WIDEST = 256  # a head that torch's variable-length attention computes


class Attend(Protocol):
    @property
    def lengths(self) -> Sequence[tuple[int, int]]:
        """Of each sequence in the batch: the number of its tokens there, and of all tokens that it has."""
        ...

    def __call__(self, layer: int, q_THD: Tensor, k_TGD: Tensor, v_TGD: Tensor, rule: ScoreRule = PLAIN) -> Tensor:
        """What each token reads, (T, H, D). Keys and values are already rotated and normed."""
        ...


class Attention(nn.Module):
    def __init__(self, layer: int, config: ModelConfig) -> None:
        super().__init__()
        self.layer, self.head_dim, self.norm_whole = layer, config.head_dim, config.traits.qk_norm == "width"
        width, q_width, kv_width = config.hidden, config.heads * config.head_dim, config.kv_heads * config.head_dim
        self.q_proj = Linear(width, q_width, bias=config.qkv_bias)
        self.k_proj = Linear(width, kv_width, bias=config.qkv_bias)
        self.v_proj = Linear(width, kv_width, bias=config.qkv_bias)
        self.o_proj = Linear(q_width, width, bias=config.attention_bias and config.traits.output_bias)
        self.q_norm, self.k_norm = _qk_norms(config, q_width, kv_width)
        self.sinks = nn.Parameter(torch.empty(config.heads)) if config.traits.sinks else None
        self.window, self.scale, self.cap = config.window_of(layer), config.query_scale, config.attention_cap
        self.clip, self.fused = config.clip_qkv, False

    def forward(self, x_TC: Tensor, turn: Rotation, attend: Attend) -> Tensor:
        q_TN, k_TN, v_TN = self.q_proj(x_TC), self.k_proj(x_TC), self.v_proj(x_TC)
        if self.q_norm is not None and self.k_norm is not None and self.norm_whole:
            q_TN, k_TN = self.q_norm(q_TN), self.k_norm(k_TN)
        if self.clip:
            q_TN, k_TN, v_TN = (x_TN.clamp(-self.clip, self.clip) for x_TN in (q_TN, k_TN, v_TN))
        q_THD, k_TGD, v_TGD = (x_TN.unflatten(-1, (-1, self.head_dim)) for x_TN in (q_TN, k_TN, v_TN))
        norms = (None, None) if self.norm_whole else (self.q_norm, self.k_norm)
        q_THD, k_TGD = (self._turned(x, norm, turn) for x, norm in zip((q_THD, k_TGD), norms, strict=True))
        y_THD = attend(self.layer, q_THD, k_TGD, v_TGD, self.rule())
        y_TC: Tensor = self.o_proj(y_THD.flatten(1))
        return y_TC

    def _turned(self, x_THD: Tensor, norm: RMSNorm | None, turn: Rotation) -> Tensor:
        """Heads normed, where they are, and rotated."""
        if self.fused and torch.is_grad_enabled() and (norm is None or not norm.offset) and fused.turns(x_THD, turn):
            return fused.heads(x_THD, None if norm is None else norm.weight, *turn, 0.0 if norm is None else norm.eps)
        return rotate(x_THD if norm is None else norm(x_THD), turn)

    def rule(self) -> ScoreRule:
        return ScoreRule(self.scale, self.window, self.cap, self.sinks)


def _qk_norms(config: ModelConfig, q_width: int, kv_width: int) -> tuple[RMSNorm | None, RMSNorm | None]:
    kind, offset = config.traits.qk_norm, config.traits.norm_offset
    if kind == "none" or not config.qk_norms:
        return None, None
    widths = (q_width, kv_width) if kind == "width" else (config.head_dim, config.head_dim)
    return RMSNorm(widths[0], config.norm_eps, offset), RMSNorm(widths[1], config.norm_eps, offset)


def cap(x: Tensor, at: float) -> Tensor:
    """at tanh(x / at)."""
    return torch.tanh(x / at) * at


def weigh(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor,
    rule: ScoreRule,
    sinks: Tensor | None = None,
    capped: Callable[[Tensor, float], Tensor] = cap,
) -> Tensor:
    """Attention step by step, for what torch's kernel does not know: caps and sinks. Softmax is in fp32.

    q (..., R, D), k (..., L, D), v (..., L, E), `mask` added to the scores, `sinks` (..., R, 1) a logit for each row.
    """
    scores = q @ k.transpose(-1, -2) * (q.shape[-1] ** -0.5 if rule.scale is None else rule.scale)
    if rule.cap:
        scores = capped(scores, rule.cap)
    scores = scores + mask
    if sinks is None:
        return scores.softmax(-1, dtype=torch.float32).to(v.dtype) @ v
    scores = torch.cat((scores, sinks.to(scores.dtype).expand(*scores.shape[:-1], 1)), -1)
    return scores.softmax(-1, dtype=torch.float32)[..., :-1].to(v.dtype) @ v


class Packed:
    """Training: whole sequences of the given lengths, each seeing only itself (causal).

    On CUDA in half precision torch's variable-length kernel takes them all at once. Elsewhere neighbours of equal
    length are one batch: a pack sorted by length is faster.
    """

    def __init__(self, lengths: Sequence[int], *, fused: bool = False) -> None:
        """`fused`: the native library computes what it can, where gradients are wanted."""
        self.fused = fused
        self.lengths = [(length, length) for length in lengths]
        self.longest = max(lengths, default=0)
        self.bounds = torch.tensor([0, *accumulate(lengths)], dtype=torch.int32)
        self.runs = [(length, len(list(same))) for length, same in groupby(lengths)]
        self.sizes = [length * count for length, count in self.runs]

    def __call__(self, layer: int, q_THD: Tensor, k_TGD: Tensor, v_TGD: Tensor, rule: ScoreRule = PLAIN) -> Tensor:
        fits = q_THD.is_cuda and q_THD.dtype == torch.bfloat16 and q_THD.shape[-1] <= WIDEST
        if fits and rule.plain and (varlen := _varlen()) is not None:
            if self.bounds.device != q_THD.device:
                self.bounds = self.bounds.to(q_THD.device)
            value = v_TGD.shape[-1]  # latent attention has values of another width than keys; the kernel has not
            wide_TGD = F.pad(v_TGD, (0, k_TGD.shape[-1] - value))
            y_THD: Tensor = varlen(
                q_THD, k_TGD, wide_TGD, self.bounds, self.bounds, self.longest, self.longest, scale=rule.scale,
                window_size=(rule.window - 1, 0), enable_gqa=q_THD.shape[1] != k_TGD.shape[1],
            )  # fmt: skip
            return y_THD.narrow(-1, 0, value)
        if self.fused and torch.is_grad_enabled() and rule.plain and fused.attends(q_THD, k_TGD, v_TGD):
            return fused.attend(
                q_THD, k_TGD, v_TGD, bounds=self.bounds, longest=self.longest, window=rule.window, scale=rule.scale
            )
        parts = zip(self.runs, *(torch.split(x, self.sizes) for x in (q_THD, k_TGD, v_TGD)), strict=True)
        done = [_causal(q, k, v, count, rule) for (_, count), q, k, v in parts]
        return done[0] if len(done) == 1 else torch.cat(done)


def _causal(q_THD: Tensor, k_TGD: Tensor, v_TGD: Tensor, count: int, rule: ScoreRule) -> Tensor:
    """`count` sequences of equal length, one after the other."""
    q, k, v = (x.view(count, -1, *x.shape[1:]).transpose(1, 2) for x in (q_THD, k_TGD, v_TGD))
    length, grouped = q.shape[2], q.shape[1] != k.shape[1]
    if rule.plain and not 0 < rule.window < length:
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=rule.scale, enable_gqa=grouped)
        return y.transpose(1, 2).flatten(0, 1)
    if not rule.plain:
        k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], dim=1) for x in (k, v))
    sinks = None if rule.sinks_H is None else rule.sinks_H[:, None, None]
    parts = []
    for begin in range(0, length, ROWS):  # a part of the queries at a time: masks and scores of all would be T x T
        end = min(begin + ROWS, length)
        first = max(0, begin + 1 - rule.window) if rule.window else 0
        mask = causal_mask(begin, end, first, rule.window, q)
        mine = (q[:, :, begin:end], k[:, :, first:end], v[:, :, first:end])
        if rule.plain:
            part = F.scaled_dot_product_attention(*mine, attn_mask=mask, scale=rule.scale, enable_gqa=grouped)
        else:
            part = weigh(*mine, mask, rule, sinks)
        parts.append(part)
    y = parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)
    return y.transpose(1, 2).flatten(0, 1)


def causal_mask(begin: int, end: int, first: int, window: int, like: Tensor) -> Tensor:
    """(end - begin, end - first): 0 where a token may look, -inf elsewhere.

    Rows are tokens from `begin` on, columns those from `first` on. A token looks at itself and what is before it,
    at most `window` tokens (0: all).
    """
    far = torch.arange(begin, end, device=like.device)[:, None] - torch.arange(first, end, device=like.device)
    allowed = (far >= 0) & (far < (window or end))
    return torch.zeros(far.shape, dtype=like.dtype, device=like.device).masked_fill_(~allowed, float("-inf"))
