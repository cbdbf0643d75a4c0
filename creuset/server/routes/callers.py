"""Who still asks for a name that is deprecated or has ended: counted in memory, written every second."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from creuset.server.database import Database
from creuset.server.routes.tables import NAME_CALLS
from creuset.types.tenants import Caller

WRITE_S = 1.0
Row = dict[str, Any]
_KEY = ("name", "organization", "key", "day")


class NameCallers:
    def __init__(
        self, database: Database | None = None, *, clock: Callable[[], float] = time.time,
        on_error: Callable[[Exception], object] = lambda _: None,
    ) -> None:  # fmt: skip
        self._database, self._clock, self._on_error = database, clock, on_error
        self._new: dict[tuple[str, str, str, int], Row] = {}
        self._task: asyncio.Task[None] | None = None

    def note(self, name: str, who: Caller | None, *, refused: bool = False) -> None:
        """`who` asked for `name`; `refused`: it has ended."""
        now = self._clock()
        day = int(datetime.fromtimestamp(now, UTC).strftime("%Y%m%d"))
        at = (name, who.organization if who else "", who.key if who else "", day)
        row = self._new.setdefault(at, dict(zip(_KEY, at, strict=True)) | {
            "project": who.project if who else "", "user": who.user if who else "",
            "service_account": who.service_account if who else "", "calls": 0, "refused": 0, "last": 0,
        })  # fmt: skip
        row["refused" if refused else "calls"] += 1
        row["last"] = int(now * 1e6)

    def start(self) -> None:
        if self._database is not None:
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            await self.write()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(WRITE_S)
            await self.write()

    async def write(self) -> None:
        if self._database is None or not self._new:
            return
        rows, self._new = list(self._new.values()), {}
        try:
            await self._database.run(lambda connection: add_calls(connection, rows))
        except Exception as error:
            self._on_error(error)


def add_calls(connection: Connection, rows: list[Row]) -> None:
    """Add these counts to those that are there."""
    from sqlalchemy.dialects import postgresql, sqlite

    made = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(NAME_CALLS)
    table = NAME_CALLS.c
    connection.execute(
        made.on_conflict_do_update(
            index_elements=list(_KEY),
            set_={
                "calls": table.calls + made.excluded.calls, "refused": table.refused + made.excluded.refused,
                "last": made.excluded.last,
            },
        ),
        rows,
    )  # fmt: skip


def read_calls(connection: Connection, organization: str | None = None, since_day: int = 0) -> list[Row]:
    """Who asked for which old name on which day; the newest first."""
    query = select(NAME_CALLS).where(NAME_CALLS.c.day >= since_day)
    if organization is not None:
        query = query.where(NAME_CALLS.c.organization == organization)
    return [dict(row) for row in connection.execute(query.order_by(NAME_CALLS.c.last.desc())).mappings()]
