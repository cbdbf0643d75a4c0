"""Rows of the directory as OpenAI's objects."""

from sqlalchemy.engine import Connection

from creuset.server.tenants.directory.rows import Row, find, from_json
from creuset.server.tenants.directory.tables import SERVICE_ACCOUNTS, USERS


def project_object(row: Row) -> Row:
    return {
        "id": row["id"], "object": "organization.project", "name": row["name"], "created_at": row["created"],
        "archived_at": row["archived"], "status": "active" if row["archived"] is None else "archived",
    }  # fmt: skip


def user_object(row: Row) -> Row:
    inner = {
        "object": "user", "id": row["id"], "email": row["email"], "name": row["name"], "enabled": row["active"],
        "banned": not row["active"], "banned_at": None, "picture": None,
    }  # fmt: skip
    return {
        "id": row["id"], "object": "organization.user", "email": row["email"], "name": row["name"],
        "role": row["role"], "added_at": row["created"], "created": row["created"], "is_scim_managed": row["scim"],
        "is_service_account": False, "user": inner,
    }  # fmt: skip


def group_object(row: Row) -> Row:
    return {
        "object": "group", "id": row["id"], "name": row["name"], "created_at": row["created"], "group_type": "group",
        "is_scim_managed": row["scim"], "scim_managed": row["scim"],
    }  # fmt: skip


def group_user_object(row: Row) -> Row:
    return {
        "object": "organization.user", "id": row["id"], "email": row["email"], "name": row["name"],
        "is_service_account": False, "picture": None, "user_type": "user", "role": row["role"],
        "added_at": row["added"],
    }  # fmt: skip


def project_user_object(user: Row, member: Row) -> Row:
    return {
        "id": user["id"], "object": "organization.project.user", "email": user["email"], "name": user["name"],
        "role": member["role"], "added_at": member["added"],
    }  # fmt: skip


def project_group_object(group: Row, member: Row) -> Row:
    return {
        "object": "project.group", "project_id": member["project"], "group_id": group["id"],
        "group_name": group["name"], "group_type": "group", "created_at": member["added"], "role": member["role"],
    }  # fmt: skip


def account_object(row: Row) -> Row:
    return {
        "id": row["id"], "object": "organization.project.service_account", "name": row["name"], "role": row["role"],
        "created_at": row["created"],
    }  # fmt: skip


def key_object(connection: Connection, row: Row) -> Row:
    """A key of a project."""
    user = find(connection, USERS, row["organization"], USERS.c.id == row["user"])
    account = find(connection, SERVICE_ACCOUNTS, row["organization"], SERVICE_ACCOUNTS.c.id == row["service_account"])
    owner: Row = {"type": "user" if user else "service_account", "user": None, "service_account": None}
    if user:
        owner["user"] = {
            "id": user["id"], "email": user["email"], "name": user["name"], "created_at": user["created"],
            "role": user["role"],
        }  # fmt: skip
    elif account:
        owner["service_account"] = {
            "id": account["id"], "name": account["name"], "created_at": account["created"], "role": account["role"],
        }  # fmt: skip
    return _key(row, "organization.project.api_key") | {
        "owner": owner, "owner_project_access": "active" if account or (user and user["active"]) else "inactive",
    }  # fmt: skip


def admin_key_object(connection: Connection, row: Row) -> Row:
    user = find(connection, USERS, row["organization"], USERS.c.id == row["user"])
    owner: Row = {"type": "user", "object": "organization.user", "id": row["user"]}
    if user:
        owner |= {"name": user["name"], "created_at": user["created"], "role": user["role"]}
    return _key(row, "organization.admin_api_key") | {"owner": owner}


def new_key_object(row: Row, secret: str, kind: str) -> Row:
    """With the key itself, this once."""
    return {
        "object": kind, "id": row["id"], "name": row["name"], "value": secret, "created_at": row["created"],
        "expires_at": row["expires"],
    }  # fmt: skip


def _key(row: Row, kind: str) -> Row:
    return {
        "object": kind, "id": row["id"], "name": row["name"], "redacted_value": row["hint"],
        "created_at": row["created"], "last_used_at": row["used"], "expires_at": row["expires"],
        "scopes": from_json(row["scopes"]), "models": from_json(row["models"]),
        "addresses": from_json(row["addresses"]),
    }  # fmt: skip


def role_object(row: Row) -> Row:
    of_project = row["project"] is not None or row.get("of_project", False)
    return {
        "object": "role", "id": row["id"], "name": row["name"], "description": row["description"],
        "permissions": from_json(row["permissions"]), "predefined_role": bool(row.get("given")),
        "resource_type": "api.project" if of_project else "api.organization",
    }  # fmt: skip


def assigned_object(row: Row) -> Row:
    more = {"created_at": row["created"], "updated_at": None, "created_by": None, "metadata": None}
    return role_object(row) | more | {"assignment_sources": None, "created_by_user_obj": None}


def invite_object(row: Row, now: int) -> Row:
    status = "accepted" if row["accepted"] is not None else "expired" if row["expires"] <= now else "pending"
    return {
        "object": "organization.invite", "id": row["id"], "email": row["email"], "role": row["role"],
        "status": status, "projects": from_json(row["projects"]), "created_at": row["created"],
        "invited_at": row["created"], "expires_at": row["expires"], "accepted_at": row["accepted"],
    }  # fmt: skip


def audit_object(row: Row) -> Row:
    actor = from_json(row["actor"])
    who: Row = {"id": actor["user"] or None, "email": actor["email"] or None}
    found: Row = {"type": "session" if actor["kind"] in ("session", "command_line") else "api_key"}
    if found["type"] == "session":
        found["session"] = {"user": who, "ip_address": actor["address"] or None}
    else:
        service = {"id": actor["service_account"]} if actor["service_account"] else None
        kind = "service_account" if service else "user"
        found["api_key"] = {
            "id": actor["id"],
            "type": kind,
            "user": None if service else who,
            "service_account": service,
        }
    place = {"project": {"id": row["project"]}} if row["project"] else {}
    body = from_json(row["body"])
    return (
        {"id": row["id"], "type": row["type"], "effective_at": row["effective"], "actor": found}
        | place
        | {row["type"]: body}
    )
