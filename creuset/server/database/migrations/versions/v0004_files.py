"""Files, uploads and batches."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def ref(name: str, *, null: bool = False, key: bool = False, size: int | None = 64) -> sa.Column[Any]:
    return sa.Column(name, sa.String(size) if size else sa.String(), nullable=null, primary_key=key)


def count(name: str, *, null: bool = False, key: bool = False, big: bool = False) -> sa.Column[Any]:
    kind = sa.BigInteger() if big else sa.Integer()
    return sa.Column(name, kind, nullable=null, primary_key=key, autoincrement=False)


def raw(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.LargeBinary(), nullable=null)


def upgrade() -> None:
    def whose() -> list[Any]:
        return [ref("organization"), ref("project")]

    tables: dict[str, list[Any]] = {
        "files": [
            ref("id", key=True), ref("owner", size=None), *whose(), count("created"),
            count("expires", null=True), count("bytes", big=True), ref("name", size=None), ref("purpose", size=32),
            ref("status", size=16),
        ],
        "file_pieces": [ref("file", key=True), count("begin", key=True, big=True), count("size"),
                        ref("organization"), ref("seal"), raw("body")],
        "uploads": [
            ref("id", key=True), ref("owner", size=None), *whose(), count("created"),
            count("expires"), count("bytes", big=True), ref("name", size=None), ref("purpose", size=32),
            ref("status", size=16), ref("file", null=True), count("seconds", null=True),
        ],
        "upload_parts": [
            ref("id", key=True), ref("upload"), count("created"), count("bytes", big=True), ref("status", size=16),
        ],
        "batches": [
            ref("id", key=True), ref("owner", size=None), *whose(), ref("key"), count("created"),
            count("open"), count("cancelling", null=True), ref("replica"), count("lease"), raw("body"),
        ],
        "batch_lines": [
            ref("batch", key=True), count("at", key=True), count("begin", big=True), count("size"),
            ref("state", size=16), raw("result", null=True),
            *[count(n, big=True) for n in ("input", "cached", "output", "reasoning", "least", "most")],
            ref("currency"),
        ],
    }  # fmt: skip
    for name, columns in tables.items():
        op.create_table(name, *columns)
    for table, column in (("files", "owner"), ("files", "expires"), ("upload_parts", "upload"), ("batches", "owner"),
                          ("batches", "open")):  # fmt: skip
        op.create_index(f"ix_{table}_{column}", table, [column])
    op.create_index("ix_batch_lines_state", "batch_lines", ["batch", "state"])
