"""Callers that cost little themselves: HTTP/1.1 over asyncio's protocols, closed and open loop.

Closed loop: so many callers, each with one request at a time. Open loop: requests come at moments that do not wait for
replies (Poisson, from a seed), as those of people do; a server that is asked for more than it can do shows it here.
"""

import asyncio
import random
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reply:
    status: int  # 0: the connection broke, or nothing came in time
    first_s: float  # until the first piece of a stream, or the whole reply
    total_s: float


class Caller(asyncio.Protocol):
    """One connection; one request at a time."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._done: asyncio.Future[Reply] | None = None
        self._sent = self._first = 0.0
        self._body_at = self._size = self._status = 0
        self.alive = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._out = transport

    async def ask(self, request: bytes) -> Reply:
        self._done = asyncio.get_running_loop().create_future()
        self._data.clear()
        self._body_at, self._first, self._sent = 0, 0.0, time.perf_counter()
        self._out.write(request)
        return await self._done

    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self._body_at:
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self._data[:end]).lower()
            self._body_at, self._status = end + 4, int(head[9:12])
            at = head.find(b"\r\ncontent-length:")
            self._size = int(head[at + 17 :].split(b"\r\n", 1)[0]) if at >= 0 else -1
        if self._size >= 0:
            over = len(self._data) >= self._body_at + self._size
        else:
            if not self._first and self._data.find(b"data:", self._body_at) >= 0:
                self._first = time.perf_counter()
            over = self._data.endswith(b"\r\n0\r\n\r\n")
        if over:
            self._tell(self._status)

    def connection_lost(self, error: Exception | None) -> None:
        self.alive = False
        self._tell(0)

    def _tell(self, status: int) -> None:
        if self._done is not None and not self._done.done():
            now = time.perf_counter()
            self._done.set_result(Reply(status, (self._first or now) - self._sent, now - self._sent))

    def close(self) -> None:
        self._out.close()


async def connect(port: int) -> Caller:
    _, caller = await asyncio.get_running_loop().create_connection(Caller, "127.0.0.1", port)
    return caller


async def closed(port: int, request: bytes, callers: int, count: int) -> tuple[list[Reply], float]:
    """`count` replies to so many callers, and the seconds that they took."""
    left = count

    async def one() -> list[Reply]:
        nonlocal left
        caller, found = await connect(port), []
        while left > 0:
            left -= 1
            found.append(await caller.ask(request))
        caller.close()
        return found

    start = time.perf_counter()
    every = await asyncio.gather(*(one() for _ in range(callers)))
    return [reply for some in every for reply in some], time.perf_counter() - start


async def open_loop(port: int, request: bytes, rate: float, seconds: float, *, patience_s: float = 30.0,
                    seed: int = 1) -> list[Reply]:  # fmt: skip
    """Replies to requests that come `rate` times a second, whoever waits."""
    dice, free, tasks = random.Random(seed), list[Caller](), list[asyncio.Task[Reply]]()

    async def one(due: float) -> Reply:
        try:
            async with asyncio.timeout(patience_s):
                caller = free.pop() if free else await connect(port)
                while not caller.alive:
                    caller = free.pop() if free else await connect(port)
                reply = await caller.ask(request)
        except (OSError, TimeoutError):
            return Reply(0, patience_s, patience_s)
        if caller.alive:
            free.append(caller)
        late = time.perf_counter() - due
        return Reply(reply.status, late - reply.total_s + reply.first_s, late)

    start = time.perf_counter()
    due = start
    while (due := due + dice.expovariate(rate)) < start + seconds:
        wait = due - time.perf_counter()
        if wait > 0.001:
            await asyncio.sleep(wait)
        tasks.append(asyncio.create_task(one(due)))
        if len(tasks) % 64 == 0:
            await asyncio.sleep(0)
    found = await asyncio.gather(*tasks)
    for caller in free:
        caller.close()
    return found
