"""Organizations, their projects, the members of a project, and its service accounts."""

from collections.abc import Sequence

from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.sql import ColumnElement

from creuset.core.errors import RequestError
from creuset.server.tenants.directory.change import Change
from creuset.server.tenants.directory.keys import revoke_where
from creuset.server.tenants.directory.roles import MEMBER, NONE, OWNER, project_role
from creuset.server.tenants.directory.rows import Row, as_json, by_id, find, from_json, new_id, nothing
from creuset.server.tenants.directory.tables import (
    ASSIGNMENTS,
    GROUPS,
    KEYS,
    MEMBERS,
    ORGANIZATIONS,
    PROJECTS,
    SERVICE_ACCOUNTS,
    USERS,
)

MODES = ("allow_list", "deny_list")


def create_organization(change: Change, name: str) -> tuple[Row, Row]:
    """An organization and its first project."""
    row: Row = {"id": new_id("org"), "name": name, "created": change.now, "settings": None}
    change.connection.execute(insert(ORGANIZATIONS).values(**row))
    change.audit(row["id"], "organization.updated", {"id": row["id"], "changes_requested": {"name": name}})
    return row, create_project(change, row["id"], "default")


def set_sign_on(change: Change, organization: str, oidc: Row | None) -> None:
    """How people of the organization sign on at a provider (signon/oidc.py); None: they do not."""
    row = change.connection.execute(select(ORGANIZATIONS).where(ORGANIZATIONS.c.id == organization)).mappings().one()
    settings = as_json((from_json(row["settings"]) or {}) | {"oidc": oidc})
    mine = ORGANIZATIONS.c.id == organization
    change.connection.execute(update(ORGANIZATIONS).where(mine).values(settings=settings))
    asked = {"oidc": oidc and oidc["issuer"]}
    change.audit(organization, "organization.updated", {"id": organization, "changes_requested": asked})


def create_project(change: Change, organization: str, name: str) -> Row:
    row: Row = {
        "id": new_id("proj"), "organization": organization, "name": name, "created": change.now, "archived": None,
        "models": None,
    }  # fmt: skip
    change.connection.execute(insert(PROJECTS).values(**row))
    change.audit(organization, "project.created", {"id": row["id"], "data": {"name": name}}, row["id"])
    return row


def project_of(connection: Connection, organization: str, id: str) -> Row:
    return by_id(connection, PROJECTS, organization, id, "project")


def rename_project(change: Change, organization: str, id: str, name: str) -> Row:
    row = project_of(change.connection, organization, id)
    _set(change, organization, id, name=name)
    change.audit(organization, "project.updated", {"id": id, "changes_requested": {"name": name}}, id)
    return row | {"name": name}


def archive_project(change: Change, organization: str, id: str) -> Row:
    """Its keys stop; what was kept stays."""
    row = project_of(change.connection, organization, id)
    if row["archived"] is None:
        row["archived"] = change.now
        _set(change, organization, id, archived=change.now)
        change.audit(organization, "project.archived", {"id": id}, id)
    return row


def set_project_models(change: Change, organization: str, id: str, mode: str | None, ids: Sequence[str]) -> None:
    """Which models the keys of the project may ask: those listed, or (deny_list) all others. `mode` None: all."""
    project_of(change.connection, organization, id)
    if mode is not None and mode not in MODES:
        raise RequestError(f"`mode` must be allow_list or deny_list, got `{mode[:80]}`", param="mode")
    _set(change, organization, id, models=None if mode is None else as_json({"mode": mode, "ids": sorted(set(ids))}))
    change.audit(organization, "project.updated", {"id": id, "changes_requested": {"models": mode or "all"}}, id)


def add_member(change: Change, organization: str, project: str, kind: str, member: str, role: str = MEMBER) -> Row:
    """Let the user or group `member` into the project, or change the role."""
    project_of(change.connection, organization, project)
    by_id(change.connection, USERS if kind == "user" else GROUPS, organization, member, kind)
    role = project_role(change.connection, organization, project, role)
    row = member_of(change.connection, organization, project, kind, member)
    if row is None:
        row = {
            "project": project, "kind": kind, "member": member, "organization": organization, "role": role,
            "added": change.now,
        }  # fmt: skip
        change.connection.execute(insert(MEMBERS).values(**row))
    else:
        row["role"] = role
        change.connection.execute(
            update(MEMBERS).where(*_member(organization, project, kind, member)).values(role=role)
        )
    change.audit(organization, f"{kind}.updated", {"id": member, "changes_requested": {"role": role}}, project)
    return row


