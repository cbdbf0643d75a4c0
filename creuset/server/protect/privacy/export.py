"""Everything that is kept of one person, as one JSON object: who they are, what they said, used and did.

Secrets are not in it: digests of keys and passwords tell a person nothing.
"""

import base64
from typing import Any

import msgspec
from sqlalchemy import or_, select
from sqlalchemy.engine import Connection

from creuset.server.protect.privacy.holds import holds_of
from creuset.server.protect.privacy.stores import STORES, Store, owned_by
from creuset.server.protect.tables import ERASURES, HELD
from creuset.server.protect.vault.vault import Vault
from creuset.server.tenants.directory import tables as t
from creuset.server.tenants.directory.people import user_of
from creuset.server.tenants.directory.rows import Row, every, from_json
from creuset.server.tenants.money.tables import USAGE

SECRET = {"digest", "password", "salt", "hash", "previous"}
_STORES = {store.name: store for store in STORES}


def export_user(connection: Connection, vault: Vault, organization: str, user: str) -> Row:
    """Raises NotFound, CannotOpen."""
    person = user_of(connection, organization, user)
    owned = owned_by(connection, organization, "user", user)
    found: Row = {"object": "creuset.export", "organization": organization, "user": _plain(person)}
    of_user: tuple[tuple[Any, str], ...] = (
        (t.KEYS, "user"), (t.SESSIONS, "user"), (t.GROUP_USERS, "user"), (t.MEMBERS, "member"),
        (t.ASSIGNMENTS, "principal"),
    )  # fmt: skip
    for table, column in of_user:
        found[table.name] = [_plain(row) for row in every(connection, table, organization, table.c[column] == user)]
    mail = t.INVITES.c.email == person["email"]
    found["invites"] = [_plain(row) for row in every(connection, t.INVITES, organization, mail)]
    content: dict[str, list[Row]] = {}
    for store in STORES:
        rows = connection.execute(select(store.table).where(store.owned(owned))).mappings()
        content[store.name] = [opened(vault, organization, store, dict(row)) for row in rows]
    kept = connection.execute(select(HELD).where(HELD.c.organization == organization, owned(HELD.c.owner))).mappings()
    for one in kept:
        store = _STORES[one["store"]]
        row = opened(vault, organization, store, msgspec.msgpack.decode(one["body"]))
        content.setdefault(store.name, []).append(row | {"deleted": one["deleted"]})
    found["content"] = content
    mine = (USAGE.c.organization == organization, USAGE.c.user == user)
    found["usage"] = [dict(row) for row in connection.execute(select(USAGE).where(*mine)).mappings()]
    named = or_(t.AUDIT.c.actor.contains(f'"{user}"'), t.AUDIT.c.body.contains(f'"{user}"'))
    found["audit_log"] = [
        _plain(row) | {name: from_json(row[name]) for name in ("actor", "body")}
        for row in every(connection, t.AUDIT, organization, named, order=[t.AUDIT.c.at])
    ]
    found["legal_holds"] = [one for one in holds_of(connection, organization) if one["subject"] == user]
    done = (ERASURES.c.subject == user,)
    found["erasures"] = [_plain(row) for row in every(connection, ERASURES, organization, *done)]
    return found


def opened(vault: Vault, organization: str, store: Store, row: Row) -> Row:
    """A row of content as it was before it was sealed: JSON where it is JSON, else base64."""
    plain = {name: _readable(value) if isinstance(value, bytes) else value for name, value in row.items()}
    return plain | {
        column: _readable(vault.open(organization, store.place(column, row), bytes(row[column])))
        for column in store.sealed
        if row.get(column) is not None
    }


def _readable(plain: bytes) -> Any:
    try:
        return msgspec.json.decode(plain)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {"base64": base64.b64encode(plain).decode()}


def _plain(row: Row) -> Row:
    return {name: value for name, value in row.items() if name not in SECRET}
