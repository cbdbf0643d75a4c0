"""The directory on PostgreSQL: replicas that change it together, one schema, and a key that stops everywhere."""

import threading
import time
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from creuset.core.errors import NotAllowed
from creuset.server.database import META, Database, migrate
from creuset.server.tenants.directory.audit import COMMAND_LINE, problems
from creuset.server.tenants.directory.change import Change
from creuset.server.tenants.directory.directory import Directory
from creuset.server.tenants.directory.keys import issue, revoke
from creuset.server.tenants.directory.people import create_user
from creuset.server.tenants.directory.projects import create_organization

from ..money.conftest import postgres, postgres_database, postgres_service  # noqa: F401  (fixtures)

pytestmark = pytest.mark.slow


def test_replicas_change_one_directory(postgres_database: str, tmp_path: Path) -> None:  # noqa: F811
    made: list[Database] = []
    starters = [threading.Thread(target=lambda: made.append(Database(postgres_database))) for _ in range(4)]
    for one in starters:
        one.start()
    for one in starters:
        one.join()
    assert len(made) == 4, "four servers that start together make the schema once"
    pepper = tmp_path / "pepper"
    first = Directory.create(made[0], pepper)

    def set_up(change: Change) -> tuple[str, str, str]:
        organization, project = create_organization(change, "a")
        return (
            organization["id"],
            project["id"],
            create_user(change, organization["id"], "a@b.example", role="owner")["id"],
        )

    organization, project, user = first.change(COMMAND_LINE, set_up)
    replicas = [first, *(Directory(database, pepper) for database in made[1:])]
    for replica in replicas:
        replica.start()
    try:
        keys: list[tuple[str, str]] = []

        def work(replica: Directory) -> None:
            for _ in range(10):
                row, secret = replica.change(
                    COMMAND_LINE, lambda change: issue(change, organization, "k", project=project, user=user)
                )
                keys.append((row["id"], secret))

        writers = [threading.Thread(target=work, args=(replica,)) for replica in replicas]
        for one in writers:
            one.start()
        for one in writers:
            one.join()
        with made[0].reading() as connection:
            assert problems(connection, organization) == [], "the log of four writers is one chain"
        for replica in replicas:
            replica.refresh()
            assert {replica.identify(secret).key for _, secret in keys} == {id for id, _ in keys}
        id, secret = keys[0]
        first.change(COMMAND_LINE, lambda change: revoke(change, organization, id))
        end = time.monotonic() + 1
        for replica in replicas:
            with pytest.raises(NotAllowed):
                while True:
                    replica.identify(secret)
                    assert time.monotonic() < end, "a revoked key worked for more than a second"
                    threading.Event().wait(0.01)
    finally:
        for replica in replicas:
            replica.close()
            replica.database.close()


def test_migrations_and_definitions_make_the_same_tables(postgres_database: str) -> None:  # noqa: F811
    database = Database(postgres_database)
    with database.transaction() as connection:
        META.drop_all(connection)
        connection.execute(text("DELETE FROM alembic_version"))
        migrate(connection)
        assert compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), META) == []
    database.close()
