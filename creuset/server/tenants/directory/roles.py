"""Roles: named sets of scopes. Some are given; an organization makes others, and assigns them to users and groups."""

from collections.abc import Iterable, Sequence

from sqlalchemy import delete, insert, update
from sqlalchemy.engine import Connection

from creuset.core.errors import RequestError
from creuset.server.tenants.directory.change import Change
from creuset.server.tenants.directory.rows import Row, as_json, by_id, every, find, from_json, new_id, nothing, taken
from creuset.server.tenants.directory.tables import ASSIGNMENTS, GROUPS, MEMBERS, ROLES, USERS
from creuset.types.tenants import GRANTABLE, INFERENCE, OF_PROJECT

OWNER, READER, MEMBER, NONE = "owner", "reader", "member", "none"
ORGANIZATION_ROLES: dict[str, frozenset[str]] = {OWNER: GRANTABLE, READER: frozenset()}
PROJECT_ROLES: dict[str, frozenset[str]] = {OWNER: OF_PROJECT, MEMBER: frozenset({INFERENCE}), NONE: frozenset()}
_GIVEN = {f"role_organization_{name}": (name, scopes, False) for name, scopes in ORGANIZATION_ROLES.items()} | {
    f"role_project_{name}": (name, scopes, True) for name, scopes in PROJECT_ROLES.items() if name != NONE
}


def given_roles(organization: str, *, of_project: bool) -> list[Row]:
    """Those that every organization, or every project, has."""
    return [
        {
            "id": id, "organization": organization, "project": None, "name": name, "description": None,
            "permissions": as_json(sorted(scopes)), "created": 0, "given": True, "of_project": here,
        }
        for id, (name, scopes, here) in _GIVEN.items()
        if here == of_project
    ]  # fmt: skip


def role_by_id(connection: Connection, organization: str, id: str, project: str | None = None) -> Row:
    """A role of the organization, or with `project` one of that project. NotFound."""
    for row in given_roles(organization, of_project=project is not None):
        if row["id"] == id:
            return row
    row = by_id(connection, ROLES, organization, id, "role")
    if row["project"] != project:
        raise nothing("role", id)
    return row


def project_role(connection: Connection, organization: str, project: str, role: str) -> str:
    """What is stored of `role`, a name that is given or an id. RequestError for another one."""
    name = _GIVEN[role][0] if role in _GIVEN and _GIVEN[role][2] else role
    if name in (OWNER, MEMBER):
        return name
    found = find(connection, ROLES, organization, ROLES.c.id == role)
    if found is None or found["project"] != project:  # one of the organization may reach beyond the project
        raise RequestError(
            f"`role` must be owner, member, or the id of a role of the project, got `{role[:80]}`", param="role"
        )
    return role


def checked_permissions(permissions: Sequence[str], project: str | None) -> str:
    """As they are stored. RequestError names one that a role, or a role of a project, cannot have.

    Whoever administers one project makes its roles: they give nothing beyond it.
    """
    can = GRANTABLE if project is None else OF_PROJECT
    for one in permissions:
        if one not in can:
            what = "a role" if project is None else "a role of a project"
            raise RequestError(
                f"`permissions` has `{one[:80]}`; {what} can have {', '.join(sorted(can))}", param="permissions"
            )
    return as_json(sorted(set(permissions))) or "[]"


def create_role(
    change: Change, organization: str, name: str, permissions: Sequence[str], description: str | None = None,
    project: str | None = None,
) -> Row:  # fmt: skip
    _free(change.connection, organization, name, project)
    row: Row = {
        "id": new_id("role"), "organization": organization, "project": project, "name": name,
        "description": description, "permissions": checked_permissions(permissions, project), "created": change.now,
    }  # fmt: skip
    change.connection.execute(insert(ROLES).values(**row))
    change.audit(organization, "role.created", {"id": row["id"], "role_name": name}, project)
    return row


def update_role(
    change: Change, organization: str, id: str, *, name: str | None, permissions: Sequence[str] | None,
    description: str | None, project: str | None = None,
) -> Row:  # fmt: skip
    row = role_by_id(change.connection, organization, id, project)
    _not_given(row)
    if name is not None and name != row["name"]:
        _free(change.connection, organization, name, project)
        row["name"] = name
    if permissions is not None:
        row["permissions"] = checked_permissions(permissions, project)
    if description is not None:
        row["description"] = description
    mine = (ROLES.c.organization == organization, ROLES.c.id == id)
    change.connection.execute(update(ROLES).where(*mine).values(**row))
    change.audit(organization, "role.updated", {"id": id, "changes_requested": {"role_name": row["name"]}}, project)
    return row


