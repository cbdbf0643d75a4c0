"""Erasing a person, a project's content, or a closed organization: from every store, with a signed receipt.

Ids stay in the ledger, in lines of usage and in the audit log. They are random, and with the person's row gone they
lead to nobody. Names, addresses and everything that was said are deleted.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.engine import Connection

from creuset.core.errors import RequestError
from creuset.server.database import META
from creuset.server.protect.audit.redact import redact
from creuset.server.protect.privacy.holds import refuse_held
from creuset.server.protect.privacy.receipts import sign
from creuset.server.protect.privacy.retention import DAY_S, forget_invites
from creuset.server.protect.privacy.stores import OTHERS, SECRETS, STORES, owned_by
from creuset.server.protect.tables import DATA_KEYS, ERASURES, HELD, HOLDS, RULES
from creuset.server.tenants.directory import tables as t
from creuset.server.tenants.directory.people import remove_user, user_of
from creuset.server.tenants.directory.projects import project_of
from creuset.server.tenants.directory.rows import Row, as_json, by_id, find, from_json, new_id
from creuset.server.tenants.money.rules import Channel, changed
from creuset.server.tenants.money.tables import ALERTS, LEDGER, USAGE

if TYPE_CHECKING:
    from creuset.server.tenants.directory.change import Change

MOST_DAYS = 21  # a closed organization is erased within so many
KEPT = "random ids, counts and sums of money, which the law of accounts asks to keep; they lead to nobody"
OF_USER: tuple[tuple[Any, str], ...] = (  # rows beside `users` that say who somebody is
    (t.KEYS, "user"), (t.SESSIONS, "user"), (t.GROUP_USERS, "user"),
)  # fmt: skip


def erase_user(change: "Change", organization: str, user: str, sign_with: Any) -> Row:
    """Everything that one person said, and who they are. Returns the receipt. UnderHold, NotFound."""
    connection = change.connection
    row = user_of(connection, organization, user)
    refuse_held(connection, organization, "user", user)
    gone = _content(connection, organization, "user", user)
    remove_user(change, organization, user)  # refuses the last owner
    for table, column in OF_USER:
        here = (table.c.organization == organization, table.c[column] == user)
        _count(gone, table.name, connection.execute(delete(table).where(*here)).rowcount)
    gone["users"] = 1
    _count(gone, "invites", forget_invites(connection, organization, row["email"]))
    _count(gone, "spend_alerts (addresses)", _forget_mail(connection, organization, row["email"]))
    _count(gone, "audit_log (names and addresses)", redact(connection, organization, [user, row["email"]]))
    change.audit(organization, "user.erased", {"id": user})
    return _done(change, organization, "user", user, gone, sign_with)


def erase_project(change: "Change", organization: str, project: str, sign_with: Any) -> Row:
    """What was said in a project. The project itself stays, or is archived, as an administrator says."""
    project_of(change.connection, organization, project)
    refuse_held(change.connection, organization, "project", project)
    gone = _content(change.connection, organization, "project", project)
    change.audit(organization, "project.erased", {"id": project}, project)
    return _done(change, organization, "project", project, gone, sign_with)


def close_organization(change: "Change", organization: str, days: int = MOST_DAYS) -> Row:
    """Its keys stop now; everything is erased after `days`. Until then it can be opened again."""
    if not 0 <= days <= MOST_DAYS:
        raise RequestError(f"`days` must be between 0 and {MOST_DAYS}, got {days}", param="days")
    row = closing_of(change.connection, organization)
    if row is None:
        row = {
            "id": new_id("erasure"), "organization": organization, "kind": "organization", "subject": organization,
            "asked": change.now, "due": change.now + days * DAY_S, "done": None, "receipt": None,
        }  # fmt: skip
        change.connection.execute(insert(ERASURES).values(**row))
        asked = {"closed": True, "erased_at": row["due"]}
        change.audit(organization, "organization.updated", {"id": organization, "changes_requested": asked})
    return row


def reopen_organization(change: "Change", organization: str) -> None:
    """Undo `close_organization`, before anything was erased."""
    row = closing_of(change.connection, organization)
    if row is None or row["done"] is not None:
        raise RequestError(f"the organization {organization} is not closed, or is erased already")
    change.connection.execute(delete(ERASURES).where(ERASURES.c.id == row["id"]))
    change.audit(organization, "organization.updated", {"id": organization, "changes_requested": {"closed": False}})


def closing_of(connection: Connection, organization: str) -> Row | None:
    return find(connection, ERASURES, organization, ERASURES.c.kind == "organization")


def due(connection: Connection, now: int) -> list[str]:
    """Organizations whose time has come."""
    where = (ERASURES.c.kind == "organization", ERASURES.c.done.is_(None), ERASURES.c.due <= now)
    return list(connection.execute(select(ERASURES.c.subject).where(*where)).scalars())


def erase_organization(change: "Change", organization: str, sign_with: Any) -> Row:
    """Everything of a closed organization but its money and its receipts."""
    connection = change.connection
    closing = closing_of(connection, organization)
    if closing is None:
        raise RequestError(f"the organization {organization} is not closed", hint="close it first")
    refuse_held(connection, organization, "organization", organization)
    gone = _content(connection, organization, "organization", organization)
    for table in reversed(META.sorted_tables):
        kind = OTHERS.get(table.name)
        if kind in ("people", "audit") and table.name != "organizations" and "organization" in table.c:
            here = table.c.organization == organization
            _count(gone, table.name, connection.execute(delete(table).where(here)).rowcount)
    _count(gone, "spend_alerts", _forget_mail(connection, organization, None))
    for table in (DATA_KEYS, RULES, HOLDS, *(store.table for store in SECRETS)):
        _count(gone, table.name, connection.execute(delete(table).where(table.c.organization == organization)).rowcount)
    here = t.ORGANIZATIONS.c.id == organization
    _count(gone, "organizations", connection.execute(delete(t.ORGANIZATIONS).where(here)).rowcount)
    return _done(change, organization, "organization", organization, gone, sign_with, closing)


def receipt_of(connection: Connection, organization: str, id: str) -> Row:
    row = by_id(connection, ERASURES, organization, id, "receipt")
    found: Row = from_json(row["receipt"]) or {}
    return found


def _content(connection: Connection, organization: str, kind: str, subject: str) -> dict[str, int]:
    gone: dict[str, int] = {}
    owned: Callable[..., Any] = owned_by(connection, organization, kind, subject)
    for store in STORES:
        _count(gone, store.name, connection.execute(delete(store.table).where(store.owned(owned))).rowcount)
    rest = (HELD.c.organization == organization, owned(HELD.c.owner))
    _count(gone, HELD.name, connection.execute(delete(HELD).where(*rest)).rowcount)
    return gone


def _count(gone: dict[str, int], name: str, count: int) -> None:
    if count:
        gone[name] = gone.get(name, 0) + count


def _done(
    change: "Change", organization: str, kind: str, subject: str, gone: dict[str, int], sign_with: Any,
    closing: Row | None = None,
) -> Row:  # fmt: skip
    connection = change.connection
    mine: Any = USAGE.c.organization == organization
    if kind != "organization":
        mine = mine & (USAGE.c[kind] == subject)
    requests = select(USAGE.c.request).where(mine)
    kept = {
        "usage_lines": connection.execute(select(func.count()).select_from(USAGE).where(mine)).scalar(),
        "ledger": connection.execute(
            select(func.count()).select_from(LEDGER).where(LEDGER.c.request.in_(requests))
        ).scalar(),
        "why": KEPT,
    }
    id = closing["id"] if closing else new_id("erasure")
    asked, due_at = (closing["asked"], closing["due"]) if closing else (change.now, change.now)
    receipt = sign(sign_with, {
        "id": id, "organization": organization, "what": kind, "subject": subject, "asked_at": asked,
        "erased_at": change.now, "deleted": dict(sorted(gone.items())), "kept": kept,
    })  # fmt: skip
    row = {
        "id": id, "organization": organization, "kind": kind, "subject": subject, "asked": asked, "due": due_at,
        "done": change.now, "receipt": as_json(receipt),
    }  # fmt: skip
    if closing:
        connection.execute(update(ERASURES).where(ERASURES.c.id == id).values(**row))
    else:
        connection.execute(insert(ERASURES).values(**row))
    return receipt


def _forget_mail(connection: Connection, organization: str, email: str | None) -> int:
    """Take an address out of the alerts of an organization, or (None) take these away."""
    count = 0
    for row in connection.execute(select(ALERTS).where(ALERTS.c.organization == organization)).mappings().all():
        channel, here = msgspec.json.decode(row["channel"], type=Channel), ALERTS.c.id == row["id"]
        left = msgspec.structs.replace(channel, mail=tuple(one for one in channel.mail if one.lower() != email))
        if email is not None and left == channel:
            continue
        count += 1
        if email is None or not (left.mail or left.webhook):
            connection.execute(delete(ALERTS).where(here))
        else:
            connection.execute(update(ALERTS).where(here).values(channel=msgspec.json.encode(left).decode()))
    if count:
        changed(connection)
    return count
