"""The order in which rows are read: a deterministic mixture whose cursor is plain data.

A row is `context` consecutive tokens of one source (plus the one to predict). Sources are
interleaved so that after n rows each has had its share of n, within one row; inside a source
rows come in a new seeded order each epoch. The cursor counts rows and knows nothing of ranks,
micro-batches or steps: any number of ranks reads the same rows in the same order.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from creuset.core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class MixRow:
    source: str
    index: int  # which row of the source: tokens [index * context, index * context + context]
    epoch: int  # how many times the source had been read through before


@dataclass(slots=True)
class Mixture:
    """Endless rows of `rows[source]` available ones, in proportion to `weights[source]`."""

    rows: Mapping[str, int]
    weights: Mapping[str, float]
    seed: int
    taken: dict[str, int] = field(default_factory=dict)
    _orders: dict[str, tuple[int, np.ndarray]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for source, weight in self.weights.items():
            if source not in self.rows:
                raise ConfigError(
                    f"mix: `{source}` is not a source of these shards", hint=f"it has {sorted(self.rows)}"
                )
            if weight <= 0:
                raise ConfigError(f"mix: the weight of `{source}` must be positive, got {weight}")
            if self.rows[source] < 1:
                raise ConfigError(f"mix: `{source}` is shorter than one row")
        if not self.weights:
            raise ConfigError("mix: no source was named")
        self.taken = {s: self.taken.get(s, 0) for s in sorted(self.weights)}

    @property
    def cursor(self) -> dict[str, int]:
        return dict(self.taken)

    def seek(self, cursor: Mapping[str, int]) -> None:
        """Go on from `cursor`; refused when it was made with other sources."""
        if set(cursor) != set(self.taken):
            raise ConfigError(f"the cursor has sources {sorted(cursor)}, the mixture has {sorted(self.taken)}")
        self.taken = {s: int(cursor[s]) for s in sorted(self.taken)}

    def next(self) -> MixRow:
        total = sum(self.weights.values())
        done = sum(self.taken.values()) + 1
        # The source furthest behind its share; ties go to the first name, so the order is a function of the counts.
        source = max(self.taken, key=lambda s: self.weights[s] / total * done - self.taken[s])
        epoch, place = divmod(self.taken[source], self.rows[source])
        self.taken[source] += 1
        return MixRow(source, int(self._order(source, epoch)[place]), epoch)

    def _order(self, source: str, epoch: int) -> np.ndarray:
        known = self._orders.get(source)
        if known is None or known[0] != epoch:
            stream = np.random.default_rng([self.seed, epoch, *source.encode()])
            self._orders[source] = (epoch, stream.permutation(self.rows[source]))
        return self._orders[source][1]
