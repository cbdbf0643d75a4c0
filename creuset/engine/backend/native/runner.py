"""The backend on the native core: one call computes a whole batch.

Shapes: R rows    V vocabulary    K candidates
"""

from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from creuset.core.errors import ArtifactError
from creuset.core.memory import available_memory
from creuset.core.native.library import Library, library
from creuset.engine.backend.base import BatchSpan, ForwardBatch, Logits
from creuset.engine.backend.candidates import Candidates
from creuset.engine.backend.native.assemble import Assembled
from creuset.engine.backend.native.interface import BYTES, CACHE_TYPES
from creuset.engine.backend.native.rotary import Tables
from creuset.engine.backend.native.weights import Floats, Packer
from creuset.model.config import ModelConfig
from creuset.model.count import kv_bytes, matmul_weights

if TYPE_CHECKING:
    from creuset.model.formats.weights import WeightSource
    from creuset.model.score import Reading

SHARED_FROM = 6_000_000  # multiply-adds of a batch that are worth waiting for other threads
SCORE_BLOCK = 64  # tokens a block of the cache that whole sequences are read in


class NativeRunner:
    def __init__(
        self, source: "WeightSource", *, dtype: str = "auto", threads: int = 0, found: Library | None = None,
        quant: str = "",
    ) -> None:  # fmt: skip
        """`dtype`: "fp32" computes in fp32 matrices whatever is stored; "bf16" has floats in bf16; with "auto" they are
        in bf16 where the processor multiplies such, else in fp32. Codes stay codes unless "fp32" is asked for.
        `threads` 0: one for each processor. `quant` "q8" or "q4": floats are rounded to such codes.

        Raises NativeUnavailable, and ArtifactError for weights that are not those of the model.
        """
        lib = found or library()
        self._config = source.config
        floats = ("bf16" if lib.isa in ("bf16", "amx") else "fp32") if dtype == "auto" else dtype
        self._isa = lib.isa
        self.cache_dtype = "fp32" if dtype == "fp32" else "bf16"
        self._lib, self._exact = lib, dtype == "fp32"
        self._kind: Floats = quant if quant in ("q8", "q4") else "bf16" if floats == "bf16" else "f32"  # type: ignore[assignment]
        self._model, self._rounded = self._assembled(source)
        self._call = lib.functions
        ((widest, _),) = self._model.kinds.most_common(1)
        self.dtype = "fp32" if widest == "f32" else widest  # of most weights: bf16, q8, q4, q4a
        self.threads = self._with_threads(self._model, threads)
        self._tables = Tables(source.config)
        self._cache: _Cache | None = None
        self._known: dict[int, tuple[Sequence[int], array[int]]] = {}
        self._adapters: list[Path] = []

    def _assembled(self, source: "WeightSource") -> tuple[Assembled, dict[str, int]]:
        packer = Packer(self._lib, floats=self._kind, exact=self._exact)
        model = Assembled(self._lib, source.config, source.tensors(), packer)
        return model, dict(packer.rounded)

    def _with_threads(self, model: Assembled, threads: int) -> int:
        alone = SHARED_FROM // matmul_weights(self._config)
        if not (found := int(self._call.creuset_model_threads(model.handle, threads, alone))):
            raise MemoryError(f"no memory for {threads} threads")
        return found

    def replace(self, source: "WeightSource") -> None:
        model, rounded = self._assembled(source)
        self._with_threads(model, self.threads)
        for folder in self._adapters:
            model.adapt(folder)
        cache = self._cache and _Cache(model, self._cache.blocks, self._cache.block_size, self.cache_dtype)
        # The core keeps tables and caches with the model that they were made for.
        self._model, self._rounded, self._cache = model, rounded, cache
        self._tables, self._known = Tables(self._config), {}

    def adapt(self, folder: Path) -> int:
        number = self._model.adapt(folder)
        self._adapters.append(folder)
        return number

    @property
    def config(self) -> ModelConfig:
        return self._config

    @property
    def choices(self) -> dict[str, Any]:
        return {
            "backend": "native",
            "device": "cpu",
            "dtype": self.dtype,
            "threads": self.threads,
            "kernels": {
                "isa": self._isa,
                "weights": dict(sorted(self._model.kinds.items())),
                **({"rounded_to_q8": self._rounded} if self._rounded else {}),  # ggml's types, and how many weights
                "cache": self.cache_dtype,
            },
            "weight_bytes": sum(self._model.kinds.values()),
        }

    @property
    def kv_bytes_per_token(self) -> int:
        config, width = self._config, BYTES[self.cache_dtype]
        if config.latent is None:
            return kv_bytes(config, bytes_per_value=width)
        # The latent is kept twice: as a key and as a value.
        return (config.layers + config.next_layers) * (config.key_width + config.latent.kv_rank) * width

    def free_memory(self) -> int:
        return available_memory()

    def allocate(self, blocks: int, block_size: int) -> None:
        self._cache = _Cache(self._model, blocks, block_size, self.cache_dtype)

    def forward(self, batch: ForwardBatch) -> None:
        assert self._cache is not None, "no memory for keys and values was allocated"
        self._forward(batch, self._cache)

    def _forward(
        self, batch: ForwardBatch, cache: "_Cache", rows: Sequence[int] | None = None,
        routed: NDArray[np.int32] | None = None,
    ) -> None:  # fmt: skip
        """With `rows` the layer that guesses reads them, beside the tokens of `batch`. `routed` (layers, rows, chosen)
        gets the experts."""
        spans, counts = array("q"), array("i")
        known: dict[int, tuple[Sequence[int], array[int]]] = {}
        border, longest = self._config.rope_border, 0
        for span in batch.spans:
            blocks, end = self._blocks(span, known), span.first + span.count
            beyond = border is not None and (span.length or end) > border
            # `struct Span` of native/model.h: four numbers of 32 bits and an address.
            spans.extend((span.first | span.count << 32, beyond | span.adapter << 32, blocks.buffer_info()[0]))
            counts.append(len(blocks))
            longest = max(longest, end)
        self._known = known
        if self._tables.grow(longest):
            for index, (cosines, sines) in self._tables.tables.items():
                self._call.creuset_model_table(
                    self._model.handle, index, cosines.ctypes.data, sines.ctypes.data, self._tables.positions
                )
        tokens = array("i", batch.tokens)
        given = (
            self._model.handle, cache.handle, len(tokens), tokens.buffer_info()[0], len(counts),
            spans.buffer_info()[0], counts.buffer_info()[0],
        )  # fmt: skip
        if routed is not None:
            failed = self._call.creuset_routed(*given, routed.ctypes.data)
        elif rows is None:
            failed = self._call.creuset_forward(*given)
        else:
            read = array("i", rows)
            failed = self._call.creuset_guess(*given, read.buffer_info()[0])
        _raise(failed, "a token, position, block or adapter of the batch is not there")

    def _blocks(self, span: BatchSpan, known: dict[int, tuple[Sequence[int], "array[int]"]]) -> "array[int]":
        """The numbers of a span's blocks as the core reads them; those of the last batch are kept, since a request's
        list is the same one step after step, and only grows."""
        blocks, kept = span.blocks, self._known.get(id(span.blocks))
        if kept is None or kept[0] is not blocks or len(kept[1]) > len(blocks):
            kept = blocks, array("i", blocks)
        elif len(kept[1]) < len(blocks):
            kept[1].extend(blocks[len(kept[1]) :])
        known[id(blocks)] = kept
        return kept[1]

    def logits(self, rows: Sequence[int]) -> Logits:
        found = np.empty((len(rows), self._config.vocab_size), dtype=np.float32)
        wanted = array("i", rows)
        failed = self._call.creuset_logits(self._model.handle, wanted.buffer_info()[0], len(wanted), found.ctypes.data)
        _raise(failed, "a row is not of the last batch")
        return found

    def hidden(self, rows: Sequence[int]) -> NDArray[np.float32]:
        found = np.empty((len(rows), self._config.hidden), dtype=np.float32)
        wanted = array("i", rows)
        failed = self._call.creuset_hidden(self._model.handle, wanted.buffer_info()[0], len(wanted), found.ctypes.data)
        _raise(failed, "a row is not of the last batch")
        return found

    def candidates(self, rows: Sequence[int], count: int, within: int) -> Candidates:
        width = min(within, self._config.vocab_size)
        wanted, count = array("i", rows), min(count, width)
        ids_RK = np.empty((len(rows), count), dtype=np.int64)
        logits_RK, sums_R = np.empty((len(rows), count), dtype=np.float32), np.empty(len(rows), dtype=np.float64)
        failed = self._call.creuset_candidates(
            self._model.handle, wanted.buffer_info()[0], len(wanted), count, width, ids_RK.ctypes.data,
            logits_RK.ctypes.data, sums_R.ctypes.data,
        )  # fmt: skip
        _raise(failed, "a row is not of the last batch")
        return Candidates(ids_RK, logits_RK, sums_R)

    @property
    def guesses(self) -> bool:
        return bool(self._config.next_layers)

    def guess(self, rows: Sequence[int], batch: ForwardBatch) -> list[int]:
        assert self._cache is not None, "no memory for keys and values was allocated"
        self._forward(batch, self._cache, rows)
        last = [end - 1 for end in accumulate(span.count for span in batch.spans)]
        found: list[int] = self.candidates(last, 1, self._config.vocab_size).ids_RK[:, 0].tolist()
        return found

    def score(
        self, readings: "Sequence[Reading]", *, tokens_per_batch: int = 4096
    ) -> Iterator[tuple[int, NDArray[np.float64], NDArray[np.bool_]]]:
        batches: list[list[int]] = []
        size = 0
        for index, reading in enumerate(readings):
            length = len(reading.ids) - 1
            if not batches or size + length > tokens_per_batch:
                batches.append([])
                size = 0
            batches[-1].append(index)
            size += length
        # Each sequence has blocks of its own, the last of which may be part empty.
        room = max((sum(_blocks_of(readings[i]) for i in batch) for batch in batches), default=0)
        cache = _Cache(self._model, max(1, room), SCORE_BLOCK, self.cache_dtype)
        for batch in batches:
            yield from self._scored(readings, batch, cache)

    def _scored(
        self, readings: "Sequence[Reading]", batch: list[int], cache: "_Cache"
    ) -> Iterator[tuple[int, NDArray[np.float64], NDArray[np.bool_]]]:
        mine = [index for index in batch if len(readings[index].ids) > 1]
        for index in set(batch) - set(mine):
            yield index, np.empty(0), np.empty(0, dtype=np.bool_)
        if not mine:
            return
        lengths = [len(readings[index].ids) - 1 for index in mine]
        spans, block = [], 0
        for index, length in zip(mine, lengths, strict=True):
            needed = _blocks_of(readings[index])
            spans.append(BatchSpan(0, length, range(block, block + needed)))
            block += needed
        tokens = np.concatenate([readings[index].ids[:-1] for index in mine]).tolist()
        self._forward(ForwardBatch(tokens, spans), cache)
        begins = [0, *accumulate(lengths)]
        rows = array("i")
        targets = array("i")
        for index, begin, end in zip(mine, begins, begins[1:], strict=False):
            scored = readings[index].scored
            rows.extend(range(begin + scored, end))
            targets.extend(readings[index].ids[1 + scored :].tolist())
        values, best = np.empty(len(rows), dtype=np.float64), np.empty(len(rows), dtype=np.bool_)
        failed = self._call.creuset_targets(
            self._model.handle, rows.buffer_info()[0], len(rows), targets.buffer_info()[0], values.ctypes.data,
            best.ctypes.data,
        )  # fmt: skip
        _raise(failed, "a scored token is not of the vocabulary")
        ends = list(accumulate(length - readings[index].scored for index, length in zip(mine, lengths, strict=True)))
        for index, value, hit in zip(mine, np.split(values, ends[:-1]), np.split(best, ends[:-1]), strict=True):
            if not np.isfinite(value).all():
                bad = value[~np.isfinite(value)][0]
                raise ArtifactError(f"the model gives ln p = {bad}: its weights do not compute")
            yield index, value, hit

    def routing(self, tokens: Sequence[int]) -> NDArray[np.int32]:
        config, count = self._config, len(tokens)
        blocks = -(-count // SCORE_BLOCK)
        found = np.empty((config.layers + config.next_layers, count, config.experts_per_token), dtype=np.int32)
        cache = _Cache(self._model, blocks, SCORE_BLOCK, self.cache_dtype)
        self._forward(ForwardBatch(tokens, [BatchSpan(0, count, range(blocks))]), cache, routed=found)
        kept = [layer for layer in range(config.layers) if config.moe_layer(layer)]
        return np.ascontiguousarray(found[kept].swapaxes(0, 1))

    def wipe(self, blocks: Sequence[int]) -> None:
        if blocks and self._cache is not None:
            self._cache.wipe(blocks)


class _Cache:
    """Keys and values in the core's memory. It is freed with this object."""

    def __init__(self, model: Assembled, blocks: int, block_size: int, dtype: str) -> None:
        self._model, self._call = model, model.functions
        self.blocks, self.block_size = blocks, block_size
        self.handle: int | None = self._call.creuset_cache_new(model.handle, blocks, block_size, CACHE_TYPES[dtype])
        if self.handle is None:
            raise MemoryError(f"no memory for the keys and values of {blocks * block_size} tokens")

    def wipe(self, blocks: Sequence[int]) -> None:
        numbers = array("i", blocks)
        self._call.creuset_cache_wipe(self.handle, numbers.buffer_info()[0], len(numbers))

    def __del__(self) -> None:
        if getattr(self, "handle", None) is not None:
            self._call.creuset_cache_free(self.handle)
            self.handle = None


def _blocks_of(reading: "Reading") -> int:
    return -(-(len(reading.ids) - 1) // SCORE_BLOCK)


def _raise(failed: int, reason: str) -> None:
    if failed == 2:
        raise MemoryError("no memory for a batch in the native core")
    if failed:
        raise ValueError(reason)
