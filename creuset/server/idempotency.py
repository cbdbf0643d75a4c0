"""`Idempotency-Key`: a POST that is sent again with its key is answered once, so that a retry costs nothing twice.

The first request with a key is carried out and its reply is kept for KEEP_S seconds, in memory. The same request of the
same caller with the same key gets that reply, waiting for it where it is still being made. The same key with another
body or address is refused with 422. A reply is not kept where trying again may go better (408, 409, 429, 5xx), where
it was not complete, or where it is larger than MOST_BYTES; the next request with the key is then carried out anew.
"""

import asyncio
import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from creuset.core.errors import RequestError
from creuset.server.errors import error_response

KEEP_S = 600.0
MOST = 1024  # replies that are kept
MOST_BYTES = 1 << 20  # of one of them
_KEY = re.compile(r"[!-~]{1,255}")
_AGAIN = (408, 409, 429)


class KeyReused(RequestError):
    status = 422
    code = "idempotency_key_reused"


@dataclass(slots=True, eq=False)
class _KeptReply:
    mark: str  # of what was asked
    begun: float
    over: asyncio.Event = field(default_factory=asyncio.Event)
    messages: list[Message] | None = None  # None: it is being made, or was not kept
    route: str = ""


class Idempotency:
    """An ASGI application around another one, behind the check of who asks."""

    def __init__(
        self,
        app: ASGIApp,
        clock: Callable[[], float] = time.monotonic,
        *,
        route: Callable[[Scope], str] = lambda _: "unmatched",
    ) -> None:
        """`route`: the route that a request is for, so that a refusal is counted there."""
        self._app, self._clock, self._route = app, clock, route
        self._kept: dict[tuple[str, str], _KeptReply] = {}  # oldest first

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = _key_of(scope)
        if given is None:
            await self._app(scope, receive, send)
            return
        context = scope["context"]
        try:
            body = await _read(receive, given)
            place = (context.caller or "", given)
            asked = (scope["path"].encode(), scope.get("query_string", b""), body)
            mark = hashlib.sha256(b"".join(b"%d:" % len(one) + one for one in asked)).hexdigest()
            kept = await self._earlier(place, mark)
        except RequestError as error:
            context.route = self._route(scope)
            await error_response(error, context.dialect, context.id)(scope, receive, send)
            return
        if kept is not None:
            context.route = kept.route
            for message in kept.messages or ():
                await send(message)
            return
        await self._carry_out(scope, receive, send, place, mark, body)

    async def _earlier(self, place: tuple[str, str], mark: str) -> _KeptReply | None:
        """The reply that is kept, once it is there. Raises KeyReused."""
        while (kept := self._kept.get(place)) is not None:
            if kept.over.is_set() and self._clock() - kept.begun > KEEP_S:
                del self._kept[place]
                return None
            if kept.mark != mark:
                raise KeyReused(
                    "this `Idempotency-Key` was used for another request", param="Idempotency-Key",
                    hint="send a new key with a new request",
                )  # fmt: skip
            await kept.over.wait()
            if kept.messages is not None:
                return kept
        return None

    async def _carry_out(
        self, scope: Scope, receive: Receive, send: Send, place: tuple[str, str], mark: str, body: bytes
    ) -> None:
        kept = self._kept[place] = _KeptReply(mark, self._clock())
        told: list[Message] = []
        size, unread = 0, True

        async def again() -> Message:
            nonlocal unread
            if unread:
                unread = False
                return {"type": "http.request", "body": body, "more_body": False}
            return await receive()

        async def noted(message: Message) -> None:
            nonlocal size
            size += len(message.get("body", b""))
            if size <= MOST_BYTES:
                told.append(_replayed(message))
            await send(message)

        try:
            await self._app(scope, again, noted)
            complete = bool(told) and told[-1]["type"] == "http.response.body" and not told[-1].get("more_body", False)
            if complete and size <= MOST_BYTES and told[0]["status"] < 500 and told[0]["status"] not in _AGAIN:
                kept.messages, kept.route = told, scope["context"].route
        finally:
            if kept.messages is None and self._kept.get(place) is kept:
                del self._kept[place]
            kept.over.set()
            self._forget()

    def _forget(self) -> None:
        """Replies that are too old, and the oldest where there are too many. One that is being made stays."""
        now = self._clock()
        over = [place for place, kept in self._kept.items() if kept.over.is_set()]
        excess = len(over) - MOST
        for at, place in enumerate(over):
            if at < excess or now - self._kept[place].begun > KEEP_S:
                del self._kept[place]


def _key_of(scope: Scope) -> str | None:
    if scope["type"] != "http" or scope["method"] != "POST":
        return None
    headers = dict(scope["headers"])
    if headers.get(b"content-type", b"").startswith(b"multipart/"):
        return None  # files are not held in memory
    key = headers.get(b"idempotency-key")
    return None if key is None else key.decode("latin-1")


async def _read(receive: Receive, key: str) -> bytes:
    """The whole body. RequestError for a key that is none, a body that is too large, or a client that left."""
    if not _KEY.fullmatch(key):
        raise RequestError(
            "`Idempotency-Key` must have 1 to 255 visible ASCII characters and no spaces", param="Idempotency-Key"
        )
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RequestError("the client left before its body was complete")
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def _replayed(message: Message) -> Message:
    if message["type"] != "http.response.start":
        return message
    return {**message, "headers": [*message["headers"], (b"idempotent-replayed", b"true")]}
