"""The backend on torch: owns the weights and the key-value tensors, computes one batch at a time.

Reading order: `TorchRunner`, then `choose` (in which arithmetic and with how many threads this machine computes).

Shapes: T tokens    C model width    V vocabulary
"""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from itertools import accumulate
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from creuset.core import device as devices
from creuset.core.memory import available_memory
from creuset.engine.backend.base import BatchSpan, ForwardBatch, Logits
from creuset.engine.backend.candidates import Candidates, candidates_of
from creuset.engine.backend.torch.batch_invariant import TILE, KernelRules, using
from creuset.engine.backend.torch.inference import InferenceModel
from creuset.engine.backend.torch.paged_attention import KVCache, PagedAttention
from creuset.model.config import ModelConfig
from creuset.model.count import kv_bytes, projections
from creuset.model.formats.weights import ModelWeights, WeightSource, build
from creuset.model.score import Reading, log_likelihoods

Dtype = Literal["auto", "fp32", "bf16"]

MARGIN = 1.3  # bf16, or another number of threads, must be that many times faster to be chosen
TRIAL_PROMPT = 256  # tokens of the request that is timed: its prompt, read at once ...
TRIAL_ANSWER = 64  # ... and its answer
_READINGS, _STEPS = 3, 7  # of the prompt and of the answer, at most, after one that is not timed
_BUDGET_S = 1.0  # no more are timed once they have taken so long: a busy machine is not asked for ever
_SHARED_FROM = 6_000_000  # multiply-adds of a step; eight rows of `mini` gain a fifth from a second idle core
_LARGE_STEP = 1_000_000_000
FASTEST = KernelRules(packed=True, quantum=1, attention=1, batched=True, activation=True)
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


class TorchRunner:
    def __init__(
        self, source: WeightSource, *, dtype: str, threads: int, device: str = "cpu", rules: KernelRules | None = None
    ) -> None:
        """Lays the weights of `source` out for answering. A model in memory is taken over: it is of no more use.

        `rules`: kernels to use unasked. A runner with them is for timing only, since it promises nothing.
        """
        self._config = source.config
        # Few operations are worth sharing among threads when a step is small, and on a busy machine each waits for
        # the slowest thread.
        self._alone = _SHARED_FROM // max(1, _active(source.config))
        self.threads, self.device, self.dtype = threads, device, dtype
        with using(threads):
            self.model = InferenceModel(build(source, device=device, dtype=_DTYPES[dtype]), device=device, rules=rules)
        self.timed: list[dict[str, Any]] = []
        self.not_native = ""  # why torch computes, where that was not asked for
        self._cache: KVCache | None = None
        self._hidden_TC: Tensor | None = None

    @property
    def config(self) -> ModelConfig:
        return self._config

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
            "timed": self.timed,
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

    def candidates(self, rows: Sequence[int], count: int, within: int) -> Candidates:
        return candidates_of(self.logits(rows), count, within)

    def score(
        self, readings: Sequence[Reading], *, tokens_per_batch: int
    ) -> Iterator[tuple[int, NDArray[np.float64], NDArray[np.bool_]]]:
        return log_likelihoods(self.model, readings, tokens_per_batch=tokens_per_batch)

    def wipe(self, blocks: Sequence[int]) -> None:
        """A NaN left in a block would reach whoever gets it next: behind the mask it is multiplied by zero."""
        with torch.inference_mode():
            self.cache.wipe(blocks)

    def _threads_for(self, rows: int) -> int:
        return 1 if rows <= self._alone else self.threads


