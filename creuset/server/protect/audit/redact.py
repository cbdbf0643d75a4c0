"""Names and addresses of an erased person leave the audit log; its chain of hashes stays whole (directory/audit.py)."""

from collections.abc import Sequence

from sqlalchemy import or_
from sqlalchemy.engine import Connection

from creuset.server.tenants.directory.audit import ERASED, erase_text
from creuset.server.tenants.directory.rows import every, from_json
from creuset.server.tenants.directory.tables import AUDIT

OF_ACTOR = ("kind", "id", "user")


def redact(connection: Connection, organization: str, needles: Sequence[str]) -> int:
    """Erase who and what, where one of `needles`, the id and the address of a person, is named. How many entries."""
    count = 0
    named = or_(*(column.contains(one, autoescape=True) for one in needles for column in (AUDIT.c.actor, AUDIT.c.body)))
    for row in every(connection, AUDIT, organization, named):
        before = (row["actor"], row["body"])
        if any(one in row["actor"] for one in needles):
            erase_text(connection, row, "actor", OF_ACTOR)
        body = from_json(row["body"]) or {}
        if any(one in row["body"] for one in needles) and set(body) - {"id", ERASED}:
            erase_text(connection, row, "body", ("id",))
        count += (row["actor"], row["body"]) != before
    return count
