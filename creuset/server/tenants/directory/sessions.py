"""Sessions of people who have signed on: opaque tokens, kept as digests, ended one by one or all together."""

import secrets

from sqlalchemy import delete, insert, select
from sqlalchemy.engine import Connection

from creuset.core.errors import NotAllowed
from creuset.server.tenants.directory.change import Change
from creuset.server.tenants.directory.rows import Row, every, new_id, nothing
from creuset.server.tenants.directory.tables import SESSIONS, USERS

LASTS_S = 12 * 3600
REFUSED = "the address or the password is wrong"


def candidates(connection: Connection, email: str, organization: str | None) -> list[Row]:
    """Active users with this address: one in each organization at most."""
    query = select(USERS).where(USERS.c.email == email.strip().lower(), USERS.c.active)
    if organization is not None:
        query = query.where(USERS.c.organization == organization)
    return [dict(row) for row in connection.execute(query).mappings()]


def begin(change: Change, user: Row, before: str = "") -> str:
    """The token of a new session. The session that the browser had `before` ends."""
    token = secrets.token_urlsafe(32)
    if before:
        change.connection.execute(delete(SESSIONS).where(SESSIONS.c.digest == change.pepper.digest(before)))
    row = {
        "id": new_id("session"), "organization": user["organization"], "user": user["id"],
        "digest": change.pepper.digest(token), "created": change.now, "seen": change.now,
        "expires": change.now + LASTS_S, "address": change.actor.address,
    }  # fmt: skip
    change.connection.execute(insert(SESSIONS).values(**row))
    change.audit(user["organization"], "login.succeeded", {"id": row["id"]})
    return token


def failed(change: Change, users: list[Row]) -> None:
    """Say in the audit log of each that somebody tried."""
    for user in users:
        change.audit(user["organization"], "login.failed", {"id": user["id"], "error_code": "invalid_password"})


def sessions_of(connection: Connection, organization: str, user: str) -> list[Row]:
    return every(connection, SESSIONS, organization, SESSIONS.c.user == user, order=[SESSIONS.c.created])


def end(change: Change, organization: str, user: str, id: str) -> None:
    mine = (SESSIONS.c.organization == organization, SESSIONS.c.user == user, SESSIONS.c.id == id)
    if not change.connection.execute(delete(SESSIONS).where(*mine)).rowcount:
        raise nothing("session", id)
    change.audit(organization, "logout.succeeded", {"id": id})


def wrong() -> NotAllowed:
    return NotAllowed(REFUSED, code="invalid_login")
