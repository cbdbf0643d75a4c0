"""Books over a database, callers, and a PostgreSQL of our own."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from creuset.server.database import Database
from creuset.server.tenants.money import rules
from creuset.server.tenants.money.limits import Limit
from creuset.server.tenants.money.tables import COUNTERS, HOLDS, LEDGER, USAGE
from creuset.types.tenants import Caller

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


def _programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else (Path(at).parent if (at := shutil.which("initdb")) else None)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an empty server; skipped where PostgreSQL is not installed."""
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    folder = Path("/tmp") / f"creuset-postgres-{os.getpid()}"  # a socket's path must be short
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o777)
    options: dict[str, Any] = {"check": True, "capture_output": True, "cwd": folder}
    if os.geteuid() == 0:  # initdb refuses root
        who = pwd.getpwnam("nobody")
        os.chown(folder, who.pw_uid, who.pw_gid)
        options |= {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": ()}
    data = folder / "data"
    subprocess.run([programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-N"], **options)
    settings = f"-k {folder} -c listen_addresses= -c fsync=off -c max_connections=60"
    start = [programs / "pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", settings]
    subprocess.run([*start, "start"], **options | {"capture_output": False, "stdout": subprocess.DEVNULL})
    try:
        yield f"postgresql://postgres@/postgres?host={folder}"
    finally:
        subprocess.run([programs / "pg_ctl", "-D", data, "-m", "immediate", "stop"], **options)
        shutil.rmtree(folder, ignore_errors=True)


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
