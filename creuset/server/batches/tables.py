"""The tables of batches. `body` of a batch is a `BatchRecord`, written by the one server that carries it out; the
columns beside it are for whoever looks for it, and for whoever cancels it.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table

from creuset.server.database import META

BATCHES = Table(
    "batches", META,
    Column("id", String(64), primary_key=True), Column("owner", String, nullable=False, index=True),
    Column("organization", String(64), nullable=False), Column("project", String(64), nullable=False),
    Column("key", String(64), nullable=False), Column("created", Integer, nullable=False),
    Column("open", Integer, nullable=False, index=True),  # 1 until it has ended
    Column("cancelling", Integer), Column("replica", String(64), nullable=False),
    Column("lease", Integer, nullable=False), Column("body", LargeBinary, nullable=False),
)  # fmt: skip
LINES = Table(  # `begin` and `size`: where the line stands in the input; `state`: waiting, completed, failed
    "batch_lines", META,
    Column("batch", String(64), primary_key=True), Column("at", Integer, primary_key=True, autoincrement=False),
    Column("begin", BigInteger, nullable=False), Column("size", Integer, nullable=False),
    Column("state", String(16), nullable=False), Column("result", LargeBinary),
    Column("input", BigInteger, nullable=False), Column("cached", BigInteger, nullable=False),
    Column("output", BigInteger, nullable=False), Column("reasoning", BigInteger, nullable=False),
    Column("least", BigInteger, nullable=False), Column("most", BigInteger, nullable=False),
    Column("currency", String(64), nullable=False),
    Index("ix_batch_lines_state", "batch", "state"),
)  # fmt: skip
