"""The directory: organizations, projects, people, roles, keys, invites, sessions and the audit log."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def ref(name: str, *, null: bool = False, key: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.String(64), nullable=null, primary_key=key)


def words(name: str, *, null: bool = True) -> sa.Column[Any]:
    return sa.Column(name, sa.String(), nullable=null)


def time(name: str, *, null: bool = True) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=null)


def short(name: str, *, size: int = 16, key: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.String(size), nullable=False, primary_key=key)


def flag(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Boolean(), nullable=False)


def digest() -> sa.Column[Any]:
    return sa.Column("digest", sa.LargeBinary(32), nullable=False, unique=True)


def upgrade() -> None:
    tables: dict[str, list[Any]] = {
        "directory_state": [
            sa.Column("id", sa.Integer(), primary_key=True),
            time("version", null=False),
            words("pepper", null=False),
        ],
        "organizations": [
            ref("id", key=True),
            words("name", null=False),
            time("created", null=False),
            words("settings"),
        ],
        "projects": [
            ref("id", key=True),
            ref("organization"),
            words("name", null=False),
            time("created", null=False),
            time("archived"),
            words("models"),
        ],
        "users": [
            ref("id", key=True),
            ref("organization"),
            words("email", null=False),
            words("name", null=False),
            short("role"),
            flag("active"),
            time("created", null=False),
            words("password"),
            words("subject"),
            flag("scim"),
            words("external_id"),
            words("details"),
            sa.UniqueConstraint("organization", "email"),
            sa.UniqueConstraint("organization", "subject"),
        ],
        "groups": [
            ref("id", key=True),
            ref("organization"),
            words("name", null=False),
            time("created", null=False),
            flag("scim"),
            words("external_id"),
            words("models"),
            sa.UniqueConstraint("organization", "name"),
        ],
        "group_users": [
            ref("group", key=True),
            ref("user", key=True),
            ref("organization"),
            time("added", null=False),
            words("display"),
        ],
        "service_accounts": [
            ref("id", key=True),
            ref("organization"),
            ref("project"),
            words("name", null=False),
            short("role"),
            time("created", null=False),
        ],
        "roles": [
            ref("id", key=True),
            ref("organization"),
            ref("project", null=True),
            words("name", null=False),
            words("description"),
            words("permissions", null=False),
            time("created", null=False),
        ],
        "role_assignments": [
            ref("organization"),
            short("kind", key=True),
            ref("principal", key=True),
            ref("project", key=True),
            ref("role", key=True),
            time("created", null=False),
        ],
        "project_members": [
            ref("project", key=True),
            short("kind", key=True),
            ref("member", key=True),
            ref("organization"),
            ref("role"),
            time("added", null=False),
        ],
        "api_keys": [
            ref("id", key=True),
            ref("organization"),
            short("kind"),
            ref("project", null=True),
            ref("user", null=True),
            ref("service_account", null=True),
            words("name", null=False),
            digest(),
            words("hint", null=False),
            words("scopes"),
            words("addresses"),
            words("models"),
            time("created", null=False),
            time("expires"),
            time("revoked"),
            time("used"),
            ref("successor", null=True),
        ],
        "invites": [
            ref("id", key=True),
            ref("organization"),
            words("email", null=False),
            short("role"),
            words("projects", null=False),
            digest(),
            time("created", null=False),
            time("expires", null=False),
            time("accepted"),
        ],
        "sessions": [
            ref("id", key=True),
            ref("organization"),
            ref("user"),
            digest(),
            time("created", null=False),
            time("seen", null=False),
            time("expires", null=False),
            words("address"),
        ],
        "audit_log": [
            sa.Column("at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
            sa.Column("id", sa.String(64), nullable=False, unique=True),
            ref("organization"),
            time("effective", null=False),
            short("type", size=64),
            ref("project", null=True),
            words("actor", null=False),
            words("body", null=False),
            short("previous", size=64),
            short("hash", size=64),
        ],
    }
    for name, columns in tables.items():
        op.create_table(name, *columns)
    indexes = {
        "projects": ["organization"],
        "service_accounts": ["project"],
        "api_keys": ["project", "user"],
        "sessions": ["user"],
        "audit_log": ["organization"],
    }
    for table, names in indexes.items():
        for name in names:
            op.create_index(f"ix_{table}_{name}", table, [name])
