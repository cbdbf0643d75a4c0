"""What the engine needs of whatever computes the model: plain numbers and NumPy arrays on both sides, no tensors.

A backend is built from a `WeightSource` (model/formats/weights.py). It keeps to itself how weights are laid out,
where keys and values lie, and in which arithmetic it computes. It promises that a row of a batch gets the same numbers
whoever is beside it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from creuset.model.config import ModelConfig

if TYPE_CHECKING:
    from creuset.engine.backend.candidates import Candidates
    from creuset.model.formats.weights import WeightSource
    from creuset.model.score import Reading

Logits = NDArray[np.float32]  # (V) of one row, (R, V) of several


@dataclass(slots=True)  # not frozen: that would make each three times as dear
class BatchSpan:
    """`count` new tokens of one request, the first at position `first`. Its context lies in `blocks`, oldest first.

    `length`: tokens that the request has, those included that come in a later batch; 0: none do.
    `adapter`: the number of the adapter that it is computed with (`Runner.adapt`); 0: none.
    """

    first: int
    count: int
    blocks: Sequence[int]
    length: int = 0
    adapter: int = 0


class ForwardBatch(NamedTuple):
    """New tokens of several requests, one after the other. `spans` says whose they are."""

    tokens: Sequence[int]
    spans: Sequence[BatchSpan]


class Runner(Protocol):
    """Owns the weights and the memory of keys and values, and computes one batch at a time."""

    @property
    def config(self) -> ModelConfig: ...

    @property
    def choices(self) -> dict[str, Any]:
        """How this machine computes: backend, dtype, threads, kernels. Plain JSON values."""
        ...

    @property
    def kv_bytes_per_token(self) -> int: ...

    def free_memory(self) -> int:
        """Bytes that are free where keys and values will lie, now that the weights are there."""
        ...

    def replace(self, source: "WeightSource") -> None:
        """Compute with other weights of the same shape from now on. What keys and values there are is void.

        If it raises, nothing has changed.
        """
        ...

    def adapt(self, folder: Path) -> int:
        """The number of the adapter in `folder`, which spans may be computed with from now on beside others.

        ConfigError where this backend, or the model's shape, has no room for it; ArtifactError for a damaged one.
        """
        ...

    def allocate(self, blocks: int, block_size: int) -> None:
        """Make room for the keys and values of `blocks` blocks. Called once, before the first batch."""
        ...

    def forward(self, batch: ForwardBatch) -> None:
        """Compute `batch`. Its keys and values are in their blocks from then on."""
        ...

    def logits(self, rows: Sequence[int]) -> Logits:
        """fp32 logits (R, V) of some rows of the last batch."""
        ...

    def hidden(self, rows: Sequence[int]) -> NDArray[np.float32]:
        """fp32 hidden states (R, C) of some rows of the last batch: behind the last layer and the final norm."""
        ...

    def candidates(self, rows: Sequence[int], count: int, within: int) -> "Candidates":
        """Of some rows of the last batch the `count` likeliest of the first `within` tokens, by the same logits."""
        ...

    @property
    def guesses(self) -> bool:
        """Whether the model has a layer that guesses the token after the next, so that `guess` may be called."""
        ...

    def guess(self, rows: Sequence[int], batch: ForwardBatch) -> list[int]:
        """For each span of `batch` a likely token after its last one.

        `rows` of the last batch are read once more, now beside the token that follows each of them, which is the
        token that `batch` has there. A guess is only that: it may be wrong, and must be verified.
        """
        ...

    def score(
        self, readings: "Sequence[Reading]", *, tokens_per_batch: int
    ) -> "Iterator[tuple[int, NDArray[np.float64], NDArray[np.bool_]]]":
        """(index, ln p of each scored token, whether it was the likeliest) of whole sequences, in any order."""
        ...

    def routing(self, tokens: Sequence[int]) -> NDArray[np.int32]:
        """(T, L, K): the K experts, best first, of each token in each of the L layers that have any."""
        ...

    def wipe(self, blocks: Sequence[int]) -> None:
        """Put zeros into `blocks`, where a failed request wrote."""
        ...
