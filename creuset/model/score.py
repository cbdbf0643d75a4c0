"""Log-likelihoods of tokens, by the model itself on packed sequences; no engine needed.

Shapes: T tokens of a batch    S of them scored    C model width    V vocabulary
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from creuset.core.errors import ArtifactError
from creuset.model.attention import Packed

LOGITS_AT_ONCE = 1024  # rows of (V) fp32 logits held at a time


class Network(Protocol):
    """What has weights: model/transformer.py's Transformer, or the engine's form of it."""

    @property
    def device(self) -> torch.device: ...

    def __call__(self, tokens_T: Tensor, positions_T: Tensor, attend: Packed) -> Tensor: ...

    def logits(self, hidden_TC: Tensor) -> Tensor: ...


@dataclass(frozen=True, slots=True)
class Reading:
    """Tokens to read, and from which input on the next token is scored."""

    ids: "np.ndarray"  # (n + 1): inputs are all but the last
    scored: int = 0  # first input whose next token counts


def log_likelihoods(
    model: Network, sequences: Sequence[Reading], *, tokens_per_batch: int = 4096
) -> Iterator[tuple[int, "np.ndarray", "np.ndarray"]]:
    """Yield (index, ln p of each scored token, whether it was the likeliest), in whatever order is fastest.

    Every sequence is read from its own beginning at position 0 and sees nothing of the others.
    """
    # Equal lengths side by side: attention then takes them as one batch.
    order = sorted(range(len(sequences)), key=lambda i: (-len(sequences[i].ids), i))
    batch: list[int] = []
    size = 0
    for index in order:
        length = len(sequences[index].ids) - 1
        if batch and size + length > tokens_per_batch:
            yield from _batch(model, sequences, batch)
            batch, size = [], 0
        batch.append(index)
        size += length
    if batch:
        yield from _batch(model, sequences, batch)


@torch.inference_mode()
def _batch(
    model: Network, sequences: Sequence[Reading], chosen: list[int]
) -> Iterator[tuple[int, "np.ndarray", "np.ndarray"]]:
    mine = [sequences[i] for i in chosen]
    lengths = [len(s.ids) - 1 for s in mine]

    def flat(parts: list["np.ndarray"]) -> Tensor:
        return torch.from_numpy(np.concatenate(parts).astype(np.int64)).to(model.device)

    tokens_T = flat([s.ids[:-1] for s in mine])
    positions_T = flat([np.arange(n) for n in lengths])
    targets_S = flat([s.ids[1 + s.scored :] for s in mine])
    begins = np.cumsum([0, *lengths])
    scored_S = flat([np.arange(b + s.scored, b + n) for s, b, n in zip(mine, begins, lengths, strict=False)])
    hidden_SC = model(tokens_T, positions_T, Packed(lengths))[scored_S]
    values, best = [], []
    for start in range(0, len(targets_S), LOGITS_AT_ONCE):
        logits_sV = model.logits(hidden_SC[start : start + LOGITS_AT_ONCE]).float()
        targets_s = targets_S[start : start + LOGITS_AT_ONCE]
        values.append(logits_sV.gather(1, targets_s[:, None])[:, 0] - logits_sV.logsumexp(-1))
        best.append(logits_sV.argmax(-1) == targets_s)
    values_S, best_S = torch.cat(values).cpu().double().numpy(), torch.cat(best).cpu().numpy()
    ends = np.cumsum([n - s.scored for s, n in zip(mine, lengths, strict=True)])
    for index, value, hit in zip(chosen, np.split(values_S, ends[:-1]), np.split(best_S, ends[:-1]), strict=True):
        if not np.isfinite(value).all():
            raise ArtifactError(f"the model gives ln p = {value[~np.isfinite(value)][0]}: its weights do not compute")
        yield index, value, hit


def bits(log_likelihood: float) -> float:
    """ln p -> bits."""
    return -log_likelihood / math.log(2)
