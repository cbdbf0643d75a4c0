"""Refusing at once, for next to nothing, while as many requests are worked on as all models take together.

A refusal that costs as much as an answer takes its time from answers: then a server that is asked for twice what it can
do answers less than one that is not. So this stands before everything else. It looks at the address and a number, and
reads no body; nothing is logged for each refusal, but their number, once a second.
"""

import time
from collections.abc import Callable, Collection, Sequence
from secrets import token_hex
from typing import Any

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from creuset.core.errors import Overloaded
from creuset.server.errors import OPENAI_DIALECT, Dialect
from creuset.server.metrics import Metrics

TELL_S = 1.0  # how often the log tells how many were refused
SMALL = 64 << 10  # bytes: the connection of a longer body, which nobody reads, is closed
_HEADERS = [
    (b"content-type", b"application/json"), (b"retry-after", b"1"), (b"retry-after-ms", b"1000"),
    (b"x-should-retry", b"true"), (b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"),
]  # fmt: skip


class OverloadGuard:
    def __init__(
        self, app: ASGIApp, paths: Collection[str], most: Callable[[], int], metrics: Metrics, log: Any, *,
        dialects: Sequence[Dialect] = (), clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        """`paths`: whose requests are counted and refused. `most`: requests that all models run and queue."""
        self._app, self._paths, self._most, self._clock = app, frozenset(paths), most, clock
        self._metrics, self._log, self._dialects = metrics, log, dialects
        self._counts: dict[str, Any] = {}
        self.working = 0  # requests whose body was read, and which have not ended
        self._refused, self._told = 0, float("-inf")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # A page of another origin must be able to read its refusal: those go the long way.
        if scope["type"] != "http" or scope["path"] not in self._paths or _has(scope, b"origin"):
            await self._app(scope, receive, send)
            return
        if self.working >= self._most():
            await self._refuse(scope, send)
            return
        counted = False

        async def counting() -> Message:
            nonlocal counted
            message = await receive()
            if not counted and message["type"] == "http.request" and not message.get("more_body", False):
                counted = True
                self.working += 1
            return message

        try:
            await self._app(scope, counting, send)
        finally:
            self.working -= counted

    async def _refuse(self, scope: Scope, send: Send) -> None:
        path, id = scope["path"], "req_" + token_hex(12)
        dialect = next((one for one in self._dialects if path.startswith(one.prefix)), OPENAI_DIALECT)
        error = Overloaded(f"{self.working} requests are running or waiting, which is all this server takes; try again")
        body = msgspec.json.encode(dialect.error(error, id))
        headers = [*_HEADERS, (b"content-length", b"%d" % len(body)), (b"x-request-id", id.encode())]
        if dialect.id_header:
            headers.append((dialect.id_header, id.encode()))
        if _large(scope):
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": error.status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})
        self._count(path, error.status)

    def _count(self, path: str, status: int) -> None:
        count = self._counts.get(path)
        if count is None:
            count = self._counts[path] = self._metrics.requests.labels(path, str(status))
        count.inc()
        self._refused += 1
        if (now := self._clock()) >= self._told + TELL_S:
            self._log.warning("overload", refused=self._refused, working=self.working)
            self._refused, self._told = 0, now


def _has(scope: Scope, name: bytes) -> bool:
    return any(key == name for key, _ in scope["headers"])


def _large(scope: Scope) -> bool:
    size = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    return not size.isdigit() or int(size) > SMALL
