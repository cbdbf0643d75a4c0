"""Data protection: data keys, rules of privacy, legal holds, erasures and their receipts, anchors of the audit log."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def ref(name: str, *, null: bool = False, key: bool = False, size: int = 64) -> sa.Column[Any]:
    return sa.Column(name, sa.String(size), nullable=null, primary_key=key)


def time(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=null)


def text(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.String(), nullable=null)


def upgrade() -> None:
    op.add_column("items", sa.Column("created", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("audit_log", sa.Column("salt", sa.String(32), nullable=False, server_default=""))
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    tables: dict[str, list[Any]] = {
        "data_keys": [
            ref("organization", key=True), sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
            sa.Column("wrapped", sa.LargeBinary(), nullable=False), ref("master"), time("created"),
            time("retired", null=True),
        ],
        "privacy_rules": [ref("organization", key=True), ref("project", key=True), text("body"), time("changed")],
        "legal_holds": [
            ref("id", key=True), ref("organization"), ref("kind", size=16), ref("subject"), text("reason"),
            time("created"), time("lifted", null=True),
        ],
        "held_rows": [
            sa.Column("at", number, primary_key=True, autoincrement=True), ref("organization"), text("owner"),
            ref("store"), sa.Column("body", sa.LargeBinary(), nullable=False), time("deleted"),
        ],
        "erasures": [
            ref("id", key=True), ref("organization"), ref("kind", size=16), ref("subject"), time("asked"),
            time("due"), time("done", null=True), text("receipt", null=True),
        ],
        "audit_anchors": [
            ref("organization", key=True), ref("hash"), sa.Column("removed", sa.BigInteger(), nullable=False),
            time("pruned"),
        ],
    }  # fmt: skip
    for name, columns in tables.items():
        op.create_table(name, *columns)
