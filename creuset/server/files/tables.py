"""The tables of files. What a file holds is in pieces in the database: a client's name for it is only text.

So every replica has it, a backup of the database has it too, and what is deleted is gone from both.
"""

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, String, Table

from creuset.server.database import META

FILES = Table(  # `status`: uploading, until all pieces are there; processed
    "files", META,
    Column("id", String(64), primary_key=True), Column("owner", String, nullable=False, index=True),
    Column("organization", String(64), nullable=False), Column("project", String(64), nullable=False),
    Column("created", Integer, nullable=False), Column("expires", Integer, index=True),
    Column("bytes", BigInteger, nullable=False), Column("name", String, nullable=False),
    Column("purpose", String(32), nullable=False), Column("status", String(16), nullable=False),
)  # fmt: skip
PIECES = Table(  # of a file, or of a part of an upload: `begin` is where it stands in there, `seal` its own name
    "file_pieces", META,
    Column("file", String(64), primary_key=True),
    Column("begin", BigInteger, primary_key=True, autoincrement=False),
    Column("size", Integer, nullable=False), Column("organization", String(64), nullable=False),
    Column("seal", String(64), nullable=False), Column("body", LargeBinary, nullable=False),
)  # fmt: skip
UPLOADS = Table(
    "uploads", META,
    Column("id", String(64), primary_key=True), Column("owner", String, nullable=False),
    Column("organization", String(64), nullable=False), Column("project", String(64), nullable=False),
    Column("created", Integer, nullable=False), Column("expires", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False), Column("name", String, nullable=False),
    Column("purpose", String(32), nullable=False), Column("status", String(16), nullable=False),
    Column("file", String(64)), Column("seconds", Integer),
)  # fmt: skip
PARTS = Table(
    "upload_parts", META,
    Column("id", String(64), primary_key=True), Column("upload", String(64), nullable=False, index=True),
    Column("created", Integer, nullable=False), Column("bytes", BigInteger, nullable=False),
    Column("status", String(16), nullable=False),
)  # fmt: skip
