"""Every table that holds what people have said, and how its rows are found by whose they are and how old they are.

Whoever makes a new table says here, or below in OTHERS, what it holds: a test refuses a table that nobody named. What
is here is sealed, deleted when it is too old, exported and erased; there is no other place that has to be changed.

An owner is `project/principal` (`types/tenants.py`): one person, or one service account, in one project. Without a
directory it is the name of a key, or empty.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Table, false, or_, select
from sqlalchemy.engine import Connection
from sqlalchemy.sql import ColumnElement

from creuset.server.batches.tables import BATCHES, LINES
from creuset.server.files.tables import FILES, PARTS, PIECES, UPLOADS
from creuset.server.protect.vault.vault import place
from creuset.server.responses.tables import CONVERSATIONS, ITEMS, RESPONSES
from creuset.server.routes.tables import UPSTREAM_KEYS
from creuset.server.tenants.directory.tables import PROJECTS

Row = Mapping[str, Any]
Kind = Literal["user", "project", "organization"]
KINDS: tuple[Kind, ...] = ("user", "project", "organization")


@dataclass(frozen=True, slots=True)
class Store:
    """One table of content."""

    table: Table
    sealed: tuple[str, ...]  # columns of bytes that hold what was said
    created: str = "created"  # Unix seconds
    identity: Callable[[Row], str] = lambda row: str(row["id"])  # of a row, in its seal
    parent: tuple[Table, str] | None = None  # whose row says whose this one is, and the column that names it
    grand: tuple[Table, str] | None = None  # the same of `parent`
    children: tuple[Table, str] | None = None  # a row lives as long as those that name it in that column

    @property
    def name(self) -> str:
        return self.table.name

    def place(self, column: str, row: Row) -> str:
        return place(self.name, column, self.identity(row))

    def owned(self, test: Callable[[ColumnElement[str]], ColumnElement[bool]]) -> ColumnElement[bool]:
        """Rows for whose owner `test` holds."""
        if self.parent is None:
            return test(self.table.c.owner)
        table, column = self.parent
        mine = test(table.c.owner) if self.grand is None else self._grand(test(self.grand[0].c.owner))
        return self.table.c[column].in_(select(table.c.id).where(mine))

    def _grand(self, mine: ColumnElement[bool]) -> ColumnElement[bool]:
        assert self.parent is not None and self.grand is not None
        table, column = self.grand
        return self.parent[0].c[column].in_(select(table.c.id).where(mine))

    def older(self, cutoff: int) -> ColumnElement[bool]:
        if self.parent is None:
            old: ColumnElement[bool] = self.table.c[self.created] < cutoff
            if self.children is not None:
                table, column = self.children
                old = old & self.table.c.id.not_in(select(table.c[column]).where(table.c[column].is_not(None)))
            return old
        table, column = self.parent
        return self.table.c[column].in_(select(table.c.id).where(table.c[self.created] < cutoff))


def _seal(row: Row) -> str:
    """A piece of a file has a name of its own, since parts of an upload become a file."""
    return str(row["seal"])


# Those that others belong to come last.
STORES = (
    Store(PIECES, ("body",), identity=_seal, parent=(FILES, "file")),
    Store(PIECES, ("body",), identity=_seal, parent=(PARTS, "file"), grand=(UPLOADS, "upload")),
    Store(PARTS, (), parent=(UPLOADS, "upload")),
    Store(UPLOADS, ()),
    Store(FILES, ()),
    Store(LINES, ("result",), identity=lambda row: f"{row['batch']}:{row['at']}", parent=(BATCHES, "batch")),
    Store(BATCHES, ()),
    Store(ITEMS, ("body",)),
    Store(RESPONSES, ("body", "input", "before", "events")),
    Store(CONVERSATIONS, ("metadata",), children=(ITEMS, "conversation")),
)

# Sealed as well, and no content of anybody: each row has its organization.
SECRETS = (Store(UPSTREAM_KEYS, ("sealed",)),)

# Tables that hold no content, and what becomes of them when a person or an organization is erased.
OTHERS = {
    # who people are: deleted with them
    "organizations": "people", "projects": "people", "users": "people", "groups": "people", "group_users": "people",
    "service_accounts": "people", "roles": "people", "role_assignments": "people", "project_members": "people",
    "api_keys": "people", "invites": "people", "sessions": "people",
    # names and addresses in it are erased, and the chain of hashes stays whole
    "audit_log": "audit", "audit_anchors": "audit",
    # ids, counts and sums, which the law of accounts keeps
    "usage_lines": "money", "ledger": "money", "price_versions": "money", "counters": "money", "limits": "money",
    "holds": "money", "spend_alerts": "money", "alerts_sent": "money",
    # how the server works
    "name_calls": "money", "target_leases": "server",
    "directory_state": "server", "money_state": "server", "replicas": "server", "alembic_version": "server",
    # of this room
    "data_keys": "protect", "privacy_rules": "protect", "legal_holds": "protect", "held_rows": "content",
    "erasures": "protect", "audit_outlets": "protect",
}  # fmt: skip


def owned_by(
    connection: Connection, organization: str, kind: str, subject: str
) -> Callable[[ColumnElement[str]], ColumnElement[bool]]:
    """Whether an owner is this user, or within this project or organization."""
    if kind == "project":
        return lambda owner: owner.startswith(f"{subject}/", autoescape=True)
    mine = connection.execute(select(PROJECTS.c.id).where(PROJECTS.c.organization == organization)).scalars()
    places = [organization, *mine]
    if kind == "user":
        return lambda owner: owner.in_([f"{place}/{subject}" for place in places])
    return lambda owner: or_(false(), *(owner.startswith(f"{place}/", autoescape=True) for place in places))