def delete_role(change: Change, organization: str, id: str, project: str | None = None) -> None:
    row = role_by_id(change.connection, organization, id, project)
    _not_given(row)
    for table in (ASSIGNMENTS, MEMBERS):
        change.connection.execute(delete(table).where(table.c.organization == organization, table.c.role == id))
    change.connection.execute(delete(ROLES).where(ROLES.c.organization == organization, ROLES.c.id == id))
    change.audit(organization, "role.deleted", {"id": id}, project)


def assign(change: Change, organization: str, kind: str, principal: str, role: str, project: str = "") -> Row:
    """Give the user or group `principal` a role, once."""
    found = role_by_id(change.connection, organization, role, project or None)
    by_id(change.connection, USERS if kind == "user" else GROUPS, organization, principal, kind)
    if _assignment(change.connection, organization, kind, principal, role, project) is None:
        change.connection.execute(insert(ASSIGNMENTS).values(
            organization=organization, kind=kind, principal=principal, project=project, role=role, created=change.now
        ))  # fmt: skip
        body = {"id": role, "principal_id": principal, "principal_type": kind}
        change.audit(organization, "role.assignment.created", body, project or None)
    return found


def assigned(connection: Connection, organization: str, kind: str, principal: str, project: str = "") -> list[Row]:
    mine = (ASSIGNMENTS.c.kind == kind, ASSIGNMENTS.c.principal == principal, ASSIGNMENTS.c.project == project)
    rows = every(connection, ASSIGNMENTS, organization, *mine, order=[ASSIGNMENTS.c.created, ASSIGNMENTS.c.role])
    return [role_by_id(connection, organization, row["role"], project or None) for row in rows]


def unassign(change: Change, organization: str, kind: str, principal: str, role: str, project: str = "") -> None:
    if _assignment(change.connection, organization, kind, principal, role, project) is None:
        raise nothing("role", role)
    change.connection.execute(delete(ASSIGNMENTS).where(
        ASSIGNMENTS.c.organization == organization, ASSIGNMENTS.c.kind == kind, ASSIGNMENTS.c.principal == principal,
        ASSIGNMENTS.c.role == role, ASSIGNMENTS.c.project == project,
    ))  # fmt: skip
    body = {"id": role, "principal_id": principal, "principal_type": kind}
    change.audit(organization, "role.assignment.deleted", body, project or None)


def permissions_of(names: Iterable[str], own: dict[str, frozenset[str]], *, of_project: bool) -> frozenset[str]:
    """The scopes of roles by their names or ids; `own`: those that the organization made."""
    known = PROJECT_ROLES if of_project else ORGANIZATION_ROLES
    found: set[str] = set()
    for name in names:
        found |= _GIVEN[name][1] if name in _GIVEN else known.get(name) or own.get(name, frozenset())
    return frozenset(found) & (OF_PROJECT if of_project else GRANTABLE)


def own_permissions(rows: Iterable[Row]) -> dict[str, frozenset[str]]:
    return {row["id"]: frozenset(from_json(row["permissions"])) & GRANTABLE for row in rows}


def _assignment(
    connection: Connection, organization: str, kind: str, principal: str, role: str, project: str
) -> Row | None:
    return find(
        connection, ASSIGNMENTS, organization, ASSIGNMENTS.c.kind == kind, ASSIGNMENTS.c.principal == principal,
        ASSIGNMENTS.c.role == role, ASSIGNMENTS.c.project == project,
    )  # fmt: skip


def _free(connection: Connection, organization: str, name: str, project: str | None) -> None:
    """Refuse a name that a role of the same place has."""
    given = {row["name"] for row in given_roles(organization, of_project=project is not None)}
    here = ROLES.c.project.is_(None) if project is None else ROLES.c.project == project
    if name in given or find(connection, ROLES, organization, ROLES.c.name == name, here) is not None:
        raise taken("role", name, "role_name")


def _not_given(row: Row) -> None:
    if row.get("given"):
        raise RequestError(f"the role `{row['name']}` is given: it cannot be changed", param="role_id")
