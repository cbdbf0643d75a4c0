"""The Responses dialect over a WebSocket: each `response.create` is a request like any other.

A message becomes a POST to /v1/responses that passes the whole application, from the middleware on, so that keys,
limits, money and refusals are the same on both ways. Its stream comes back as one message an event. What a response
with `store: false` said is remembered for as long as the connection lasts, and only there.

Messages with one `stream_id`, or without any, are answered one after the other; those of different ones side by side.
Source: the WebSocket mode of OpenAI's specification, and the Open Responses specification, "WebSocket Transport".
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from creuset.core.errors import RequestError
from creuset.server.errors import error_object
from creuset.types.fields import parse_object, show

PATH = "/v1/responses"
LIFE_S = 3600.0  # of a connection
MOST_WAITING = 16  # messages that are not answered yet
MOST_LANES = 8
REMEMBERED = 8  # responses of a connection that can be gone on from without being stored
POLICY_VIOLATION, TRY_LATER = 1008, 1013
_PASSED_OVER = frozenset({b"connection", b"upgrade", b"accept", b"content-type", b"content-length", b"content-encoding",
                          b"transfer-encoding", b"idempotency-key"})  # fmt: skip
_encode = msgspec.json.Encoder().encode


class Turns(dict[str, Any]):
    """Responses of one connection, by id: what a later message of the same connection can go on from."""

    def keep(self, id: str, kept: Any) -> None:
        self[id] = kept
        while len(self) > REMEMBERED:
            del self[next(iter(self))]


@dataclass(slots=True, eq=False)
class ResponseSocket:
    """One open connection. `app` answers requests."""

    app: ASGIApp
    scope: Scope
    receive: Receive
    send: Send
    life_s: float = LIFE_S
    turns: Turns = field(default_factory=Turns)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    _lanes: dict[str | None, "deque[dict[str, Any]]"] = field(default_factory=dict)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    async def run(self) -> None:
        await self.receive()  # "websocket.connect"
        await self.send({"type": "websocket.accept"})
        try:
            async with asyncio.timeout(self.life_s):
                while await self._read():
                    pass
        except TimeoutError:
            words = f"a connection lasts at most {self.life_s / 60:.0f} minutes: open another one"
            await self._refuse(RequestError(words, code="websocket_connection_limit_reached"), None)
            await self._close(TRY_LATER)
        finally:
            self.gone.set()  # every answer that is being written sees that its client has gone
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _read(self) -> bool:
        """Take one message; whether there may be another."""
        message = await self.receive()
        if message["type"] == "websocket.disconnect":
            return False
        lane = None
        try:
            asked = self._parsed(message)
            lane = asked.pop("stream_id", None)
            if lane is not None and not isinstance(lane, str):
                raise RequestError(f"`stream_id` must be a text, got {show(lane)}", param="stream_id")
            waiting = self._lanes.get(lane)
            if waiting is None and len(self._lanes) >= MOST_LANES:
                raise RequestError(f"`stream_id`: a connection has at most {MOST_LANES} at a time", param="stream_id")
            if sum(map(len, self._lanes.values())) >= MOST_WAITING:
                raise RequestError(f"more than {MOST_WAITING} messages wait for their answer", code="too_many_messages")
        except RequestError as error:
            await self._refuse(error, lane if isinstance(lane, str) else None)
            return True
        if waiting is not None:
            waiting.append(asked)
            return True
        self._lanes[lane] = deque([asked])
        task = asyncio.create_task(self._answer(lane))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    def _parsed(self, message: Message) -> dict[str, Any]:
        data = message.get("bytes")
        if data is None:
            data = (message.get("text") or "").encode()
        asked = dict(parse_object(data))
        kind = asked.pop("type", None)
        if kind != "response.create":
            words = f'`type` must be "response.create", got {show(kind)}'
            raise RequestError(words, param="type", code="unsupported_value")
        if asked.pop("stream", True) is not True:
            raise RequestError("`stream` must be true or absent: a WebSocket always streams", param="stream")
        if asked.pop("background", False):
            raise RequestError("`background` is not served over a WebSocket", param="background")
        return asked | {"stream": True}

    async def _answer(self, lane: str | None) -> None:
        """The messages of one lane, one after the other, until none is left."""
        waiting = self._lanes[lane]
        try:
            while waiting and not self.gone.is_set():
                asked = waiting[0]
                turn = _Turn(self, lane)
                await self.app(self._request(asked), turn.receiver(_encode(asked)), turn.take)
                if not turn.good and (previous := asked.get("previous_response_id")) is not None:
                    self.turns.pop(str(previous), None)
                waiting.popleft()
        finally:
            del self._lanes[lane]

    def _request(self, asked: dict[str, Any]) -> Scope:
        headers = [(name, value) for name, value in self.scope["headers"]
                   if name not in _PASSED_OVER and not name.startswith(b"sec-websocket-")]  # fmt: skip
        return {
            "type": "http", "asgi": self.scope.get("asgi", {}), "http_version": "1.1", "method": "POST",
            "scheme": http_scheme(self.scope), "path": PATH, "raw_path": PATH.encode(), "root_path": "",
            "query_string": b"", "headers": [*headers, (b"content-type", b"application/json")],
            "client": self.scope.get("client"), "server": self.scope.get("server"), "turns": self.turns,
        }  # fmt: skip

    async def tell(self, event: dict[str, Any], lane: str | None) -> None:
        if lane is not None:
            event = event | {"stream_id": lane}
        if not self.gone.is_set():
            await self.send({"type": "websocket.send", "text": _encode(event).decode()})

    async def _refuse(self, error: RequestError, lane: str | None) -> None:
        await self.tell({"type": "error", "status": error.status, **error_object(error)}, lane)

    async def _close(self, code: int) -> None:
        if not self.gone.is_set():
            await self.send({"type": "websocket.close", "code": code})


def http_scheme(scope: Scope) -> str:
    return "https" if scope.get("scheme") == "wss" else "http"


@dataclass(slots=True, eq=False)
class _Turn:
    """The reply to one message, taken as a server would send it and told event by event."""

    socket: ResponseSocket
    lane: str | None
    good: bool = False  # whether it ended as a response that can be gone on from
    _status: int = 0
    _rest: bytes = b""

    def receiver(self, body: bytes) -> Receive:
        sent = False

        async def receive() -> Message:
            nonlocal sent
            if not sent:
                sent = True
                return {"type": "http.request", "body": body, "more_body": False}
            await self.socket.gone.wait()
            return {"type": "http.disconnect"}

        return receive

    async def take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            return
        self._rest += message.get("body", b"")
        if self._status == 200:
            *frames, self._rest = self._rest.split(b"\n\n")
            for frame in frames:
                await self._told(frame)
        elif not message.get("more_body", False):
            said = msgspec.json.decode(self._rest) if self._rest else {}
            await self.socket.tell({"type": "error", "status": self._status, **said}, self.lane)

    async def _told(self, frame: bytes) -> None:
        data = next((line[6:] for line in frame.split(b"\n") if line.startswith(b"data: ")), None)
        if data is None:
            return  # a comment that keeps the connection alive
        event = msgspec.json.decode(data)
        if event["type"] == "error":
            error = {name: event.get(name) for name in ("code", "message", "param")}
            event = {"type": "error", "status": 500, "sequence_number": event["sequence_number"], "error": error}
        self.good = event["type"] in ("response.completed", "response.incomplete")
        await self.socket.tell(event, self.lane)


async def response_socket(scope: Scope, receive: Receive, send: Send, app: ASGIApp) -> None:
    """Serve one connection whose handshake was let in."""
    await ResponseSocket(app, scope, receive, send).run()


SocketHandler = Callable[[Scope, Receive, Send, ASGIApp], Any]
