"""Books that several servers share: a batch of requests decided and written in one transaction of PostgreSQL.

It is the way that each request waits for, so it has a connection of its own, on the event loop, and two round trips:

    1  lock the counters, in one order for everybody; end holds; write usage, each line once
    2  write the reservations that `decide` made on those counters, the lines of the ledger, the counters; commit

Requests that have ended are settled first, so what they held is free for those that come in the same batch.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from creuset.core.errors import RequestError
from creuset.server.database import Database
from creuset.server.tenants.money.batch import Ask, WriteBatch
from creuset.server.tenants.money.counting import Key, Place, decide, settle
from creuset.server.tenants.money.ledger import (
    HOLD_NAMES,
    LEDGER_NAMES,
    USAGE_NAMES,
    Opening,
    Values,
    charged,
    moved,
    usage_row,
)
from creuset.server.tenants.money.limits import Limit, LimitCounter
from creuset.server.tenants.money.refusals import LedgerUnavailable
from creuset.server.tenants.money.tables import HOLDS, LEDGER, USAGE
from creuset.server.tenants.money.windows import Calendar, now_us

if TYPE_CHECKING:
    import psycopg

Told = dict[str, RequestError | LedgerUnavailable | None]  # by request; None: it is let in
CONNECT_S = 5  # for a connection to be made
SILENT_S = 10  # for the database to answer: a transaction that waits longer for its locks ends in an error


def _insert(table: Any, names: Sequence[str], more: str = "") -> str:
    """A statement that inserts rows given as one array for each column."""
    kinds = {"BIGINT": "bigint", "INTEGER": "bigint", "BOOLEAN": "boolean"}
    arrays = ", ".join(f"%s::{kinds.get(str(table.c[name].type), 'text')}[]" for name in names)
    columns = ", ".join(f'"{name}"' for name in names)
    return f"INSERT INTO {table.name} ({columns}) SELECT * FROM unnest({arrays}) {more}"


_LOCK = (
    'SELECT "limit", "subject", "period", "full", "spent", "held" FROM counters WHERE ("limit", "subject") IN '
    "(SELECT * FROM unnest(%s::text[], %s::text[])) ORDER BY 1, 2 FOR UPDATE"
)
_NOW = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
_END_HOLDS = "DELETE FROM holds WHERE request = ANY(%s::text[]) RETURNING request"
_ADD_USAGE = _insert(USAGE, USAGE_NAMES, "ON CONFLICT (request) DO NOTHING RETURNING request")
_ADD_HOLDS, _ADD_LINES = _insert(HOLDS, HOLD_NAMES), _insert(LEDGER, LEDGER_NAMES)
_BEGUN = (
    "SELECT request FROM holds WHERE request = ANY(%s::text[]) UNION "
    "SELECT request FROM ledger WHERE request = ANY(%s::text[]) AND step = 'reserve'"
)
_STORE = (
    'UPDATE counters SET "period" = n.period, "full" = n.full, "spent" = n.spent, "held" = n.held FROM '
    "unnest(%s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[]) "
    'AS n("limit", subject, period, "full", spent, held) '
    'WHERE counters."limit" = n."limit" AND counters.subject = n.subject'
)
_encode = msgspec.json.Encoder().encode


class SharedLedger:
    def __init__(self, database: Database, replica: str) -> None:
        self._database, self._replica = database, replica
        self.skew = 0  # microseconds by which the database's clock is before this machine's
        self._link: psycopg.AsyncConnection[tuple[Any, ...]] | None = None

    async def _connected(self) -> "psycopg.AsyncConnection[tuple[Any, ...]]":
        if self._link is None or self._link.closed:
            import psycopg

            engine = self._database.engine
            where: dict[str, Any] = dict(engine.dialect.create_connect_args(engine.url)[1])
            options = f"-c statement_timeout={SILENT_S}s -c lock_timeout={SILENT_S}s"
            where |= {"connect_timeout": CONNECT_S, "options": f"{where.get('options', '')} {options}".strip()}
            self._link = await psycopg.AsyncConnection.connect(**where, prepare_threshold=2)
        return self._link

    async def write(
        self, batch: WriteBatch, limits: Mapping[str, Limit], calendar: Calendar
    ) -> tuple[Told, list[Place], dict[Key, LimitCounter]]:
        """Write `batch`. Returns what its asks are told, the places where something was
        used, and the counters as they are now. Raises what the database raises; then nothing is known to be written.
        """
        link = await self._connected()
        try:
            return await self._written(link, batch, limits, calendar)
        except BaseException:
            self._link = None
            await link.close()
            raise

    async def _written(
        self, link: "psycopg.AsyncConnection[tuple[Any, ...]]", batch: WriteBatch, limits: Mapping[str, Limit],
        calendar: Calendar,
    ) -> tuple[Told, list[Place], dict[Key, LimitCounter]]:  # fmt: skip
        keys = {(limit.id, counter.subject) for ask in batch.asks for limit, counter in ask.places}
        keys |= {(claim.limit, claim.subject) for one in batch.closings for claim in one.opening.claims}
        ended = {one.opening.request: one for one in batch.closings}
        used = {one.opening.charged_as: one for _, one in sorted(ended.items()) if one.usage is not None}
        rows = [usage_row(one, one.usage) for one in used.values() if one.usage is not None]
        gone: Any = None
        spoken: Any = None
        async with link.pipeline():
            locked = await link.execute(_LOCK, _columns(sorted(keys), 2))
            clock = await link.execute(_NOW)
            if ended:
                gone = await link.execute(_END_HOLDS, (list(ended),))
            if rows:
                spoken = await link.execute(_ADD_USAGE, _columns(rows, len(USAGE_NAMES)))
            counters = {(row[0], row[1]): LimitCounter(*row) for row in await locked.fetchall()}
            now = int((await clock.fetchone() or (0,))[0])
            self.skew = now - now_us()
            opened = {row[0] for row in await gone.fetchall()} if ended else set[str]()
            new = {used[row[0]].opening.request for row in await spoken.fetchall()} if rows else set[str]()

            asks = batch.asks
            if batch.again and (noted := [ask.opening.request for ask in asks if not ask.waits]):
                known = await link.execute(_BEGUN, (noted, noted))
                stale = {row[0] for row in await known.fetchall()}
                asks = [ask for ask in asks if ask.waits or ask.opening.request not in stale]
            lines: list[Values] = []
            changed: list[Place] = []
            # Of those that were let in elsewhere, some have ended before this was written.
            short = [ask for ask in asks if ask.opening.request in ended]
            for opening in self._decided(short, counters, now, calendar)[1]:
                lines += moved(opening, "reserve", opening.amount)
                opened.add(opening.request)
            for id, one in ended.items():
                if id in opened:
                    lines += moved(one.opening, "release", -one.opening.amount)
                if id in new:
                    lines += charged(one)
                changed += settle(limits, counters, one, opened=id in opened, new=id in new)
            told, begun = self._decided([ask for ask in asks if ask not in short], counters, now, calendar)
            for opening in begun:
                lines += moved(opening, "reserve", opening.amount)
            if begun:
                holds = [(one.request, self._replica, one.at, _encode(one).decode()) for one in begun]
                await link.execute(_ADD_HOLDS, _columns(holds, 4))
            if lines:
                await link.execute(_ADD_LINES, _columns(lines, len(LEDGER_NAMES)))
            if counters and (begun or changed):
                every = [(o.limit, o.subject, o.period, o.full, o.spent, o.held) for o in counters.values()]
                await link.execute(_STORE, _columns(every, 6))
            await link.commit()
        return told, changed, counters

    def _decided(
        self, asks: Sequence[Ask], counters: Mapping[Key, LimitCounter], now: int, calendar: Calendar
    ) -> tuple[Told, list[Opening]]:
        told: Told = {}
        begun: list[Opening] = []
        for ask in asks:
            one = ask.opening
            places = [(limit, counters[key]) for limit, counter in ask.places
                      if (key := (limit.id, counter.subject)) in counters]  # fmt: skip
            one.at = now
            try:
                one.claims = decide(
                    places, tokens=ask.tokens, amount=one.amount, currency=one.currency, model=one.model, at=now,
                    calendar=calendar, granted=ask.granted,
                )  # fmt: skip
            except (RequestError, LedgerUnavailable) as refusal:
                told[one.request] = refusal
                continue
            told[one.request] = None
            begun.append(one)
        return told, begun

    async def close(self) -> None:
        if self._link is not None:
            await self._link.close()


def _columns(rows: Sequence[Sequence[Any]], width: int) -> list[list[Any]]:
    """Rows as one list for each of `width` columns."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]
