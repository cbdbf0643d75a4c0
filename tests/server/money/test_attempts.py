"""Several attempts at one thing, such as a line of a batch: it is charged once."""

import asyncio

from sqlalchemy import select

from creuset.server.database import Database
from creuset.server.tenants.money.tables import USAGE
from creuset.types.served import ServedBy
from creuset.types.usage import TokenUsage

from .conftest import MODEL, caller, limit, proven, set_limits
from .test_books import opened, price


def test_two_attempts_at_one_thing_are_charged_once() -> None:
    async def main() -> None:
        database = Database()
        set_limits(database, limit(amount=10_000))
        gate = opened(database)
        await gate.start()
        for attempt in ("a1", "a2"):
            hold = await gate.admit(
                caller(),
                MODEL,
                request=attempt,
                prompt_tokens=100,
                max_tokens=50,
                served=ServedBy(tier="batch"),
                charge_as="batch_1:0",
            )
            hold.settle(TokenUsage(input=100, output=10))
        await gate.stop()
        found = proven(database)
        assert (found["rows"], found["spent"]) == (1, price(100, 0, 10) // 2)
        with database.reading() as connection:
            assert connection.execute(select(USAGE.c.request, USAGE.c.tier)).all() == [("batch_1:0", "batch")]
        database.close()

    asyncio.run(main())
