"""Projects, their users, groups, service accounts, keys and models."""

from typing import Any

from sqlalchemy.engine import Connection

from creuset.server.admin.call import AdminCall, Routes, admin_route, cut, listed
from creuset.server.admin.shapes import (
    account_object,
    key_object,
    new_key_object,
    project_group_object,
    project_object,
    project_user_object,
)
from creuset.server.tenants.directory import keys, projects
from creuset.server.tenants.directory.directory import Directory
from creuset.server.tenants.directory.people import group_of, user_of
from creuset.server.tenants.directory.roles import NONE
from creuset.server.tenants.directory.rows import Row, every, find, from_json, nothing, page
from creuset.server.tenants.directory.tables import KEYS, MEMBERS, PROJECTS, SERVICE_ACCOUNTS, USERS

ACCOUNT_KEY = "organization.project.service_account.api_key"
AT = "/v1/organization/projects"
ONE = f"{AT}/{{project_id}}"


async def list_projects(call: AdminCall) -> Row:
    where = [] if call.query("include_archived") == "true" else [PROJECTS.c.archived.is_(None)]
    rows, more = await call.read(
        lambda c: page(c, PROJECTS, call.organization, *where, after=call.query("after"), limit=call.limit)
    )
    return listed([project_object(row) for row in rows], more)


async def create_project(call: AdminCall) -> Row:
    name = call.name()
    call.body.not_served("external_key_id", "geography", "residency")
    return project_object(await call.change(lambda c: projects.create_project(c, call.organization, name)))


async def get_project(call: AdminCall) -> Row:
    return project_object(await call.read(lambda c: projects.project_of(c, call.organization, call.project)))


async def update_project(call: AdminCall) -> Row:
    name = call.body.text("name", max_chars=256)
    call.body.not_served("external_key_id", "geography")
    if name is None:
        return await get_project(call)
    return project_object(
        await call.change(lambda c: projects.rename_project(c, call.organization, call.project, name))
    )


async def archive(call: AdminCall) -> Row:
    return project_object(await call.change(lambda c: projects.archive_project(c, call.organization, call.project)))


# -- users and groups


async def list_users(call: AdminCall) -> Row:
    return cut(await call.read(lambda c: _members(c, call, "user")), call)


async def list_groups(call: AdminCall) -> Row:
    return cut(await call.read(lambda c: _members(c, call, "group")), call, id="group_id")


def _members(connection: Connection, call: AdminCall, kind: str) -> list[Row]:
    projects.project_of(connection, call.organization, call.project)
    here = (MEMBERS.c.project == call.project, MEMBERS.c.kind == kind)
    rows = every(connection, MEMBERS, call.organization, *here, order=[MEMBERS.c.added, MEMBERS.c.member])
    return [_member_object(connection, call, kind, row) for row in rows]


def _member_object(connection: Connection, call: AdminCall, kind: str, row: Row) -> Row:
    if kind == "user":
        return project_user_object(user_of(connection, call.organization, row["member"]), row)
    return project_group_object(group_of(connection, call.organization, row["member"]), row)


async def add_user(call: AdminCall) -> Row:
    role, id, email = call.name("role"), call.body.text("user_id"), call.body.text("email")
    if id is None and email is None:
        raise call.body.refuse("user_id", "is required, or `email`")

    def work(change: Any) -> Row:
        user = id
        if user is None:
            found = find(change.connection, USERS, call.organization, USERS.c.email == str(email).lower())
            if found is None:
                raise nothing("user", str(email), "email")
            user = found["id"]
        row = projects.add_member(change, call.organization, call.project, "user", user, role)
        return _member_object(change.connection, call, "user", row)

    return await call.change(work)


async def add_group(call: AdminCall) -> Row:
    return await _add(call, "group", call.name("group_id"), call.name("role"))


async def _add(call: AdminCall, kind: str, member: str, role: str) -> Row:
    def work(change: Any) -> Row:
        row = projects.add_member(change, call.organization, call.project, kind, member, role)
        return _member_object(change.connection, call, kind, row)

    return await call.change(work)


