"""The audit log: who did what, in OpenAI's event names, each entry chained to the one before by its hash.

The hash of an entry holds salted digests of who did it (`actor`) and of what was done (`body`), not the texts. So names
and addresses in them can be erased: their digest stays, and the chain is whole. The random salt is erased with
them, so the digest does not tell what they were. Old entries may be removed from the beginning of the chain only, and
its anchor says with which hash it goes on.
"""

import hashlib
import json
import secrets
from typing import Any

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.engine import Connection

from creuset.server.protect.tables import ANCHORS
from creuset.server.tenants.directory.rows import Row, as_json, every, from_json, new_id
from creuset.server.tenants.directory.tables import AUDIT

FIRST = "0" * 64  # stands before the first entry of an organization
HALF = 16  # hexadecimal digits of the salt of `actor`, and as many of that of `body`
GONE = "-" * HALF
ERASED = "erased"  # in a text whose rest was erased: its digest


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who changes something. `kind`: api_key, session, scim, command_line, or system."""

    kind: str
    id: str = ""  # of the key or the session
    user: str = ""
    email: str = ""
    service_account: str = ""
    address: str = ""


COMMAND_LINE = Actor(kind="command_line")
SYSTEM = Actor(kind="system")


def record(
    connection: Connection, organization: str, actor: Actor, type: str, body: Row, now: int, project: str | None = None
) -> None:
    """Append one entry."""
    last = select(AUDIT.c.hash).where(AUDIT.c.organization == organization).order_by(AUDIT.c.at.desc()).limit(1)
    entry: dict[str, Any] = {
        "id": new_id("audit_log"), "organization": organization, "effective": now, "type": type, "project": project,
        "actor": as_json(msgspec.to_builtins(actor)), "body": as_json(body), "salt": secrets.token_hex(HALF),
        "previous": connection.execute(last).scalar() or start_of(connection, organization)[0],
    }  # fmt: skip
    connection.execute(insert(AUDIT).values(**entry, hash=_hash(entry)))


def start_of(connection: Connection, organization: str) -> tuple[str, int]:
    """The hash that the oldest entry goes on from, and how many entries before it were removed as old."""
    query = select(ANCHORS.c.hash, ANCHORS.c.removed).where(ANCHORS.c.organization == organization)
    row = connection.execute(query).first()
    return (FIRST, 0) if row is None else (str(row[0]), int(row[1]))


def problems(connection: Connection, organization: str) -> list[str]:
    """Entries that were changed, removed or put in: empty when the chain is whole."""
    previous, removed = start_of(connection, organization)
    found, first = [], previous
    for row in every(connection, AUDIT, organization, order=[AUDIT.c.at]):
        if row["previous"] != previous:
            found.append(f"before {row['id']} something was removed or put in")
        if row["hash"] != _hash(row):
            found.append(f"{row['id']} was changed")
        previous = row["hash"]
    if previous == first and not removed:
        found.append("it is empty, and an organization is entered in it when it is made")
    return found


def erase_text(connection: Connection, row: Row, column: str, keep: tuple[str, ...]) -> None:
    """Erase what `actor` or `body` of an entry says, but for the fields in `keep`; the chain stays whole."""
    said, at = from_json(row[column]), 0 if column == "actor" else HALF
    if ERASED in said:
        return
    left = {name: said[name] for name in keep if name in said} | {ERASED: _digests(row)[column]}
    salt = row["salt"][:at] + GONE + row["salt"][at + HALF :]
    values = {column: as_json(left), "salt": salt}
    connection.execute(update(AUDIT).where(AUDIT.c.at == row["at"]).values(**values))
    row |= values


def _digests(entry: Row) -> dict[str, str]:
    found = {}
    for column, at in (("actor", 0), ("body", HALF)):
        text, salt = entry[column] or "", entry["salt"][at : at + HALF]
        if salt == GONE:
            found[column] = str((from_json(text) or {}).get(ERASED, "not there"))
        else:
            found[column] = hashlib.sha256(f"{salt}\n{text}".encode()).hexdigest()
    return found


def _hash(entry: Row) -> str:
    if entry["salt"]:
        said = [entry[name] for name in ("id", "organization", "effective", "type", "project")]
        parts = [*said, *_digests(entry).values(), entry["previous"]]
    else:  # as it was before entries had a salt
        names = ("id", "organization", "effective", "type", "project", "actor", "body", "previous")
        parts = [entry[name] for name in names]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
