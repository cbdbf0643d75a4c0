"""A backup of the database in one file that does not depend on which database it is: SQLite's may become PostgreSQL's.

JSON lines, gzipped: a head with the schema, then each row as [table, values], then a foot with the number of rows and
the sums of the ledger. It is read in one transaction, so it is one moment. It is restored into an empty database, in
one transaction, and only where the ledger then has the sums of the foot.
"""

import base64
import gzip
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Table, func, insert, select, text
from sqlalchemy.engine import Connection

import creuset.server.database.tables  # noqa: F401  (it fills META)
from creuset.core.errors import ConfigError, DataError
from creuset.server.database import META, Database, schema_of
from creuset.server.tenants.money.tables import LEDGER

KIND = "creuset.backup"
MANY = 500  # rows in one statement
_encode, _decode = msgspec.json.encode, msgspec.json.decode


def back_up(database: Database, file: Path) -> dict[str, Any]:
    """Write `file`, for its owner alone. Returns the foot. The journal of a running server is no part of it."""
    partial = file.with_name(file.name + ".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with (
        os.fdopen(descriptor, "wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as out,
        database.reading() as connection,
    ):  # fmt: skip
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        out.write(_encode({"kind": KIND, "schema": schema_of(connection)}) + b"\n")
        counts: dict[str, int] = {}
        for table in META.sorted_tables:
            order = list(table.primary_key.columns)
            for row in connection.execute(select(table).order_by(*order)):
                out.write(_encode([str(table.name), [_told(value) for value in row]]) + b"\n")
                counts[str(table.name)] = counts.get(str(table.name), 0) + 1
        foot = {"rows": counts, "ledger": ledger_sums(connection)}
        out.write(_encode(foot) + b"\n")
    partial.replace(file)
    return foot


def restore(database: Database, file: Path) -> dict[str, Any]:
    """Fill an empty database. ConfigError where it is not empty or has another schema, DataError for a damaged file."""
    lines = _lines(file)
    head = next(lines, None)
    if not isinstance(head, dict) or head.get("kind") != KIND:
        raise DataError(f"`{file}` is no backup of a server's database")
    foot: Any = None
    with database.transaction() as connection:
        if (here := schema_of(connection)) != head["schema"]:
            raise ConfigError(
                f"the backup `{file}` has the schema {head['schema']}, and this version makes {here}",
                hint="restore it with the version that made it, then start the newer one",
            )
        tables = {table.name: table for table in META.sorted_tables}
        for table in tables.values():
            if connection.execute(select(func.count()).select_from(table)).scalar():
                raise ConfigError(f"the database `{database.shown}` is not empty: `{table.name}` has rows")
        waiting: list[dict[str, Any]] = []
        place: Table | None = None
        counts: dict[str, int] = {}
        for line in lines:
            if isinstance(line, dict):
                foot = line
                continue
            name, values = line
            table = tables[name]
            if table is not place or len(waiting) == MANY:
                _put(connection, place, waiting)
                place, waiting = table, []
            columns = table.columns.keys()
            waiting.append(dict(zip(columns, (_meant(value) for value in values), strict=True)))
            counts[name] = counts.get(name, 0) + 1
        _put(connection, place, waiting)
        if foot is None or foot["rows"] != counts:
            raise DataError(f"the backup `{file}` is cut: its foot does not agree with its rows")
        if (sums := ledger_sums(connection)) != foot["ledger"]:
            raise DataError(f"the ledger of the backup `{file}` has other sums than when it was made: {sums}")
        if connection.dialect.name == "postgresql":
            _go_on_counting(connection)
    return dict(foot)


def ledger_sums(connection: Connection) -> dict[str, int]:
    """The sum of each account of the ledger in each currency."""
    query = select(LEDGER.c.account, LEDGER.c.currency, func.sum(LEDGER.c.amount))
    rows = connection.execute(query.group_by(LEDGER.c.account, LEDGER.c.currency))
    return {f"{account} {currency}".strip(): int(total) for account, currency, total in rows}


def _put(connection: Connection, table: Table | None, rows: list[dict[str, Any]]) -> None:
    if table is not None and rows:
        connection.execute(insert(table), rows)


def _go_on_counting(connection: Connection) -> None:
    """Numbers that the database gives out begin behind those that were restored."""
    for table in META.sorted_tables:
        for column in table.primary_key.columns:
            name = connection.execute(
                text("SELECT pg_get_serial_sequence(:table, :column)"), {"table": table.name, "column": column.name}
            ).scalar()
            if name is not None:
                highest = connection.execute(select(func.max(column))).scalar()
                connection.execute(text("SELECT setval(:name, :at, :used)"),
                                   {"name": name, "at": highest or 1, "used": highest is not None})  # fmt: skip


def _told(value: Any) -> Any:
    return {"b": base64.b64encode(bytes(value)).decode()} if isinstance(value, bytes | memoryview) else value


def _meant(value: Any) -> Any:
    return base64.b64decode(value["b"]) if isinstance(value, dict) else value


def _lines(file: Path) -> Iterator[Any]:
    try:
        with gzip.open(file, "rb") as stream:
            for line in stream:
                yield _decode(line)
    except FileNotFoundError:
        raise ConfigError(f"there is no file `{file}`") from None
    except (OSError, EOFError, msgspec.DecodeError) as error:
        raise DataError(f"the backup `{file}` cannot be read: {error}") from None
