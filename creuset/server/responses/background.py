"""Responses that go on without their client: started, followed by any number of readers, cancelled."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from creuset.core.errors import EngineError, RequestError
from creuset.server.engines.client import ClientDisconnected
from creuset.server.responses.reply import ResponseReply
from creuset.server.stream import EventSource

WAIT_S = 60.0


@dataclass(slots=True, eq=False)
class Running:
    """One response being written, and all its events so far."""

    owner: str
    reply: ResponseReply
    generation: EventSource
    events: list[dict[str, Any]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    ended: bool = False
    final: dict[str, Any] = field(default_factory=dict)
    cancelled: bool = False
    forgotten: bool = False  # it was deleted: nothing of it is kept

    def as_json(self) -> dict[str, Any]:
        return self.final if self.ended else self.reply.as_json("in_progress")

    def tell(self, events: list[dict[str, Any]]) -> None:
        self.events += events
        self.news.set()
        self.news = asyncio.Event()

    async def run(self) -> None:
        """Read the generation to its end, whoever listens."""
        self.tell(self.reply.opening())
        try:
            while self.generation.unread:
                for index, event in await self.generation.batch(WAIT_S):
                    self.tell(self.reply.feed(index, event))
            last = self.reply.closing()
        except (EngineError, RequestError, ClientDisconnected) as error:
            ended = self.reply.failed(error, "cancelled" if self.cancelled else "failed")
            kind = "response.incomplete" if self.cancelled else "response.failed"
            last = [self.reply.numbered.event(kind, response=ended)]
        self.final, self.ended = last[-1]["response"], True
        self.tell(last)

    def cancel(self) -> None:
        self.cancelled = True
        self.generation.cancel()
        self.generation.hang_up()

    async def follow(self, after: int, heartbeat_s: float) -> AsyncIterator[list[dict[str, Any]]]:
        """Events numbered above `after`, as they come; an empty list when none came for `heartbeat_s`."""
        sent = 0
        while True:
            news = self.news
            fresh = [event for event in self.events[sent:] if event["sequence_number"] > after]
            sent = len(self.events)
            if fresh:
                yield fresh
            if self.ended and sent == len(self.events):
                return
            try:
                async with asyncio.timeout(heartbeat_s):
                    await news.wait()
            except TimeoutError:
                yield []
