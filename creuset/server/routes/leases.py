"""How many requests run at each target, counted in leases that expire.

A server counts its own exactly. With a database that several servers share, each says what it has running every
second, for some seconds: a server that is killed says nothing any more, and what it said is gone when it expires.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from sqlalchemy import delete, func, select
from sqlalchemy.engine import Connection

from creuset.server.database import Database
from creuset.server.routes.tables import LEASES
from creuset.server.tenants.money.counting import now_of
from creuset.server.tenants.money.dialects import upsert

SAY_S = 1.0  # how often a server says what it has running
LIVE_S = 4.0  # how long that holds


class TargetLeases:
    """`shared`: the database of several servers; None: this server counts alone."""

    def __init__(
        self, replica: str, shared: Database | None = None, *,
        on_error: Callable[[Exception], object] = lambda _: None, live_s: float = LIVE_S,
        now: Callable[[Connection], int] = now_of,
    ) -> None:  # fmt: skip
        """`now`: the clock that all servers share, microseconds: the database's."""
        self._now = now
        self.replica, self._shared, self._on_error, self._live_s = replica, shared, on_error, live_s
        self._mine: Counter[str] = Counter()
        self._others: dict[str, int] = {}
        self._said: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    def running(self, target: str) -> int:
        return self._mine[target] + self._others.get(target, 0)

    def take(self, target: str) -> None:
        self._mine[target] += 1

    def drop(self, target: str) -> None:
        self._mine[target] -= 1
        assert self._mine[target] >= 0, f"more leases of {target} were dropped than taken"

    def start(self) -> None:
        if self._shared is not None:
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            with suppress(Exception):
                assert self._shared is not None
                await self._shared.run(
                    lambda link: link.execute(delete(LEASES).where(LEASES.c.replica == self.replica))
                )

    async def _run(self) -> None:
        while True:
            try:
                await self.exchange()
            except Exception as error:
                self._others = {}  # nobody knows: better to ask than to rest
                self._on_error(error)
            await asyncio.sleep(SAY_S)

    async def exchange(self) -> None:
        """Say what runs here, and hear what runs elsewhere."""
        assert self._shared is not None
        mine = {target: count for target, count in self._mine.items() if count or target in self._said}
        self._others = await self._shared.run(lambda link: self._exchanged(link, mine))
        self._said = {target for target, count in mine.items() if count}

    def _exchanged(self, connection: Connection, mine: dict[str, int]) -> dict[str, int]:
        now = self._now(connection)
        until = now + int(self._live_s * 1e6)
        rows = [{"replica": self.replica, "target": target, "running": count, "expires": until}
                for target, count in sorted(mine.items())]  # fmt: skip
        if rows:
            upsert(connection, LEASES, rows, keys=("replica", "target"))
        others = (LEASES.c.replica != self.replica) & (LEASES.c.expires > now)
        query = select(LEASES.c.target, func.sum(LEASES.c.running)).where(others).group_by(LEASES.c.target)
        return {target: int(count) for target, count in connection.execute(query)}
