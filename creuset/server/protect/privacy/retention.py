"""Deleting what is too old, by the rules of each project; a server does it every hour (`protection.py`).

Content that is under a legal hold stays. Money has a floor: lines of usage and of the ledger are kept for
MONEY_FLOOR_DAYS at least, since the law of accounts asks for ten years (France: Code de commerce, L123-22).
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.engine import Connection

from creuset.core.errors import RequestError
from creuset.server.protect.privacy.holds import free_of_holds
from creuset.server.protect.privacy.rules import Policies
from creuset.server.protect.privacy.stores import STORES, owned_by
from creuset.server.tenants.directory.tables import INVITES, PROJECTS, SESSIONS
from creuset.server.tenants.money.tables import LEDGER, USAGE

DAY_S = 86_400
MONEY_FLOOR_DAYS = 3_653  # ten years
MICRO = 1_000_000


def sweep(connection: Connection, now: int) -> dict[str, int]:
    """Delete what is too old at `now`, Unix seconds. Returns how many rows of each table."""
    policies, gone = Policies(connection), dict[str, int]()
    for project, organization in connection.execute(select(PROJECTS.c.id, PROJECTS.c.organization)).all():
        policy = policies.of(organization, project)
        days = policy.days if policy.keeps else 0
        if days is None:
            continue
        for store in STORES:
            where = [store.owned(owned_by(connection, organization, "project", project))]
            where += [store.older(now - days * DAY_S + (1 if days == 0 else 0))]
            count = connection.execute(
                delete(store.table).where(*where, *free_of_holds(connection, organization, store))
            ).rowcount
            if count:
                gone[store.name] = gone.get(store.name, 0) + count
    connection.execute(delete(SESSIONS).where(SESSIONS.c.expires <= now))
    return gone


def drop_old_money(connection: Connection, organization: str, days: int, now: int) -> Mapping[str, int]:
    """Delete lines of usage and of the ledger older than `days`, by whole requests, so that what is left adds up to 0.

    RequestError below the floor.
    """
    if days < MONEY_FLOOR_DAYS:
        raise RequestError(
            f"lines of money are kept for {MONEY_FLOOR_DAYS} days at least (ten years), got {days}", param="days"
        )
    old = (USAGE.c.organization == organization, USAGE.c.at < (now - days * DAY_S) * MICRO)
    requests = select(USAGE.c.request).where(*old)
    lines = connection.execute(delete(LEDGER).where(LEDGER.c.request.in_(requests))).rowcount
    return {"ledger": lines, "usage_lines": connection.execute(delete(USAGE).where(*old)).rowcount}


def forget_invites(connection: Connection, organization: str, email: str) -> int:
    """Invites that were sent to an address."""
    here = (INVITES.c.organization == organization, INVITES.c.email == email)
    return connection.execute(delete(INVITES).where(*here)).rowcount


def wipe(engine: Any, *, rewrite: bool = True) -> None:
    """Overwrite what was deleted: SQLite's log is emptied and (`rewrite`) its file written anew, which also takes what
    versions before 0.3 deleted; PostgreSQL's tables are vacuumed.

    SQLite waits for readers; a log that is still in use then is emptied when this is called again.
    """
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM")
        return
    empty = "PRAGMA wal_checkpoint(TRUNCATE)"
    raw = engine.raw_connection()
    try:
        cursor = raw.cursor()
        for statement in (empty, "VACUUM", empty) if rewrite else (empty,):
            cursor.execute(statement)
            cursor.fetchall()
        cursor.close()
    finally:
        raw.close()
