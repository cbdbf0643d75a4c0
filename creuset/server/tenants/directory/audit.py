"""The audit log: who did what, in OpenAI's event names, each entry chained to the one before by its hash."""

import hashlib
import json
from typing import Any

import msgspec
from sqlalchemy import insert, select
from sqlalchemy.engine import Connection

from creuset.server.tenants.directory.rows import Row, as_json, every, new_id
from creuset.server.tenants.directory.tables import AUDIT

FIRST = "0" * 64  # stands before the first entry of an organization


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who changes something. `kind`: api_key, session, scim, command_line, or system."""

    kind: str
    id: str = ""  # of the key or the session
    user: str = ""
    email: str = ""
    service_account: str = ""
    address: str = ""


COMMAND_LINE = Actor(kind="command_line")


def record(
    connection: Connection, organization: str, actor: Actor, type: str, body: Row, now: int, project: str | None = None
) -> None:
    """Append one entry."""
    last = select(AUDIT.c.hash).where(AUDIT.c.organization == organization).order_by(AUDIT.c.at.desc()).limit(1)
    entry: dict[str, Any] = {
        "id": new_id("audit_log"), "organization": organization, "effective": now, "type": type, "project": project,
        "actor": as_json(msgspec.to_builtins(actor)), "body": as_json(body),
        "previous": connection.execute(last).scalar() or FIRST,
    }  # fmt: skip
    connection.execute(insert(AUDIT).values(**entry, hash=_hash(entry)))


def problems(connection: Connection, organization: str) -> list[str]:
    """Entries that were changed, removed or put in: empty when the chain is whole."""
    found, previous = [], FIRST
    for row in every(connection, AUDIT, organization, order=[AUDIT.c.at]):
        if row["previous"] != previous:
            found.append(f"before {row['id']} something was removed or put in")
        if row["hash"] != _hash(row):
            found.append(f"{row['id']} was changed")
        previous = row["hash"]
    return found


def _hash(entry: Row) -> str:
    names = ("id", "organization", "effective", "type", "project", "actor", "body", "previous")
    return hashlib.sha256(json.dumps([entry[name] for name in names]).encode()).hexdigest()
