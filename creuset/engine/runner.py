"""Owns the weights and the key-value tensors; computes one batch. Nobody else touches a tensor of the model.

Shapes: T tokens    C model width    V vocabulary
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from creuset.engine.attend import KVCache, Paged, Span
from creuset.engine.frozen import Frozen
from creuset.engine.rows import TILE
from creuset.engine.sampler import Logits
from creuset.model.transformer import Transformer


@dataclass(frozen=True, slots=True)
class Batch:
    """New tokens of several requests, one after the other; `spans` says whose they are."""

    tokens: Sequence[int]
    spans: Sequence[Span]


class Runner:
    def __init__(self, model: Transformer, *, blocks: int, block_size: int, device: str = "cpu") -> None:
        """Takes `model` over: its weights are laid out anew and the original is of no more use."""
        config = model.config
        self.device, self._model = device, Frozen(model, device=device)
        self.rules = self._model.rules
        self._fold = config.heads // config.kv_heads
        self.cache = KVCache(
            layers=config.layers,
            blocks=blocks,
            block_size=block_size,
            heads=config.kv_heads,
            width=config.head_dim,
            dtype=self._model.embedding.dtype,
            device=device,
        )

    @torch.inference_mode()
    def forward(self, batch: Batch) -> Tensor:
        """Hidden states (T, C) of the batch, whose keys and values are in the cache from then on."""
        positions = [at for span in batch.spans for at in range(span.first, span.first + span.count)]
        attend = Paged(self.cache, batch.spans, fold=self._fold, quantum=self.rules.attention or TILE)
        hidden_TC: Tensor = self._model(
            torch.tensor(batch.tokens, device=self.device), torch.tensor(positions, device=self.device), attend
        )
        return hidden_TC

    @torch.inference_mode()
    def logits(self, hidden_TC: Tensor, rows: Sequence[int]) -> Logits:
        """fp32 logits of some rows of a batch, (len(rows), V), as NumPy sees them."""
        chosen = hidden_TC if len(rows) == len(hidden_TC) else hidden_TC[torch.tensor(rows, device=self.device)]
        logits: Logits = self._model.head(chosen).float().cpu().numpy()
        return logits

    def wipe(self, blocks: Sequence[int]) -> None:
        """Put zeros where a failed request wrote: a NaN left there would reach whoever gets the block next."""
        with torch.inference_mode():
            self.cache.wipe(blocks)
