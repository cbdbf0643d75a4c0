"""Statements that SQLite and PostgreSQL have in common: insert a row, and leave or replace what is there; many rows."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

Rows = Sequence[dict[str, Any]]


def _insert(connection: Connection, table: Table) -> Any:
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)


def insert_rows(connection: Connection, table: Table, names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert many rows of the columns `names`. The driver gets them as they are: this is half the work of a request."""
    mark = "%s" if connection.dialect.name == "postgresql" else "?"
    columns = ", ".join(f'"{name}"' for name in names)
    statement = f"INSERT INTO {table.name} ({columns}) VALUES ({', '.join([mark] * len(names))})"
    connection.exec_driver_sql(statement, list(rows))


def delete_rows(connection: Connection, table: Table, name: str, values: Sequence[Any]) -> None:
    """Delete many rows by the value of one column."""
    mark = "%s" if connection.dialect.name == "postgresql" else "?"
    statement = f'DELETE FROM {table.name} WHERE "{name}" = {mark}'
    connection.exec_driver_sql(statement, [(value,) for value in values])


def insert_new(connection: Connection, table: Table, rows: Rows) -> None:
    """Insert `rows`, but those whose key is there."""
    connection.execute(_insert(connection, table).on_conflict_do_nothing(), rows)


def claim_row(connection: Connection, table: Table, row: dict[str, Any]) -> bool:
    """Whether `row` was inserted: of all who try, one is told so."""
    query = _insert(connection, table).values(**row).on_conflict_do_nothing().returning(*table.primary_key.columns)
    return connection.execute(query).first() is not None


def upsert(connection: Connection, table: Table, rows: Rows, *, keys: Sequence[str]) -> None:
    """Insert `rows`, in the place of those with the same `keys`."""
    query = _insert(connection, table)
    fields = {name: query.excluded[name] for name in rows[0] if name not in keys}
    connection.execute(query.on_conflict_do_update(index_elements=list(keys), set_=fields), rows)
