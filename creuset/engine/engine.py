"""The engine: accepts requests, computes them together, and tells what happened, step by step.

    add -> (waiting -> running -> ...) -> the event with `finish`
    step = cancel what was cancelled; plan (scheduler.py); one forward pass (backend/); choose tokens
           (sampler.py); end what ended (output.py)

What is promised: each accepted request ends in exactly one of stop, length, cancelled, error. What is wrong with
one does not end another. A request with the same prompt, settings and seed gets the same answer and the same
log-probabilities whoever is beside it, however its prompt is cut, cached, or computed again. When nothing runs,
every block is free or in the prefix cache.

Not thread-safe: one thread owns it.
"""

import math
import random
from collections.abc import Iterable, Iterator
from collections.abc import Sequence as Listed
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from creuset.core.errors import ArtifactError, ConfigError, PromptTooLong, RequestError
from creuset.engine.backend.base import BatchSpan, ForwardBatch, Logits, Runner
from creuset.engine.backend.torch.runner import choose
from creuset.engine.blocks import BlockPool
from creuset.engine.grammar import Allowed, Compiled, Grammars, TokenMask
from creuset.engine.output import OutputBuilder
from creuset.engine.prefix import PrefixCache
from creuset.engine.sampler import Sampler, token_logprob
from creuset.engine.scheduler import Scheduler, Sequence
from creuset.engine.settings import EngineSettings
from creuset.model.config import ModelConfig
from creuset.model.context import with_context
from creuset.model.formats.weights import ModelWeights, StoredTensor, WeightSource, open_weights
from creuset.model.hub import end_ids
from creuset.model.score import Reading
from creuset.model.transformer import Transformer
from creuset.text.tokenizer import Tokenizer
from creuset.text.watermark import Watermark
from creuset.types.generation import Event, GenerationRequest

COMPILE_WAIT_S = 0.02  # a step with nothing to compute waits so long for a grammar
HEAD_ROWS = 64  # rows of logits made at once where many are wanted: bounds their memory


