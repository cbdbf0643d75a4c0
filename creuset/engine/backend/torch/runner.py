"""Owns the weights and the key-value tensors; computes one batch. Nobody else touches a tensor of the model.

Shapes: T tokens    C model width    V vocabulary
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from creuset.engine.backend.torch.attend import KVCache, Paged, Span
from creuset.engine.backend.torch.frozen import Frozen
from creuset.engine.backend.torch.rows import TILE, using
from creuset.engine.sampler import Logits
from creuset.model.config import ModelConfig
from creuset.model.transformer import Transformer

_SHARED_FROM = 6_000_000  # multiply-adds of a step; eight rows of `mini` gain a fifth from a second idle core
_LARGE_STEP = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Batch:
    """New tokens of several requests, one after the other; `spans` says whose they are."""

    tokens: Sequence[int]
    spans: Sequence[Span]


class Runner:
    def __init__(
        self, model: Transformer, *, blocks: int, block_size: int, threads: int, device: str = "cpu"
    ) -> None:
        """Takes `model` over: its weights are laid out anew and the original is of no more use."""
        config = model.config
        self._threads = threads
        # Few operations are worth sharing among threads when a step is small, and on a busy machine each waits for
        # the slowest thread.
        self._alone = _SHARED_FROM // max(1, _active(config))
        self.device, self._model = device, Frozen(model, device=device)
        self.network = self._model      # for likelihoods of whole sequences, which need no cache (model/score.py)
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
        tokens_T, positions_T = (torch.tensor(ids, device=self.device) for ids in (batch.tokens, positions))
        with using(1 if len(positions) <= self._alone else self._threads):
            hidden_TC: Tensor = self._model(tokens_T, positions_T, attend)
        return hidden_TC

    @torch.inference_mode()
    def logits(self, hidden_TC: Tensor, rows: Sequence[int]) -> Logits:
        """fp32 logits of some rows of a batch, (len(rows), V), as NumPy sees them."""
        chosen = hidden_TC if len(rows) == len(hidden_TC) else hidden_TC[torch.tensor(rows, device=self.device)]
        with using(1 if len(rows) <= self._alone else self._threads):
            logits: Logits = self._model.head(chosen).float().cpu().numpy()
        return logits

    def wipe(self, blocks: Sequence[int]) -> None:
        """Put zeros where a failed request wrote: a NaN left there would reach whoever gets the block next."""
        with torch.inference_mode():
            self.cache.wipe(blocks)


def default_threads(config: ModelConfig, max_batch_tokens: int) -> int:
    """One for a small model, whose operations are too short to share; torch's own number for others.

    Sharing an operation means waiting for the slowest thread. On two busy cores that made decoding of `mini` sixty
    times slower than by one thread, for a gain of a few milliseconds when they are idle.
    """
    return 1 if max_batch_tokens * _active(config) < _LARGE_STEP else torch.get_num_threads()


def _active(config: ModelConfig) -> int:
    """Multiply-adds a token takes in the layers, attention's context left out."""
    attention = config.hidden * config.head_dim * (2 * config.heads + 2 * config.kv_heads)
    routed = 3 * config.hidden * (config.experts_per_token * config.expert_ffn + config.shared_ffn)
    dense = 3 * config.hidden * config.ffn
    return sum(attention + (routed if config.moe_layer(layer) else dense) for layer in range(config.layers))
