"""The tables of the directory. Every row but the state has its organization; times are Unix seconds.

A list or an object within a row is JSON text; NULL where nothing was said.
"""

from sqlalchemy import BigInteger, Boolean, Column, Integer, LargeBinary, String, Table, UniqueConstraint

from creuset.server.database import META


def _id() -> Column[str]:
    return Column("id", String(64), primary_key=True)


def _ref(name: str, *, null: bool = False, index: bool = False) -> Column[str]:
    return Column(name, String(64), nullable=null, index=index)


def _text(name: str, *, null: bool = True) -> Column[str]:
    return Column(name, String, nullable=null)


def _time(name: str, *, null: bool = True) -> Column[int]:
    return Column(name, BigInteger, nullable=null)


STATE = Table(  # one row. `version` grows with each change of the directory; `pepper` tells whether a pepper is ours
    "directory_state", META,
    Column("id", Integer, primary_key=True), Column("version", BigInteger, nullable=False), _text("pepper", null=False),
)  # fmt: skip
ORGANIZATIONS = Table(
    "organizations", META, _id(), _text("name", null=False), _time("created", null=False), _text("settings")
)
PROJECTS = Table(
    "projects", META, _id(), _ref("organization", index=True), _text("name", null=False),
    _time("created", null=False), _time("archived"),
    _text("models"),  # {"mode": "allow_list" | "deny_list", "ids": [...]}
)  # fmt: skip
USERS = Table(
    "users", META, _id(), _ref("organization"), _text("email", null=False), _text("name", null=False),
    Column("role", String(16), nullable=False),  # owner, or reader
    Column("active", Boolean, nullable=False), _time("created", null=False),
    _text("password"),  # argon2's encoding; NULL: no local sign-on
    _text("subject"),  # who they are at the OIDC provider: issuer, space, subject
    Column("scim", Boolean, nullable=False), _text("external_id"), _text("details"),  # what SCIM was told beside
    UniqueConstraint("organization", "email"), UniqueConstraint("organization", "subject"),
)  # fmt: skip
GROUPS = Table(
    "groups", META, _id(), _ref("organization"), _text("name", null=False), _time("created", null=False),
    Column("scim", Boolean, nullable=False), _text("external_id"), _text("models"),
    UniqueConstraint("organization", "name"),
)  # fmt: skip
GROUP_USERS = Table(
    "group_users", META, Column("group", String(64), primary_key=True), Column("user", String(64), primary_key=True),
    _ref("organization"), _time("added", null=False), _text("display"),
)  # fmt: skip
SERVICE_ACCOUNTS = Table(
    "service_accounts", META, _id(), _ref("organization"), _ref("project", index=True), _text("name", null=False),
    Column("role", String(16), nullable=False), _time("created", null=False),  # owner, member, or none
)  # fmt: skip
ROLES = Table(  # those an organization makes; owner, reader and member are in roles.py
    "roles", META, _id(), _ref("organization"), _ref("project", null=True),  # NULL: of the whole organization
    _text("name", null=False), _text("description"), _text("permissions", null=False), _time("created", null=False),
)  # fmt: skip
ASSIGNMENTS = Table(  # a user or a group has a role, in a project, or ("") in the whole organization
    "role_assignments", META, _ref("organization"), Column("kind", String(16), primary_key=True),
    Column("principal", String(64), primary_key=True), Column("project", String(64), primary_key=True),
    Column("role", String(64), primary_key=True), _time("created", null=False),
)  # fmt: skip
MEMBERS = Table(  # of projects: users and groups
    "project_members", META, Column("project", String(64), primary_key=True),
    Column("kind", String(16), primary_key=True), Column("member", String(64), primary_key=True),
    _ref("organization"), Column("role", String(64), nullable=False), _time("added", null=False),
)  # fmt: skip
KEYS = Table(
    "api_keys", META, _id(), _ref("organization"), Column("kind", String(16), nullable=False),  # see keys.py
    _ref("project", null=True, index=True), _ref("user", null=True, index=True), _ref("service_account", null=True),
    _text("name", null=False), Column("digest", LargeBinary(32), nullable=False, unique=True),
    _text("hint", null=False),  # its first and last characters
    _text("scopes"), _text("addresses"), _text("models"),  # NULL: no limit beside those of its owner
    _time("created", null=False), _time("expires"), _time("revoked"), _time("used"), _ref("successor", null=True),
)  # fmt: skip
INVITES = Table(
    "invites", META, _id(), _ref("organization"), _text("email", null=False),
    Column("role", String(16), nullable=False), _text("projects", null=False),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    _time("created", null=False), _time("expires", null=False), _time("accepted"),
)  # fmt: skip
SESSIONS = Table(
    "sessions", META, _id(), _ref("organization"), _ref("user", index=True),
    Column("digest", LargeBinary(32), nullable=False, unique=True), _time("created", null=False),
    _time("seen", null=False), _time("expires", null=False), _text("address"),
)  # fmt: skip
AUDIT = Table(
    "audit_log", META,
    Column("at", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True), _ref("organization", index=True),
    _time("effective", null=False), Column("type", String(64), nullable=False), _ref("project", null=True),
    _text("actor", null=False), _text("body", null=False),
    Column("previous", String(64), nullable=False), Column("hash", String(64), nullable=False),
    Column("salt", String(32), nullable=False, server_default=""),  # "": what it was about was erased, or is old
)  # fmt: skip