class Engine:
    def __init__(
        self,
        runner: Runner,
        tokenizer: Tokenizer,
        *,
        settings: EngineSettings,
        end_ids: Iterable[int],
        watermark: Watermark | None = None,
    ) -> None:
        self.tokenizer, self.settings = tokenizer, settings
        self._watermark = watermark  # not among the settings: those are printed
        self.config = runner.config
        self.context = runner.config.context
        self.end_ids = frozenset(end_ids)
        self._vocab = min(runner.config.vocab_size, tokenizer.vocab_size)  # models round their vocabulary up
        tokens, self._bounded_by = _room(runner, settings)
        self._pool = BlockPool(max(1, math.ceil(tokens / settings.block_size)))
        self._cache = PrefixCache(self._pool) if settings.prefix_cache else None
        self._runner = runner
        runner.allocate(self._pool.num_blocks, settings.block_size)
        self._scheduler = Scheduler(
            self._pool,
            self._cache,
            block_size=settings.block_size,
            max_running=settings.max_running,
            max_batch_tokens=settings.max_batch_tokens,
            border=runner.config.rope_border,
        )
        self._seeds = random.SystemRandom() if settings.seed is None else random.Random(settings.seed)
        self._live: dict[str, _Live] = {}
        self._cancelled: dict[str, None] = {}
        self._grammars: Grammars | None = None  # from the first request on that has one
        self._compiling: dict[str, Future[Compiled]] = {}  # requests whose grammar is not compiled yet
        counted = ("steps", "prompt_tokens", "cached_tokens", "computed_tokens", "completion_tokens")
        self._totals = dict.fromkeys(counted, 0)
        self._finished = dict.fromkeys(("stop", "length", "cancelled", "error"), 0)

    @classmethod
    def load(
        cls,
        path: Path,
        *,
        settings: EngineSettings | None = None,
        device: str = "cpu",
        watermark: Watermark | None = None,
        model: Transformer | None = None,
    ) -> Self:
        """The model in `path`: an artifact of ours or a Hugging Face folder. Raises ArtifactError.

        `model`: its weights, where the caller has loaded them already. They are taken over.
        """
        settings = settings or EngineSettings()
        tokenizer = Tokenizer.load(path)
        source = open_weights(path) if model is None else ModelWeights(model)
        if settings.context:
            if model is not None:
                raise ConfigError(f"a model in memory keeps its own context; `context` is {settings.context}")
            source = _Stretched(source, with_context(source.config, settings.context))
        if tokenizer.vocab_size > source.config.vocab_size:
            raise ArtifactError(
                f"`{path}`: the tokenizer has {tokenizer.vocab_size} ids, the model only {source.config.vocab_size}"
            )
        runner = choose(
            source,
            dtype=settings.dtype,
            threads=settings.threads,
            max_batch_tokens=settings.max_batch_tokens,
            device=device,
        )
        ends = end_ids(path) | tokenizer.end_ids
        return cls(runner, tokenizer, settings=settings, end_ids=ends, watermark=watermark)

    @property
    def choices(self) -> dict[str, Any]:
        """What was chosen for this machine: dtype, threads, kernels, what was timed for it, the size of the cache."""
        cache = {
            "tokens": self.capacity,
            "bytes": self.capacity * self._runner.kv_bytes_per_token,
            "bounded_by": self._bounded_by,
        }
        return self._runner.choices | {"context": self.context, "kv_cache": cache}

    def score(
        self, readings: Listed[Reading], *, tokens_per_batch: int = 4096
    ) -> Iterator[tuple[int, NDArray[np.float64], NDArray[np.bool_]]]:
        """Likelihoods of whole sequences, each from its own beginning (model/score.py)."""
        return self._runner.score(readings, tokens_per_batch=tokens_per_batch)

    @property
    def busy(self) -> bool:
        return bool(self._live)

    @property
    def capacity(self) -> int:
        """Tokens that the key-value cache holds."""
        return self._pool.num_blocks * self.settings.block_size

    def add(self, request: GenerationRequest) -> None:
        """Accept `request`. Raises RequestError, and then nothing has changed."""
        self._refuse(request)
        sampling = request.sampling
        seed = sampling.seed if sampling.seed is not None else self._seeds.getrandbits(63)
        sampler = Sampler(
            sampling, prompt=request.prompt, vocab_size=self._vocab, end_ids=self.end_ids, seed=seed,
            watermark=self._watermark,
        )  # fmt: skip
        answer = OutputBuilder(request, self.tokenizer, end_ids=self.end_ids)
        if request.grammar is None:
            sequence = self._scheduler.add(request)
        else:
            sequence = self._scheduler.accept(request)
            self._compiling[request.id] = self._compile(request.grammar)
        self._live[request.id] = _Live(sequence, answer, sampler)
        self._totals["prompt_tokens"] += len(request.prompt)

    def cancel(self, id: str) -> None:
        """End a request at the next step. One that is not known, or no longer, is no error: it may just have ended."""
        if id in self._live:
            self._cancelled[id] = None

    def step(self) -> list[Event]:
        """Do one step of work; returns what there is to tell, in order of arrival."""
        events = [self._end(self._live[id], "cancelled") for id in self._cancelled if id in self._live]
        self._cancelled.clear()
        events += self._begin_compiled()
        plan = self._scheduler.schedule()
        if not plan.tokens:
            if self._compiling:
                wait(self._compiling.values(), timeout=COMPILE_WAIT_S, return_when=FIRST_COMPLETED)
            return events
        self._totals["steps"] += 1
        self._totals["computed_tokens"] += plan.tokens
        parts = [(self._live[id], 1) for id in plan.decode] + [(self._live[id], count) for id, count in plan.prefill]
        spans = [
            BatchSpan(live.sequence.computed, count, live.sequence.blocks, len(live.sequence.tokens))
            for live, count in parts
        ]
        tokens = [token for (live, _), span in zip(parts, spans, strict=True)
                  for token in live.sequence.tokens[span.first : span.first + span.count]]  # fmt: skip
        try:
            self._runner.forward(ForwardBatch(tokens, spans))
            chosen = self._last_logits(parts, spans)
        except Exception as error:  # nobody in this batch can go on; whoever waits can
            return events + [self._end(live, "error", error=f"the forward pass failed: {error}") for live, _ in parts]
        row = 0
        for (live, count), span in zip(parts, spans, strict=True):
            try:
                event = self._settle(live, span, row, chosen.get(live.sequence.id))
            except Exception as error:
                event = self._end(live, "error", error=str(error))
            if event is not None:
                events.append(event)
            row += count
        return events

    def check(self) -> None:
        """Every block is free or held, and all holders are known. AssertionError otherwise: a bug of ours."""
        self._scheduler.check()
        assert self.busy or not (self._scheduler.running or self._scheduler.waiting)

    def stats(self) -> dict[str, float]:
        """Gauges and counters, by name."""
        cached = self._cache.evictable if self._cache is not None else 0
        return {
            "running": len(self._scheduler.running),
            "waiting": len(self._scheduler.waiting),
            "blocks": self._pool.num_blocks,
            "blocks_free": self._pool.free,
            "blocks_cached": cached,
            "kv_usage": 1.0 - (self._pool.free + cached) / self._pool.num_blocks,
            "preemptions": self._scheduler.preemptions,
            **{f"{name}_total": value for name, value in self._totals.items()},
            **{f"finished_{name}_total": value for name, value in self._finished.items()},
        }

    def reset_prefix_cache(self) -> None:
        if self._cache is not None:
            self._cache.clear()

    def _refuse(self, request: GenerationRequest) -> None:
        prompt, sampling = request.prompt, request.sampling
        total = len(prompt) + sampling.max_tokens
        if request.id in self._live:
            raise RequestError(f"request `{request.id}` is already running")
        if not prompt:
            raise RequestError("the prompt is empty", param="prompt")
        if total > self.context:
            raise PromptTooLong(
                f"this model's context is {self.context} tokens, but {total} were asked for "
                f"({len(prompt)} in the prompt, {sampling.max_tokens} to answer)",
                hint="shorten the prompt or ask for fewer tokens",
            )
        if total > self.capacity:
            raise PromptTooLong(
                f"this server's cache holds {self.capacity} tokens, but {total} were asked for "
                f"({len(prompt)} in the prompt, {sampling.max_tokens} to answer)",
                hint="shorten the prompt or ask for fewer tokens",
            )
        size = self.config.vocab_size
        closing = request.thinking.closing if request.thinking is not None else ()
        named = (
            ("prompt", prompt), ("logit_bias", sampling.logit_bias), ("stop_token_ids", sampling.stop_ids),
            ("thinking.closing", closing), ("allowed_token_ids", sampling.allowed_ids or ()),
        )  # fmt: skip
        for name, ids in named:
            for token in ids:
                if not 0 <= token < size:
                    raise RequestError(f"`{name}` has token {token}, but the ids are 0 to {size - 1}", param=name)

    def _compile(self, grammar: str) -> "Future[Compiled]":
        if self._grammars is None:
            self._grammars = Grammars(self.tokenizer, end_ids=self.end_ids, vocab_size=self._vocab)
        return self._grammars.compile(grammar)

    def _begin_compiled(self) -> list[Event]:
        """Requests whose grammar is compiled wait for their turn like others; one that cannot be compiled ends."""
        events = []
        for id in [id for id, compiled in self._compiling.items() if compiled.done()]:
            live = self._live[id]
            try:
                matcher = self._compiling[id].result()
            except RequestError as error:
                events.append(self._end(live, "error", error=str(error)))
                continue
            assert self._grammars is not None
            live.mask = self._grammars.mask(matcher, live.sequence.request.sampling)
            del self._compiling[id]
            self._scheduler.enqueue(live.sequence)
        return events

    def _last_logits(self, parts: list[tuple["_Live", int]], spans: list[BatchSpan]) -> dict[str, Logits]:
        """fp32 logits of the last token of each request that has now been read to its end."""
        wanted, row = {}, 0
        for (live, count), span in zip(parts, spans, strict=True):
            row += count
            if span.first + count == len(live.sequence.tokens) and live.sequence.request.sampling.max_tokens:
                wanted[live.sequence.id] = row - 1
        if not wanted:
            return {}
        logits_RV = self._runner.logits(list(wanted.values()))
        return dict(zip(wanted, logits_RV, strict=True))

    def _settle(self, live: "_Live", span: BatchSpan, row: int, logits_V: Logits | None) -> Event | None:
        """Account for what was computed of one request, from `row` of the batch on; emit its next token if due."""
        sequence, sampling = live.sequence, live.sequence.request.sampling
        if not live.answer.prompt_done:
            self._read_prompt(live.answer, span, row)
        token, logprob = None, None
        if logits_V is not None:
            allowed_V = None
            if live.mask is not None and (allowed_V := live.mask.allowed()) is None:
                return self._end(live, "stop")
            token = live.sampler.choose(logits_V[: self._vocab], self._forced(live.answer, allowed_V))
            if sampling.logprobs is not None and sampling.logprobs_mode == "raw_logprobs":
                logprob = token_logprob(logits_V, token, sampling.logprobs)
            elif sampling.logprobs is not None:
                logprob = live.sampler.drawn_logprob(token, sampling.logprobs)
        # Only now: blocks that the prefix cache is told of have given finite logits as far as these were looked at.
        self._scheduler.advance(sequence, span.count)
        if token is None:
            done = sequence.pending == 0  # max_tokens is 0: the prompt was all there was to read
            return self._end(live, "length") if done else None
        sequence.tokens.append(token)
        self._totals["completion_tokens"] += 1
        complete = live.mask is not None and live.mask.accept(token)
        event = live.answer.push(token, logprob, cached=sequence.cached or 0, complete=complete)
        if event.finish is not None:
            self._forget(live, event)
        return event if event.finish or event.text or event.tokens or event.prompt_logprobs else None

    def _forced(self, answer: OutputBuilder, allowed_V: Allowed | None) -> Allowed | None:
        """`allowed_V`, or one token alone: the next of the mark that closes a thought whose budget is used up."""
        token = answer.thoughts.next_token if answer.thoughts is not None else None
        if token is None:
            return allowed_V
        if allowed_V is not None and not allowed_V[token]:
            assert answer.thoughts is not None
            answer.thoughts.postpone()
            return allowed_V
        only_V = np.zeros(self._vocab, dtype=np.bool_)
        only_V[token] = True
        return only_V

    def _read_prompt(self, answer: OutputBuilder, span: BatchSpan, begin: int) -> None:
        prompt, alternatives = answer.request.prompt, answer.request.sampling.prompt_logprobs or 0
        # Row i of this span tells of the prompt's token first + i + 1.
        first = len(answer.prompt_logprobs) - 1 - span.first
        last = min(span.count, len(prompt) - 1 - span.first)
        for start in range(first, last, HEAD_ROWS):
            rows = list(range(start, min(start + HEAD_ROWS, last)))
            for row, logits_V in zip(rows, self._runner.logits([begin + row for row in rows]), strict=True):
                answer.prompt_logprobs.append(
                    token_logprob(logits_V, prompt[span.first + row + 1], alternatives, ranked=True)
                )

    def _end(self, live: "_Live", finish: str, *, error: str | None = None) -> Event:
        assert finish in ("stop", "length", "cancelled", "error")
        event = live.answer.end(finish, cached=live.sequence.cached or 0, error=error)  # type: ignore[arg-type]
        self._forget(live, event)
        return event

    def _forget(self, live: "_Live", event: Event) -> None:
        tainted = event.finish == "error"
        if self._compiling.pop(live.sequence.id, None) is None:  # else the scheduler has not seen it
            self._runner.wipe(self._scheduler.remove(live.sequence, tainted=tainted))
        del self._live[live.sequence.id]
        self._finished[str(event.finish)] += 1
        self._totals["cached_tokens"] += event.cached_tokens


class _Live:
    """A request that was accepted and has not ended: its place, its text, its generator, its place in its grammar."""

    __slots__ = ("answer", "mask", "sampler", "sequence")

    def __init__(self, sequence: Sequence, answer: OutputBuilder, sampler: Sampler) -> None:
        self.sequence, self.answer, self.sampler = sequence, answer, sampler
        self.mask: TokenMask | None = None


@dataclass(frozen=True, slots=True)
class _Stretched:
    """Weights under a config with another context."""

    source: WeightSource
    config: ModelConfig

    def tensors(self) -> Iterator[StoredTensor]:
        return self.source.tensors()


def _room(runner: Runner, settings: EngineSettings) -> tuple[int, str]:
    """Tokens that the cache shall hold, and what bounds them.

    More than `max_running` full contexts cannot be used at once. Memory is taken as it is written, not at the start.
    """
    if settings.kv_tokens:
        return settings.kv_tokens, "kv_tokens"
    limit = settings.kv_mib * 2**20 or runner.free_memory() // 2
    useful, possible = settings.max_running * runner.config.context, limit // runner.kv_bytes_per_token
    if useful <= possible:
        return useful, "context"
    return possible, "kv_mib" if settings.kv_mib else "memory"
