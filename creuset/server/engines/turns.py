"""Places at another server, given out by class: those who wait take turns as types/fair_queue.py says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from creuset.types.fair_queue import FairQueue


class TurnGate:
    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: FairQueue[asyncio.Future[None]] = FairQueue()

    @asynccontextmanager
    async def place(self, tier: str = "default") -> AsyncIterator[None]:
        """A place, once it is this one's turn."""
        if self._free and not self._waiting:
            self._free -= 1
        else:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn, tier)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._pass_on()  # it had just got its place
                elif turn in self._waiting:
                    self._waiting.remove(turn)
                raise
        try:
            yield
        finally:
            self._pass_on()

    def _pass_on(self) -> None:
        while self._waiting:
            turn = next(iter(self._waiting))
            if turn.done():  # whoever waited was cancelled, and does not know yet
                self._waiting.remove(turn)
                continue
            self._waiting.serve(turn)
            turn.set_result(None)
            return
        self._free += 1
