"""A model server that costs next to nothing: replies of PIECES pieces, streamed or whole, as soon as it is asked.

    python bench/peers/scripted.py SOCKET-FD [PAUSE-MS]

It is written on asyncio's protocols so that what stands in front of it is what is measured. Each piece is a chunk of
its own, written in a turn of the loop of its own, or PAUSE-MS after the one before it.
"""

import asyncio
import json
import socket
import sys
from typing import Any

PIECES = 64
WORD = " la"
_HEAD = {"id": "chatcmpl-1", "created": 1, "model": "scripted"}
_USAGE = {"prompt_tokens": 10, "completion_tokens": PIECES, "total_tokens": PIECES + 10}


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode()


def _whole() -> bytes:
    message = {"role": "assistant", "content": WORD * PIECES}
    choice = {"index": 0, "message": message, "finish_reason": "length", "logprobs": None}
    return _json({**_HEAD, "object": "chat.completion", "choices": [choice], "usage": _USAGE})


def _events() -> list[bytes]:
    head = {**_HEAD, "object": "chat.completion.chunk"}

    def chunk(delta: dict[str, str], finish: str | None = None) -> dict[str, Any]:
        return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    every = [chunk({"role": "assistant", "content": ""})]
    every += [chunk({"content": WORD}, "length" if at == PIECES - 1 else None) for at in range(PIECES)]
    every.append({**head, "choices": [], "usage": _USAGE})
    lines = [b"data: " + _json(one) + b"\n\n" for one in every] + [b"data: [DONE]\n\n"]
    return [b"%x\r\n%s\r\n" % (len(line), line) for line in lines]


def _reply(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body


WHOLE, EVENTS = _reply(_whole()), _events()
MODELS = _reply(_json({"object": "list", "data": [{"id": "scripted", "object": "model", "max_model_len": 4096}]}))
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


class Connection(asyncio.Protocol):
    def __init__(self, pause_s: float) -> None:
        self._pause_s, self._rest = pause_s, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._out, self._loop = transport, asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        self._rest += data
        head, end, body = self._rest.partition(b"\r\n\r\n")
        if not end:
            return
        lines = head.lower().split(b"\r\n")
        size = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
        if len(body) < size:
            return
        self._rest = body[size:]
        if head.startswith(b"GET"):
            self._out.write(MODELS)
        elif b'"stream":true' in body.replace(b" ", b""):
            self._out.write(STREAM + EVENTS[0])
            self._later(1)
        else:
            self._out.write(WHOLE)

    def _later(self, at: int) -> None:
        if self._pause_s:
            self._loop.call_later(self._pause_s, self._piece, at)
        else:
            self._loop.call_soon(self._piece, at)

    def _piece(self, at: int) -> None:
        if self._out.is_closing():
            return
        if at == len(EVENTS) - 1:
            self._out.write(EVENTS[at] + b"0\r\n\r\n")
        else:
            self._out.write(EVENTS[at])
            self._later(at + 1)


async def main(fd: int, pause_s: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(pause_s), sock=socket.socket(fileno=fd), backlog=512)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]) / 1000 if len(sys.argv) > 2 else 0.0))
