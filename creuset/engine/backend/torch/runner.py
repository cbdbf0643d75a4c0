"""The backend on torch: owns the weights and the key-value tensors, computes one batch at a time.

Reading order: `TorchRunner`, then `choose` (in which arithmetic and with how many threads this machine computes).

Shapes: T tokens    C model width    V vocabulary
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from creuset.core import device as devices
from creuset.core.errors import ConfigError
from creuset.core.memory import available_memory
from creuset.engine.backend.base import ForwardBatch, Logits
from creuset.engine.backend.candidates import Candidates, candidates_of
from creuset.engine.backend.torch.batch_invariant import TILE, using
from creuset.engine.backend.torch.inference import InferenceModel
from creuset.engine.backend.torch.paged_attention import KVCache, PagedAttention
from creuset.model.attention import Packed
from creuset.model.config import ModelConfig
from creuset.model.count import kv_bytes, projections
from creuset.model.formats.weights import WeightSource, build
from creuset.model.score import Reading, log_likelihoods

_SHARED_FROM = 6_000_000  # multiply-adds of a step; eight rows of `mini` gain a fifth from a second idle core
_LARGE_STEP = 1_000_000_000
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


class TorchRunner:
    def __init__(self, source: WeightSource, *, dtype: str, threads: int, device: str = "cpu") -> None:
        """Lays the weights of `source` out for answering. A model in memory is taken over: it is of no more use."""
        self._config = source.config
        # Few operations are worth sharing among threads when a step is small, and on a busy machine each waits for
        # the slowest thread.
        self._alone = _SHARED_FROM // max(1, _active(source.config))
        self.threads, self.device, self.dtype = threads, device, dtype
        with using(threads):
            self.model = InferenceModel(build(source, device=device, dtype=_DTYPES[dtype]), device=device)
        self.not_native = ""  # why torch computes, where that was not asked for
        self._cache: KVCache | None = None
        self._hidden_TC: Tensor | None = None

    @property
    def config(self) -> ModelConfig:
        return self._config

    def adapt(self, folder: Path) -> int:
        raise ConfigError(f"torch computes an adapter in a copy of the model only: `{folder}` cannot be added to it")

    def replace(self, source: WeightSource) -> None:
        with using(self.threads):
            model = build(source, device=self.device, dtype=_DTYPES[self.dtype])
            self.model = InferenceModel(model, device=self.device, like=self.model)
        self._hidden_TC = None

    @property
    def choices(self) -> dict[str, Any]:
        return {
            "backend": "torch",
            "device": self.device,
            "dtype": self.dtype,
            "threads": self.threads,
            "kernels": asdict(self.model.rules),
        } | ({"not_native": self.not_native} if self.not_native else {})

    @property
    def kv_bytes_per_token(self) -> int:
        return kv_bytes(self._config, bytes_per_value=_DTYPES[self.dtype].itemsize)

    @property
    def cache(self) -> KVCache:
        assert self._cache is not None, "no memory for keys and values was allocated"
        return self._cache

    def free_memory(self) -> int:
        place = torch.device(self.device)
        return torch.cuda.mem_get_info(place)[0] if place.type == "cuda" else available_memory()

    def allocate(self, blocks: int, block_size: int) -> None:
        self._cache = KVCache(
            layers=self._config.layers + self._config.next_layers,
            blocks=blocks,
            block_size=block_size,
            heads=self._config.cache_heads,
            width=self._config.key_width,
            value_width=self._config.value_width,
            dtype=_DTYPES[self.dtype],
            device=self.device,
        )

    @torch.inference_mode()
    def forward(self, batch: ForwardBatch) -> None:
        positions = [at for span in batch.spans for at in range(span.first, span.first + span.count)]
        tokens_T, positions_T = (torch.tensor(ids, device=self.device) for ids in (batch.tokens, positions))
        with using(self._threads_for(len(positions))):
            self._hidden_TC = self.model(tokens_T, positions_T, self._attend(batch))

    @property
    def guesses(self) -> bool:
        return self.model.guesser is not None

    @torch.inference_mode()
    def guess(self, rows: Sequence[int], batch: ForwardBatch) -> list[int]:
        assert self._hidden_TC is not None, "nothing was computed yet"
        hidden_TC = self._hidden_TC[torch.tensor(rows, device=self.device)]
        positions = [at for span in batch.spans for at in range(span.first, span.first + span.count)]
        tokens_T, positions_T = (torch.tensor(ids, device=self.device) for ids in (batch.tokens, positions))
        ends = list(accumulate(span.count for span in batch.spans))
        with using(self._threads_for(len(positions))):
            guessed_TC = self.model.guess(hidden_TC, tokens_T, positions_T, self._attend(batch))
            last_RC = guessed_TC[torch.tensor([end - 1 for end in ends], device=self.device)]
            tokens: list[int] = self.model.logits(last_RC).argmax(-1).tolist()
        return tokens

    def _attend(self, batch: ForwardBatch) -> PagedAttention:
        fold = self._config.heads // self._config.cache_heads
        return PagedAttention(self.cache, batch.spans, fold=fold, quantum=self.model.rules.attention or TILE)

    @torch.inference_mode()
    def logits(self, rows: Sequence[int]) -> Logits:
        assert self._hidden_TC is not None, "nothing was computed yet"
        all_of_them = list(rows) == list(range(len(self._hidden_TC)))
        chosen_RC = self._hidden_TC if all_of_them else self._hidden_TC[torch.tensor(rows, device=self.device)]
        with using(self._threads_for(len(rows))):
            logits_RV: Logits = self.model.logits(chosen_RC).float().cpu().numpy()
        return logits_RV

    @torch.inference_mode()
    def hidden(self, rows: Sequence[int]) -> NDArray[np.float32]:
        assert self._hidden_TC is not None, "nothing was computed yet"
        found: NDArray[np.float32] = self._hidden_TC[torch.tensor(rows, device=self.device)].float().cpu().numpy()
        return found

    def candidates(self, rows: Sequence[int], count: int, within: int) -> Candidates:
        return candidates_of(self.logits(rows), count, within)

    def score(
        self, readings: Sequence[Reading], *, tokens_per_batch: int
    ) -> Iterator[tuple[int, NDArray[np.float64], NDArray[np.bool_]]]:
        return log_likelihoods(self.model, readings, tokens_per_batch=tokens_per_batch)

    @torch.inference_mode()
    def routing(self, tokens: Sequence[int]) -> NDArray[np.int32]:
        found: list[Tensor] = []
        self.model.routed = found
        try:
            ids_T = torch.tensor(tokens, device=self.device)
            self.model(ids_T, torch.arange(len(ids_T), device=self.device), Packed([len(ids_T)]))
        finally:
            self.model.routed = None
        experts: NDArray[np.int32] = torch.stack(found, dim=1).to(torch.int32).cpu().numpy()
        return experts

    def wipe(self, blocks: Sequence[int]) -> None:
        """A NaN left in a block would reach whoever gets it next: behind the mask it is multiplied by zero."""
        with torch.inference_mode():
            self.cache.wipe(blocks)

    def _threads_for(self, rows: int) -> int:
        return 1 if rows <= self._alone else self.threads


def choose(
    source: WeightSource,
    *,
    dtype: Literal["auto", "fp32", "bf16"] = "auto",
    threads: int = 0,
    max_batch_tokens: int,
    device: str = "cpu",
) -> TorchRunner:
    """A runner for this machine. What the caller names is obeyed.

    With `dtype` "auto", a GPU that has bf16 computes in it, everything else in fp32. How many threads compute does not
    change an answer; the dtype does, so it is among the runner's `choices`.
    """
    place = torch.device(device)
    if dtype == "auto":
        dtype = "bf16" if place.type != "cpu" and devices.has_bf16(place) else "fp32"
    many = threads or default_threads(source.config, max_batch_tokens)
    return TorchRunner(source, dtype=dtype, threads=many, device=device)


def default_threads(config: ModelConfig, max_batch_tokens: int) -> int:
    """One for a small model, whose operations are too short to share; for others one fewer than torch's own number.

    A core is left to the HTTP process and to whoever else works here. Sharing an operation means waiting for the
    slowest thread: on two busy cores that made decoding of `mini` sixty times slower than by one thread, for a gain of
    a few milliseconds when they are idle.
    """
    return 1 if max_batch_tokens * _active(config) < _LARGE_STEP else max(1, torch.get_num_threads() - 1)


def _active(config: ModelConfig) -> int:
    """Multiply-adds a token takes in the layers, attention's context left out."""
    routed = 3 * config.hidden * (config.experts_per_token * config.expert_ffn + config.shared_ffn)
    dense = 3 * config.hidden * config.ffn
    return sum(projections(config) + (routed if config.moe_layer(layer) else dense) for layer in range(config.layers))
