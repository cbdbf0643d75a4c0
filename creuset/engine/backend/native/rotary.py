"""Tables of rotations for the native core, of model/rope_scaling.py's angles: all ways of stretching a context work."""

import numpy as np

from creuset.model.config import ModelConfig
from creuset.model.rope_scaling import Angles, pair_angles

BLOCK = 512  # positions computed at a time, so that a position's angles are the same however long the table is
GROWTH = 8  # blocks that are added at least


class Tables:
    """Cosines and sines (positions, pairs) by table: everywhere, in layers with a window, and both of sequences beyond
    LongRoPE's border. They grow with the longest sequence: contexts of a million tokens are rare."""

    def __init__(self, config: ModelConfig) -> None:
        locals_ = [False] if config.local_rope_theta is None else [False, True]
        longs = [False] if config.rope_border is None else [False, True]
        self._kinds = {
            2 * long + local: pair_angles(config, local=local, long=long) for long in longs for local in locals_
        }
        self._pairs = config.rotated // 2
        self.positions = 0
        self.tables: dict[int, tuple[Angles, Angles]] = {}

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

    def _block(self, block: int, freq_P: Angles, factor: float) -> tuple[Angles, Angles]:
        # Angles are taken in fp32, as model/rope.py does; their cosines to the last bit.
        angle_TP = np.arange(block * BLOCK, (block + 1) * BLOCK, dtype=np.float32)[:, None] * freq_P
        wide_TP = angle_TP.astype(np.float64)
        cosines_TP, sines_TP = np.cos(wide_TP).astype(np.float32), np.sin(wide_TP).astype(np.float32)
        return cosines_TP * np.float32(factor), sines_TP * np.float32(factor)
