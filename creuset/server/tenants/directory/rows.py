"""Reading the directory's tables. Nothing is found without its organization."""

import json
from collections.abc import Sequence
from secrets import token_hex
from typing import Any

from sqlalchemy import Table, and_, or_, select
from sqlalchemy.engine import Connection
from sqlalchemy.sql import ColumnElement

from creuset.core.errors import NotFound, RequestError

Row = dict[str, Any]


def new_id(kind: str) -> str:
    return f"{kind}_{token_hex(12)}"


def find(connection: Connection, table: Table, organization: str, *where: ColumnElement[bool]) -> Row | None:
    """The first row of the organization for which `where` holds."""
    row = connection.execute(select(table).where(table.c.organization == organization, *where)).mappings().first()
    return None if row is None else dict(row)


def by_id(connection: Connection, table: Table, organization: str, id: str, what: str, *, param: str = "") -> Row:
    """Raises NotFound, with the same words for what belongs to another organization and for what never was."""
    row = find(connection, table, organization, table.c.id == id)
    if row is None:
        raise nothing(what, id, param)
    return row


def nothing(what: str, id: str, param: str = "") -> NotFound:
    return NotFound(f"there is no {what} with the id `{id[:80]}`", param=param or f"{what.replace(' ', '_')}_id")


def every(
    connection: Connection, table: Table, organization: str, *where: ColumnElement[bool], order: Sequence[Any] = ()
) -> list[Row]:
    query = select(table).where(table.c.organization == organization, *where).order_by(*order)
    return [dict(row) for row in connection.execute(query).mappings()]


def page(
    connection: Connection,
    table: Table,
    organization: str,
    *where: ColumnElement[bool],
    after: str | None,
    limit: int,
    descending: bool = False,
    by: str = "created",
    id: str = "id",
) -> tuple[list[Row], bool]:
    """`limit` rows behind the one whose id is `after`, oldest first, or newest; and whether there are more.

    An `after` that is not there begins at the start of the list: the row may have been deleted meanwhile.
    """
    time, key = table.c[by], table.c[id]
    conditions = [table.c.organization == organization, *where]
    if after:
        start = connection.execute(select(time).where(*conditions, key == after)).scalar()
        if start is not None:
            behind = (time < start, key < after) if descending else (time > start, key > after)
            conditions.append(or_(behind[0], and_(time == start, behind[1])))
    order = (time.desc(), key.desc()) if descending else (time, key)
    query = select(table).where(*conditions).order_by(*order).limit(limit + 1)
    rows = [dict(row) for row in connection.execute(query).mappings()]
    return rows[:limit], len(rows) > limit


def taken(what: str, name: str, param: str) -> RequestError:
    """The refusal of a name that another one has."""
    error = RequestError(f"there is a {what} called `{name[:80]}` already", param=param, code="already_exists")
    error.status = 409
    return error


def as_json(value: Any) -> str | None:
    return None if value is None else json.dumps(value, sort_keys=True)


def from_json(text: str | None) -> Any:
    return None if text is None else json.loads(text)
