"""Several servers on one PostgreSQL count as one: random load, a server killed, the database gone and back."""

import asyncio
import random
from typing import Any

import pytest
from sqlalchemy import func, select, text

from creuset.core.errors import RequestError
from creuset.server.database import Database
from creuset.server.tenants.gate import MoneyGate
from creuset.server.tenants.money.books import Books
from creuset.server.tenants.money.journal import UsageJournal
from creuset.server.tenants.money.refusals import LedgerUnavailable, QuotaSpent
from creuset.server.tenants.money.tables import COUNTERS, HOLDS, USAGE
from creuset.types.usage import TokenUsage

from .conftest import limit, proven, set_limits
from .test_books import admit

pytestmark = pytest.mark.slow


class Server:
    """Books of one of several servers, with a connection pool of its own."""

    def __init__(self, url: str, **options: Any) -> None:
        self.database = Database(url)
        self.gate = MoneyGate(Books(self.database, **options))

    async def __aenter__(self) -> "Server":
        await self.gate.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.gate.stop()
        self.database.close()

    async def vanish(self) -> None:
        """As if it were killed: it says nothing any more."""
        for task in self.gate.books._tasks:
            task.cancel()
        await asyncio.wait(self.gate.books._tasks)
        assert self.gate.books._ledger is not None
        await self.gate.books._ledger.close()
        self.database.close()


def test_servers_together_never_spend_above_a_budget_nor_pass_a_limit(postgres_database):
    async def run() -> None:
        first = Database(postgres_database)
        set_limits(
            first, limit(amount=60_000), limit(kind="group", subject="g", amount=25_000),
            limit(what="requests", window="hour", amount=150), limit(what="concurrent", amount=30),
        )  # fmt: skip
        servers = [Server(postgres_database) for _ in range(4)]
        for one in servers:
            await one.gate.start()
        dice, told = random.Random(12), {"in": 0, "settled": 0, "cost": 0}

        async def client(at: int) -> None:
            gate = servers[at % 4].gate
            for turn in range(6):
                groups = ("g",) if at % 3 == 0 else ()
                try:
                    hold = await admit(gate, f"r{at}-{turn}", key=f"k{at}", groups=groups)
                except RequestError:
                    continue
                told["in"] += 1
                for _ in range(dice.randrange(3)):
                    await asyncio.sleep(0)
                if dice.random() < 0.2:
                    hold.release()
                else:
                    output = dice.randrange(51)
                    hold.settle(TokenUsage(input=100, output=output))
                    hold.settle(TokenUsage(input=100, output=output))
                    told["settled"] += 1
                    told["cost"] += 250 + 10 * output

        await asyncio.gather(*(client(at) for at in range(100)))
        for one in servers:
            await one.__aexit__()
        assert proven(first) == {"spent": told["cost"], "rows": told["settled"], "held": 0}
        assert 0 < told["in"] <= 151 and told["cost"] <= 60_000  # an hour's limit gives one back in 24 seconds
        with first.reading() as connection:
            grouped = connection.execute(select(func.sum(USAGE.c.cost)).where(USAGE.c.groups == "g,")).scalar()
            counted = set(connection.execute(select(COUNTERS.c.spent).where(COUNTERS.c.subject == "g")).scalars())
        assert counted == {grouped} and grouped <= 25_000
        first.close()

    asyncio.run(run())


def test_the_holds_of_a_server_that_died_end_and_what_it_charges_later_counts_once(postgres_database):
    async def run() -> None:
        first = Database(postgres_database)
        set_limits(first, limit(amount=1500))
        dying = Server(postgres_database, lease_s=1.0)
        await dying.gate.start()
        await admit(dying.gate, "a")
        late = await admit(dying.gate, "b")
        async with Server(postgres_database, lease_s=1.0) as other:
            with pytest.raises(QuotaSpent, match=r"0\.0015 USD are reserved by requests that run"):
                await admit(other.gate, "c")
            await dying.vanish()
            async with asyncio.timeout(20):
                while rows(first, HOLDS):
                    await asyncio.sleep(0.05)
            hold = await admit(other.gate, "d")
            # It was only slow: what it used is charged, though its reservation is gone.
            revived = Server(postgres_database)
            await revived.gate.start()
            revived.gate.books._open["b"] = dying.gate.books._open["b"]
            late.books = revived.gate.books
            late.settle(TokenUsage(input=100, output=10))
            await revived.gate.stop()
            revived.database.close()
            hold.settle(TokenUsage(input=100, output=50))
        assert proven(first) == {"spent": 350 + 750, "rows": 2, "held": 0}
        with first.reading() as connection:
            assert connection.execute(select(COUNTERS.c.spent)).scalar() == 1100
        first.close()

    asyncio.run(run())


def rows(database: Database, table: Any) -> int:
    with database.reading() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar() or 0


def test_postgresql_gone_and_back_loses_and_doubles_nothing(postgres_service, postgres_database, tmp_path):
    async def run() -> None:
        journal = UsageJournal(tmp_path, "srv")
        first = Database(postgres_database)
        set_limits(first, limit(amount=10_000))
        first.close()
        server = Server(postgres_database, journal=journal)
        await server.gate.start()
        running = [await admit(server.gate, f"a{at}") for at in range(3)]
        postgres_service.stop()
        try:
            running[0].settle(TokenUsage(input=100, output=50))
            with pytest.raises(LedgerUnavailable):
                await admit(server.gate, "b")
            running[1].settle(TokenUsage(input=100, output=50))
            assert journal.size > 0
            with pytest.raises(LedgerUnavailable):
                await admit(server.gate, "c")
        finally:
            postgres_service.start()
        async with asyncio.timeout(30):
            while server.gate.books.down:
                await asyncio.sleep(0.05)
        running[2].settle(TokenUsage(input=100))
        (await admit(server.gate, "d")).settle(TokenUsage(input=100))
        await server.gate.stop()
        assert proven(server.database) == {"spent": 750 + 750 + 250 + 250, "rows": 4, "held": 0}
        with server.database.reading() as connection:
            assert connection.execute(text("SELECT spent FROM counters")).scalar() == 2000
        server.database.close()

    asyncio.run(run())
