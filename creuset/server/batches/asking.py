"""A request that the server sends to itself: through the routes that clients use, past what only clients must pass."""

import asyncio
from typing import Any

import msgspec
from starlette.types import ASGIApp, Message

from creuset.server.middleware import RequestContext


class Asked(msgspec.Struct, frozen=True):
    """What a route answered."""

    status: int
    body: bytes
    retry_after: float | None = None


async def ask_route(app: ASGIApp, path: str, body: bytes, context: RequestContext) -> Asked:
    """The answer of `app` to a POST of `body`. Whoever cancels this call hangs up."""
    gone, unread, status = asyncio.Event(), True, 0
    headers: list[tuple[bytes, bytes]] = []
    parts: list[bytes] = []

    async def receive() -> Message:
        nonlocal unread
        if unread:
            unread = False
            return {"type": "http.request", "body": body, "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], list(message.get("headers", ()))
        else:
            parts.append(message.get("body", b""))

    scope: dict[str, Any] = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": path, "raw_path": path.encode(), "root_path": "", "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")], "client": None, "server": None,
        "context": context,
    }  # fmt: skip
    try:
        await app(scope, receive, send)
    except Exception:
        if not status:  # else the error was told already, and is raised for whoever logs it
            raise
    finally:
        gone.set()
    found = dict(headers)
    wait = found.get(b"retry-after-ms")
    return Asked(status, b"".join(parts), None if wait is None else int(wait) / 1000)
