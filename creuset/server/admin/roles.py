"""Roles of an organization and of its projects, and who has them."""

from collections.abc import Callable
from typing import Any

from sqlalchemy.engine import Connection

from creuset.server.admin.call import AdminCall, Routes, admin_route, cut
from creuset.server.admin.shapes import assigned_object, group_object, role_object, user_object
from creuset.server.tenants.directory import roles
from creuset.server.tenants.directory.directory import Directory
from creuset.server.tenants.directory.people import group_of, user_of
from creuset.server.tenants.directory.projects import project_of
from creuset.server.tenants.directory.rows import Row, every, nothing
from creuset.server.tenants.directory.tables import ROLES


def _project(call: AdminCall) -> str | None:
    return call.request.path_params.get("project_id")


async def list_roles(call: AdminCall) -> Row:
    project = _project(call)

    def work(connection: Connection) -> list[Row]:
        if project is not None:
            project_of(connection, call.organization, project)
        here = ROLES.c.project.is_(None) if project is None else ROLES.c.project == project
        own = every(connection, ROLES, call.organization, here, order=[ROLES.c.created, ROLES.c.id])
        return [*roles.given_roles(call.organization, of_project=project is not None), *own]

    return cut([role_object(row) for row in await call.read(work)], call)


async def create_role(call: AdminCall) -> Row:
    name, permissions, words = call.name("role_name"), call.texts("permissions"), call.body.text("description")
    if permissions is None:
        raise call.body.refuse("permissions", "is required")

    def work(change: Any) -> Row:
        if (project := _project(call)) is not None:
            project_of(change.connection, call.organization, project)
        return roles.create_role(change, call.organization, name, permissions, words, project)

    return role_object(await call.change(work))


async def get_role(call: AdminCall) -> Row:
    id = call.place("role_id")
    return role_object(await call.read(lambda c: roles.role_by_id(c, call.organization, id, _project(call))))


async def update_role(call: AdminCall) -> Row:
    id, name, words = call.place("role_id"), call.body.text("role_name"), call.body.text("description")
    permissions = call.texts("permissions")
    return role_object(await call.change(lambda c: roles.update_role(
        c, call.organization, id, name=name, permissions=permissions, description=words, project=_project(call)
    )))  # fmt: skip


async def delete_role(call: AdminCall) -> Row:
    id = call.place("role_id")
    await call.change(lambda c: roles.delete_role(c, call.organization, id, _project(call)))
    return {"object": "role.deleted", "id": id, "deleted": True}


def _of(kind: str) -> list[tuple[str, str, Callable[[AdminCall], Any]]]:
    """The routes of the roles that a user, or a group, has."""
    find, shape = (user_of, user_object) if kind == "user" else (group_of, group_object)

    def principal(call: AdminCall) -> str:
        return call.place(f"{kind}_id")

    async def listed_roles(call: AdminCall) -> Row:
        def work(connection: Connection) -> list[Row]:
            find(connection, call.organization, principal(call))
            return roles.assigned(connection, call.organization, kind, principal(call), _project(call) or "")

        return cut([assigned_object(row) for row in await call.read(work)], call)

    async def assign(call: AdminCall) -> Row:
        role = call.name("role_id")

        def work(change: Any) -> Row:
            row = roles.assign(change, call.organization, kind, principal(call), role, _project(call) or "")
            whom = shape(find(change.connection, call.organization, principal(call)))
            return {"object": f"{kind}.role", kind: whom, "role": role_object(row)}

        return await call.change(work)

    async def one(call: AdminCall) -> Row:
        rows = (await listed_roles(call))["data"]
        for row in rows:
            if row["id"] == call.place("role_id"):
                return dict(row)
        raise nothing("role", call.place("role_id"))

    async def unassign(call: AdminCall) -> Row:
        role, project = call.place("role_id"), _project(call) or ""
        await call.change(lambda c: roles.unassign(c, call.organization, kind, principal(call), role, project))
        return {"object": f"{kind}.role.deleted", "deleted": True}

    found: list[tuple[str, str, Callable[[AdminCall], Any]]] = []
    for start in ("/v1/organization", "/v1/projects/{project_id}"):
        at = f"{start}/{kind}s/{{{kind}_id}}/roles"
        found += [("GET", at, listed_roles), ("POST", at, assign)]
        found += [("GET", f"{at}/{{role_id}}", one), ("DELETE", f"{at}/{{role_id}}", unassign)]
    return found


def role_routes(directory: Directory) -> Routes:
    table: list[tuple[str, str, Any]] = [*_of("user"), *_of("group")]
    for at in ("/v1/organization/roles", "/v1/projects/{project_id}/roles"):
        table += [("GET", at, list_roles), ("POST", at, create_role), ("GET", f"{at}/{{role_id}}", get_role)]
        table += [("POST", f"{at}/{{role_id}}", update_role), ("DELETE", f"{at}/{{role_id}}", delete_role)]
    return [admin_route(directory, *row) for row in table]