def member_of(connection: Connection, organization: str, project: str, kind: str, member: str) -> Row | None:
    return find(connection, MEMBERS, organization, *_member(organization, project, kind, member))


def remove_member(change: Change, organization: str, project: str, kind: str, member: str) -> None:
    """Keys of a user who has no other way into the project stop."""
    if member_of(change.connection, organization, project, kind, member) is None:
        raise nothing(kind, member)
    change.connection.execute(delete(MEMBERS).where(*_member(organization, project, kind, member)))
    change.audit(organization, f"{kind}.updated", {"id": member, "changes_requested": {"role": NONE}}, project)


def create_service_account(change: Change, organization: str, project: str, name: str, role: str = MEMBER) -> Row:
    row: Row = {
        "id": new_id("svc_acct"), "organization": organization, "project": project, "name": name, "role": role,
        "created": change.now,
    }  # fmt: skip
    project_of(change.connection, organization, project)
    _account_role(role)
    change.connection.execute(insert(SERVICE_ACCOUNTS).values(**row))
    change.audit(organization, "service_account.created", {"id": row["id"], "data": {"role": role}}, project)
    return row


def service_account(connection: Connection, organization: str, project: str, id: str) -> Row:
    row = by_id(connection, SERVICE_ACCOUNTS, organization, id, "service account")
    if row["project"] != project:
        raise nothing("service account", id)
    return row


def update_service_account(
    change: Change, organization: str, project: str, id: str, *, name: str | None, role: str | None
) -> Row:
    row = service_account(change.connection, organization, project, id)
    row["name"] = row["name"] if name is None else name
    row["role"] = row["role"] if role is None else role
    _account_role(row["role"])
    mine = (SERVICE_ACCOUNTS.c.organization == organization, SERVICE_ACCOUNTS.c.id == id)
    change.connection.execute(update(SERVICE_ACCOUNTS).where(*mine).values(name=row["name"], role=row["role"]))
    asked = {"name": row["name"], "role": row["role"]}
    change.audit(organization, "service_account.updated", {"id": id, "changes_requested": asked}, project)
    return row


def delete_service_account(change: Change, organization: str, project: str, id: str) -> None:
    """Its keys stop with it."""
    service_account(change.connection, organization, project, id)
    revoke_where(change, organization, KEYS.c.service_account == id)
    mine = (SERVICE_ACCOUNTS.c.organization == organization, SERVICE_ACCOUNTS.c.id == id)
    change.connection.execute(delete(SERVICE_ACCOUNTS).where(*mine))
    change.audit(organization, "service_account.deleted", {"id": id}, project)


def forget_principal(change: Change, organization: str, kind: str, id: str) -> None:
    """Take a user or group out of all projects and roles."""
    change.connection.execute(delete(MEMBERS).where(
        MEMBERS.c.organization == organization, MEMBERS.c.kind == kind, MEMBERS.c.member == id
    ))  # fmt: skip
    change.connection.execute(delete(ASSIGNMENTS).where(
        ASSIGNMENTS.c.organization == organization, ASSIGNMENTS.c.kind == kind, ASSIGNMENTS.c.principal == id
    ))  # fmt: skip


def _member(organization: str, project: str, kind: str, member: str) -> tuple[ColumnElement[bool], ...]:
    return (
        MEMBERS.c.organization == organization, MEMBERS.c.project == project, MEMBERS.c.kind == kind,
        MEMBERS.c.member == member,
    )  # fmt: skip


def _account_role(role: str) -> None:
    if role not in (OWNER, MEMBER, NONE):
        raise RequestError(f"`role` must be owner, member or none, got `{role[:80]}`", param="role")


def _set(change: Change, organization: str, id: str, **values: object) -> None:
    mine = (PROJECTS.c.organization == organization, PROJECTS.c.id == id)
    change.connection.execute(update(PROJECTS).where(*mine).values(**values))
