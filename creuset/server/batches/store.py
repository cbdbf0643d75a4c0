"""Batches and their lines in the database: who carries a batch out, how far it is, what its lines were answered."""

from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

import msgspec
from sqlalchemy import and_, case, func, insert, or_, select, update
from sqlalchemy.engine import Connection

from creuset.server.batches.batch import BatchRecord, BatchTally
from creuset.server.batches.tables import BATCHES, LINES
from creuset.server.database import Database
from creuset.server.protect.vault.vault import Vault, place
from creuset.server.tenants.money.tables import USAGE

MANY = 500  # rows of one statement
COUNTED = ("input", "cached", "output", "reasoning", "least", "most")


class LineDone(msgspec.Struct, frozen=True, kw_only=True):
    """How a line ended: a line of the output file, or of the error file."""

    batch: str
    at: int
    state: str
    result: bytes
    input: int = 0
    cached: int = 0
    output: int = 0
    reasoning: int = 0
    least: int = 0
    most: int = 0
    currency: str = ""


class BatchStore:
    def __init__(self, database: Database, vault: Vault | None = None) -> None:
        self.database, self.vault = database, vault or Vault(database)

    async def add(self, batch: BatchRecord) -> None:
        row = {
            "id": batch.id, "owner": batch.owner, "organization": batch.organization, "project": batch.project,
            "key": batch.key, "created": batch.created_at, "open": 1, "replica": "", "lease": 0,
            "body": msgspec.json.encode(batch),
        }  # fmt: skip
        await self.database.run(lambda connection: connection.execute(insert(BATCHES).values(**row)) and None)

    async def find(self, owner: str, id: str) -> tuple[BatchRecord, BatchTally] | None:
        def work(connection: Connection) -> tuple[BatchRecord, BatchTally] | None:
            query = select(BATCHES).where(BATCHES.c.owner == owner, BATCHES.c.id == id)
            row = connection.execute(query).mappings().first()
            return None if row is None else (_batch(row), tally(connection, id))

        return await self.database.read(work)

    async def listed(self, owner: str, after: str | None, limit: int) -> list[tuple[BatchRecord, BatchTally]] | None:
        """A page, newest first, and one more; None where there is no batch `after`."""

        def work(connection: Connection) -> list[tuple[BatchRecord, BatchTally]] | None:
            query = select(BATCHES).where(BATCHES.c.owner == owner)
            if after is not None:
                mine = select(BATCHES.c.created).where(BATCHES.c.owner == owner, BATCHES.c.id == after)
                one = connection.execute(mine).scalar()
                if one is None:
                    return None
                earlier = and_(BATCHES.c.created == one, BATCHES.c.id < after)
                query = query.where(or_(BATCHES.c.created < one, earlier))
            query = query.order_by(BATCHES.c.created.desc(), BATCHES.c.id.desc()).limit(limit + 1)
            rows = list(connection.execute(query).mappings())
            return [(_batch(row), tally(connection, row["id"])) for row in rows]

        return await self.database.read(work)

    async def cancel(self, owner: str, id: str, now: int) -> None:
        """Ask whoever carries it out to stop. A batch that is over stays what it is."""

        def work(connection: Connection) -> None:
            mine = and_(
                BATCHES.c.owner == owner, BATCHES.c.id == id, BATCHES.c.open == 1, BATCHES.c.cancelling.is_(None)
            )
            connection.execute(update(BATCHES).where(mine).values(cancelling=now))

        await self.database.run(work)

    # -- carrying out

    async def claim(self, replica: str, now: int, lease_s: int, *, alone: bool) -> list[BatchRecord]:
        """Open batches that nobody carries out now, taken by `replica`. `alone`: no other server is there."""

        def work(connection: Connection) -> list[BatchRecord]:
            free = BATCHES.c.replica != replica if alone else or_(BATCHES.c.replica == "", BATCHES.c.lease < now)
            query = select(BATCHES.c.id).where(BATCHES.c.open == 1, BATCHES.c.replica != replica, free)
            taken = []
            for id in list(connection.execute(query.order_by(BATCHES.c.created).limit(20)).scalars()):
                mine = update(BATCHES).where(BATCHES.c.id == id, BATCHES.c.open == 1, free)
                if connection.execute(mine.values(replica=replica, lease=now + lease_s)).rowcount:
                    row = connection.execute(select(BATCHES).where(BATCHES.c.id == id)).mappings().one()
                    taken.append(_batch(row))
            return taken

        return await self.database.run(work)

    async def renew(self, replica: str, now: int, lease_s: int) -> dict[str, int | None]:
        """Keep what `replica` carries out: the id of each of its open batches, and since when it is cancelled."""

        def work(connection: Connection) -> dict[str, int | None]:
            mine = and_(BATCHES.c.replica == replica, BATCHES.c.open == 1)
            connection.execute(update(BATCHES).where(mine).values(lease=now + lease_s))
            rows = connection.execute(select(BATCHES.c.id, BATCHES.c.cancelling).where(mine))
            return {row.id: row.cancelling for row in rows}

        return await self.database.run(work)

    async def let_go(self, replica: str) -> None:
        """Others may go on with what `replica` carried out."""

        def work(connection: Connection) -> None:
            mine = and_(BATCHES.c.replica == replica, BATCHES.c.open == 1)
            connection.execute(update(BATCHES).where(mine).values(replica="", lease=0))

        await self.database.run(work)

    async def save(self, batch: BatchRecord, replica: str) -> bool:
        """False: another server carries it out by now."""

        def work(connection: Connection) -> bool:
            mine = update(BATCHES).where(BATCHES.c.id == batch.id, BATCHES.c.replica == replica)
            return (
                connection.execute(mine.values(body=msgspec.json.encode(batch), open=int(not batch.over))).rowcount > 0
            )

        return await self.database.run(work)

    # -- lines

    async def add_lines(self, batch: str, places: Sequence[tuple[int, int]]) -> None:
        """Put the lines down, each once, also where an earlier try had put down some."""
        known = await self.database.read(lambda connection: tally(connection, batch).total)
        nothing = {"state": "waiting", "input": 0, "cached": 0, "output": 0, "reasoning": 0, "least": 0, "most": 0,
                   "currency": ""}  # fmt: skip
        rows = [{"batch": batch, "at": at, "begin": begin, "size": size} | nothing
                for at, (begin, size) in enumerate(places)][known:]  # fmt: skip
        for first in range(0, len(rows), MANY):
            await self.database.run(partial(_insert, rows[first : first + MANY]))

    async def waiting(self, batch: str, after: int) -> list[tuple[int, int, int, bool]]:
        """The next lines behind `after` that have no answer: number, begin, size, and whether each was charged."""

        def work(connection: Connection) -> list[tuple[int, int, int, bool]]:
            mine = and_(LINES.c.batch == batch, LINES.c.state == "waiting", LINES.c.at > after)
            query = select(LINES.c.at, LINES.c.begin, LINES.c.size).where(mine).order_by(LINES.c.at).limit(100)
            rows = connection.execute(query).all()
            names = [charge_name(batch, row.at) for row in rows]
            charged = set(connection.execute(select(USAGE.c.request).where(USAGE.c.request.in_(names))).scalars())
            return [(row.at, row.begin, row.size, charge_name(batch, row.at) in charged) for row in rows]

        return await self.database.read(work)

    async def done(self, organization: str, lines: Sequence[LineDone]) -> None:
        """Keep how these lines ended; of two answers to one line, the first."""
        sealed = [self.vault.seal(organization, _sealed_as(line.batch, line.at), line.result) for line in lines]

        def work(connection: Connection) -> None:
            for line, result in zip(lines, sealed, strict=True):
                values = msgspec.structs.asdict(line) | {"result": result}
                batch, at = values.pop("batch"), values.pop("at")
                mine = and_(LINES.c.batch == batch, LINES.c.at == at, LINES.c.state == "waiting")
                connection.execute(update(LINES).where(mine).values(**values))

        await self.database.run(work)

    async def results(self, organization: str, batch: str, state: str) -> AsyncIterator[bytes]:
        """The lines of the output file (`completed`), or of the error file (`failed`), in the order of the input."""
        after = -1
        while True:
            rows = await self.database.read(partial(_results, batch, state, after))
            if not rows:
                return
            after = rows[-1].at
            for row in rows:
                yield self.vault.open(organization, _sealed_as(batch, row.at), bytes(row.result))

    async def forget_results(self, batch: str) -> None:
        """They are in the batch's files."""
        await self.database.run(
            lambda connection: (
                connection.execute(update(LINES).where(LINES.c.batch == batch).values(result=None)) and None
            )
        )


