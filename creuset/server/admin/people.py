"""Users, groups, invites, admin keys and the audit log of an organization."""

from typing import Any

from sqlalchemy import false, or_
from sqlalchemy.engine import Connection
from sqlalchemy.sql import ColumnElement

from creuset.core.errors import RequestError
from creuset.server.admin.call import AdminCall, Routes, admin_route, cut, listed
from creuset.server.admin.shapes import (
    admin_key_object,
    audit_object,
    group_object,
    group_user_object,
    invite_object,
    user_object,
)
from creuset.server.protect.audit.keep import OWN_EVENTS
from creuset.server.tenants.directory import keys, people
from creuset.server.tenants.directory.directory import Directory
from creuset.server.tenants.directory.roles import ORGANIZATION_ROLES, role_by_id
from creuset.server.tenants.directory.rows import Row, by_id, every, nothing, page
from creuset.server.tenants.directory.tables import AUDIT, GROUPS, INVITES, KEYS, USERS

AT = "/v1/organization"


async def list_users(call: AdminCall) -> Row:
    emails = call.request.query_params.getlist("emails") or call.request.query_params.getlist("emails[]")
    where = [USERS.c.email.in_([one.lower() for one in emails])] if emails else []
    rows, more = await call.read(
        lambda c: page(c, USERS, call.organization, *where, after=call.query("after"), limit=call.limit)
    )
    return listed([user_object(row) for row in rows], more)


async def get_user(call: AdminCall) -> Row:
    return user_object(await call.read(lambda c: people.user_of(c, call.organization, call.place("user_id"))))


async def update_user(call: AdminCall) -> Row:
    id, role, role_id = call.place("user_id"), call.body.text("role"), call.body.text("role_id")
    call.body.not_served("developer_persona", "technical_level")
    if role is not None and role_id is not None:
        raise call.body.refuse("role_id", "cannot stand beside `role`")

    def work(change: Any) -> Row:
        named = role
        if role_id is not None:
            named = role_by_id(change.connection, call.organization, role_id)["name"]
            if named not in ORGANIZATION_ROLES:
                raise RequestError("`role_id` must be that of owner or reader; assign others", param="role_id")
        values = {} if named is None else {"role": named}
        return user_object(people.update_user(change, call.organization, id, **values))

    return await call.change(work) if role or role_id else await get_user(call)


async def delete_user(call: AdminCall) -> Row:
    id = call.place("user_id")
    await call.change(lambda c: people.remove_user(c, call.organization, id))
    return {"object": "organization.user.deleted", "id": id, "deleted": True}


# -- invites


async def list_invites(call: AdminCall) -> Row:
    rows, more = await call.read(
        lambda c: page(c, INVITES, call.organization, after=call.query("after"), limit=call.limit)
    )
    return listed([invite_object(row, call.directory.now) for row in rows], more)


async def create_invite(call: AdminCall) -> Row:
    """OpenAI sends a mail; here the reply has the `token`, once, with which the invite is accepted."""
    email, role, chosen = call.name("email"), call.name("role"), []
    for one in call.body.objects("projects", call.body.items("projects") or []):
        chosen.append({"id": one.text("id") or "", "role": one.text("role") or "member"})
        one.refuse_rest()
    row, token = await call.change(lambda c: people.invite(c, call.organization, email, role, chosen))
    return invite_object(row, call.directory.now) | {"token": token}


async def get_invite(call: AdminCall) -> Row:
    id = call.place("invite_id")
    row = await call.read(lambda c: by_id(c, INVITES, call.organization, id, "invite"))
    return invite_object(row, call.directory.now)


async def delete_invite(call: AdminCall) -> Row:
    id = call.place("invite_id")
    await call.change(lambda c: people.delete_invite(c, call.organization, id))
    return {"object": "organization.invite.deleted", "id": id, "deleted": True}


# -- groups


