"""Packed rows for training: tokens, targets, weights, and where each sequence begins.

A shard is `doc <|endoftext|> doc <|endoftext|> ...`. A sequence is one document behind the
<|endoftext|> that precedes it: inputs `<eot> d0 d1 ... dn`, targets `d0 d1 ... dn <eot>`, so every
token of a document, and its end, is predicted from the document alone. Attention never crosses
from one sequence to the next; positions restart at 0.

Shapes: T tokens of a micro-batch (whole rows, one after the other).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from creuset.data.shards.files import Shards
from creuset.data.shards.mix import Mixture


@dataclass(frozen=True, slots=True)
class Batch:
    """One micro-batch. `weights_T` is 1 where the target is trained on, else 0."""

    tokens_T: Tensor  # int64
    targets_T: Tensor  # int64
    weights_T: Tensor  # float32
    positions_T: Tensor  # int64
    lengths: list[int]  # of the sequences, in order; their sum is T

    def to(self, device: torch.device) -> "Batch":
        if device.type == "cpu":
            return self
        tokens_T, targets_T, weights_T, positions_T = (
            t.to(device, non_blocking=True) for t in (self.tokens_T, self.targets_T, self.weights_T, self.positions_T)
        )
        return Batch(tokens_T, targets_T, weights_T, positions_T, self.lengths)


class Source(Protocol):
    """Endless micro-batches with a cursor that is plain data; pre-training and dialogues are both one."""

    def step(self, *, tokens: int, micro: int, rank: int, world: int) -> list[Batch]:
        """The next `tokens` tokens of the global stream, as this rank's micro-batches of `micro` tokens."""

    def cursor(self) -> dict[str, Any]: ...

    def seek(self, cursor: Mapping[str, Any]) -> None: ...

    def read(self) -> dict[str, int]:
        """Tokens read so far of each source, repetitions and padding included."""


@dataclass(frozen=True, slots=True)
class PackedRow:
    """One row of L tokens: what is read, what is to be predicted, what counts, where sequences begin."""

    inputs: np.ndarray  # (L,)
    targets: np.ndarray  # (L,)
    weights: np.ndarray  # (L,)
    starts: np.ndarray  # positions in [0, L), the first is 0


def pack(rows: Sequence[PackedRow]) -> Batch:
    """Join rows into one micro-batch; positions restart at each sequence."""
    positions, lengths = [], []
    for row in rows:
        size = len(row.inputs)
        sizes = np.diff(np.append(row.starts, size))
        positions.append(np.arange(size) - np.repeat(row.starts, sizes))
        lengths += sizes.tolist()
    return Batch(
        tokens_T=torch.from_numpy(np.concatenate([r.inputs for r in rows]).astype(np.int64)),
        targets_T=torch.from_numpy(np.concatenate([r.targets for r in rows]).astype(np.int64)),
        weights_T=torch.from_numpy(np.concatenate([r.weights for r in rows]).astype(np.float32)),
        positions_T=torch.from_numpy(np.concatenate(positions).astype(np.int64)),
        lengths=lengths,
    )


def share(rows: list[Any], *, rank: int, world: int, per_micro: int) -> Iterator[list[Any]]:
    """This rank's part of one step's rows, in micro-batches: rank r of w takes rows r, r + w, ..."""
    mine = rows[rank::world]
    for start in range(0, len(mine), per_micro):
        yield mine[start : start + per_micro]


class PretrainSource:
    """Rows of token shards in the order of a `Mixture`."""

    def __init__(self, shards: Shards, *, weights: Mapping[str, float], context: int, seed: int) -> None:
        self.shards, self.context = shards, context
        self._tokens = {s: shards.tokens(s, "train") for s in weights}
        rows = {s: (len(t) - 1) // context for s, t in self._tokens.items()}
        self.mixture = Mixture(rows, dict(weights), seed)

    def step(self, *, tokens: int, micro: int, rank: int, world: int) -> list[Batch]:
        rows = [self.mixture.next() for _ in range(tokens // self.context)]
        return [
            pack([self._row(r.source, r.index) for r in part])
            for part in share(rows, rank=rank, world=world, per_micro=micro // self.context)
        ]

    def next_row(self) -> PackedRow:
        row = self.mixture.next()
        return self._row(row.source, row.index)

    def _row(self, source: str, index: int) -> PackedRow:
        start = index * self.context
        ids = np.asarray(self._tokens[source][start : start + self.context + 1])
        self.shards.known(ids, source=source, split="train", first=start)
        # A new sequence begins at each <|endoftext|> of the inputs; the row's first token begins one too.
        starts = np.flatnonzero(ids[:-1] == self.shards.eot)
        if not len(starts) or starts[0]:
            starts = np.insert(starts, 0, 0)
        return PackedRow(ids[:-1], ids[1:], np.ones(self.context, dtype=np.float32), starts)

    def cursor(self) -> dict[str, Any]:
        return {"taken": self.mixture.cursor}

    def seek(self, cursor: Mapping[str, Any]) -> None:
        self.mixture.seek(cursor["taken"])

    def read(self) -> dict[str, int]:
        return {name: rows * self.context for name, rows in self.mixture.taken.items() if rows}
