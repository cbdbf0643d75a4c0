"""Carrying a call to its client: as one object, or as server-sent events while it is written.

Either way the client is watched: when it hangs up, the engine stops at its next step.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from creuset.core.errors import EngineError
from creuset.server.engines.client import Call, Gone
from creuset.server.errors import error_object
from creuset.server.middleware import CLIENT_GONE
from creuset.server.openai.reply import Reply

KEEP_ALIVE = b": keep-alive\n\n"
DONE = b"data: [DONE]\n\n"

_encode = msgspec.json.Encoder().encode


@asynccontextmanager
async def watched(call: Call, receive: Receive) -> AsyncIterator[None]:
    """While inside, a client that hangs up raises `Gone` in `call.batch`; what still runs at the end is cancelled."""
    task = asyncio.create_task(_until_disconnect(receive))
    task.add_done_callback(lambda done: None if done.cancelled() else call.hang_up())
    try:
        yield
    finally:
        task.cancel()
        call.cancel()


async def _until_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def whole(call: Call, reply: Reply, receive: Receive) -> Response:
    async with watched(call, receive):
        try:
            while call.unread:
                for index, event in await call.batch(60.0):
                    reply.feed(index, event)
        except Gone:
            return Response(status_code=CLIENT_GONE)
    return Response(_encode(reply.whole()), media_type="application/json")


@dataclass(slots=True)
class EventStream:
    """An ASGI response. Nothing is sent before the engine took the request, so that a refusal keeps its status."""

    call: Call
    reply: Reply
    heartbeat_s: float
    send_timeout_s: float

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with watched(self.call, receive):
            try:
                batch = await self.call.batch(self.heartbeat_s)
                await self._start(send)
                await self._send(send, _data(self.reply.opening()))
                try:
                    await self._pump(batch, send)
                except EngineError as error:
                    await self._send(send, _data([error_object(error)]), last=True)
            except (Gone, TimeoutError):
                return  # hung up, or stopped reading for `send_timeout_s`

    async def _pump(self, batch: list[Any], send: Send) -> None:
        while True:
            chunks = [chunk for index, event in batch for chunk in self.reply.feed(index, event)]
            if chunks or not batch:
                await self._send(send, _data(chunks) or KEEP_ALIVE)
            if not self.call.unread:
                break
            batch = await self.call.batch(self.heartbeat_s)
        await self._send(send, _data(self.reply.closing()) + DONE, last=True)

    async def _start(self, send: Send) -> None:
        headers = [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})

    async def _send(self, send: Send, body: bytes, *, last: bool = False) -> None:
        async with asyncio.timeout(self.send_timeout_s):
            await send({"type": "http.response.body", "body": body, "more_body": not last})


def _data(chunks: list[dict[str, Any]]) -> bytes:
    return b"".join(b"data: " + _encode(chunk) + b"\n\n" for chunk in chunks)