async def list_groups(call: AdminCall) -> Row:
    rows, more = await call.read(lambda c: page(
        c, GROUPS, call.organization, after=call.query("after"), limit=call.limit, descending=call.descending
    ))  # fmt: skip
    return listed([group_object(row) for row in rows], more)


async def create_group(call: AdminCall) -> Row:
    """Beside OpenAI's `name`: `models`, those that its users may ask."""
    name, models = call.name(), call.texts("models")

    def work(change: Any) -> Row:
        row = people.create_group(change, call.organization, name)
        return row if models is None else people.update_group(change, call.organization, row["id"], models=models)

    return group_object(await call.change(work))


async def get_group(call: AdminCall) -> Row:
    return group_object(await call.read(lambda c: people.group_of(c, call.organization, call.place("group_id"))))


async def update_group(call: AdminCall) -> Row:
    id, name, models = call.place("group_id"), call.name(), call.texts("models")
    values = {"name": name} | ({} if models is None else {"models": models})
    return group_object(await call.change(lambda c: people.update_group(c, call.organization, id, **values)))


async def delete_group(call: AdminCall) -> Row:
    id = call.place("group_id")
    await call.change(lambda c: people.delete_group(c, call.organization, id))
    return {"object": "group.deleted", "id": id, "deleted": True}


async def list_group_users(call: AdminCall) -> Row:
    def work(connection: Connection) -> list[Row]:
        people.group_of(connection, call.organization, call.place("group_id"))
        return people.users_of(connection, call.organization, call.place("group_id"))

    return cut([group_user_object(row) for row in await call.read(work)], call)


async def add_group_user(call: AdminCall) -> Row:
    group, user = call.place("group_id"), call.name("user_id")
    await call.change(lambda c: people.join_group(c, call.organization, group, user))
    return {"object": "group.user", "group_id": group, "user_id": user}


async def get_group_user(call: AdminCall) -> Row:
    id = call.place("user_id")
    rows = await call.read(lambda c: people.users_of(c, call.organization, call.place("group_id")))
    for row in rows:
        if row["id"] == id:
            return group_user_object(row)
    raise nothing("user", id)


async def remove_group_user(call: AdminCall) -> Row:
    group, user = call.place("group_id"), call.place("user_id")
    await call.change(lambda c: people.leave_group(c, call.organization, group, user))
    return {"object": "group.user.deleted", "deleted": True}


# -- admin keys


async def list_admin_keys(call: AdminCall) -> Row:
    def work(connection: Connection) -> Row:
        here = (KEYS.c.kind == keys.ADMIN, KEYS.c.revoked.is_(None))
        rows, more = page(
            connection, KEYS, call.organization, *here, after=call.query("after"), limit=call.limit,
            descending=call.descending,
        )  # fmt: skip
        return listed([admin_key_object(connection, row) for row in rows], more)

    return await call.read(work)


async def create_admin_key(call: AdminCall) -> Row:
    """It belongs to whoever asks, and can do what they can."""
    name, lasts = call.name(), call.body.integer("expires_in_seconds", 1, 10**9)
    scopes, addresses = call.texts("scopes"), call.texts("addresses")

    def work(change: Any) -> Row:
        row, secret = keys.issue(
            change, call.organization, name, kind=keys.ADMIN, user=call.who.user or None, scopes=scopes,
            addresses=addresses, expires=None if lasts is None else change.now + lasts,
        )  # fmt: skip
        return admin_key_object(change.connection, row) | {"value": secret}

    return await call.change(work)


async def get_admin_key(call: AdminCall) -> Row:
    id, here = call.place("key_id"), KEYS.c.kind == keys.ADMIN
    return await call.read(lambda c: admin_key_object(c, keys.key_of(c, call.organization, id, here)))


async def delete_admin_key(call: AdminCall) -> Row:
    id, here = call.place("key_id"), KEYS.c.kind == keys.ADMIN
    await call.change(lambda c: keys.revoke(c, call.organization, id, here))
    return {"object": "organization.admin_api_key.deleted", "id": id, "deleted": True}


