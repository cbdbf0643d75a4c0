"""A model's folder as a subject: likelihoods by the model itself, generation by the engine that serves.

Questions come from many samples at once (the runner plays them together); what waits is computed in one batch.
One thread of the subject's own does all the computing, so that new questions arrive meanwhile. The weights are loaded
when somebody first asks, once: the engine takes over what likelihoods have loaded, and they go on with its form of it.

Conventions: a likelihood is tokenized by `continuation` below, and a context that is too long loses its beginning. A
plain prompt is read as /v1/completions reads it: control tokens written in it are control tokens, and nothing is put
before it. A chat goes through `text.chat`. A prompt that leaves no room to answer is a Failure; one that leaves little
gets a short answer.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch

from creuset.core import device as devices
from creuset.core.artifact import MANIFEST, artifact_of, read_manifest, sha256_file
from creuset.core.errors import ArtifactError, RequestError
from creuset.engine.engine import Engine
from creuset.engine.settings import EngineSettings
from creuset.evals.model import (
    Ability,
    Done,
    Failure,
    GenerateRequest,
    Likelihood,
    LoglikelihoodRequest,
    Reply,
    RollingRequest,
    each,
)
from creuset.model.formats.hf_config import config_of
from creuset.model.formats.weights import load_model
from creuset.model.hub import find_model as find_model
from creuset.model.score import Reading, log_likelihoods
from creuset.model.transformer import Transformer
from creuset.model.windows import windows
from creuset.text.calls.forced import Thought
from creuset.text.calls.formats import CallFormat
from creuset.text.output import parse_output
from creuset.text.template import ChatTemplate
from creuset.text.tokenizer import Tokenizer
from creuset.types.generation import Event, GenerationRequest, Sampling

PAIRS_AT_ONCE = 512  # likelihoods taken into one call of the model: enough to sort them by length

T = TypeVar("T")


class LocalClient:
    def __init__(
        self,
        path: Path,
        *,
        prefix: bool = True,
        context: int = 0,
        dtype: Literal["fp32", "bf16"] = "fp32",
        device: str = "cpu",
        tokens_per_batch: int = 4096,
        engine: EngineSettings | None = None,
    ) -> None:
        """`context` in tokens, 0: the model's own. `engine`: its dtype is replaced by `dtype`. Raises ArtifactError."""
        self.path, self.prefix, self.dtype = path, prefix, dtype
        self.tokenizer = Tokenizer.load(path)
        self.template = ChatTemplate.load(path, self.tokenizer)
        self.device = devices.pick(device)
        self.width = 256
        self.why_not: dict[str, str] = {}
        self.budget = None
        self._tokens_per_batch = tokens_per_batch
        self._engine_settings = engine
        self._asked_context = context
        self._model: Transformer | None = None
        self._engine: Engine | None = None
        self._numbers = itertools.count()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="subject")
        self._pairs: list[tuple[LoglikelihoodRequest, asyncio.Future[Likelihood | Failure]]] = []
        self._texts: list[tuple[RollingRequest, asyncio.Future[Likelihood | Failure]]] = []
        self._asks: list[tuple[GenerationRequest, asyncio.Future[Reply | Failure]]] = []
        self._live: dict[str, _Live] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def abilities(self) -> frozenset[Ability]:
        return frozenset({"chat", "completion", "loglikelihood", "weights"})

    def identity(self) -> dict[str, Any]:
        return identity(self.path) | {
            "kind": "local",
            "dtype": self.dtype,
            "prefix": self.prefix,
            "context": self._asked_context or None,
        }

    def _score_all(self, readings: Sequence[Reading]) -> Iterator[tuple[int, "np.ndarray", "np.ndarray"]]:
        """Likelihoods by the engine where it is loaded, else by the model."""
        if self._engine is not None and self.context <= self._engine.context:  # it knows no position beyond
            return self._engine.score(readings, tokens_per_batch=self._tokens_per_batch)
        return log_likelihoods(self.model, readings, tokens_per_batch=self._tokens_per_batch)

    @property
    def model(self) -> Transformer:
        """The weights, loaded where nobody has loaded them."""
        if self._model is None:
            dtype = torch.bfloat16 if self.dtype == "bf16" else torch.float32
            model = load_model(self.path, device=self.device, dtype=dtype)
            if self.tokenizer.vocab_size > model.config.vocab_size:
                raise ArtifactError(
                    f"`{self.path}`: the tokenizer has {self.tokenizer.vocab_size} ids, "
                    f"the model only {model.config.vocab_size}"
                )
            self._model = model
        return self._model

    @property
    def engine(self) -> Engine:
        if self._engine is None:
            settings = replace(self._engine_settings or EngineSettings(seed=0), dtype=self.dtype)
            loaded, self._model = self._model, None
            self._engine = Engine.load(self.path, settings=settings, device=str(self.device), model=loaded)
        return self._engine

    @property
    def context(self) -> int:
        """Tokens read at once, at most."""
        return self._asked_context or self._own_context

    @cached_property
    def _own_context(self) -> int:
        return config_of(self.path).context

    async def generate(self, asks: Sequence[GenerateRequest], done: Done | None = None) -> list[Reply | Failure]:
        return await each(asks, self._reply, done)

    async def loglikelihood(
        self, pairs: Sequence[LoglikelihoodRequest], done: Done | None = None
    ) -> list[Likelihood | Failure]:
        return await each(pairs, self._likelihood, done)

    async def loglikelihood_rolling(
        self, texts: Sequence[RollingRequest], done: Done | None = None
    ) -> list[Likelihood | Failure]:
        return await each(texts, self._through, done)

    async def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        self._thread.shutdown(wait=True, cancel_futures=True)

    # Likelihoods: whatever waits when the thread is free is one batch.

    async def _likelihood(self, pair: LoglikelihoodRequest) -> Likelihood | Failure:
        future: asyncio.Future[Likelihood | Failure] = asyncio.get_running_loop().create_future()
        self._pairs.append((pair, future))
        self._start("pairs", lambda: self._score_waiting(self._pairs, self._score))
        return await future

    async def _through(self, text: RollingRequest) -> Likelihood | Failure:
        future: asyncio.Future[Likelihood | Failure] = asyncio.get_running_loop().create_future()
        self._texts.append((text, future))
        self._start("texts", lambda: self._score_waiting(self._texts, self._read))
        return await future

    async def _score_waiting(
        self,
        waiting: list[tuple[T, asyncio.Future[Likelihood | Failure]]],
        score: Callable[[Sequence[T]], list[Likelihood | Failure]],
    ) -> None:
        await self._settled(waiting)
        while waiting:
            batch, waiting[:PAIRS_AT_ONCE] = waiting[:PAIRS_AT_ONCE], []
            try:
                scored = await self._apart(score, [question for question, _ in batch])
            except Exception as error:  # a model that cannot be loaded or does not compute: everybody is told
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), likelihood in zip(batch, scored, strict=True):
                if not future.done():
                    future.set_result(likelihood)
            await self._settled(waiting)

    def _read(self, texts: Sequence[RollingRequest]) -> list[Likelihood | Failure]:
        found: list[Likelihood | Failure] = []
        readings: list[Reading] = []
        owners: list[int] = []
        start, end = self.tokenizer.start, self.tokenizer.endoftext
        for at, whole in enumerate(texts):
            try:
                ids = np.array([start, *self.tokenizer.encode(whole.text), end], dtype=np.int64)
            except RequestError as refused:
                found.append(Failure(reason="refused_400", detail=str(refused)))
                continue
            found.append(Likelihood(total=0.0, greedy=False, tokens=len(ids) - 1, prompt_tokens=len(ids) - 1))
            for window in windows(len(ids) - 1, context=self.context, overlap=whole.overlap):
                readings.append(Reading(ids[window.start : window.end + 1], window.scored - window.start))
                owners.append(at)
        total = np.zeros(len(texts))
        for index, values, _ in self._score_all(readings):
            total[owners[index]] += values.sum()
        return [
            replace(one, total=float(total[at])) if isinstance(one, Likelihood) else one for at, one in enumerate(found)
        ]

    def _score(self, pairs: Sequence[LoglikelihoodRequest]) -> list[Likelihood | Failure]:
        found: list[Likelihood | Failure] = []
        readings: list[Reading] = []
        owners: list[int] = []
        for at, pair in enumerate(pairs):
            try:
                ids, scored = continuation(self.tokenizer, pair.context, pair.continuation, prefix=self.prefix)
            except RequestError as refused:
                found.append(Failure(reason="refused_400", detail=str(refused)))
                continue
            over = max(0, len(ids) - 1 - self.context)  # the continuation and the end of the context are kept
            # Nothing behind nothing has probability 1, and there is nothing to read.
            found.append(Likelihood(total=0.0, greedy=True, tokens=0, cut=over > 0, prompt_tokens=len(ids) - over))
            if (first := max(0, scored - over)) < len(ids) - over - 1:
                readings.append(Reading(np.array(ids[over:]), first))
                owners.append(at)
        for index, values, best in self._score_all(readings):
            empty = found[owners[index]]
            assert isinstance(empty, Likelihood)
            found[owners[index]] = replace(
                empty,
                total=float(values.sum()),
                greedy=bool(best.all()),
                tokens=len(values),
                token_logprobs=tuple(float(v) for v in values),
            )
        return found

    # Generation: the engine steps while anything is in it, and takes in what has come between two steps.

    async def _reply(self, ask: GenerateRequest) -> Reply | Failure:
        request = await self._apart(self._request, ask)
        if isinstance(request, Failure):
            return request
        future: asyncio.Future[Reply | Failure] = asyncio.get_running_loop().create_future()
        self._asks.append((request, future))
        self._start("asks", self._generate_waiting)
        reply = await future
        thought = self.template.thought(request.prompt) if ask.messages else "none"
        if isinstance(reply, Failure) or not (ask.tools or thought != "none"):
            return reply
        return _parsed(reply, self.template.calls, ask.tools, thought)

    def _request(self, ask: GenerateRequest) -> GenerationRequest | Failure:
        """In the engine's own thread: loading it may take long."""
        try:
            if ask.messages:
                ids = self.template.encode(ask.messages, tools=ask.tools or None, add_generation_prompt=True).ids
            else:
                ids = self.tokenizer.encode_prompt(ask.prompt, trusted=True)
            window = min(self._asked_context or self.engine.context, self.engine.context, self.engine.capacity)
            if (room := window - len(ids)) < 1:
                return Failure(reason="context_length", detail=f"{len(ids)} tokens, the context is {window}")
            sampling = Sampling(
                max_tokens=min(ask.max_tokens, room),
                temperature=ask.temperature,
                top_p=ask.top_p,
                stop=ask.stop,
                seed=ask.seed,
            )
        except RequestError as refused:
            return Failure(reason="refused_400", detail=str(refused))
        visible = self.template.calls.visible_ids(self.tokenizer.special) if ask.messages else ()
        return GenerationRequest(id=str(next(self._numbers)), prompt=ids, sampling=sampling, visible_ids=visible)

    async def _generate_waiting(self) -> None:
        await self._settled(self._asks)
        while self._asks or self._live:
            fresh, self._asks[:] = list(self._asks), []
            for request, future in fresh:
                self._live[request.id] = _Live(future, time.monotonic())
            try:
                events = await self._apart(self._step, [request for request, _ in fresh])
            except Exception as error:
                for live in self._live.values():
                    if not live.future.done():
                        live.future.set_exception(error)
                self._live.clear()
                continue
            for event in events:
                self._tell(event)
            await self._settled(self._asks)

    def _step(self, fresh: Sequence[GenerationRequest]) -> list[Event]:
        refused = []
        for request in fresh:
            try:
                self.engine.add(request)
            except RequestError as error:
                refused.append(Event(id=request.id, finish="error", error=str(error)))
        return refused + self.engine.step()

    def _tell(self, event: Event) -> None:
        live = self._live[event.id]
        live.text += event.text
        live.first_s = live.first_s or (time.monotonic() if event.text else 0.0)
        if event.finish is None:
            return
        del self._live[event.id]
        if live.future.done():  # nobody waits any more
            return
        if event.finish in ("error", "cancelled"):
            live.future.set_result(Failure(reason="engine", detail=event.error or event.finish))
            return
        live.future.set_result(
            Reply(
                text=live.text,
                finish=event.finish,
                prompt_tokens=event.prompt_tokens,
                completion_tokens=event.completion_tokens,
                seconds=time.monotonic() - live.begun_s,
                first_token_s=live.first_s - live.begun_s if live.first_s else None,
                model=self.path.resolve().name,
                warnings=() if live.text else ("empty: a reply without text",),
            )
        )

    def _start(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if name not in self._tasks or self._tasks[name].done():
            self._tasks[name] = asyncio.get_running_loop().create_task(work())

    async def _settled(self, waiting: Sequence[Any]) -> None:
        """Let everybody who is about to ask do so: batches then do not depend on luck."""
        seen = -1
        while seen != len(waiting):
            seen = len(waiting)
            for _ in range(8):  # a sample's way from its answer to its next question is four turns of the loop
                await asyncio.sleep(0)

    async def _apart(self, function: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)


@dataclass(slots=True)
class _Live:
    """A request in the engine: who waits for it, and what it said so far."""

    future: "asyncio.Future[Reply | Failure]"
    begun_s: float
    text: str = ""
    first_s: float = 0.0


def continuation(tokenizer: Tokenizer, context: str, choice: str, *, prefix: bool = True) -> tuple[list[int], int]:
    """Ids of `<eot> context choice`, and the first input whose next token belongs to the choice.

    The whole is cut into tokens at once, and the context's own tokens are taken off its front, so that a choice is
    tokenized as it would be in running text. Without `prefix` the <eot> is left out, unless there is no context.
    """
    first = [tokenizer.start] if prefix or not context else []
    before = len(tokenizer.encode(context))
    whole = [*first, *tokenizer.encode(context + choice)]
    # A cut that joins the last of the context to the choice must leave the choice at least one token.
    return whole, max(0, min(len(first) + before - 1, len(whole) - 2))


def _parsed(reply: Reply, format: CallFormat, tools: Sequence[Mapping[str, Any]], thought: Thought) -> Reply:
    """Thoughts and calls taken out of the text, as a server does it."""
    parsed = parse_output(reply.text, format, tools=tools, thinking=thought != "none", opened=thought == "opened")
    calls = tuple(
        {"id": f"call_{at}", "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for at, call in enumerate(parsed.calls)
    )
    finish = "tool_calls" if calls and reply.finish == "stop" else reply.finish
    return replace(reply, text=parsed.text, reasoning=parsed.thought, tool_calls=calls, finish=finish)


def identity(path: Path) -> dict[str, Any]:
    """Name and hash of a model: an artifact's own, or that of the weight files of a foreign folder or GGUF file."""
    folder = artifact_of(path)
    if (folder / MANIFEST).is_file():
        return {"name": folder.resolve().name, "sha256": read_manifest(folder)["sha256"], "artifact": True}
    weights = [path] if path.is_file() else sorted([*path.glob("*.safetensors"), *path.glob("config.json")])
    return {"name": path.resolve().name, "files": {f.name: sha256_file(f) for f in weights}, "artifact": False}
