"""Limits in Redis: the script says what `decide` says, servers share it, and losing it is counting in PostgreSQL."""

import asyncio
import random
from typing import Any

import pytest
from sqlalchemy import func, select

from creuset.core.errors import RequestError
from creuset.server.database import Database
from creuset.server.tenants.gate import MoneyHold
from creuset.server.tenants.money.counting import begin_of, decide, settle
from creuset.server.tenants.money.ledger import Closing, Opening
from creuset.server.tenants.money.limits import LimitCounter
from creuset.server.tenants.money.refusals import QuotaSpent, RateLimited
from creuset.server.tenants.money.tables import COUNTERS, USAGE
from creuset.server.tenants.money.windows import Calendar, now_us
from creuset.server.tenants.replicas import generation
from creuset.server.tenants.replicas.redis_limits import RedisLimits
from creuset.types.usage import TokenUsage

from .conftest import limit, proven, set_limits
from .test_books import admit
from .test_postgres import Server

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis is used again half a second after it was lost."""
    monkeypatch.setattr(generation, "BACK_S", 0.5)


@pytest.mark.parametrize("seed", range(4))
def test_the_script_says_what_the_definition_says(redis_service, seed):
    """On random requests; where a bucket refills meanwhile, the definition is asked at the script's own moment."""

    async def run() -> None:
        dice, calendar = random.Random(seed), Calendar()
        limits = [
            limit(id="a", what="requests", window="day", amount=dice.randrange(60, 120)),
            limit(id="b", what="tokens", window="hour", amount=9000, burst=dice.choice([None, 500, 3000])),
            limit(id="c", what="requests", window="month", amount=dice.choice([None, 90])),
            limit(id="d", what="tokens", window="total", amount=dice.choice([None, 12000])),
            limit(id="e", what="concurrent", amount=dice.randrange(1, 8)),
        ]
        known = {one.id: one for one in limits}
        mine = {(one.id, "proj"): LimitCounter(one.id, "proj", begin_of(one, calendar, now_us())[0]) for one in limits}

        async def load(keys: Any) -> Any:
            return {key: LimitCounter(*key, mine[key].period) for key in keys}

        redis = RedisLimits(redis_service.url, load, pytest.fail)
        redis.prefix = "test"
        running: list[Opening] = []
        refused = 0
        for turn in range(150):
            tokens, opening = dice.choice([1, 20, 100, 400]), Opening(request=f"r{turn}", at=0, model="m")
            theirs = [(one, LimitCounter(one.id, "proj")) for one in limits]
            try:
                assert await redis.reserve(theirs, opening, tokens, calendar, now_us())
                said = True
            except RateLimited:
                said, refused = False, refused + 1
            if said:
                places = [(one, mine[one.id, "proj"]) for one in limits]
                opening.claims = decide(
                    places, tokens=tokens, amount=0, currency="", model="m", at=now_us(), calendar=calendar
                )
                running.append(opening)
            else:
                with pytest.raises(RateLimited):
                    places = [(one, mine[one.id, "proj"]) for one in limits]
                    decide(places, tokens=tokens, amount=0, currency="", model="m", at=now_us(), calendar=calendar)
            while running and dice.random() < 0.45:
                one = running.pop(dice.randrange(len(running)))
                usage = TokenUsage(input=dice.randrange(30), output=dice.randrange(60)) if dice.random() < 0.8 else None
                closing = Closing(opening=one, status="completed", usage=usage)
                settle(known, mine, closing, opened=True, new=usage is not None)
                redis.settle(known, closing)
        assert refused > 10 and refused < 140
        await redis.close()

    asyncio.run(run())


