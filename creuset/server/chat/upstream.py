"""A chat that a model of another server answers, for the dialects that are not passed through as they are.

The checked request becomes a call of that server's chat completions, always streamed, and its chunks become events as
an engine of ours sends them, with the pieces of the answer in them. So nothing behind a dialect knows who answers.

What that server is not told: thoughts of earlier turns, which many refuse to read. What cannot be asked of it: to go on
inside its last message, and log-probabilities, whose tokens are not known here.
"""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from creuset.core.errors import EngineError, RequestError
from creuset.server.chat.answer import AnswerReader, PieceReader
from creuset.server.chat.custom import CustomCalls
from creuset.server.chat.model import AskedModel, UnknownModel
from creuset.server.chat.request import ChatRequest
from creuset.server.chat.sampling import MAX_TOKENS
from creuset.server.engines.client import ClientDisconnected
from creuset.server.engines.outgoing import IncomingReply
from creuset.server.engines.pool import AnyEngine
from creuset.server.engines.reading import COUNTS, ReplyReader
from creuset.server.engines.upstream import PolicyRefused, UpstreamEngine, UpstreamError
from creuset.server.tenants.gate import Hold
from creuset.server.tenants.metered import NOTHING_HELD, charge_told
from creuset.text.calls.forced import Thought
from creuset.text.output import CallArguments, CallBegun, Content, OutputPiece, Reasoning
from creuset.types.fields import show
from creuset.types.generation import Event, Finish
from creuset.types.messages import ChatMessage

_ENDS: dict[str, Finish] = {"length": "length", "stop": "stop", "tool_calls": "stop", "function_call": "stop"}


class PieceEvent(Event, frozen=True, kw_only=True, array_like=True):
    """An event whose answer was taken apart by the server that gave it."""

    pieces: tuple[OutputPiece, ...] = ()


@dataclass(slots=True)
class RelayedReader:
    """Of a model of another server: its pieces are in the events."""

    shows_thought: bool
    custom: CustomCalls = field(default_factory=lambda: CustomCalls(()))
    calls: int = 0

    def pieces(self, event: Event) -> list[OutputPiece]:
        assert isinstance(event, PieceEvent)
        pieces = self.custom.read(list(event.pieces), ended=event.finish is not None)
        found = [piece for piece in pieces if self.shows_thought or not isinstance(piece, Reasoning)]
        self.calls += sum(isinstance(piece, CallBegun) for piece in found)
        return found

    def logprobs(self, event: Event) -> list[dict[str, Any]]:
        return []


def reader_for(engine: AnyEngine, ask: ChatRequest, thought: Thought) -> PieceReader:
    if isinstance(engine, UpstreamEngine):
        return RelayedReader(ask.thinking.shown, CustomCalls(ask.use.custom))
    if ask.guarded:  # its pieces were read already
        return RelayedReader(ask.thinking.shown)
    return AnswerReader(ask, engine.model, thought)


def model_of(engine: AnyEngine) -> AskedModel:
    """What a request for `engine` is checked against."""
    if isinstance(engine, UpstreamEngine):
        return UnknownModel(context=engine.context or MAX_TOKENS)
    return engine.model


# -- the call