# -- audit log


async def list_audit(call: AdminCall) -> Row:
    """Newest first."""
    where, before = _audit_filters(call), call.query("before")

    def work(connection: Connection) -> tuple[list[Row], bool]:
        for emails in _many(call, "actor_emails"):
            rows = every(connection, USERS, call.organization, USERS.c.email.in_([one.lower() for one in emails]))
            where.append(or_(false(), *(AUDIT.c.actor.contains(row["id"], autoescape=True) for row in rows)))
        rows, more = page(
            connection, AUDIT, call.organization, *where, after=before or call.query("after"), limit=call.limit,
            descending=before is None, by="at",
        )  # fmt: skip
        return rows if before is None else rows[::-1], more

    rows, more = await call.read(work)
    return listed([audit_object(row) for row in rows], more)


LONGEST_SECONDS = 12  # digits of a moment that a database can hold


def _audit_filters(call: AdminCall) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    for name, column in (("event_types", AUDIT.c.type), ("project_ids", AUDIT.c.project)):
        where += [column.in_(values) for values in _many(call, name)]
    if not _many(call, "event_types"):
        where.append(AUDIT.c.type.not_in(OWN_EVENTS))
    for name, column in (("actor_ids", AUDIT.c.actor), ("resource_ids", AUDIT.c.body)):
        for values in _many(call, name):
            where.append(or_(*(column.contains(f'"{value}"', autoescape=True) for value in values)))
    at = AUDIT.c.effective
    for bound, compare in (("gt", at.__gt__), ("gte", at.__ge__), ("lt", at.__lt__), ("lte", at.__le__)):
        name = f"effective_at[{bound}]"
        if (given := call.query(name)) is not None:
            if not given.isascii() or not given.isdecimal() or len(given) > LONGEST_SECONDS:
                raise RequestError(f"`{name}` must be Unix seconds, got `{given[:40]}`", param="effective_at")
            where.append(compare(int(given)))
    return where


def _many(call: AdminCall, name: str) -> list[list[str]]:
    """The values of a list in the address, in a list; nothing where there are none."""
    values = call.request.query_params.getlist(name) or call.request.query_params.getlist(f"{name}[]")
    return [values] if values else []


def people_routes(directory: Directory) -> Routes:
    users, invites, groups, own = f"{AT}/users", f"{AT}/invites", f"{AT}/groups", f"{AT}/admin_api_keys"
    table: list[tuple[str, str, Any]] = [
        ("GET", users, list_users), ("GET", f"{users}/{{user_id}}", get_user),
        ("POST", f"{users}/{{user_id}}", update_user), ("DELETE", f"{users}/{{user_id}}", delete_user),
        ("GET", invites, list_invites), ("POST", invites, create_invite),
        ("GET", f"{invites}/{{invite_id}}", get_invite), ("DELETE", f"{invites}/{{invite_id}}", delete_invite),
        ("GET", groups, list_groups), ("POST", groups, create_group), ("GET", f"{groups}/{{group_id}}", get_group),
        ("POST", f"{groups}/{{group_id}}", update_group), ("DELETE", f"{groups}/{{group_id}}", delete_group),
        ("GET", f"{groups}/{{group_id}}/users", list_group_users),
        ("POST", f"{groups}/{{group_id}}/users", add_group_user),
        ("GET", f"{groups}/{{group_id}}/users/{{user_id}}", get_group_user),
        ("DELETE", f"{groups}/{{group_id}}/users/{{user_id}}", remove_group_user),
        ("GET", own, list_admin_keys), ("POST", own, create_admin_key), ("GET", f"{own}/{{key_id}}", get_admin_key),
        ("DELETE", f"{own}/{{key_id}}", delete_admin_key), ("GET", f"{AT}/audit_logs", list_audit),
    ]  # fmt: skip
    return [admin_route(directory, *row) for row in table]
