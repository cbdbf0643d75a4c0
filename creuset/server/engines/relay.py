"""A request to a model of another server, and its answer on the way back.

Everything goes through untouched but what has to change: the model's name (theirs out, ours back), the reply's id, and
`stream_options.include_usage`, which is always asked for, since tokens are counted by what the upstream says, and taken
out again where the client did not ask.
"""

import asyncio
from collections.abc import Callable
from contextlib import aclosing, suppress
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from creuset.core.errors import EngineError, RequestError
from creuset.server.engines.client import LARGEST_CALL
from creuset.server.engines.outgoing import IncomingReply
from creuset.server.engines.reading import COUNTS, ReplyReader
from creuset.server.engines.upstream import PolicyRefused, UpstreamEngine
from creuset.server.errors import error_object, error_response
from creuset.server.middleware import RequestContext
from creuset.server.protect.guards.relay import RelayGuard
from creuset.server.settings import ServeSettings
from creuset.server.stream import DONE, EVENT_STREAM, KEEP_ALIVE, disconnected
from creuset.server.tenants.admission import admission
from creuset.server.tenants.gate import Gate, Hold
from creuset.server.tenants.metered import NOTHING_HELD, UNSAID, charge_told
from creuset.types.fields import Fields
from creuset.types.served import CLASSES

DETAILS = {"cached_tokens": "prompt_tokens_details", "reasoning_tokens": "completion_tokens_details"}


