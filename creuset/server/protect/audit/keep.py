"""How long the audit log is kept, and the entries that say who read what.

Entries are removed from the beginning of an organization's chain only, and its anchor keeps the hash with which the
rest goes on. So a log whose old entries were removed is whole, and one that lost others is not.
"""

from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.engine import Connection

from creuset.server.protect.tables import ANCHORS
from creuset.server.tenants.directory.audit import Actor, record, start_of
from creuset.server.tenants.directory.tables import AUDIT, STATE
from creuset.types.tenants import Caller

DAY_S = 86_400
# What is kept of people, and who may read it: route, the event, and the place in the address that names it.
READS = {
    "/v1/responses/{id}": ("response.retrieved", "id"),
    "/v1/responses/{id}/input_items": ("response.input_items.listed", "id"),
    "/v1/conversations/{id}": ("conversation.retrieved", "id"),
    "/v1/conversations/{id}/items": ("conversation.items.listed", "id"),
    "/v1/conversations/{id}/items/{item}": ("conversation.item.retrieved", "item"),
    "/v1/files/{file_id}/content": ("file.content.retrieved", "file_id"),
    "/v1/organization/audit_logs": ("audit_logs.listed", ""),
}
# Events that OpenAI has no name for: their clients refuse them, so they are listed where they are asked for by name.
OWN_EVENTS = frozenset({
    *(event for event, _ in READS.values()), "user.exported", "user.erased", "project.erased", "legal_hold.created",
    "legal_hold.deleted",
})  # fmt: skip


def prune(connection: Connection, now: int, days: int) -> int:
    """Remove entries older than `days`. How many."""
    gone = 0
    lock_chain(connection)
    old = AUDIT.c.effective < now - days * DAY_S
    for organization in connection.execute(select(AUDIT.c.organization).where(old).distinct()).scalars().all():
        mine = AUDIT.c.organization == organization
        young = connection.execute(select(func.min(AUDIT.c.at)).where(mine, ~old)).scalar()
        where = (mine, old) if young is None else (mine, AUDIT.c.at < young)
        last = connection.execute(select(AUDIT.c.hash).where(*where).order_by(AUDIT.c.at.desc()).limit(1)).scalar()
        if last is None:
            continue
        count = connection.execute(delete(AUDIT).where(*where)).rowcount
        _, before = start_of(connection, organization)
        connection.execute(delete(ANCHORS).where(ANCHORS.c.organization == organization))
        connection.execute(
            insert(ANCHORS).values(organization=organization, hash=last, removed=before + count, pruned=now)
        )
        gone += count
    return gone


def note_read(connection: Connection, who: Caller, address: str, route: str, places: Any, now: int) -> None:
    """Append that `who` has read what is at `route`."""
    lock_chain(connection)
    type, place = READS[route]
    kind = "session" if who.key.startswith("session_") else "api_key"
    actor = Actor(kind=kind, id=who.key, user=who.user, service_account=who.service_account, address=address)
    body = {"id": str(places[place]) if place else who.organization}
    record(connection, who.organization, actor, type, body, now, who.project or None)


def lock_chain(connection: Connection) -> None:
    """Whoever appends waits here for the others, so that the log is one chain; the directory's changes do the same."""
    connection.execute(update(STATE).values(version=STATE.c.version))
