"""Users, groups and invites of an organization."""

import re
from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Connection

from creuset.core.errors import RequestError
from creuset.server.tenants.directory.change import Change
from creuset.server.tenants.directory.keys import revoke_where
from creuset.server.tenants.directory.projects import add_member, forget_principal, project_of
from creuset.server.tenants.directory.roles import OWNER, READER, project_role
from creuset.server.tenants.directory.rows import Row, as_json, by_id, find, from_json, new_id, nothing, taken
from creuset.server.tenants.directory.tables import GROUP_USERS, GROUPS, INVITES, KEYS, SESSIONS, USERS
from creuset.server.tenants.keys import new_key

INVITE_S = 7 * 86_400
_EMAIL = re.compile(r"[^\s@\"<>()\[\],;:\\]{1,64}@[^\s@\"<>()\[\],;:\\]{1,190}")


def create_user(change: Change, organization: str, email: str, name: str = "", role: str = READER, **more: Any) -> Row:
    """`more`: other columns. RequestError for an address that is none, or that somebody has."""
    email = checked_email(email)
    if find(change.connection, USERS, organization, USERS.c.email == email) is not None:
        raise taken("user", email, "email")
    row: Row = {
        "id": new_id("user"), "organization": organization, "email": email, "name": name or email.partition("@")[0],
        "role": checked_role(role), "active": True, "created": change.now, "password": None, "subject": None,
        "scim": False, "external_id": None, "details": None, **more,
    }  # fmt: skip
    change.connection.execute(insert(USERS).values(**row))
    change.audit(organization, "user.added", {"id": row["id"], "data": {"role": role}})
    return row


def user_of(connection: Connection, organization: str, id: str) -> Row:
    return by_id(connection, USERS, organization, id, "user")


def update_user(change: Change, organization: str, id: str, **values: Any) -> Row:
    """Other columns of a user. One who is not active has no sessions any more, and keys that do not work."""
    row = user_of(change.connection, organization, id)
    if "email" in values:
        values["email"] = checked_email(values["email"])
        other = find(change.connection, USERS, organization, USERS.c.email == values["email"], USERS.c.id != id)
        if other is not None:
            raise taken("user", values["email"], "email")
    if "role" in values:
        checked_role(values["role"])
    if row["role"] == OWNER and (values.get("role", OWNER) != OWNER or values.get("active") is False):
        _another_owner(change.connection, organization, id)
    mine = (USERS.c.organization == organization, USERS.c.id == id)
    change.connection.execute(update(USERS).where(*mine).values(**values))
    if values.get("active") is False or "password" in values:
        end_sessions(change, organization, id)
    told = {name: value for name, value in values.items() if name in ("role", "active", "email", "name")}
    change.audit(organization, "user.updated", {"id": id, "changes_requested": told})
    return row | values


def remove_user(change: Change, organization: str, id: str) -> None:
    """The keys and sessions of a removed user stop. The last owner stays."""
    row = user_of(change.connection, organization, id)
    if row["role"] == OWNER and row["active"]:
        _another_owner(change.connection, organization, id)
    revoke_where(change, organization, KEYS.c.user == id)
    end_sessions(change, organization, id)
    forget_principal(change, organization, "user", id)
    for table, column in ((GROUP_USERS, GROUP_USERS.c.user), (USERS, USERS.c.id)):
        change.connection.execute(delete(table).where(table.c.organization == organization, column == id))
    change.audit(organization, "user.deleted", {"id": id})


def end_sessions(change: Change, organization: str, user: str) -> None:
    mine = (SESSIONS.c.organization == organization, SESSIONS.c.user == user)
    change.connection.execute(delete(SESSIONS).where(*mine))


def create_group(change: Change, organization: str, name: str, **more: Any) -> Row:
    if find(change.connection, GROUPS, organization, GROUPS.c.name == name) is not None:
        raise taken("group", name, "name")
    row: Row = {
        "id": new_id("group"), "organization": organization, "name": name, "created": change.now, "scim": False,
        "external_id": None, "models": None, **more,
    }  # fmt: skip
    change.connection.execute(insert(GROUPS).values(**row))
    change.audit(organization, "group.created", {"id": row["id"], "data": {"group_name": name}})
    return row


def group_of(connection: Connection, organization: str, id: str) -> Row:
    return by_id(connection, GROUPS, organization, id, "group")


def update_group(change: Change, organization: str, id: str, **values: Any) -> Row:
    """`models`: a list, or None for all."""
    row = group_of(change.connection, organization, id)
    name = str(values.get("name", row["name"]))
    if name != row["name"] and find(change.connection, GROUPS, organization, GROUPS.c.name == name) is not None:
        raise taken("group", name, "name")
    if "models" in values:
        values["models"] = as_json(values["models"])
    mine = (GROUPS.c.organization == organization, GROUPS.c.id == id)
    change.connection.execute(update(GROUPS).where(*mine).values(**values))
    change.audit(organization, "group.updated", {"id": id, "changes_requested": {"group_name": name}})
    return row | values


def delete_group(change: Change, organization: str, id: str) -> None:
    group_of(change.connection, organization, id)
    forget_principal(change, organization, "group", id)
    for table, column in ((GROUP_USERS, GROUP_USERS.c.group), (GROUPS, GROUPS.c.id)):
        change.connection.execute(delete(table).where(table.c.organization == organization, column == id))
    change.audit(organization, "group.deleted", {"id": id})