class Relay:
    """An ASGI response: sends the request, and carries what comes back. A client that hangs up ends it there, too."""

    def __init__(
        self,
        engine: UpstreamEngine,
        path: str,
        body: dict[str, Any],
        *,
        reply_id: str,
        created: int,
        settings: ServeSettings,
        context: RequestContext,
        holds: str = "choices",
        gate: Gate | None = None,
        guard: RelayGuard | None = None,
    ) -> None:
        """`path`: such as /chat/completions. `body`: the client's. `holds`: the field that a whole reply must have, a
        list. `gate`: what counts and charges it. `guard`: what looks at its answer. Raises RequestError."""
        fields = Fields(body)
        self._stream = fields.flag("stream") or False
        options = fields.object("stream_options")
        if options is not None and not self._stream:
            raise fields.refuse("stream_options", "is allowed only with `stream: true`")
        self._wants_usage = bool(options and options.flag("include_usage"))
        self._count = fields.integer("n", 1, LARGEST_CALL) or 1
        self._longest = 0 if holds != "choices" else engine.context or UNSAID
        for name in ("max_tokens", "max_completion_tokens"):
            asked = fields.take(name)
            if type(asked) is int and holds == "choices":
                self._longest = max(1, asked)
            if engine.context is not None and type(asked) is int and asked > engine.context:
                raise fields.refuse(name, f"is {asked}; the context of {engine.name} is {engine.context} tokens")
        self._engine, self._path, self._settings, self._context = engine, path, settings, context
        self._holds, self._reader, self._gate, self._hold = holds, ReplyReader(engine), gate, NOTHING_HELD
        self._pieces, self._guard = 0, guard
        self._body = body | {"model": engine.settings.model}
        self._size = len(_encode(body))  # bytes
        if self._stream:
            self._body["stream_options"] = (body.get("stream_options") or {}) | {"include_usage": True}
        self._mine = {"id": reply_id, "created": created, "model": body["model"]}
        self._usage: dict[str, int] = {}
        self._finishes: dict[int, str] = {}
        self._choices: set[int] = set()
        self.raises = False  # an error before anything was sent is raised, not sent
        self.patient = False  # nothing is sent before the other server has
        self.on_break: Callable[[Exception], object] = lambda _: None  # told why a stream that had begun broke
        self._tier: str | None = None
        self._started, self._sending, self._spoken = False, asyncio.Lock(), 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        id, metrics = self._mine["id"], self._engine.metrics
        metrics.accepted([id])
        gone = asyncio.create_task(disconnected(receive))
        work = asyncio.create_task(self._work(scope, receive, send))
        reason = "cancelled"
        try:
            await asyncio.wait((gone, work), return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                reason = "error"
                try:
                    reason = work.result()
                except (RequestError, EngineError) as error:
                    reason = "refused" if isinstance(error, RequestError) else "lost"
                    raise
        finally:
            gone.cancel()
            if not work.done():
                work.cancel()
                with suppress(asyncio.CancelledError):
                    await work
            metrics.usage(*(self._usage.get(name, 0) for name in COUNTS))
            metrics.ended(id, reason)
            self._context.facts["usage"] = self._usage or "not told"
            charge_told(self._hold, self._usage, pieces=self._pieces, size=self._size, reason=reason, tier=self._tier)

    async def _admitted(self) -> Hold:
        """A hold for as many tokens as the request can have: no token is shorter than a byte."""
        if self._gate is None or (self._context.who is None and self._context.errand is None):
            return NOTHING_HELD
        kinds = {"data": "embeddings", "results": "rerank"}
        try:
            return await admission(
                self._gate, self._context, self._engine.names, prompt_tokens=self._size, max_tokens=self._longest,
                choices=self._count, kind=kinds.get(self._holds, "completions"),
            )  # fmt: skip
        except (RequestError, EngineError):
            self._context.limits = self._gate.headers(self._context.who, self._engine.names)
            raise

    async def _work(self, scope: Scope, receive: Receive, send: Send) -> str:
        """How it ended."""
        try:
            self._hold = await self._admitted()
            self._context.limits = self._hold.headers
            async with (
                self._engine.place(self._context.served.tier),
                self._engine.opened(self._path, self._body) as response,
            ):
                await (self._pump(response, send) if self._stream else self._whole(response, send))
        except TimeoutError:  # the client stopped reading
            return "cancelled"
        except (RequestError, EngineError) as error:
            if self._started:
                self.on_break(error)
                await self._send(send, b"data: " + _encode(error_object(error)) + b"\n\n", last=True)
            elif self.raises:
                raise
            else:
                await error_response(error)(scope, receive, send)
            return "refused" if isinstance(error, RequestError) else "lost"
        return self._finishes.get(0, "stop")

    async def _whole(self, response: IncomingReply, send: Send) -> None:
        reply = await self._reader.whole(response)
        if not isinstance(reply.get(self._holds), list):
            raise self._reader.error(reply)
        self._look(reply)
        if self.raises and self._finishes and set(self._finishes.values()) == {"content_filter"}:
            raise PolicyRefused(f"the server behind {self._engine.name} filtered its reply")
        reply = reply if self._guard is None else await self._guard.whole(reply)
        body = _encode(reply | self._mine)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send(send, body, last=True)

    async def _pump(self, response: IncomingReply, send: Send) -> None:
        """Pieces that came together go on together."""
        beat = asyncio.create_task(self._beat(send))
        done = False
        try:
            async with aclosing(self._reader.batches(response)) as batches:
                async for values in batches:
                    done = values[-1] == b"[DONE]"
                    body = await self._together(send, values[:-1] if done else values)
                    if done:
                        break
                    await self._begun(send, body)
            if not done and (not self._choices or not self._choices <= self._finishes.keys()):
                if not self.patient:
                    await self._begun(send, b"")
                raise self._reader.cut()
        finally:
            beat.cancel()
        await self._begun(send, (body if done else b"") + DONE, last=True)

    async def _together(self, send: Send, values: list[bytes]) -> bytes:
        """Values as they are sent on. What came before one that is an error is sent, where nobody else can be asked."""
        body = b""
        try:
            for value in values:
                if chunk := await self._chunk(value):
                    body += b"data: " + chunk + b"\n\n"
        except EngineError:
            if body and not (self.patient and not self._started):
                await self._begun(send, body)
            raise
        return body

    async def _beat(self, send: Send) -> None:
        """Send a comment whenever nothing was sent for as long as a heartbeat takes."""
        loop, every = asyncio.get_running_loop(), self._settings.heartbeat_s
        self._spoken = loop.time()
        with suppress(TimeoutError):  # the client reads nothing; whoever sends next notices
            while True:
                await asyncio.sleep(self._spoken + every - loop.time())
                if self.patient and not self._started:
                    self._spoken = loop.time()
                elif loop.time() >= self._spoken + every:
                    await self._begun(send, KEEP_ALIVE)

    async def _begun(self, send: Send, body: bytes, *, last: bool = False) -> None:
        """Send `body`, behind the head where it was not sent yet."""
        async with self._sending:
            self._spoken = asyncio.get_running_loop().time()
            if not self._started:
                self._started = True
                await send({"type": "http.response.start", "status": 200, "headers": EVENT_STREAM})
            if body:
                await self._send(send, body, last=last)

    async def _chunk(self, value: bytes) -> bytes:
        chunk = self._reader.chunk(value)
        if not self._choices:
            self._engine.metrics.begun(self._mine["id"])
        self._look(chunk)
        if not self._wants_usage:
            if chunk.get("usage") is not None and not chunk.get("choices"):
                return b""
            chunk.pop("usage", None)
        if self._guard is not None:
            chunk = await self._guard.chunk(chunk)
        return _encode(chunk | self._mine)

    def _look(self, reply: dict[str, Any]) -> None:
        """Note what is told of tokens and of ends."""
        if reply.get("service_tier") in CLASSES:
            self._tier = reply["service_tier"]
        usage = reply.get("usage")
        if isinstance(usage, dict):
            self._usage |= {name: usage[name] for name in COUNTS if type(usage.get(name)) is int}
            for name, of in DETAILS.items():
                part = usage.get(of)
                if isinstance(part, dict) and type(part.get(name)) is int:
                    self._usage[name] = part[name]
        for at, choice in enumerate(reply.get("choices") or ()):
            if isinstance(choice, dict):
                index = choice.get("index", at)
                self._choices.add(index)
                self._pieces += 1
                if isinstance(choice.get("finish_reason"), str):
                    self._finishes[index] = choice["finish_reason"]

    async def _send(self, send: Send, body: bytes, *, last: bool = False) -> None:
        async with asyncio.timeout(self._settings.send_timeout_s):
            await send({"type": "http.response.body", "body": body, "more_body": not last})


_encode = msgspec.json.Encoder().encode