def upstream_body(ask: ChatRequest, engine: UpstreamEngine) -> dict[str, Any]:
    """The call of chat completions that says what `ask` says. RequestError for what it cannot say."""
    if ask.continues:
        at = f"messages[{len(ask.messages) - 1}]"
        words = "ends with the assistant: a model of another server cannot go on inside a message"
        raise RequestError(f"`messages` {words}", param=at, code="unsupported_value")
    if ask.sampling.logprobs is not None:
        words = "is not served for a model of another server"
        raise RequestError(f"`top_logprobs` {words}", param="top_logprobs", code="unsupported_value")
    body: dict[str, Any] = {
        "model": engine.settings.model,
        "messages": [_message(message) for message in ask.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        **ask.given,
    }
    if ask.max_tokens is not None:
        body["max_tokens"] = ask.max_tokens
    if ask.sampling.stop:
        body["stop"] = list(ask.sampling.stop)
    if ask.structure is not None and ask.structure.form is not None:
        body["response_format"] = ask.structure.form
    return body | _tools(ask)


def _message(message: ChatMessage) -> dict[str, Any]:
    found: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        found["content"] = message.content or None
        found["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        found["tool_call_id"] = message.tool_call_id
    return found


def _tools(ask: ChatRequest) -> dict[str, Any]:
    use = ask.use
    if not use.tools:
        return {}
    listed = [
        {**tool, "function": {**tool["function"], **({"strict": True} if strict else {})}}
        for tool, strict in zip(use.tools, use.strict, strict=True)
    ]
    found: dict[str, Any] = {"tools": listed}
    if use.choice == "named":
        found["tool_choice"] = {"type": "function", "function": {"name": use.tools[0]["function"]["name"]}}
    elif use.choice != "auto":
        found["tool_choice"] = use.choice
    if use.parallel is False:
        found["parallel_tool_calls"] = False
    return found


# -- the answer


class UpstreamAnswer:
    """What comes back, as a generation of an engine of ours comes back: `batch` gives the events."""

    def __init__(
        self, engine: UpstreamEngine, ask: ChatRequest, body: Mapping[str, Any], reply_id: str,
        hold: Hold = NOTHING_HELD, size: int = 0, tier: str = "default",
    ) -> None:  # fmt: skip
        """`hold`: what is charged for it. `size`: bytes of `body`. `tier`: the class in which it waits for its turn."""
        self._tier = tier
        self._engine, self._ask, self._body, self._id = engine, ask, body, reply_id
        self._reader = ReplyReader(engine)
        self._inbox: asyncio.Queue[PieceEvent | Exception] = asyncio.Queue()
        self._ended: Exception | None = None
        self._over = False  # the last event was read
        self._calls: list[int] = []  # index of each call that has begun, as the other server counts them
        self._finish: str | None = None
        self._stop: str | None = None  # the stop string that ended it, where it is told
        self.usage: dict[str, int] = {}  # as the other server tells it
        self._hold, self._size, self._written, self._reason = hold, size, 0, "cancelled"
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(lambda _: self._charge())

    @property
    def unread(self) -> bool:
        return not self._over

    async def batch(self, wait_s: float) -> list[tuple[int, Event]]:
        """Events that came; an empty list when none came for `wait_s` seconds. Raises what ended the answer."""
        found: list[tuple[int, Event]] = []
        if self._inbox.empty() and self._ended is None:
            try:
                async with asyncio.timeout(wait_s):
                    self._sort(await self._inbox.get(), found)
            except TimeoutError:
                return found
        while self._ended is None and not self._inbox.empty():
            self._sort(self._inbox.get_nowait(), found)
        if self._ended is not None and not found:
            raise self._ended
        return found

    def _sort(self, item: PieceEvent | Exception, found: list[tuple[int, Event]]) -> None:
        if isinstance(item, Exception):
            self._ended = item
        else:
            self._over = self._over or item.finish is not None
            found.append((0, item))

    def hang_up(self) -> None:
        self._inbox.put_nowait(ClientDisconnected())

    def cancel(self) -> None:
        self._task.cancel()

    def _charge(self) -> None:
        charge_told(self._hold, self.usage, pieces=self._written, size=self._size, reason=self._reason)

    async def _run(self) -> None:
        metrics = self._engine.metrics
        metrics.accepted([self._id])
        try:
            async with self._engine.place(self._tier), self._engine.opened("/chat/completions", self._body) as response:
                await self._read(response)
            self._reason = self._finish or "stop"
        except (RequestError, EngineError) as error:
            self._reason = "refused" if isinstance(error, RequestError) else "lost"
            self._inbox.put_nowait(error)
        except Exception as error:  # a fault of ours: whoever waits is told, and it gets into the log
            self._reason = "error"
            self._inbox.put_nowait(error)
        finally:
            metrics.usage(*(self.usage.get(name, 0) for name in COUNTS))
            metrics.ended(self._id, self._reason)

    async def _read(self, response: IncomingReply) -> None:
        begun = False
        async with aclosing(self._reader.values(response)) as values:
            async for value in values:
                if value == b"[DONE]":
                    break
                pieces = self._pieces(self._reader.chunk(value))
                if pieces and not begun:
                    begun = True
                    self._engine.metrics.begun(self._id)
                if pieces:
                    self._written += 1
                    self._inbox.put_nowait(PieceEvent(id=self._id, pieces=tuple(pieces)))
        if self._finish is None:
            raise self._reader.cut()
        if self._finish == "content_filter" and not self._written:
            raise PolicyRefused(f"the server behind {self._engine.name} filtered its reply")
        if self._finish not in _ENDS:
            raise UpstreamError(f"the server behind {self._engine.name} ended the answer with {show(self._finish)}")
        self._inbox.put_nowait(PieceEvent(
            id=self._id, finish=_ENDS[self._finish], stop_match=self._stop,
            prompt_tokens=self.usage.get("prompt_tokens", 0),
            completion_tokens=self.usage.get("completion_tokens", 0),
            cached_tokens=self.usage.get("cached_tokens", 0), reasoning_tokens=self.usage.get("reasoning_tokens", 0),
        ))  # fmt: skip

    def _pieces(self, chunk: dict[str, Any]) -> list[OutputPiece]:
        self._count(chunk.get("usage"))
        found: list[OutputPiece] = []
        for choice in chunk.get("choices") or ():
            if not isinstance(choice, dict) or choice.get("index", 0) != 0:
                continue
            delta = choice.get("delta")
            if isinstance(delta, dict):
                found += self._of_delta(delta)
            if isinstance(choice.get("finish_reason"), str):
                self._finish = choice["finish_reason"]
                matched = choice.get("stop_reason")  # vLLM's
                self._stop = matched if matched in self._ask.sampling.stop else None
        return found

    def _of_delta(self, delta: dict[str, Any]) -> list[OutputPiece]:
        found: list[OutputPiece] = []
        thought = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(thought, str) and thought:
            found.append(Reasoning(thought))
        for name in ("content", "refusal"):
            if isinstance(delta.get(name), str) and delta[name]:
                found.append(Content(delta[name]))
        for at, call in enumerate(delta.get("tool_calls") or ()):
            found += self._of_call(call, at)
        return found

    def _of_call(self, call: Any, at: int) -> list[OutputPiece]:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict):
            raise UpstreamError(f"the server behind {self._engine.name} sent a call that is none: {show(call)}")
        index, name, arguments = call.get("index", at), function.get("name"), function.get("arguments")
        found: list[OutputPiece] = []
        if index not in self._calls:
            if not isinstance(name, str) or not name:
                raise UpstreamError(f"the server behind {self._engine.name} sent a call without a name")
            self._calls.append(index)
            found.append(CallBegun(name))
        elif index != self._calls[-1] and arguments:
            raise UpstreamError(f"the server behind {self._engine.name} writes two calls at once")
        if isinstance(arguments, str) and arguments:
            found.append(CallArguments(arguments))
        return found

    def _count(self, usage: Any) -> None:
        if not isinstance(usage, dict):
            return
        more = {"cached_tokens": "prompt_tokens_details", "reasoning_tokens": "completion_tokens_details"}
        told = {name: usage.get(name) for name in COUNTS}
        told |= {name: inner.get(name) for name, of in more.items() if isinstance(inner := usage.get(of), dict)}
        self.usage |= {name: value for name, value in told.items() if type(value) is int}
