"""API keys of the directory: shown once, kept as digests, limited, rotated, revoked.

Kinds: `project` (a user's or a service account's, in one project), `admin` (a user's, for the whole organization, and
never for asking models), `scim` (a program that creates and removes people), `operator` (made on the machine of the
server, to read its metrics). What a key may do is what its owner may do, less what the key itself leaves out.
"""

import ipaddress
from collections.abc import Sequence

from sqlalchemy import insert, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.sql import ColumnElement

from creuset.core.errors import RequestError
from creuset.server.tenants.directory.change import Change
from creuset.server.tenants.directory.rows import Row, as_json, by_id, from_json, new_id, nothing
from creuset.server.tenants.directory.tables import KEYS, PROJECTS, SERVICE_ACCOUNTS, USERS
from creuset.server.tenants.keys import new_key
from creuset.types.tenants import GRANTABLE, OPERATIONS_READ, SCIM

PROJECT, ADMIN, OPERATOR = "project", "admin", "operator"
FIXED = {SCIM: frozenset({SCIM}), OPERATOR: frozenset({OPERATIONS_READ})}  # scopes that do not depend on the owner
OVERLAP_S = 86_400  # after a rotation the old key works for a day


def issue(
    change: Change,
    organization: str,
    name: str,
    *,
    kind: str = PROJECT,
    project: str | None = None,
    user: str | None = None,
    service_account: str | None = None,
    scopes: Sequence[str] | None = None,
    expires: int | None = None,
    addresses: Sequence[str] | None = None,
    models: Sequence[str] | None = None,
    secret: str | None = None,
) -> tuple[Row, str]:
    """A new key: its row, and the key itself, which is not kept. RequestError names what is wrong.

    `secret`: a key that is known already, for tests of other programs.
    """
    if kind == PROJECT:
        by_id(change.connection, PROJECTS, organization, project or "", "project")
    if user is not None:
        by_id(change.connection, USERS, organization, user, "user")
    elif service_account is not None:
        by_id(change.connection, SERVICE_ACCOUNTS, organization, service_account, "service account")
    elif kind not in FIXED:
        raise RequestError("a key belongs to a user or to a service account", param="user_id")
    secret = secret or new_key()
    row: Row = {
        "id": new_id("key"), "organization": organization, "kind": kind,
        "project": project if kind == PROJECT else None, "user": user, "service_account": service_account,
        "name": name, "digest": change.pepper.digest(secret), "hint": f"{secret[:8]}...{secret[-4:]}",
        "scopes": as_json(checked_scopes(scopes)), "addresses": as_json(checked_addresses(addresses)),
        "models": as_json(None if models is None else sorted(set(models))), "created": change.now,
        "expires": checked_expiry(expires, change.now), "revoked": None, "used": None, "successor": None,
    }  # fmt: skip
    change.connection.execute(insert(KEYS).values(**row))
    change.audit(
        organization, "api_key.created", {"id": row["id"], "data": {"scopes": from_json(row["scopes"])}}, project
    )
    return row, secret


def key_of(connection: Connection, organization: str, id: str, *where: ColumnElement[bool]) -> Row:
    """A key that was not revoked. NotFound."""
    query = select(KEYS).where(KEYS.c.organization == organization, KEYS.c.id == id, KEYS.c.revoked.is_(None), *where)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise nothing("api key", id, "api_key_id")
    return dict(row)


def revoke(change: Change, organization: str, id: str, *where: ColumnElement[bool]) -> Row:
    row = key_of(change.connection, organization, id, *where)
    revoke_where(change, organization, KEYS.c.id == id)
    return row


def revoke_where(change: Change, organization: str, where: ColumnElement[bool]) -> None:
    """Stop all keys for which `where` holds."""
    mine = (KEYS.c.organization == organization, KEYS.c.revoked.is_(None), where)
    for id, project in change.connection.execute(select(KEYS.c.id, KEYS.c.project).where(*mine)).all():
        change.audit(organization, "api_key.deleted", {"id": id}, project)
    change.connection.execute(update(KEYS).where(*mine).values(revoked=change.now))


def rotate(change: Change, organization: str, id: str, *, overlap_s: int = OVERLAP_S) -> tuple[Row, str]:
    """A new key in the place of an old one, which goes on for `overlap_s` seconds."""
    old = key_of(change.connection, organization, id)
    if old["successor"] is not None:
        raise RequestError(f"the key `{id}` was rotated before: its successor is `{old['successor']}`", param="key_id")
    if overlap_s < 0:
        raise RequestError(f"`overlap` must not be negative, got {overlap_s}", param="overlap")
    lasts = None if old["expires"] is None else change.now + old["expires"] - old["created"]
    row, secret = issue(
        change, organization, old["name"], kind=old["kind"], project=old["project"], user=old["user"],
        service_account=old["service_account"], scopes=from_json(old["scopes"]), expires=lasts,
        addresses=from_json(old["addresses"]), models=from_json(old["models"]),
    )  # fmt: skip
    ends = change.now + overlap_s if old["expires"] is None else min(old["expires"], change.now + overlap_s)
    _set(change, organization, id, expires=ends, successor=row["id"])
    asked = {"expires_at": ends, "successor": row["id"]}
    change.audit(organization, "api_key.updated", {"id": id, "changes_requested": asked}, old["project"])
    return row, secret


def update_key(change: Change, organization: str, id: str, *, scopes: Sequence[str] | None, expires: int | None) -> Row:
    """Other scopes or another end; what is None stays."""
    row = key_of(change.connection, organization, id)
    if scopes is not None:
        row["scopes"] = as_json(checked_scopes(scopes))
    if expires is not None:
        row["expires"] = checked_expiry(expires, change.now)
    _set(change, organization, id, scopes=row["scopes"], expires=row["expires"])
    asked = {"scopes": from_json(row["scopes"])}
    change.audit(organization, "api_key.updated", {"id": id, "changes_requested": asked}, row["project"])
    return row


def checked_scopes(scopes: Sequence[str] | None) -> list[str] | None:
    for one in scopes or ():
        if one not in GRANTABLE:
            raise RequestError(
                f"`scopes` has `{one[:80]}`; a key can have {', '.join(sorted(GRANTABLE))}", param="scopes"
            )
    return None if scopes is None else sorted(set(scopes))


def checked_addresses(addresses: Sequence[str] | None) -> list[str] | None:
    """Networks in their usual writing: `192.0.2.7` is `192.0.2.7/32`."""
    found = []
    for one in addresses or ():
        try:
            found.append(str(ipaddress.ip_network(one.strip())))
        except ValueError as error:
            raise RequestError(f"`addresses` has `{one[:80]}`: {error}", param="addresses") from None
    return None if addresses is None else found


def checked_expiry(expires: int | None, now: int) -> int | None:
    if expires is not None and expires <= now:
        raise RequestError(
            f"a key must expire later than now, got {expires} and it is {now}", param="expires_in_seconds"
        )
    return expires


def _set(change: Change, organization: str, id: str, **values: object) -> None:
    mine = (KEYS.c.organization == organization, KEYS.c.id == id)
    change.connection.execute(update(KEYS).where(*mine).values(**values))
