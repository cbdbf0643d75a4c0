"""Attention over a paged cache: new tokens of several requests, whose context lies in scattered blocks.

What a row gets must not depend on its neighbours (batch_invariant.py says why that is not given), so the shape of
every attention it takes part in is a function of its own position only: a token at position p reads a context
padded to `bucket(p + 1)` slots, whether it is decoded alone, in a crowd, or read with its prompt; in a layer with a
sliding window, far into a text, only the slots around the window (`context_of`). Query heads that share a key/value
head are rows of one matrix (grouped queries are folded: SDPA is many times faster so), and the number of rows is
padded to a multiple of `quantum`, from which on the kernel treats each row alike.

Reading order: `bucket`, `context_of`, `PagedAttention.__call__`, `_group` and `_Group.read`.

Shapes:
    T new tokens    S slots         H query heads    G key/value heads    D head width
    L context, padded               R = rows of one matrix = tokens x H/G, padded
    B requests with equal L
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from creuset.engine.backend.base import BatchSpan
from creuset.engine.backend.torch.batch_invariant import attention
from creuset.model.attention import PLAIN, ScoreRule

MOST_DRAFTED = 8  # tokens: a piece of so many may be one newest token and its draft, or the end of a prompt
STEP = 128  # whole blocks
MOST_ROWS = 4096  # of one matrix: with many heads on one key a long prompt is read in parts, or its mask is large


def bucket(length: int) -> int:
    """`length` rounded up to 128, 256, 512, 768, 1024, 1536, 2048, 3072, ...

    Few values: each is a call of its own, and requests whose lengths share one share it. What lies behind a
    request's length is masked; that wastes less than a call costs.
    """
    power = max(128, 1 << (length - 1).bit_length())
    return power * 3 // 4 if power > 512 and length <= power * 3 // 4 else power


def context_of(position: int, window: int) -> tuple[int, int]:
    """(first slot, number of slots) that the token at `position` reads; it sees `window` tokens, or all for 0.

    The first slot moves in steps: tokens of a prompt that share it are read together.
    """
    size, around = bucket(position + 1), bucket(window + STEP - 1) if window else 0
    if not window or around >= size:
        return 0, size
    return (position + 1 - window) // STEP * STEP, around


@dataclass(frozen=True, slots=True)
class _Piece:
    """Part of a span whose tokens have one context: rows [row, row + count) of the batch."""

    row: int
    first: int
    count: int
    begin: int
    size: int
    blocks: Sequence[int]


class KVCache:
    """Keys and values of every slot. The block after the last of the pool is never written: it pads contexts."""

    def __init__(
        self, *, layers: int, blocks: int, block_size: int, heads: int, width: int, dtype: torch.dtype, device: str,
        value_width: int | None = None,
    ) -> None:  # fmt: skip
        """`width` numbers a key, `value_width` a value (None: as many; 0: the key is the value too)."""
        self.blocks, self.block_size = blocks, block_size
        # Zeros, not garbage: a slot behind the mask is multiplied by 0, which a NaN would survive.
        shape = (layers, (blocks + 1) * block_size, heads)
        self.keys = _zeros((*shape, width), dtype=dtype, device=device)
        numbers = width if value_width is None else value_width
        self.values = _zeros((*shape, numbers), dtype=dtype, device=device) if numbers else self.keys

    @property
    def bytes(self) -> int:
        values = 0 if self.values is self.keys else self.values.numel()
        return (self.keys.numel() + values) * self.keys.element_size()

    def wipe(self, blocks: Sequence[int]) -> None:
        for block in blocks:
            slots = slice(block * self.block_size, (block + 1) * self.block_size)
            self.keys[:, slots] = 0
            self.values[:, slots] = 0


def _zeros(shape: tuple[int, ...], *, dtype: torch.dtype, device: str) -> Tensor:
    """Zeros whose memory is taken only where something is written, on the CPU; at an address that is a multiple of 64.

    torch.zeros writes them all: 1.3 s and as many bytes for each GiB of a cache that may never fill.
    """
    if torch.device(device).type != "cpu":
        return torch.zeros(shape, dtype=dtype, device=device)
    size = math.prod(shape) * dtype.itemsize
    raw = np.zeros(size + 64, dtype=np.uint8)
    first = -raw.ctypes.data % 64
    return torch.from_numpy(raw[first : first + size]).view(dtype).view(shape)


class PagedAttention:
    """`Attend` of model/attention.py for one batch. Spans come in the order of the batch's rows."""

    def __init__(self, cache: KVCache, spans: Sequence[BatchSpan], *, fold: int, quantum: int) -> None:
        """`fold` = H/G query heads share a key/value head."""
        self._cache = cache
        self.lengths = [(span.count, span.length or span.first + span.count) for span in spans]
        slots = [
            span.blocks[at // cache.block_size] * cache.block_size + at % cache.block_size
            for span in spans
            for at in range(span.first, span.first + span.count)
        ]
        device = cache.keys.device
        self._fresh_T = torch.tensor(slots, device=device)
        self._spans, self._fold, self._quantum = spans, fold, quantum
        self._plans: dict[int, _Plan] = {}  # by window

    def __call__(self, layer: int, q_THD: Tensor, k_TGD: Tensor, v_TGD: Tensor, rule: ScoreRule = PLAIN) -> Tensor:
        keys_SGD, values_SGD = self._cache.keys[layer], self._cache.values[layer]
        keys_SGD.index_copy_(0, self._fresh_T, k_TGD)
        if self._cache.values is not self._cache.keys:
            values_SGD.index_copy_(0, self._fresh_T, v_TGD)
        plan = self._plan(rule.window)
        if plan.order_T is not None:
            q_THD = q_THD[plan.order_T]
        parts, row = [], 0
        for group in plan.groups:
            rows = group.requests * group.count
            parts.append(group.read(q_THD[row : row + rows], keys_SGD, values_SGD, rule))
            row += rows
        y_THD = parts[0] if len(parts) == 1 else torch.cat(parts)
        return y_THD if plan.inverse_T is None else y_THD[plan.inverse_T]

    def _plan(self, window: int) -> "_Plan":
        if window not in self._plans:
            pieces = sorted(_cut(self._spans, most=max(1, MOST_ROWS // self._fold), window=window), key=_kind)
            if window and not any(piece.begin for piece in pieces):
                self._plans[window] = self._plan(0)  # all is within the window: only masks differ
            else:
                self._plans[window] = _Plan.of(pieces, self._cache, fold=self._fold, quantum=self._quantum)
        return self._plans[window]


@dataclass(frozen=True, slots=True)
class _Plan:
    """In which order rows are read, and which of them together. Rows that are read together are then neighbours."""

    groups: "list[_Group]"
    order_T: Tensor | None  # None: as they come
    inverse_T: Tensor | None

    @classmethod
    def of(cls, pieces: list[_Piece], cache: KVCache, *, fold: int, quantum: int) -> "_Plan":
        rows = [row for piece in pieces for row in range(piece.row, piece.row + piece.count)]
        groups = [_group(cache, list(same), fold=fold, quantum=quantum) for _, same in groupby(pieces, key=_kind)]
        if rows == sorted(rows):
            return cls(groups, None, None)
        order_T = torch.tensor(rows, device=cache.keys.device)
        return cls(groups, order_T, order_T.argsort())


def _cut(spans: Sequence[BatchSpan], *, most: int, window: int) -> list[_Piece]:
    pieces, row = [], 0
    for span in spans:
        at, end = span.first, span.first + span.count
        while at < end:
            begin, size = context_of(at, window)
            # The next token with another context: the window moves on, or the text grows beyond the slots.
            other = begin + STEP + window - 1 if begin else size
            count = min(end, other, at + most) - at
            pieces.append(_Piece(row, at, count, begin, size, span.blocks))
            at, row = at + count, row + count
    return pieces


def _kind(piece: _Piece) -> tuple[int, int, int]:
    """Pieces of equal kind are one batch. Prompts are not batched with each other: they are large enough alone."""
    return (piece.count, piece.size, 0 if piece.count <= MOST_DRAFTED else piece.row + 1)


@dataclass(slots=True)
class _Group:
    """Pieces of one shape: `requests` of them, `count` tokens each, that read `size` slots each."""

    requests: int
    count: int
    size: int
    fold: int
    padding: int  # rows added, to make their number a multiple of the quantum
    start: int | None  # slots start .. start + size are the context: nothing need be copied
    blocks_N: Tensor | None  # else: which blocks it is in, request after request
    block_size: int
    reach_Bc1: Tensor  # where in its context each token is: the last that it may look at
    masks: dict[int, Tensor]  # by window

    def read(self, q_XHD: Tensor, keys_SGD: Tensor, values_SGD: Tensor, rule: ScoreRule) -> Tensor:
        heads, width = q_XHD.shape[1:]
        groups = heads // self.fold
        q_BGRD = (
            q_XHD.reshape(self.requests, self.count, groups, self.fold, width)
            .transpose(1, 2)
            .reshape(self.requests, groups, self.count * self.fold, width)
        )
        if self.padding:
            q_BGRD = F.pad(q_BGRD, (0, 0, 0, self.padding))
        keys_BGLD, values_BGLD = self._context(keys_SGD), self._context(values_SGD)
        mask_B1RL = self._mask(rule.window, q_BGRD.dtype)
        y_BGRD = attention(q_BGRD, keys_BGLD, values_BGLD, mask_B1RL, rule, self._sinks(rule.sinks_H, groups))
        rows = self.count * self.fold
        return (
            y_BGRD[:, :, :rows]
            .reshape(self.requests, groups, self.count, self.fold, -1)
            .transpose(1, 2)
            .reshape(self.requests * self.count, heads, -1)
        )

    def _context(self, slots_SGD: Tensor) -> Tensor:
        """(B, G, L, D)."""
        if self.start is not None:
            return slots_SGD[None, self.start : self.start + self.size].transpose(1, 2)
        assert self.blocks_N is not None
        found = slots_SGD.view(-1, self.block_size, *slots_SGD.shape[1:]).index_select(0, self.blocks_N)
        return found.view(self.requests, self.size, *slots_SGD.shape[1:]).transpose(1, 2)

    def _mask(self, window: int, dtype: torch.dtype) -> Tensor:
        """(B, 1, R, L): a token looks at itself and what is before it, at most `window` tokens (0: all)."""
        if window not in self.masks:
            at_L = torch.arange(self.size, device=self.reach_Bc1.device)
            allowed_BcL = at_L <= self.reach_Bc1
            if window:
                allowed_BcL &= at_L > self.reach_Bc1 - window
            mask_BcL = torch.zeros(allowed_BcL.shape, dtype=dtype, device=at_L.device)
            mask_BcL.masked_fill_(~allowed_BcL, float("-inf"))
            # A padding row may look at everything: a row that may look at nothing would be NaN.
            mask_BRL = F.pad(mask_BcL.repeat_interleave(self.fold, dim=1), (0, 0, 0, self.padding))
            self.masks[window] = mask_BRL[:, None]
        return self.masks[window]

    def _sinks(self, sinks_H: Tensor | None, groups: int) -> Tensor | None:
        """(1, G, R, 1): each row's, a row being a token and one of the heads that share a key."""
        if sinks_H is None:
            return None
        rows_GR = sinks_H.view(groups, 1, self.fold).expand(-1, self.count, -1).reshape(groups, -1)
        return F.pad(rows_GR, (0, self.padding))[None, :, :, None]


def _group(cache: KVCache, pieces: list[_Piece], *, fold: int, quantum: int) -> _Group:
    size, count = pieces[0].size, pieces[0].count
    device = cache.keys.device
    reach = [[piece.first - piece.begin + i for i in range(count)] for piece in pieces]
    width = size // cache.block_size
    start, table = None, []
    contexts = [piece.blocks[piece.begin // cache.block_size :][:width] for piece in pieces]
    used, first = contexts[0], contexts[0][0]
    if len(pieces) == 1 and first + width <= cache.blocks + 1 and all(b == first + i for i, b in enumerate(used)):
        start = first * cache.block_size
    else:
        for mine in contexts:
            table += [*mine, *[cache.blocks] * (width - len(mine))]
    return _Group(
        requests=len(pieces),
        count=count,
        size=size,
        fold=fold,
        padding=-(count * fold) % quantum,
        start=start,
        blocks_N=None if start is not None else torch.tensor(table, device=device),
        block_size=cache.block_size,
        reach_Bc1=torch.tensor(reach, device=device)[..., None],
        masks={},
    )