def test_servers_that_share_redis_never_pass_a_limit_and_the_database_has_it_all(redis_service, postgres_database):
    async def run() -> None:
        first = Database(postgres_database)
        set_limits(
            first, limit(what="requests", window="day", amount=60), limit(what="concurrent", amount=7),
            limit(what="tokens", window="month", amount=10**6),
        )  # fmt: skip
        servers = [Server(postgres_database, redis=redis_service.url) for _ in range(3)]
        for one in servers:
            await one.gate.start()
        told, running, most = {"in": 0, "tokens": 0}, 0, 0
        dice = random.Random(3)

        async def client(at: int) -> None:
            nonlocal running, most
            for turn in range(8):
                try:
                    hold = await admit(servers[at % 3].gate, f"r{at}-{turn}")
                except RateLimited:
                    await asyncio.sleep(0.01)
                    continue
                told["in"] += 1
                running += 1
                most = max(most, running)
                await asyncio.sleep(dice.random() / 100)
                running -= 1
                used = dice.randrange(100)
                told["tokens"] += used
                hold.settle(TokenUsage(input=used))

        await asyncio.gather(*(client(at) for at in range(30)))
        assert all(one.gate.books._redis.limits.prefix for one in servers)
        for one in servers:
            await one.__aexit__()
        assert 55 <= told["in"] <= 60 and most <= 7
        found = proven(first)
        assert found["rows"] == told["in"] and found["held"] == 0
        with first.reading() as connection:
            assert told["tokens"] in set(connection.execute(select(COUNTERS.c.spent)).scalars())
        first.close()

    asyncio.run(run())


def test_without_redis_they_count_in_the_database_and_with_it_again_nothing_is_forgotten(
    redis_service, postgres_database
):
    async def run() -> None:
        first = Database(postgres_database)
        set_limits(first, limit(what="requests", window="month", amount=30))
        async with (
            Server(postgres_database, redis=redis_service.url) as a,
            Server(postgres_database, redis=redis_service.url) as b,
        ):

            async def some(count: int, name: str) -> int:
                let_in = 0
                for at in range(count):
                    try:
                        hold = await admit((a, b)[at % 2].gate, f"{name}{at}")
                    except RateLimited:
                        continue
                    let_in += 1
                    hold.settle(TokenUsage(input=1))
                return let_in

            async def switched(on: bool) -> None:
                async with asyncio.timeout(20):
                    while not all(bool(one.gate.books._redis.limits.prefix) is on for one in (a, b)):
                        await asyncio.sleep(0.02)

            assert await some(10, "x") == 10
            redis_service.stop()
            assert await some(10, "y") == 10  # the first to ask notices
            await switched(False)
            redis_service.start()
            await switched(True)
            assert await some(20, "z") == 10
            async with asyncio.timeout(20):  # what was let in last is told to the database some milliseconds later
                while rows_of(first) < 30:
                    await asyncio.sleep(0.02)
            redis_service.stop()
            assert await some(4, "w") == 0
        assert proven(first)["rows"] == 30
        first.close()

    asyncio.run(run())


def rows_of(database: Database) -> int:
    with database.reading() as connection:
        return connection.execute(select(func.count()).select_from(USAGE)).scalar() or 0


def test_budgets_are_strict_beside_redis_and_a_server_that_died_leaves_no_load(redis_service, postgres_database):
    async def run() -> None:
        first = Database(postgres_database)
        set_limits(first, limit(amount=1500), limit(what="concurrent", amount=2))
        dying = Server(postgres_database, redis=redis_service.url, lease_s=1.0)
        await dying.gate.start()
        held = [await admit(dying.gate, name) for name in ("a", "b")]  # 750 each
        async with Server(postgres_database, redis=redis_service.url, lease_s=1.0) as other:
            with pytest.raises(RateLimited, match="at a time"):
                await admit(other.gate, "c")
            held[1].release()
            async with asyncio.timeout(5):
                while True:
                    try:
                        await admit(other.gate, "d")
                        break
                    except RequestError:
                        await asyncio.sleep(0.02)
            with pytest.raises(RateLimited):
                await admit(other.gate, "e")
            await dying.gate.books._redis.close()
            dying.gate.books._redis = None
            await dying.vanish()
            async with asyncio.timeout(20):
                while True:  # the place of the one that died is free; its money as well
                    try:
                        hold = await admit(other.gate, "f")
                        break
                    except (RateLimited, QuotaSpent):
                        await asyncio.sleep(0.05)
            hold.settle(TokenUsage(input=100, output=50))
            opening = other.gate.books._open["d"][0]
            MoneyHold(other.gate.books, opening, None, ()).release()
        assert proven(first) == {"spent": 750, "rows": 1, "held": 0}
        first.close()

    asyncio.run(run())
