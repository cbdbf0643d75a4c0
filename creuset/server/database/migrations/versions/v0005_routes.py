"""Routes: where each request was served, who asks for old names, leases of targets, upstream keys of tenants."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def ref(name: str, *, key: bool = False, size: int = 64) -> sa.Column[Any]:
    return sa.Column(name, sa.String(size), nullable=False, primary_key=key)


def count(name: str, *, key: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=False, primary_key=key, autoincrement=False)


def upgrade() -> None:
    for name in ("asked", "target", "country", "operator", "law"):
        op.add_column("usage_lines", sa.Column(name, sa.String(), nullable=False, server_default=""))
    op.create_table(
        "name_calls", ref("name", key=True, size=256), ref("organization", key=True), ref("key", key=True),
        count("day", key=True), ref("project"), ref("user"), ref("service_account"), count("calls"), count("refused"),
        count("last"),
    )  # fmt: skip
    op.create_table(
        "target_leases", ref("replica", key=True), ref("target", key=True, size=256),
        sa.Column("running", sa.Integer(), nullable=False), count("expires"),
    )  # fmt: skip
    op.create_table(
        "upstream_keys", ref("id", key=True), ref("organization"), ref("project"), ref("upstream"),
        sa.Column("sealed", sa.LargeBinary(), nullable=False), count("created"), ref("created_by"),
    )  # fmt: skip
