"""Bits per byte of held-out documents: the document is the unit, its end is predicted too.

A document of tokens d0..dn is scored as `<eot> d0 .. dn <eot>`: -log2 p summed over d0..dn and the final
<eot>, divided by the document's UTF-8 bytes. Long documents are cut in windows of the context, each scored
from its own beginning, so the figure is an upper bound of what a longer context would give.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from creuset.data.batches import Batch, PackedRow, pack
from creuset.data.shards import Shards
from creuset.model.attention import Packed
from creuset.model.transformer import Transformer
from creuset.train.loss import CHUNK


@dataclass(frozen=True, slots=True)
class Score:
    """Sums over the documents of one source."""

    bits: float
    bytes: int
    tokens: int
    documents: int

    @property
    def bits_per_byte(self) -> float:
        return self.bits / self.bytes


def bits_per_byte(
    model: Transformer,
    shards: Shards,
    source: str,
    *,
    context: int,
    max_tokens: int | None = None,
    per_batch: int = 8192,
) -> Score:
    """Score the first held-out documents of `source`, whole ones, until `max_tokens` are read (at least one)."""
    tokens, offsets = shards.tokens(source, "heldout"), shards.offsets(source, "heldout")
    sizes = shards.bytes(source)
    device = next(model.parameters()).device
    bits, documents, read = 0.0, 0, 0
    windows: list[np.ndarray] = []
    waiting = 0

    def flush() -> None:
        nonlocal bits, windows, waiting
        if windows:
            batch = pack(
                [PackedRow(w[:-1], w[1:], np.ones(len(w) - 1, np.float32), np.zeros(1, np.int64)) for w in windows]
            ).to(device)
            bits += float(token_nats(model, batch).double().sum()) / math.log(2)
        windows, waiting = [], 0

    for index in range(len(offsets) - 1):
        if max_tokens is not None and documents and read >= max_tokens:
            break
        ids = np.concatenate([[shards.eot], np.asarray(tokens[offsets[index] : offsets[index + 1]])])
        for start in range(0, len(ids) - 1, context):
            window = ids[start : start + context + 1]
            if waiting + len(window) > per_batch:
                flush()
            windows.append(window)
            waiting += len(window) - 1
        documents, read = documents + 1, read + len(ids) - 1
    flush()
    return Score(bits=bits, bytes=int(sizes[:documents].sum()), tokens=read, documents=documents)


@torch.inference_mode()
def token_nats(model: Transformer, batch: Batch) -> Tensor:
    """-log p of each target of `batch`: (T,), fp32."""
    hidden_TC = model(batch.tokens_T, batch.positions_T, Packed(batch.lengths))
    parts = []
    for start in range(0, len(batch.targets_T), CHUNK):
        logits_tV = model.logits(hidden_TC[start : start + CHUNK]).float()
        chosen_t = logits_tV.gather(1, batch.targets_T[start : start + CHUNK, None])[:, 0]
        parts.append(logits_tV.logsumexp(-1) - chosen_t)
    return torch.cat(parts)