def choose(
    source: WeightSource,
    *,
    dtype: Dtype = "auto",
    threads: int = 0,
    max_batch_tokens: int,
    device: str = "cpu",
    seconds: Callable[[TorchRunner], float] | None = None,
) -> TorchRunner:
    """A runner for this machine. What the caller names is obeyed; the rest is chosen by timing this very model.

    With `dtype` "auto", bf16 is tried where the processor computes in it, and taken when it is MARGIN times faster
    than fp32. With `threads` 0, a large model is tried with one thread and with all of torch's, each dtype by itself,
    because a second thread that waits for a busy core can cost more than it gives. How many threads compute does not
    change an answer; the dtype does, so it is among the runner's `choices`. `seconds` times one request
    (`seconds_of_a_request`).
    """
    seconds = seconds or (lambda runner: seconds_of_a_request(runner, max_batch_tokens))
    many = threads or default_threads(source.config, max_batch_tokens)
    timed: list[dict[str, Any]] = []

    place = torch.device(device)
    on_cpu, has_bf16 = place.type == "cpu", devices.has_bf16(place)
    if not threads and many > 1 and on_cpu and not more_threads_help(many):
        many = 1

    def once(runner: TorchRunner) -> float:
        taken = seconds(runner)
        timed.append({"dtype": runner.dtype, "threads": runner.threads, "seconds": round(taken, 6)})
        return taken

    def measured(runner: TorchRunner) -> float:
        """With the better number of threads, which the runner keeps."""
        if threads or runner.threads == 1 or not on_cpu:
            return once(runner)
        runner.threads = 1
        alone = once(runner)
        runner.threads = many
        together = once(runner)
        if alone * MARGIN > together:
            return together
        runner.threads = 1
        return alone

    def lay_out(dtype: str, rules: KernelRules | None = None) -> TorchRunner:
        return TorchRunner(source, dtype=dtype, threads=many, device=device, rules=rules)

    # A model in memory is taken over by the first runner: there is no second one to compare with.
    if dtype != "auto" or not has_bf16 or not on_cpu or isinstance(source, ModelWeights):
        plain = "bf16" if has_bf16 and not on_cpu else "fp32"
        runner = lay_out(plain if dtype == "auto" else dtype)
        if not threads and many > 1 and on_cpu:
            measured(runner)
    else:
        # One after the other: the memory never holds two copies of the weights. bf16 is tried with its fastest kernels,
        # without asking for each number of rows whether they are exact: oneDNN keeps every kernel that it ever built.
        in_bf16 = measured(lay_out("bf16", FASTEST))
        runner = lay_out("fp32")
        in_fp32, in_fp32_by = measured(runner), runner.threads
        if in_fp32 > MARGIN * in_bf16:
            del runner
            runner = lay_out("bf16")  # with the kernels that it may use, which can be slower
            if in_fp32 <= MARGIN * measured(runner):
                del runner
                runner = lay_out("fp32")
                runner.threads = in_fp32_by
    runner.timed = timed
    return runner


def seconds_of_a_request(
    runner: TorchRunner, max_batch_tokens: int, *, clock: Callable[[], float] = time.perf_counter
) -> float:
    """How long one request takes: TRIAL_PROMPT tokens read, TRIAL_ANSWER written, by medians of a few steps each."""
    block = 16
    prompt = min(TRIAL_PROMPT, max_batch_tokens, runner.config.context - 1)
    blocks = list(range(-(-runner.config.context // block)))
    runner.allocate(len(blocks), block)
    tokens = [at % runner.config.vocab_size for at in range(prompt)]

    def once(first: int, count: int) -> float:
        begun = clock()
        runner.forward(ForwardBatch(tokens[:count], [BatchSpan(first, count, blocks)]))
        runner.logits([count - 1])
        return clock() - begun

    def median(first: int, count: int, most: int) -> float:
        once(first, count)  # the first of its kind prepares kernels
        taken = [once(first, count)]
        while len(taken) < most and sum(taken) < _BUDGET_S:
            taken.append(once(first, count))
        return statistics.median(taken)

    return median(0, prompt, _READINGS) + TRIAL_ANSWER * median(prompt, 1, _STEPS)


def more_threads_help(many: int, *, clock: Callable[[], float] = time.perf_counter) -> bool:
    """Whether a product of matrices is faster by `many` threads than by one, now: on a busy machine it is not.

    Asked before anything is laid out, since everything that is tried with threads that wait for each other takes long.
    """
    a_NN = torch.ones(512, 512)

    def median(threads: int) -> float:
        taken = []
        with using(threads):
            for _ in range(15):
                begun = clock()
                torch.mm(a_NN, a_NN)
                taken.append(clock() - begun)
        return statistics.median(taken)

    return median(many) < 0.9 * median(1)


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