def users_of(connection: Connection, organization: str, group: str) -> list[Row]:
    """The users of a group, in the order in which they came."""
    query = select(USERS, GROUP_USERS.c.added, GROUP_USERS.c.display).join(
        GROUP_USERS, GROUP_USERS.c.user == USERS.c.id
    )
    query = query.where(USERS.c.organization == organization, GROUP_USERS.c.group == group)
    return [dict(row) for row in connection.execute(query.order_by(GROUP_USERS.c.added, USERS.c.id)).mappings()]


def join_group(change: Change, organization: str, group: str, user: str, display: str | None = None) -> None:
    """`display`: how SCIM calls the user in this group."""
    group_of(change.connection, organization, group)
    user_of(change.connection, organization, user)
    here = (GROUP_USERS.c.group == group, GROUP_USERS.c.user == user)
    found = find(change.connection, GROUP_USERS, organization, *here)
    if found is not None and display is not None and found["display"] != display:
        change.connection.execute(update(GROUP_USERS).where(*here).values(display=display))
    if found is None:
        row = {"group": group, "user": user, "organization": organization, "added": change.now, "display": display}
        change.connection.execute(insert(GROUP_USERS).values(**row))
        change.audit(organization, "group.updated", {"id": group, "changes_requested": {"added": user}})


def leave_group(change: Change, organization: str, group: str, user: str) -> None:
    here = (GROUP_USERS.c.organization == organization, GROUP_USERS.c.group == group, GROUP_USERS.c.user == user)
    if not change.connection.execute(delete(GROUP_USERS).where(*here)).rowcount:
        raise nothing("user", user)
    change.audit(organization, "group.updated", {"id": group, "changes_requested": {"removed": user}})


def set_groups(change: Change, organization: str, user: str, groups: Sequence[str]) -> None:
    """The groups of `user` are these, and no others."""
    mine = (GROUP_USERS.c.organization == organization, GROUP_USERS.c.user == user)
    now = set(change.connection.execute(select(GROUP_USERS.c.group).where(*mine)).scalars())
    for group in sorted(now - set(groups)):
        leave_group(change, organization, group, user)
    for group in sorted(set(groups) - now):
        join_group(change, organization, group, user)


def invite(change: Change, organization: str, email: str, role: str, projects: Sequence[Row] = ()) -> tuple[Row, str]:
    """An invite, and the token with which whoever has it becomes a user. `projects`: ids and roles."""
    email = checked_email(email)
    if find(change.connection, USERS, organization, USERS.c.email == email) is not None:
        raise taken("user", email, "email")
    for one in projects:
        project_of(change.connection, organization, one["id"])
        project_role(change.connection, organization, one["id"], one["role"])
    token = new_key()
    row: Row = {
        "id": new_id("invite"), "organization": organization, "email": email, "role": checked_role(role),
        "projects": as_json(list(projects)), "digest": change.pepper.digest(token), "created": change.now,
        "expires": change.now + INVITE_S, "accepted": None,
    }  # fmt: skip
    change.connection.execute(insert(INVITES).values(**row))
    change.audit(organization, "invite.sent", {"id": row["id"], "data": {"email": email, "role": role}})
    return row, token


def accept(change: Change, token: str, name: str, password: str | None) -> Row:
    """The user that an invite makes, once. `password`: as argon2 encodes it."""
    query = select(INVITES).where(INVITES.c.digest == change.pepper.digest(token))
    row = change.connection.execute(query).mappings().first()
    if row is None or row["accepted"] is not None or row["expires"] <= change.now:
        raise RequestError("this invite is not known, or was used, or is over", param="token", code="invalid_invite")
    organization = row["organization"]
    user = create_user(change, organization, row["email"], name, row["role"], password=password)
    for one in from_json(row["projects"]):
        add_member(change, organization, one["id"], "user", user["id"], one["role"])
    change.connection.execute(update(INVITES).where(INVITES.c.id == row["id"]).values(accepted=change.now))
    change.audit(organization, "invite.accepted", {"id": row["id"]})
    return user


def delete_invite(change: Change, organization: str, id: str) -> None:
    by_id(change.connection, INVITES, organization, id, "invite")
    change.connection.execute(delete(INVITES).where(INVITES.c.organization == organization, INVITES.c.id == id))
    change.audit(organization, "invite.deleted", {"id": id})


def checked_email(email: str) -> str:
    found = email.strip().lower()
    if not _EMAIL.fullmatch(found) or not found.isprintable():  # nor a sign that turns what stands beside it around
        raise RequestError(f"`email` must be an e-mail address, got `{email[:80]}`", param="email")
    return found


def checked_role(role: str) -> str:
    if role not in (OWNER, READER):
        raise RequestError(f"`role` must be owner or reader, got `{role[:80]}`", param="role")
    return role


def _another_owner(connection: Connection, organization: str, id: str) -> None:
    """Refuse what would leave the organization without an owner."""
    others = (USERS.c.role == OWNER, USERS.c.active, USERS.c.id != id)
    if find(connection, USERS, organization, *others) is None:
        raise RequestError("an organization needs an owner: name another one first", param="role", code="last_owner")
