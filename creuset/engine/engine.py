"""The engine: accepts requests, computes them together, and tells what happened, step by step.

    add -> (waiting -> running -> ...) -> the event with `finish`
    step = cancel what was cancelled; plan (scheduler.py); one forward pass (backend/); choose tokens
           (sampler.py); end what ended (answer/)

What is promised: each accepted request ends in exactly one of stop, length, cancelled, error. What is wrong with
one does not end another. A request with the same prompt, settings and seed gets the same answer and the same
log-probabilities whoever is beside it, however its prompt is cut, cached, or computed again. When nothing runs,
every block is free or in the prefix cache.

Not thread-safe: one thread owns it.
"""

import math
import random
import time
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Sequence as Listed
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from creuset.core.errors import ArtifactError, EngineError, RequestError
from creuset.engine.answer.forms import Forms
from creuset.engine.answer.output import OutputBuilder
from creuset.engine.backend.base import BatchSpan, ForwardBatch, Runner
from creuset.engine.blocks import BlockPool
from creuset.engine.draft_model import drafting
from creuset.engine.last_rows import LastRows, read_prompt
from creuset.engine.live import Live, StepShare, refuse
from creuset.engine.loading import draft_runner, refuse_other_shape, room, runner_for, weights_of
from creuset.engine.prefix import PrefixCache
from creuset.engine.sampler import Sampler, token_logprob
from creuset.engine.scheduler import Scheduler, StepPlan
from creuset.engine.settings import EngineSettings
from creuset.engine.speculation import Computed
from creuset.model.hub import end_ids
from creuset.text.tokenizer import Tokenizer
from creuset.text.watermark import Watermark
from creuset.types.generation import Event, GenerationRequest

if TYPE_CHECKING:
    from creuset.model.formats.weights import WeightSource
    from creuset.model.score import Reading
    from creuset.model.transformer import Transformer


