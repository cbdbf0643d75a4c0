"""Limits, budgets, prices and the ledger."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def ref(name: str, *, null: bool = False, key: bool = False, size: int = 64) -> sa.Column[Any]:
    return sa.Column(name, sa.String(size), nullable=null, primary_key=key)


def count(name: str, *, null: bool = False, key: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=null, primary_key=key, autoincrement=False)


def text(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.String(), nullable=False)


def flag(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Boolean(), nullable=False)


def upgrade() -> None:
    tables: dict[str, list[Any]] = {
        "money_state": [sa.Column("id", sa.Integer(), primary_key=True), count("version")],
        "limits": [
            ref("id", key=True), ref("organization"), ref("kind"), ref("subject"), text("model"), ref("what"),
            ref("window"), text("zone"), count("amount", null=True), count("burst", null=True), ref("currency"),
            count("created"),
        ],
        "counters": [
            ref("limit", key=True), ref("subject", key=True), count("period"), count("full"), count("spent"),
            count("held"),
        ],
        "holds": [ref("request", key=True, size=128), ref("replica"), count("at"), text("body")],
        "replicas": [ref("id", key=True), count("seen")],
        "usage_lines": [
            ref("request", key=True, size=128), count("at"), ref("organization"), ref("project"), ref("user"),
            ref("service_account"), ref("key"), text("groups"), text("model"), ref("kind"), ref("tier"),
            count("input"), count("cached"), count("cache_write"), count("output"), count("reasoning"), count("cost"),
            ref("currency"), text("price"), ref("status"), flag("estimated"),
        ],
        "ledger": [
            sa.Column(
                "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True
            ),
            ref("request", size=128), ref("step"), text("account"), text("item"), count("at"), count("amount"),
            count("quantity"), ref("currency"), text("price"),
            sa.UniqueConstraint("request", "step", "account", "item"),
        ],
        "price_versions": [ref("version", key=True, size=128), count("since"), flag("set"), text("body")],
        "spend_alerts": [
            ref("id", key=True), ref("organization"), ref("limit"), count("threshold"), count("share", null=True),
            text("channel"), count("created"),
        ],
        "alerts_sent": [
            ref("alert", key=True), ref("subject", key=True), count("period", key=True), count("at"), ref("state"),
        ],
    }  # fmt: skip
    for name, columns in tables.items():
        op.create_table(name, *columns)
    op.create_index("ix_usage_lines_at", "usage_lines", ["organization", "at"])
