"""Tables of rotations for the native core, made by model/rope.py: every way of stretching a context works here too."""

import numpy as np
import torch
from numpy.typing import NDArray

from creuset.model.config import ModelConfig
from creuset.model.rope import frequencies

BLOCK = 512  # positions computed at a time, so that a position's angles are the same however long the table is
GROWTH = 8  # blocks that are added at least


class Tables:
    """Cosines and sines (positions, pairs) by table: everywhere, in layers with a window, and both of sequences beyond
    LongRoPE's border. They grow with the longest sequence: contexts of a million tokens are rare."""

    def __init__(self, config: ModelConfig) -> None:
        locals_ = [False] if config.local_rope_theta is None else [False, True]
        longs = [False] if config.rope_border is None else [False, True]
        self._kinds = {
            2 * long + local: frequencies(config, local=local, long=long) for long in longs for local in locals_
        }
        self._pairs = config.rotated // 2
        self.positions = 0
        self.tables: dict[int, tuple[NDArray[np.float32], NDArray[np.float32]]] = {}

    def grow(self, positions: int) -> bool:
        """Have at least so many positions. True: the tables are others than before."""
        if positions <= self.positions:
            return False
        first = self.positions // BLOCK
        last = max(-(-positions // BLOCK), first + GROWTH)
        for index, (freq_P, factor) in self._kinds.items():
            new = [self._block(block, freq_P, factor) for block in range(first, last)]
            old = [self.tables[index]] if index in self.tables else []
            cosines, sines = zip(*(old + new), strict=True)
            self.tables[index] = np.concatenate(cosines), np.concatenate(sines)
        self.positions = last * BLOCK
        return True

    def _block(
        self, block: int, freq_P: torch.Tensor, factor: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        # Angles are taken in fp32, as model/rope.py does.
        angle_TP = torch.arange(block * BLOCK, (block + 1) * BLOCK).float()[:, None] * freq_P
        return (angle_TP.cos() * factor).numpy(), (angle_TP.sin() * factor).numpy()
