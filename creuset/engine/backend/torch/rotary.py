"""Rotations from a table, so that a token gets the same whoever is beside it.

Cosines of a few positions need not be the same to the last bit as those of many (inference.py says why), so they are
always computed BLOCK positions at a time, by one thread, and kept.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from creuset.engine.backend.torch.batch_invariant import using
from creuset.model.rope import Rotary, Rotation, beyond, chosen

BLOCK = 512  # positions
GROWTH = 8  # blocks that are added at least


class RotaryTable:
    """As model/rope.py's `Rotary`. The table grows with the longest sequence: contexts of a million tokens are rare."""

    def __init__(self, source: Rotary, *, dtype: torch.dtype, device: str | torch.device) -> None:
        self._source, self._dtype, self._device = source, dtype, device
        self._size = 0
        self._short: tuple[Rotation, ...] = ()
        self._long: tuple[Rotation, ...] = ()
        self._grow(1)

    def turns(self, positions_T: Tensor, lengths: Sequence[tuple[int, int]]) -> tuple[Rotation, ...]:
        if (longest := max((length for _, length in lengths), default=0)) > self._size:
            self._grow(longest)
        short = _rows(self._short, positions_T)
        long_T = beyond(lengths, self._source.border, positions_T.device)
        if long_T is None:
            return short
        return tuple(
            chosen(long_T, one, other) for one, other in zip(_rows(self._long, positions_T), short, strict=True)
        )

    def _grow(self, wanted: int) -> None:
        first, last = self._size // BLOCK, max(-(-wanted // BLOCK), self._size // BLOCK + GROWTH)
        self._short = self._longer(self._short, first, last, long=False)
        if self._source.border is not None:
            self._long = self._longer(self._long, first, last, long=True)
        self._size = last * BLOCK

    def _longer(self, table: tuple[Rotation, ...], first: int, last: int, *, long: bool) -> tuple[Rotation, ...]:
        length = (self._source.border or 0) + 1 if long else 0
        with using(1):
            new = [
                self._source.turns(
                    torch.arange(block * BLOCK, (block + 1) * BLOCK, device=self._device),
                    [(BLOCK, length)],
                    self._dtype,
                )
                for block in range(first, last)
            ]
        blocks = [table, *new] if table else new
        return tuple(Rotation(*map(torch.cat, zip(*same, strict=True))) for same in zip(*blocks, strict=True))


def _rows(tables: tuple[Rotation, ...], positions_T: Tensor) -> tuple[Rotation, ...]:
    return tuple(Rotation(*(part_T1D[positions_T] for part_T1D in table)) for table in tables)
