"""Bits per byte of held-out documents while training, by the same rule as `creuset eval` (benchmarks/bpb.py).

A document of tokens d0..dn is scored as `<eot> d0 .. dn <eot>`: -log2 p summed over d0..dn and the final
<eot>, divided by the document's UTF-8 bytes. Long documents are cut in windows of the context, each scored
from its own beginning, so the figure is an upper bound of what a longer context would give.
"""

from dataclasses import dataclass

import numpy as np

from creuset.data.shards.files import Shards
from creuset.model.score import Reading, bits, log_likelihoods
from creuset.model.transformer import Transformer
from creuset.model.windows import windows


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
    model: Transformer, shards: Shards, source: str, *, context: int, max_tokens: int | None = None
) -> Score:
    """Score the first held-out documents of `source`, whole ones, until `max_tokens` are read (at least one)."""
    tokens, offsets = shards.tokens(source, "heldout"), shards.offsets(source, "heldout")
    parts: list[Reading] = []
    documents, read = 0, 0
    for index in range(len(offsets) - 1):
        if max_tokens is not None and documents and read >= max_tokens:
            break
        first = int(offsets[index])
        document = np.asarray(tokens[first : offsets[index + 1]])
        ids = np.concatenate([[shards.eot], shards.known(document, source=source, split="heldout", first=first)])
        for window in windows(len(ids) - 1, context=context):
            parts.append(Reading(ids[window.start : window.end + 1], window.scored - window.start))
        documents, read = documents + 1, read + len(ids) - 1
    total = sum(float(values.sum()) for _, values, _ in log_likelihoods(model, parts))
    return Score(bits=bits(total), bytes=int(shards.bytes(source)[:documents].sum()), tokens=read, documents=documents)
