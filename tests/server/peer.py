"""Another server for the tests of upstreams: it does what the last message says, well or badly, byte by byte."""

import asyncio
import base64
import json
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

KEY = "sk-upstream-canary-1234567890"
PLAIN = "application/json"
EVENTS = "text/event-stream; charset=utf-8"


@dataclass
class Peer:
    """`asked` has the requests as they came, `hung_up` counts clients that left before their answer was complete."""

    asked: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    hung_up: int = 0
    healthy: bool = True
    mute: bool = False  # leaves the question after its models unanswered
    looked: int = 0
    port: int = 0
    failures: int = 0  # answers that fail before one does not

    def __post_init__(self) -> None:
        self._up = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="peer")
        self._thread.start()
        assert self._up.wait(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait_for(self, true: Callable[[], bool], within_s: float = 10.0) -> bool:
        """Whether it becomes true, of what this server has seen."""
        end = time.monotonic() + within_s
        while not true() and time.monotonic() < end:
            time.sleep(0.01)
        return true()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        server = await asyncio.start_server(self._client, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        self._up.set()
        await self._stop.wait()
        server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            await self._answer(head[0].split()[1], headers, json.loads(body) if body else None, reader, writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _answer(self, path: str, headers: dict[str, str], body: Any, reader: Any, writer: Any) -> None:
        def send(status: int, kind: str, content: bytes, *more: str) -> None:
            lines = [f"HTTP/1.1 {status} X", f"content-type: {kind}", "connection: close", *more]
            if kind == PLAIN:
                lines.append(f"content-length: {len(content)}")
            writer.write("\r\n".join([*lines, "", ""]).encode() + content)

        if path == "/v1/models":
            self.looked += 1
            if self.mute:
                await reader.read(1)
            elif not self.healthy:
                send(500, PLAIN, b"{}")
            elif headers.get("authorization") != f"Bearer {KEY}":
                send(401, PLAIN, json.dumps({"error": {"message": f"wrong key {KEY[:9]}"}}).encode())
            else:
                one = {"id": "theirs", "object": "model", "owned_by": "acme", "max_model_len": 512}
                send(200, PLAIN, json.dumps({"data": [one]}).encode())
            return
        self.asked.append((path, headers, body))
        if path in ("/v1/embeddings", "/v1/rerank"):
            embeds = path == "/v1/embeddings"
            raw = base64.b64encode(struct.pack("<2f", 1.0, 2.0)).decode()
            rows = [{"object": "embedding", "index": at, "embedding": raw} for at in range(2)]
            held = {"data": rows} if embeds else {"results": [{"index": 0, "relevance_score": 0.5}]}
            content = {"object": "list", "model": "theirs", "usage": USAGE} | held
            send(200, PLAIN, json.dumps({} if body.get("input") == "refuse" else content).encode())
            return
        script = body["messages"][-1]["content"] if "messages" in body else body["prompt"]
        verb, _, rest = script.partition(" ")
        if verb == "fail" and self.failures:
            self.failures -= 1
            status, after = rest.split()[:2]
            send(int(status), PLAIN, error("busy now"), *([] if after == "-" else [f"retry-after: {after}"]))
        elif verb == "refuse":
            send(int(rest.split()[0]), PLAIN, rest.partition(" ")[2].encode())
        elif verb == "silent":
            if await reader.read(1) == b"":
                self.hung_up += 1
        elif body.get("stream"):
            await self._stream(send, reader, writer, verb, rest)
        else:
            content = json.dumps(whole(rest if verb == "say" else "Well.")).encode()
            if verb == "cut":
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n" + content
                )
            else:
                send(200, PLAIN, {"garbage": b"<html>", "odd": b'{"error": "odd"}'}.get(verb, content))

    async def _stream(self, send: Any, reader: Any, writer: Any, verb: str, rest: str) -> None:
        if verb == "json":
            send(200, PLAIN, error("no streams here"))
            return
        chunks = [event(chunk) for chunk in stream(rest if verb == "say" else "one two three")]
        usage, done = event({**HEAD, "choices": [], "usage": USAGE}), b"data: [DONE]\n\n"
        sent = {
            "cut": chunks[:2],
            "undone": [*chunks, usage],
            "unmeasured": [*chunks, done],
            "garbage": [chunks[0], b"data: {not json\n\n", *chunks[1:], done],
            "broken": [chunks[0], b"event: error\ndata: " + error(f"out of memory {KEY}") + b"\n\n"],
            "never": [b"data: " + error("at once") + b"\n\n"],
            "windows": [piece.replace(b"\n", b"\r\n") for piece in [b": hello\n\n", *chunks, usage, done]],
            "slow": chunks[:1],
        }.get(verb, [*chunks, usage, done])
        send(200, EVENTS, b"")
        whole = b"".join(sent)
        for at in range(0, len(whole), 7):  # cut anywhere
            writer.write(whole[at : at + 7])
        await writer.drain()
        if verb == "slow" and await reader.read(1) == b"":
            self.hung_up += 1


HEAD = {
    "id": "chatcmpl-theirs",
    "object": "chat.completion.chunk",
    "created": 7,
    "model": "theirs",
    "x_extra": {"a": 1},
}
USAGE = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}


def event(value: Any) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


def error(message: str) -> bytes:
    return json.dumps({"error": {"message": message, "type": "x", "param": None, "code": None}}).encode()


def whole(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    choices = [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}]
    return HEAD | {"object": "chat.completion", "choices": choices, "usage": USAGE}


def stream(text: str) -> list[dict[str, Any]]:
    words = text.split(" ")
    deltas = [{"role": "assistant", "content": ""}, *({"content": word} for word in words)]
    chunks = [HEAD | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    return [*chunks, HEAD | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]