async def get_user(call: AdminCall) -> Row:
    return await _member(call, "user", call.place("user_id"))


async def get_group(call: AdminCall) -> Row:
    return await _member(call, "group", call.place("group_id"))


async def _member(call: AdminCall, kind: str, id: str) -> Row:
    def work(connection: Connection) -> Row:
        row = projects.member_of(connection, call.organization, call.project, kind, id)
        if row is None:
            raise nothing(kind, id)
        return _member_object(connection, call, kind, row)

    return await call.read(work)


async def update_user(call: AdminCall) -> Row:
    role = call.body.text("role")
    found = await get_user(call)
    return found if role is None else await _add(call, "user", call.place("user_id"), role)


async def remove_user(call: AdminCall) -> Row:
    id = call.place("user_id")
    await call.change(lambda c: projects.remove_member(c, call.organization, call.project, "user", id))
    return {"object": "organization.project.user.deleted", "id": id, "deleted": True}


async def remove_group(call: AdminCall) -> Row:
    id = call.place("group_id")
    await call.change(lambda c: projects.remove_member(c, call.organization, call.project, "group", id))
    return {"object": "project.group.deleted", "deleted": True}


# -- service accounts and keys


async def list_accounts(call: AdminCall) -> Row:
    def work(connection: Connection) -> tuple[list[Row], bool]:
        projects.project_of(connection, call.organization, call.project)
        here = SERVICE_ACCOUNTS.c.project == call.project
        return page(connection, SERVICE_ACCOUNTS, call.organization, here, after=call.query("after"), limit=call.limit)

    rows, more = await call.read(work)
    return listed([account_object(row) for row in rows], more)


async def create_account(call: AdminCall) -> Row:
    name, alone = call.name(), call.body.flag("create_service_account_only")
    lasts = call.body.integer("expires_in_seconds", 1, 10**9)

    def work(change: Any) -> Row:
        of = (call.organization, call.project)
        if alone:
            return account_object(projects.create_service_account(change, *of, name, NONE)) | {"api_key": None}
        account = projects.create_service_account(change, *of, name)
        row, secret = keys.issue(
            change, call.organization, name, project=call.project, service_account=account["id"],
            expires=None if lasts is None else change.now + lasts,
        )  # fmt: skip
        return account_object(account) | {"api_key": new_key_object(row, secret, ACCOUNT_KEY)}

    return await call.change(work)


async def get_account(call: AdminCall) -> Row:
    id = call.place("service_account_id")
    return account_object(await call.read(lambda c: projects.service_account(c, call.organization, call.project, id)))


async def update_account(call: AdminCall) -> Row:
    id, name, role = call.place("service_account_id"), call.body.text("name"), call.body.text("role")
    return account_object(await call.change(
        lambda c: projects.update_service_account(c, call.organization, call.project, id, name=name, role=role)
    ))  # fmt: skip


async def delete_account(call: AdminCall) -> Row:
    id = call.place("service_account_id")
    await call.change(lambda c: projects.delete_service_account(c, call.organization, call.project, id))
    return {"object": "organization.project.service_account.deleted", "id": id, "deleted": True}


async def create_account_key(call: AdminCall) -> Row:
    """Beside OpenAI's fields: `models` and `addresses`, to which the key is held."""
    id, name = call.place("service_account_id"), call.body.text("name", max_chars=256)
    lasts, scopes = call.body.integer("expires_in_seconds", 1, 10**9), call.texts("scopes")
    models, addresses = call.texts("models"), call.texts("addresses")

    def work(change: Any) -> Row:
        account = projects.service_account(change.connection, call.organization, call.project, id)
        row, secret = keys.issue(
            change, call.organization, name or account["name"], project=call.project, service_account=id,
            scopes=scopes, models=models, addresses=addresses,
            expires=None if lasts is None else change.now + lasts,
        )  # fmt: skip
        return new_key_object(row, secret, ACCOUNT_KEY)

    return await call.change(work)


