"""The server's database: transactions, two ways to the same schema, a newer schema, several processes at once."""

import asyncio
import sqlite3
import stat
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import insert, inspect, select, text

from creuset.core.errors import ConfigError
from creuset.server.database import META, Database, migrate, revisions, schema_of
from creuset.server.responses.tables import CONVERSATIONS

ROW = {"id": "a", "owner": "ann", "created": 1, "metadata": b"{}"}


def at(file: Path) -> Database:
    return Database(f"sqlite:///{file}")


def ids(database: Database) -> list[str]:
    with database.reading() as connection:
        return list(connection.execute(select(CONVERSATIONS.c.id).order_by(CONVERSATIONS.c.id)).scalars())


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///{}/one.db"])
def test_a_transaction_is_kept_whole_or_not_at_all(tmp_path: Path, url: str) -> None:
    database = Database(url.format(tmp_path))
    with pytest.raises(RuntimeError, match="on the way"), database.transaction() as connection:
        connection.execute(insert(CONVERSATIONS).values(**ROW))
        raise RuntimeError("on the way")
    assert ids(database) == []
    with database.transaction() as connection:
        connection.execute(insert(CONVERSATIONS).values(**ROW))
    assert ids(database) == ["a"]

    async def later() -> list[str]:
        database.submit(lambda c: c.execute(insert(CONVERSATIONS).values(**ROW | {"id": "b"})))
        return await database.read(lambda c: list(c.execute(select(CONVERSATIONS.c.id)).scalars()))

    assert sorted(asyncio.run(later())) == ["a", "b"], "what was submitted before is seen"
    database.close()


def test_the_migrations_make_the_tables_that_the_code_defines(tmp_path: Path) -> None:
    database = at(tmp_path / "new.db")
    with database.transaction() as connection:
        for name in reversed(META.sorted_tables):
            name.drop(connection)
        connection.execute(text("DELETE FROM alembic_version"))
        migrate(connection)
        assert schema_of(connection) == revisions()[-1]
        assert set(inspect(connection).get_table_names()) == {*META.tables, "alembic_version"}
        differs = compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), META)
    assert differs == []
    database.close()


def test_an_older_database_is_brought_up_to_date_and_keeps_what_it_has(tmp_path: Path) -> None:
    database = at(tmp_path / "old.db")
    with database.transaction() as connection:
        for table in reversed(META.sorted_tables):
            table.drop(connection)
        connection.execute(text("DELETE FROM alembic_version"))
        migrate(connection, revisions()[0])
        connection.execute(insert(CONVERSATIONS).values(**ROW))
    database.close()
    database = at(tmp_path / "old.db")
    with database.reading() as connection:
        assert schema_of(connection) == revisions()[-1]
        assert set(inspect(connection).get_table_names()) == {*META.tables, "alembic_version"}
    assert ids(database) == ["a"]
    database.close()


def test_a_database_from_before_migrations_gets_its_number(tmp_path: Path) -> None:
    database = at(tmp_path / "plain.db")
    with database.transaction() as connection:
        for table in META.sorted_tables:
            if table.name not in ("responses", "conversations", "items"):
                table.drop(connection)
        connection.execute(text("DROP TABLE alembic_version"))
        connection.execute(insert(CONVERSATIONS).values(**ROW))
    database.close()
    database = at(tmp_path / "plain.db")
    assert ids(database) == ["a"]
    with database.reading() as connection:
        assert schema_of(connection) == revisions()[-1]
    database.close()


def test_a_newer_schema_is_refused_by_its_number(tmp_path: Path) -> None:
    file = tmp_path / "newer.db"
    database = at(file)
    with database.transaction() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    with pytest.raises(ConfigError, match=r"newer\.db` has the schema `9999`, and this version knows `0001` to") as no:
        at(file)
    assert "a newer version of creuset made it" in no.value.hint


def test_servers_that_start_together_make_the_schema_once(tmp_path: Path) -> None:
    made: list[Database] = []
    failed: list[BaseException] = []

    def start() -> None:
        try:
            made.append(at(tmp_path / "shared.db"))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed and len(made) == 6
    with made[0].reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM alembic_version")).scalar() == 1
    for database in made:
        database.close()


def test_a_second_writer_waits_and_loses_nothing(tmp_path: Path) -> None:
    one, other = at(tmp_path / "two.db"), at(tmp_path / "two.db")

    def count_up(database: Database) -> None:
        for _ in range(25):
            with database.transaction() as connection:
                created = connection.execute(select(CONVERSATIONS.c.created)).scalar_one()
                connection.execute(CONVERSATIONS.update().values(created=created + 1))

    with one.transaction() as connection:
        connection.execute(insert(CONVERSATIONS).values(**ROW | {"created": 0}))
    threads = [threading.Thread(target=count_up, args=(database,)) for database in (one, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with one.reading() as connection:
        assert connection.execute(select(CONVERSATIONS.c.created)).scalar_one() == 50
    one.close()
    other.close()


def test_a_new_file_is_for_its_owner_alone_and_survives_a_crash(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "new.db"
    at(file).close()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    plain = sqlite3.connect(file)
    assert plain.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    plain.close()


def test_usual_names_of_postgresql_mean_psycopg() -> None:
    for url in ("postgres://ann:secret@127.0.0.1:1/x", "postgresql://ann:secret@127.0.0.1:1/x"):
        with pytest.raises(ConfigError, match="cannot be used: connection failed") as refused:
            Database(url)
        assert "secret" not in str(refused.value) and "psycopg2" not in str(refused.value)
