"""Numbers -> blocks of Q4_0 and Q4_1 whose scale is searched, not read off the largest number.

    Q4_0   fp16 scale, 16 bytes              x = (q - 8) d         4.5 bits a number
    Q4_1   fp16 scale and minimum, 16 bytes  x = q d + m           5 bits a number

Byte j of a block of 32 holds number j in its low half and number 16 + j in the high one. For a number of ways to round,
the best scale (and minimum) follow by weighted least squares; the way with the smallest weighted error is taken. A
number counts by its size, and by the importance of its input where a calibration text told it (model/sensitivity.py).

Shapes: N blocks    32 numbers (W)
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

WIDTH = 32
TRIES = 25  # ways to round
AT_ONCE = 65536  # blocks


def q4_0(values: Tensor, importance: Tensor | None = None) -> Tensor:
    """`values`, fp32 (rows, width), as bytes (rows, width / 32 * 18). `importance` (width) of the inputs, positive."""
    return _in_parts(values, importance, _symmetric)


def q4_1(values: Tensor, importance: Tensor | None = None) -> Tensor:
    """`values`, fp32 (rows, width), as bytes (rows, width / 32 * 20). `importance` (width) of the inputs, positive."""
    return _in_parts(values, importance, _with_minimum)


def weights_of(x_NW: Tensor, importance_NW: Tensor | None) -> Tensor:
    """How much the square of each number's error counts: by its size, and by what its input does."""
    size = x_NW.square().mean(-1, keepdim=True).sqrt() + x_NW.abs()
    return size if importance_NW is None else size * importance_NW


def _in_parts(values: Tensor, importance: Tensor | None, make: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    rows, width = values.shape
    blocks = torch.split(values.reshape(-1, WIDTH), AT_ONCE)
    spread: Sequence[Tensor | None] = [None] * len(blocks)
    if importance is not None:
        spread = torch.split(importance.float().expand(rows, width).reshape(-1, WIDTH), AT_ONCE)
    return torch.cat([make(x, weights_of(x, w)) for x, w in zip(blocks, spread, strict=True)]).reshape(rows, -1)


def _symmetric(x_NW: Tensor, w_NW: Tensor) -> Tensor:
    top = x_NW.gather(-1, x_NW.abs().argmax(-1, keepdim=True))
    scale = (top / -8).half().float()
    best = (w_NW * (scale * _codes(x_NW, scale) - x_NW).square()).sum(-1, keepdim=True)
    for trial in range(TRIES):
        # The largest number at -8 or, with the other sign, at 7; a step smaller or larger than that.
        for ends in (-8.0, 7.0):
            tried = top / (ends * (0.8 + 0.4 * trial / (TRIES - 1)))
            q = _codes(x_NW, tried)
            tried = (w_NW * x_NW * q).sum(-1, keepdim=True) / (w_NW * q * q).sum(-1, keepdim=True).clamp_min(1e-30)
            tried = tried.half().float()
            q = _codes(x_NW, tried)
            error = (w_NW * (tried * q - x_NW).square()).sum(-1, keepdim=True)
            better = error < best
            best, scale = torch.where(better, error, best), torch.where(better, tried, scale)
    scale = scale.half()
    return torch.cat((scale.view(torch.uint8), _bytes(_codes(x_NW, scale.float()) + 8)), -1)


def _codes(x_NW: Tensor, scale: Tensor) -> Tensor:
    return torch.where(scale == 0, 0.0, (x_NW / torch.where(scale == 0, 1.0, scale)).round()).clamp(-8, 7)


def _with_minimum(x_NW: Tensor, w_NW: Tensor) -> Tensor:
    low, high = x_NW.aminmax(dim=-1, keepdim=True)
    span = high - low
    scale, least = (span / 15).half().float(), low.half().float()
    best = (w_NW * (scale * _steps(x_NW, scale, least) + least - x_NW).square()).sum(-1, keepdim=True)
    w, wx = w_NW.sum(-1, keepdim=True), (w_NW * x_NW).sum(-1, keepdim=True)
    for trial in range(TRIES):
        # From two steps less to one step more than 15 over the whole span.
        steps = 13 + 3 * trial / (TRIES - 1)
        q = ((x_NW - low) * (steps / span.clamp_min(1e-30))).round().clamp(0, 15)
        wq, wqq = (w_NW * q).sum(-1, keepdim=True), (w_NW * q * q).sum(-1, keepdim=True)
        wxq = (w_NW * x_NW * q).sum(-1, keepdim=True)
        apart = (w * wqq - wq * wq).clamp_min(1e-30)
        slope = ((w * wxq - wx * wq) / apart).half().float()
        base = ((wqq * wx - wq * wxq) / apart).half().float()
        q = _steps(x_NW, slope, base)
        error = (w_NW * (slope * q + base - x_NW).square()).sum(-1, keepdim=True)
        better = (slope > 0) & (error < best)
        best = torch.where(better, error, best)
        scale, least = torch.where(better, slope, scale), torch.where(better, base, least)
    scale, least = scale.half(), least.half()
    q = _steps(x_NW, scale.float(), least.float())
    return torch.cat((scale.view(torch.uint8), least.view(torch.uint8), _bytes(q)), -1)


def _steps(x_NW: Tensor, scale: Tensor, least: Tensor) -> Tensor:
    return torch.where(scale == 0, 0.0, ((x_NW - least) / torch.where(scale == 0, 1.0, scale)).round()).clamp(0, 15)


def _bytes(q_NW: Tensor) -> Tensor:
    low, high = q_NW.to(torch.uint8).chunk(2, -1)
    return low | (high << 4)
