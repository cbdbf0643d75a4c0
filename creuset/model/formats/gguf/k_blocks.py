"""Numbers -> blocks of ggml's Q4_K, which the `gguf` library reads and does not write.

A block holds 256 numbers of a row, in 8 parts of 32. A number of part p is d s_p q - e m_p: q has 4 bits, the scale s_p
and the minimum m_p have 6, d and e are fp16. 144 bytes, 4.5 bits a number:

    0..1    d        2..3    e        4..15   s and m of the 8 parts, packed        16..143   q, two a byte

Of the packed twelve, bytes 0..3 hold s of the parts 0..3 in their low 6 bits, bytes 4..7 m of the parts 0..3; byte
8 + j holds the low halves of s and m of part 4 + j, whose two high bits lie above those 6 bits. Of q, 32 bytes hold two
parts: the first in the low halves, the second in the high ones.

Each part is fitted by weighted least squares: for a number of ways to round, the best scale and minimum follow, and the
way with the smallest error is taken. A number counts by its size, as large weights move the output most.

Shapes: N blocks    8 parts    32 numbers
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from creuset.model.formats.gguf.fit import weights_of

BLOCK, PARTS, WIDTH = 256, 8, 32
BYTES = 144
TOP, FINE = 15, 63  # largest q; largest scale and minimum
TRIES = 21  # ways to round
ROWS_AT_ONCE = 4096  # blocks


def q4_k(values: Tensor, importance: Tensor | None = None) -> Tensor:
    """`values`, fp32 (rows, width), as bytes (rows, width / 256 * 144). The width is a multiple of 256.

    `importance` (width) of the inputs, positive: how much an error there counts.
    """
    rows, width = values.shape
    blocks_N = torch.split(values.reshape(-1, PARTS, WIDTH), ROWS_AT_ONCE)
    spread: Sequence[Tensor | None] = [None] * len(blocks_N)
    if importance is not None:
        spread = torch.split(importance.float().expand(rows, width).reshape(-1, PARTS, WIDTH), ROWS_AT_ONCE)
    found = [_blocks(x, w) for x, w in zip(blocks_N, spread, strict=True)]
    return torch.cat(found).reshape(rows, width // BLOCK * BYTES)


def _blocks(x_N8W: Tensor, importance_N8W: Tensor | None) -> Tensor:
    scale_N8, least_N8 = _fit(x_N8W, weights_of(x_N8W, importance_N8W))
    d_N = (scale_N8.amax(1) / FINE).half()
    e_N = (least_N8.amax(1) / FINE).half()
    s_N8 = _steps(scale_N8, d_N.float())
    m_N8 = _steps(least_N8, e_N.float())
    step = (d_N.float()[:, None] * s_N8)[..., None]
    under = (e_N.float()[:, None] * m_N8)[..., None]
    q_N8W = torch.where(step > 0, ((x_N8W + under) / step.clamp_min(1e-30)).round(), 0).clamp(0, TOP).to(torch.uint8)
    low, high = q_N8W[:, 0::2], q_N8W[:, 1::2]
    return torch.cat(
        (
            d_N[:, None].view(torch.uint8),
            e_N[:, None].view(torch.uint8),
            _packed(s_N8.to(torch.uint8), m_N8.to(torch.uint8)),
            (low | (high << 4)).flatten(1),
        ),
        dim=1,
    )


def _fit(x_N8W: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Scale and minimum (as a positive number below zero) of each part, by the smallest weighted squared error."""
    low = x_N8W.amin(-1, keepdim=True).clamp_max(0)
    span = x_N8W.amax(-1, keepdim=True) - low
    best = torch.full_like(low, torch.inf)
    scale, least = torch.zeros_like(low), torch.zeros_like(low)
    w, wx = weight.sum(-1, keepdim=True), (weight * x_N8W).sum(-1, keepdim=True)
    for trial in range(TRIES):
        # From one step less to one step more than the parts' 15 over the whole span.
        steps = TOP - 1 + 2 * trial / (TRIES - 1)
        q = ((x_N8W - low) * (steps / span.clamp_min(1e-30))).round().clamp(0, TOP)
        wq = (weight * q).sum(-1, keepdim=True)
        wqq = (weight * q * q).sum(-1, keepdim=True)
        wxq = (weight * x_N8W * q).sum(-1, keepdim=True)
        apart = w * wqq - wq * wq
        slope = (w * wxq - wx * wq) / apart.clamp_min(1e-30)
        base = (wqq * wx - wq * wxq) / apart.clamp_min(1e-30)
        # A minimum above zero cannot be stored: the line then goes through zero.
        through = base > 0
        slope = torch.where(through, wxq / wqq.clamp_min(1e-30), slope)
        base = torch.where(through, 0.0, base)
        error = (weight * (slope * q + base - x_N8W).square()).sum(-1, keepdim=True)
        better = (apart > 0) & (slope > 0) & (error < best)
        best = torch.where(better, error, best)
        scale, least = torch.where(better, slope, scale), torch.where(better, -base, least)
    # All numbers alike: no step, only a minimum; alike and above zero: one step that reaches them.
    flat = best.isinf()
    least = torch.where(flat, -low, least)
    scale = torch.where(flat, (x_N8W.amax(-1, keepdim=True).clamp_min(0)) / TOP, scale)
    return scale.squeeze(-1), least.squeeze(-1)


def _steps(value_N8: Tensor, unit_N: Tensor) -> Tensor:
    """How many units each value is, 0..63."""
    unit = unit_N[:, None]
    return torch.where(unit > 0, (value_N8 / unit.clamp_min(1e-30)).round(), 0).clamp(0, FINE)


def _packed(s_N8: Tensor, m_N8: Tensor) -> Tensor:
    (s_low, s_high), (m_low, m_high) = s_N8.chunk(2, 1), m_N8.chunk(2, 1)
    first = s_low | (s_high >> 4 << 6)
    second = m_low | (m_high >> 4 << 6)
    third = (s_high & 15) | (m_high & 15) << 4
    return torch.cat((first, second, third), dim=1)
