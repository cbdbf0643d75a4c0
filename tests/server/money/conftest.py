"""Books over a database, callers, and a PostgreSQL of our own."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from creuset.server.database import Database
from creuset.server.tenants.money import rules
from creuset.server.tenants.money.limits import Limit
from creuset.server.tenants.money.tables import COUNTERS, HOLDS, LEDGER, USAGE
from creuset.types.tenants import Caller
from tests.services import Postgres, Redis, postgres_programs, postgres_server, redis_program, redis_server

MODEL = ("gpt-4o",)  # 2.50, 1.25 cached, 10.00 for a million tokens
NOW = 1_780_000_000  # a day in May 2026


def caller(key: str = "k1", **more: Any) -> Caller:
    return Caller(**{"owner": "ann", "key": key, "organization": "org", "project": "proj", "user": "ann"} | more)


def limit(**more: Any) -> Limit:
    plain = {"id": "", "organization": "org", "kind": "project", "subject": "proj", "what": "money", "amount": 10_000}
    plain |= {"currency": "USD", "window": "month"} if more.get("what", "money") == "money" else {}
    return Limit(**plain | more)


def set_limits(database: Database, *limits: Limit) -> list[Limit]:
    with database.transaction() as connection:
        return [rules.set_limit(connection, one) for one in limits]


def proven(database: Database) -> dict[str, int]:
    """What the database says when nothing runs, after the identities of double entry were checked on it."""
    with database.reading() as connection:
        assert connection.execute(select(func.count()).select_from(HOLDS)).scalar() == 0, "a hold is left"
        sums = dict(
            connection.execute(select(LEDGER.c.account, func.sum(LEDGER.c.amount)).group_by(LEDGER.c.account)).all()
        )
        steps = select(func.sum(LEDGER.c.amount)).group_by(LEDGER.c.request, LEDGER.c.step)
        assert set(connection.execute(steps).scalars()) <= {0}, "the lines of each step add up to 0"
        assert sum(sums.values()) == 0
        assert all(not total for account, total in sums.items() if account.startswith(("reserved/", "available/")))
        spent = sum(total for account, total in sums.items() if account.startswith("spent/"))
        assert spent == sum(row.cost for row in connection.execute(select(USAGE.c.cost))), "ledger = usage x price"
        rows = connection.execute(select(func.count()).select_from(USAGE)).scalar() or 0
        return {"spent": int(spent), "rows": int(rows), "held": _held(connection)}


def _held(connection: Connection) -> int:
    return int(connection.execute(select(func.sum(COUNTERS.c.held))).scalar() or 0)


# -- PostgreSQL: Debian's, in a folder of its own, on a Unix socket, for as long as the tests run


@pytest.fixture(scope="session")
def postgres_service() -> Iterator[Postgres]:
    """An empty server; skipped where PostgreSQL is not installed."""
    programs = postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    with postgres_server(programs) as server:
        yield server


@pytest.fixture(scope="session")
def postgres(postgres_service: Postgres) -> str:
    """Its address."""
    return postgres_service.url


@pytest.fixture
def redis_service() -> Iterator[Redis]:
    """An empty Redis; skipped where neither Redis nor Valkey is installed."""
    program = redis_program()
    if program is None:
        pytest.skip("Redis is not installed: apt-get install redis-server")
    with redis_server(program) as server:
        yield server


@pytest.fixture
def postgres_database(postgres: str) -> Iterator[str]:
    """The address of an empty database."""
    import psycopg

    name = f"d{os.urandom(6).hex()}"
    plain = postgres.replace("/postgres?", "/{}?")
    with psycopg.connect(plain.format("postgres"), autocommit=True) as link:
        link.execute(f"CREATE DATABASE {name}")
    yield plain.format(name)
    with psycopg.connect(plain.format("postgres"), autocommit=True) as link:
        link.execute(f"DROP DATABASE {name} WITH (FORCE)")