def _sealed_as(batch: str, at: int) -> str:
    return place(LINES.name, "result", f"{batch}:{at}")


def charge_name(batch: str, at: int) -> str:
    """Under which the ledger charges a line, whatever its attempts."""
    return f"{batch}:{at}"


def tally(connection: Connection, batch: str) -> BatchTally:
    sums = [func.coalesce(func.sum(LINES.c[name]), 0) for name in COUNTED]
    states = [
        func.coalesce(func.sum(case((LINES.c.state == state, 1), else_=0)), 0) for state in ("completed", "failed")
    ]
    query = select(func.count(), *states, *sums, func.coalesce(func.max(LINES.c.currency), ""))
    *numbers, currency = connection.execute(query.where(LINES.c.batch == batch)).one()
    names = ("total", "completed", "failed", *COUNTED)
    return BatchTally(currency=currency, **{name: int(value) for name, value in zip(names, numbers, strict=True)})


def _insert(rows: list[dict[str, Any]], connection: Connection) -> None:
    connection.execute(insert(LINES), rows)


def _results(batch: str, state: str, after: int, connection: Connection) -> list[Any]:
    mine = and_(LINES.c.batch == batch, LINES.c.state == state, LINES.c.at > after, LINES.c.result.is_not(None))
    return list(connection.execute(select(LINES.c.at, LINES.c.result).where(mine).order_by(LINES.c.at).limit(50)))


def _batch(row: Any) -> BatchRecord:
    batch = msgspec.json.decode(row["body"], type=BatchRecord)
    if row["cancelling"] is not None and not batch.over:
        batch.status, batch.cancelling_at = "cancelling", row["cancelling"]
    return batch
