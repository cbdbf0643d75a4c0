"""Carrying a generation to its client: as one object, or as server-sent events while it is written.

Either way the client is watched: when it hangs up, the engine stops at its next step.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from creuset.core.errors import EngineError, RequestError
from creuset.server.engines.client import ClientDisconnected
from creuset.server.errors import error_object
from creuset.server.middleware import CLIENT_GONE
from creuset.types.generation import Event

KEEP_ALIVE = b": keep-alive\n\n"
DONE = b"data: [DONE]\n\n"
EVENT_STREAM = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]

_encode = msgspec.json.Encoder().encode


class EventSource(Protocol):
    """An answer that is being made: by an engine of ours, or by another server."""

    @property
    def unread(self) -> bool: ...
    async def batch(self, wait_s: float) -> list[tuple[int, Event]]: ...
    def hang_up(self) -> None: ...
    def cancel(self) -> None: ...


class ResponseBuilder(Protocol):
    """Fed with the events of request `index`; asked for chunks (streaming) or for the whole."""

    def opening(self) -> list[dict[str, Any]]: ...
    def feed(self, index: int, event: Event) -> list[dict[str, Any]]: ...
    def closing(self) -> list[dict[str, Any]]: ...
    def whole(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Frames:
    """How a dialect writes the chunks of a stream, and an error in the middle of one."""

    encode: Callable[[list[dict[str, Any]]], bytes]
    error: Callable[[Exception], dict[str, Any]]
    keep_alive: bytes
    done: bytes  # behind the last chunk


def _data(chunks: list[dict[str, Any]]) -> bytes:
    return b"".join(b"data: " + _encode(chunk) + b"\n\n" for chunk in chunks)


OPENAI = Frames(encode=_data, error=error_object, keep_alive=KEEP_ALIVE, done=DONE)


@asynccontextmanager
async def watched(generation: EventSource, receive: Receive) -> AsyncIterator[None]:
    """While inside, a client that hangs up raises `ClientDisconnected` in `generation.batch`.

    What still runs at the end is cancelled.
    """
    task = asyncio.create_task(disconnected(receive))
    task.add_done_callback(lambda done: None if done.cancelled() else generation.hang_up())
    try:
        yield
    finally:
        task.cancel()
        generation.cancel()


async def disconnected(receive: Receive) -> None:
    """Return when the client has hung up. The whole body must have been read."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def whole(generation: EventSource, reply: ResponseBuilder, receive: Receive) -> Response:
    async with watched(generation, receive):
        try:
            while generation.unread:
                for index, event in await generation.batch(60.0):
                    reply.feed(index, event)
        except ClientDisconnected:
            return Response(status_code=CLIENT_GONE)
    return Response(_encode(reply.whole()), media_type="application/json")


@dataclass(slots=True)
class EventStream:
    """An ASGI response. Nothing is sent before the engine took the request, so that a refusal keeps its status."""

    generation: EventSource
    reply: ResponseBuilder
    heartbeat_s: float
    send_timeout_s: float
    frames: Frames = OPENAI
    patient: bool = False  # nothing is sent before the engine has written something
    on_break: Callable[[Exception], object] = lambda _: None  # told why a stream that had begun broke

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with watched(self.generation, receive):
            try:
                batch = await self.generation.batch(self.heartbeat_s)
                while self.patient and not batch:
                    batch = await self.generation.batch(self.heartbeat_s)
                await self._start(send)
                await self._send(send, self.frames.encode(self.reply.opening()))
                try:
                    await self._pump(batch, send)
                except (EngineError, RequestError) as error:
                    self.on_break(error)
                    await self._send(send, self.frames.encode([self.frames.error(error)]), last=True)
            except (ClientDisconnected, TimeoutError):
                return  # hung up, or stopped reading for `send_timeout_s`

    async def _pump(self, batch: list[Any], send: Send) -> None:
        while True:
            chunks = [chunk for index, event in batch for chunk in self.reply.feed(index, event)]
            if chunks or not batch:
                await self._send(send, self.frames.encode(chunks) or self.frames.keep_alive)
            if not self.generation.unread:
                break
            batch = await self.generation.batch(self.heartbeat_s)
        await self._send(send, self.frames.encode(self.reply.closing()) + self.frames.done, last=True)

    async def _start(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": EVENT_STREAM})

    async def _send(self, send: Send, body: bytes, *, last: bool = False) -> None:
        async with asyncio.timeout(self.send_timeout_s):
            await send({"type": "http.response.body", "body": body, "more_body": not last})
