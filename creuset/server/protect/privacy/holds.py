"""Legal holds: what a user, a project or an organization has said is not deleted by anybody until the hold is lifted.

Whoever deletes something under a hold is told that it is gone, and does not find it again. The row itself goes to
`held_rows`, still sealed, where an export for the court finds it. Retention leaves rows under a hold where they are,
and an erasure is refused.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.sql import ColumnElement

from creuset.core.errors import RequestError
from creuset.server.files.tables import FILES
from creuset.server.protect.privacy.stores import KINDS, STORES, Store, owned_by
from creuset.server.protect.tables import HELD, HOLDS
from creuset.server.tenants.directory.rows import Row, by_id, every, new_id

if TYPE_CHECKING:
    from creuset.server.tenants.directory.change import Change

_BY_NAME = {store.name: store for store in STORES}


class UnderHold(RequestError):
    """It cannot be erased now."""

    status = 409
    code = "legal_hold"


def place_hold(change: "Change", organization: str, kind: str, subject: str, reason: str) -> Row:
    if kind not in KINDS:
        raise RequestError(f"`kind` must be user, project or organization, got `{kind[:40]}`", param="kind")
    if not reason.strip():
        raise RequestError("`reason` is required: what the hold is for", param="reason")
    row: Row = {
        "id": new_id("hold"), "organization": organization, "kind": kind, "subject": subject, "reason": reason,
        "created": change.now, "lifted": None,
    }  # fmt: skip
    change.connection.execute(insert(HOLDS).values(**row))
    change.audit(organization, "legal_hold.created", {"id": row["id"], "data": {"kind": kind, "subject": subject}})
    return row


def lift_hold(change: "Change", organization: str, id: str) -> Row:
    """What was deleted under it meanwhile is deleted now, unless another hold covers it."""
    row = by_id(change.connection, HOLDS, organization, id, "legal hold")
    if row["lifted"] is None:
        row["lifted"] = change.now
        change.connection.execute(update(HOLDS).where(HOLDS.c.id == id).values(lifted=change.now))
        left = change.connection.execute(select(HELD.c.at, HELD.c.owner).where(HELD.c.organization == organization))
        for at, owner in left.all():
            if not held(change.connection, organization, owner):
                change.connection.execute(delete(HELD).where(HELD.c.at == at))
        change.audit(organization, "legal_hold.deleted", {"id": id})
    return row


def holds_of(connection: Connection, organization: str, *, lifted: bool = False) -> list[Row]:
    where = () if lifted else (HOLDS.c.lifted.is_(None),)
    return every(connection, HOLDS, organization, *where, order=[HOLDS.c.created, HOLDS.c.id])


def held(connection: Connection, organization: str, owner: str) -> bool:
    """Whether what belongs to `owner` is under a hold."""
    project, _, principal = owner.partition("/")
    return any(
        one["kind"] == "organization" or one["subject"] == (project if one["kind"] == "project" else principal)
        for one in holds_of(connection, organization)
    )


def refuse_held(connection: Connection, organization: str, kind: str, subject: str) -> None:
    """Raises UnderHold where anything that an erasure would delete is under a hold."""
    for one in holds_of(connection, organization):
        if kind == "organization" or one["kind"] == "organization" or one["subject"] == subject:
            raise UnderHold(
                f"the {kind} {subject} is under the legal hold {one['id']}",
                hint=f"lift it first: creuset privacy lift {one['id']}",
            )


def free_of_holds(connection: Connection, organization: str, store: Store) -> list[ColumnElement[bool]]:
    """Conditions that leave out rows of the organization that are under a hold."""
    return [
        ~store.owned(owned_by(connection, organization, one["kind"], one["subject"]))
        for one in holds_of(connection, organization)
    ]


def put_away(connection: Connection, file: ColumnElement[bool], pieces: ColumnElement[bool]) -> None:
    """Before a file is deleted, by its owner or because it has expired: as `preserve`."""
    if connection.execute(select(HOLDS.c.id).where(HOLDS.c.lifted.is_(None)).limit(1)).first() is None:
        return
    row = connection.execute(select(FILES.c.owner, FILES.c.organization, FILES.c.created).where(file)).first()
    if row is not None:
        for store, where in ((_BY_NAME["files"], file), (_BY_NAME["file_pieces"], pieces)):
            preserve(connection, row.organization, row.owner, store, [where], row.created)


def preserve(
    connection: Connection, organization: str, owner: str, store: Store, where: Sequence[ColumnElement[bool]], now: int
) -> None:
    """Before rows of `owner` are deleted: put them away, where there is a hold."""
    if not held(connection, organization, owner):
        return
    for found in connection.execute(select(store.table).where(*where)).mappings().all():
        body: Any = msgspec.msgpack.encode(dict(found))
        connection.execute(insert(HELD).values(
            organization=organization, owner=owner, store=store.name, body=body, deleted=now
        ))  # fmt: skip
