"""Whether Redis is used now: servers that share a database agree on it there.

A server that cannot reach Redis says so in a row of PostgreSQL, again and again; whoever reads that within BACK_S
counts in PostgreSQL. When nobody has said so for BACK_S all begin with Redis again, at the same moment of the
database's clock, in a new generation of counters. So they never count apart for longer than one look (LOOK_S of the
books), and what was counted in PostgreSQL meanwhile is not forgotten.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping

from sqlalchemy import select
from sqlalchemy.engine import Connection

from creuset.server.database import Database
from creuset.server.tenants.money import counting
from creuset.server.tenants.money.batch import REDIS_LOST
from creuset.server.tenants.money.dialects import upsert
from creuset.server.tenants.money.ledger import Opening
from creuset.server.tenants.money.limits import Limit
from creuset.server.tenants.money.tables import REPLICAS
from creuset.server.tenants.replicas.redis_limits import LEASE_S, Load, RedisLimits

BACK_S = 5.0


class RedisGeneration:
    def __init__(self, url: str, database: Database, load: Load, on_error: Callable[[str, Exception], object]) -> None:
        self._database, self._on_error = database, on_error
        self.limits = RedisLimits(url, load, self._on_lost)
        self._lost = True  # it was not reached yet
        self._renewed = 0.0
        self._later: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def _on_lost(self, error: Exception) -> None:
        self._lost = True
        self._on_error("redis", error)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._say())

    async def _say(self) -> None:
        try:
            await self._database.run(say_lost)
        except Exception as error:  # without both nothing is let in
            self._on_error("database", error)

    async def look(self, version: int, limits: Mapping[str, Limit], running: Iterable[Opening]) -> None:
        """Begin to use Redis, or stop. `version`: of the limits."""
        if self._lost:
            if await self.limits.answers():
                self._lost = False
            else:
                self.limits.prefix = ""
                await self._say()
                return
        lost, now = await self._database.read(lost_at)
        left = (lost - now) / 1e6 + BACK_S if lost else 0.0
        prefix = f"creuset:{version}:{lost}"
        if self._later is not None:
            self._later.cancel()
        if left > 0:
            self.limits.prefix = ""
            self._later = asyncio.get_running_loop().call_later(left, self._begin, prefix, limits, list(running))
            return
        loop = asyncio.get_running_loop()
        if self.limits.prefix != prefix or loop.time() > self._renewed + LEASE_S / 3:
            self._begin(prefix, limits, running)

    def _begin(self, prefix: str, limits: Mapping[str, Limit], running: Iterable[Opening]) -> None:
        if not self._lost:
            self.limits.prefix = prefix
            self._renewed = asyncio.get_running_loop().time()
            self.limits.renew(limits, running)

    async def close(self) -> None:
        if self._later is not None:
            self._later.cancel()
        if self._task is not None:
            await asyncio.wait((self._task,))
        await self.limits.close()


def say_lost(connection: Connection) -> None:
    upsert(connection, REPLICAS, [{"id": REDIS_LOST, "seen": counting.now_of(connection)}], keys=("id",))


def lost_at(connection: Connection) -> tuple[int, int]:
    """When somebody last said that Redis is lost (0: nobody has), and the database's time."""
    seen = connection.execute(select(REPLICAS.c.seen).where(REPLICAS.c.id == REDIS_LOST)).scalar()
    return int(seen or 0), counting.now_of(connection)