class Engine:
    def __init__(
        self,
        runner: Runner,
        tokenizer: Tokenizer,
        *,
        settings: EngineSettings,
        end_ids: Iterable[int],
        watermark: Watermark | None = None,
        draft: Runner | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`draft`: a smaller model that guesses (draft_model.py). `clock`: seconds; by what steps take, prompts are
        read in smaller or larger pieces (pace.py)."""
        self.tokenizer, self.settings, self._clock = tokenizer, settings, clock
        self._watermark = watermark  # not among the settings: those are printed
        self.config = runner.config
        self.context = runner.config.context
        self.end_ids = frozenset(end_ids)
        self._vocab = min(runner.config.vocab_size, tokenizer.vocab_size)  # models round their vocabulary up
        tokens, self._bounded_by = room(runner, settings)
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
        self._drafter, self._row_cost = drafting(settings, runner, draft, self.capacity)
        self._seeds = random.SystemRandom() if settings.seed is None else random.Random(settings.seed)
        self._live: dict[str, Live] = {}
        self._cancelled: dict[str, None] = {}
        self._forms = Forms(tokenizer, end_ids=self.end_ids, vocab_size=self._vocab)
        counted = ("steps", "prompt_tokens", "cached_tokens", "computed_tokens", "completion_tokens",
                   "drafted_tokens", "accepted_tokens")  # fmt: skip
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
        model: "Transformer | None" = None,
    ) -> Self:
        """The model in `path`: an artifact of ours or a Hugging Face folder. Raises ArtifactError.

        `model`: its weights, where the caller has loaded them already. They are taken over.
        """
        settings = settings or EngineSettings()
        source = weights_of(path, settings, model)  # first: a family that does not run here is the better reason
        tokenizer = Tokenizer.load(path)
        if tokenizer.vocab_size > source.config.vocab_size:
            raise ArtifactError(
                f"`{path}`: the tokenizer has {tokenizer.vocab_size} ids, the model only {source.config.vocab_size}"
            )
        runner, draft = runner_for(source, settings, device), draft_runner(settings, tokenizer, device)
        ends = end_ids(path) | tokenizer.end_ids
        return cls(runner, tokenizer, settings=settings, end_ids=ends, watermark=watermark, draft=draft)

    @property
    def choices(self) -> dict[str, Any]:
        """What was chosen for this machine: backend, dtype, threads, kernels, the size of the cache."""
        cache = {
            "tokens": self.capacity,
            "bytes": self.capacity * self._runner.kv_bytes_per_token,
            "bounded_by": self._bounded_by,
        }
        return self._runner.choices | {
            "context": self.context,
            "kv_cache": cache,
            "speculation": None if self._drafter is None else self._drafter.name,
        }

    def score(
        self, readings: "Listed[Reading]", *, tokens_per_batch: int = 4096
    ) -> Iterator[tuple[int, NDArray[np.float64], NDArray[np.bool_]]]:
        """Likelihoods of whole sequences, each from its own beginning (model/score.py)."""
        return self._runner.score(readings, tokens_per_batch=tokens_per_batch)

    def routing(self, tokens: Listed[int]) -> NDArray[np.int32]:
        """The experts that each token goes to (T, L, K), for training that replays them (model/moe.py). On the native
        core exactly those of an answer: how its tokens were cut into steps changes no number."""
        if not self.config.experts:
            raise EngineError("this model has no experts: there is no routing to tell")
        return self._runner.routing(tokens)

    @property
    def version(self) -> str:
        """Of the weights that answer: what `hand_over` was told last, "" before."""
        return self._scheduler.version

    def hand_over(self, source: "WeightSource", *, version: str) -> None:
        """Go on with other weights of the same shape, as those of a training step (`LiveWeights` of loading.py).

        Nothing that other weights computed is read again. Raises EngineError while requests run, ConfigError for a
        model of another shape; then nothing has changed.
        """
        if self.busy:
            raise EngineError(f"{len(self._live)} requests run: weights are handed over when they have ended")
        refuse_other_shape(source.config, self.config)
        self._runner.replace(source)
        self.reset_prefix_cache()
        self._scheduler.version = version

    @property
    def busy(self) -> bool:
        return bool(self._live)

    @property
    def capacity(self) -> int:
        """Tokens that the key-value cache holds."""
        return self._pool.num_blocks * self.settings.block_size

    def add(self, request: GenerationRequest) -> None:
        """Accept `request`. Raises RequestError, and then nothing has changed."""
        if request.id in self._live:
            raise RequestError(f"request `{request.id}` is already running")
        refuse(request, self.settings, config=self.config, context=self.context, capacity=self.capacity)
        sampling = request.sampling
        seed = sampling.seed if sampling.seed is not None else self._seeds.getrandbits(63)
        sampler = Sampler(
            sampling, prompt=request.prompt, vocab_size=self._vocab, end_ids=self.end_ids, seed=seed,
            watermark=self._watermark, alone=self._vocab == self.config.vocab_size,
        )  # fmt: skip
        answer = OutputBuilder(request, self.tokenizer, end_ids=self.end_ids)
        if request.grammar is None:
            sequence = self._scheduler.add(request)
        else:
            sequence = self._scheduler.accept(request)
            self._forms.begin(request)
        self._live[request.id] = Live(sequence, answer, sampler, row_cost=self._row_cost)
        self._totals["prompt_tokens"] += len(request.prompt)

    def cancel(self, id: str) -> None:
        """End a request at the next step. One that is not known, or no longer, is no error: it may just have ended."""
        if id in self._live:
            self._cancelled[id] = None

    def step(self) -> list[Event]:
        """Do one step of work; returns what there is to tell, in order of arrival."""
        events = [self._end(self._live[id], "cancelled") for id in self._cancelled if id in self._live]
        self._cancelled.clear()
        if self._forms:
            events += self._begin_compiled()
        begun = self._clock()
        plan = self._scheduler.schedule()
        if not plan.decode and not plan.prefill:
            if self._forms:
                self._forms.wait()
            return events
        self._totals["steps"] += 1
        parts = self._parts(plan)
        tokens = [token for part in parts for token in part.tokens]
        try:
            self._runner.forward(ForwardBatch(tokens, [part.span for part in parts]))
            rows, places = self._rows(parts)
        except Exception as error:  # nobody in this batch can go on; whoever waits can
            failed = f"the forward pass failed: {error}"
            return events + [self._end(part.live, "error", error=failed) for part in parts]
        for part, place in zip(parts, places, strict=True):
            try:
                self._settle(part, rows, place, events)
            except Exception as error:
                events.append(self._end(part.live, "error", error=error))
        if self._drafter is not None and self._drafter.learns:
            self._learn(parts)
        read = sum(count for _, count in plan.prefill)
        self._scheduler.pace.observe(len(plan.decode), read, self._clock() - begun)
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
            "speculating": float(self._drafter is not None),
            **{f"{name}_total": value for name, value in self._totals.items()},
            **{f"finished_{name}_total": value for name, value in self._finished.items()},
        }

    def reset_prefix_cache(self) -> None:
        if self._cache is not None:
            self._cache.clear()

    def _begin_compiled(self) -> list[Event]:
        """Requests whose grammar is compiled wait for their turn like others; one that cannot be compiled ends."""
        events = []
        for id, mask in list(self._forms.done()):
            live = self._live[id]
            if isinstance(mask, Exception):
                events.append(self._end(live, "error", error=mask))
            else:
                live.mask = mask
                self._scheduler.enqueue(live.sequence)
        return events

    def _parts(self, plan: StepPlan) -> list[StepShare]:
        """What of each request is computed in this step, with the drafts that there is room for."""
        parts: list[StepShare] = []
        row, drafting = 0, self._drafter is not None
        left = self.settings.max_batch_tokens - plan.tokens if drafting else 0
        for id, count in (*((id, 1) for id in plan.decode), *plan.prefill):
            live = self._live[id]
            sequence = live.sequence
            whole, first = sequence.tokens, sequence.computed
            draft: list[int] = []
            if drafting and live.allowance.steps >= self._row_cost and count == 1 == len(whole) - first:
                draft = self._draft(live, left)
                left -= len(draft)
            tokens = [*whole[first : first + count], *draft]
            span = BatchSpan(first, len(tokens), sequence.blocks, len(whole), sequence.request.adapter)
            parts.append(StepShare(live, span, row, tokens, draft))
            row += len(tokens)
        self._totals["computed_tokens"] += row
        return parts

    def _draft(self, live: Live, left: int) -> list[int]:
        if self._drafter is None or not live.speculates:
            return []
        # One token comes without a draft.
        ahead = live.most - live.answer.count - 1
        if (most := min(left, ahead, self.settings.draft_tokens, live.allowance.rows)) < 1:
            return []
        try:
            draft = self._drafter.draft(live.sequence, most)
        except Exception:  # as in `_learn`
            self._drafter, draft = None, []
        if not draft:
            return draft
        draft = draft[: self._scheduler.reserve(live.sequence, len(draft))]
        self._totals["drafted_tokens"] += len(draft)
        return draft

    def _learn(self, parts: list[StepShare]) -> None:
        """Tell the drafter what was computed. If it fails, nobody's answer does: there are no drafts from then on."""
        assert self._drafter is not None
        going = [part for part in parts if part.live.sequence.id in self._live and part.live.speculates]
        done = [
            Computed(part.live.sequence, part.row, part.span.first, part.live.sequence.computed - part.span.first)
            for part in going
        ]
        try:
            self._drafter.learn(done)
        except Exception:
            self._drafter = None

    def _rows(self, parts: list[StepShare]) -> tuple[LastRows | None, list[int | None]]:
        """The rows that tokens are chosen from: the last of each request that is now read to its end, and those of its
        draft; and where among these rows each request's begin."""
        wanted: list[int] = []
        places: list[int | None] = []
        most, whole = 0, False
        for live, span, row, _, draft in parts:
            end = row + span.count
            if span.first + span.count - len(draft) < len(live.sequence.tokens) or not live.answer.limit:
                places.append(None)
                continue
            places.append(len(wanted))
            wanted += range(end - 1 - len(draft), end)
            most, whole = max(most, live.enough), whole or not live.enough
        if not wanted:
            return None, places
        return LastRows(self._runner, wanted, enough=0 if whole else most, vocab=self._vocab), places

    def _settle(self, part: StepShare, rows: LastRows | None, place: int | None, events: list[Event]) -> None:
        """Account for what was computed of one request, and emit its next tokens: one, and each that its draft had."""
        live, span, row, _, draft = part
        sequence = live.sequence
        if not live.answer.prompt_done:
            read_prompt(self._runner, live.answer, span.first, span.count, row)
        if live.answer.row is not None:
            live.answer.row.read(self._runner.hidden(range(row, row + span.count)), span.first)
        if rows is None or place is None:
            self._scheduler.advance(sequence, span.count)
            if sequence.pending == 0:  # max_tokens is 0: the prompt was all there was to read
                events.append(self._end(live, "length"))
            return
        count = span.count - len(draft)
        for at in range(len(draft) + 1):
            event = self._emit(live, rows, place + at, count)
            if event is not None:
                events.append(event)
            if at == len(draft) or (event is not None and event.finish) or sequence.tokens[-1] != draft[at]:
                if self._drafter is not None:
                    live.allowance.settle(len(draft), at)
                    if at:
                        self._totals["accepted_tokens"] += at
                return
            count = 1

    def _emit(self, live: Live, rows: LastRows, place: int, count: int) -> Event | None:
        """The next token of a request, whose last `count` tokens were computed; None where there is nothing to tell."""
        sequence, sampling = live.sequence, live.sequence.request.sampling
        token = rows.token(live, place)
        if token is None:
            return self._end(live, "stop")
        logprob = None
        if sampling.logprobs is not None and sampling.logprobs_mode == "raw_logprobs":
            logprob = token_logprob(rows.logits(place), token, sampling.logprobs)
        elif sampling.logprobs is not None:
            logprob = live.sampler.drawn_logprob(token, sampling.logprobs)
        # Only now: blocks that the prefix cache is told of have given finite logits as far as these were looked at.
        self._scheduler.advance(sequence, count)
        sequence.tokens.append(token)
        self._totals["completion_tokens"] += 1
        complete = live.mask is not None and live.mask.accept(token)
        event = live.answer.push(token, logprob, cached=sequence.cached or 0, complete=complete)
        if event is not None and event.finish is not None:
            self._forget(live, event)
        return event

    def _end(self, live: Live, finish: str, *, error: str | Exception | None = None) -> Event:
        assert finish in ("stop", "length", "cancelled", "error")
        said = None if error is None else str(error)
        event = live.answer.end(finish, cached=live.sequence.cached or 0, error=said)  # type: ignore[arg-type]
        if isinstance(error, RequestError):
            event = msgspec.structs.replace(event, param=error.param or "")
        self._forget(live, event)
        return event

    def _forget(self, live: Live, event: Event) -> None:
        tainted = event.finish == "error"
        if not self._forms.forget(live.sequence.id):  # else the scheduler has not seen it
            self._runner.wipe(self._scheduler.remove(live.sequence, tainted=tainted))
        if self._drafter is not None:
            self._drafter.forget(live.sequence.id)
        del self._live[live.sequence.id]
        self._finished[str(event.finish)] += 1
        self._totals["cached_tokens"] += event.cached_tokens