async def list_keys(call: AdminCall) -> Row:
    def work(connection: Connection) -> Row:
        projects.project_of(connection, call.organization, call.project)
        here = (KEYS.c.project == call.project, KEYS.c.revoked.is_(None))
        rows, more = page(connection, KEYS, call.organization, *here, after=call.query("after"), limit=call.limit)
        return listed([key_object(connection, row) for row in rows], more)

    return await call.read(work)


async def get_key(call: AdminCall) -> Row:
    here, id = KEYS.c.project == call.project, call.place("api_key_id")
    return await call.read(lambda c: key_object(c, keys.key_of(c, call.organization, id, here)))


async def update_key(call: AdminCall) -> Row:
    id, scopes = call.place("api_key_id"), call.texts("scopes")
    lasts = call.body.integer("expires_in_seconds", 1, 10**9)

    def work(change: Any) -> Row:
        keys.key_of(change.connection, call.organization, id, KEYS.c.project == call.project)
        expires = None if lasts is None else change.now + lasts
        row = keys.update_key(change, call.organization, id, scopes=scopes, expires=expires)
        return key_object(change.connection, row)

    return await call.change(work)


async def delete_key(call: AdminCall) -> Row:
    id, here = call.place("api_key_id"), KEYS.c.project == call.project
    await call.change(lambda c: keys.revoke(c, call.organization, id, here))
    return {"object": "organization.project.api_key.deleted", "id": id, "deleted": True}


# -- models


async def get_models(call: AdminCall) -> Row:
    row = await call.read(lambda c: projects.project_of(c, call.organization, call.project))
    rule = from_json(row["models"]) or {"mode": "deny_list", "ids": []}
    return {"object": "project.model_permissions", "mode": rule["mode"], "model_ids": rule["ids"]}


async def set_models(call: AdminCall) -> Row:
    mode, ids = call.name("mode"), call.texts("model_ids")
    if ids is None:
        raise call.body.refuse("model_ids", "is required")
    await call.change(lambda c: projects.set_project_models(c, call.organization, call.project, mode, ids))
    return await get_models(call)


async def delete_models(call: AdminCall) -> Row:
    await call.change(lambda c: projects.set_project_models(c, call.organization, call.project, None, []))
    return {"object": "project.model_permissions.deleted", "deleted": True}


def project_routes(directory: Directory) -> Routes:
    users, groups = f"{ONE}/users", f"{ONE}/groups"
    accounts, own_keys, models = f"{ONE}/service_accounts", f"{ONE}/api_keys", f"{ONE}/model_permissions"
    table: list[tuple[str, str, Any]] = [
        ("GET", AT, list_projects), ("POST", AT, create_project), ("GET", ONE, get_project),
        ("POST", ONE, update_project), ("POST", f"{ONE}/archive", archive),
        ("GET", users, list_users), ("POST", users, add_user), ("GET", f"{users}/{{user_id}}", get_user),
        ("POST", f"{users}/{{user_id}}", update_user), ("DELETE", f"{users}/{{user_id}}", remove_user),
        ("GET", groups, list_groups), ("POST", groups, add_group), ("GET", f"{groups}/{{group_id}}", get_group),
        ("DELETE", f"{groups}/{{group_id}}", remove_group),
        ("GET", accounts, list_accounts), ("POST", accounts, create_account),
        ("GET", f"{accounts}/{{service_account_id}}", get_account),
        ("POST", f"{accounts}/{{service_account_id}}", update_account),
        ("DELETE", f"{accounts}/{{service_account_id}}", delete_account),
        ("POST", f"{accounts}/{{service_account_id}}/api_keys", create_account_key),
        ("GET", own_keys, list_keys), ("GET", f"{own_keys}/{{api_key_id}}", get_key),
        ("POST", f"{own_keys}/{{api_key_id}}", update_key), ("DELETE", f"{own_keys}/{{api_key_id}}", delete_key),
        ("GET", models, get_models), ("POST", models, set_models), ("DELETE", models, delete_models),
    ]  # fmt: skip
    return [admin_route(directory, *row) for row in table]
