"""The tables of responses and conversations that are kept."""

from sqlalchemy import Column, Integer, LargeBinary, String, Table

from creuset.server.database import META

RESPONSES = Table(
    "responses", META,
    Column("id", String, primary_key=True), Column("owner", String, nullable=False),
    Column("created", Integer, nullable=False), Column("body", LargeBinary, nullable=False),
    Column("input", LargeBinary, nullable=False), Column("before", LargeBinary, nullable=False),
    Column("events", LargeBinary, nullable=False),
)  # fmt: skip
CONVERSATIONS = Table(
    "conversations", META,
    Column("id", String, primary_key=True), Column("owner", String, nullable=False),
    Column("created", Integer, nullable=False), Column("metadata", LargeBinary, nullable=False),
)  # fmt: skip
ITEMS = Table(
    "items", META,
    Column("at", Integer, primary_key=True, autoincrement=True), Column("id", String, nullable=False, index=True),
    Column("owner", String, nullable=False), Column("conversation", String, index=True),
    Column("response", String, index=True), Column("body", LargeBinary, nullable=False),
    Column("created", Integer, nullable=False, server_default="0"),
)  # fmt: skip
