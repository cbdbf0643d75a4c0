"""The server's database: SQLite by default, `memory`, or PostgreSQL. The one place that opens it.

Tables are defined beside the code that uses them, on `META`; `tables.py` names all of them. A new database gets them at
once and is stamped with the number of the last migration; an older one is brought up to date by Alembic (`migrations`),
under a lock, so that replicas that start together do it once. A newer one is refused by name.

Two ways to work with it: `run` on the database's own thread, in the order in which it was asked for, so that the event
loop never waits for a disk; and `transaction` where one may wait.
"""

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Engine, MetaData, create_engine, event, inspect, text
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from creuset.core.errors import ConfigError
from creuset.server.settings import MEMORY

T = TypeVar("T")
META = MetaData()
MIGRATIONS = Path(__file__).parent / "migrations"
WAIT_MS = 15_000  # for another process that writes to the same SQLite file
_LOCK = 0x63726575  # the number of our advisory lock in PostgreSQL
_READS = "creuset_reads"


class Database:
    def __init__(self, url: str = MEMORY) -> None:
        """`url`: SQLAlchemy's; `sqlite://` keeps everything in memory. ConfigError where it cannot be used."""
        self.url = _with_driver(url)
        self.memory = self.url == MEMORY
        options: dict[str, Any] = {"pool_pre_ping": True} if self.url.startswith("postgresql") else {}
        if self.memory:
            options = {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}}
        self._one = threading.RLock()  # memory is one connection: its transactions wait for each other
        try:
            if self.url.startswith("sqlite") and not self.memory:
                _private(Path(self.url.removeprefix("sqlite:///")))
            self.engine: Engine = create_engine(self.url, **options)
            if self.url.startswith("sqlite"):
                event.listen(self.engine, "connect", _prepare)
                event.listen(self.engine, "begin", _begin)
            self._update_schema()
        except (SQLAlchemyError, ModuleNotFoundError, OSError) as error:
            why = str(getattr(error, "orig", None) or error).splitlines()[0]
            raise ConfigError(
                f"the database `{shown(url)}` cannot be used: {why}",
                hint="choose another with --database; `memory` keeps nothing on disk",
            ) from None
        self._thread = ThreadPoolExecutor(1, "database")

    @property
    def shown(self) -> str:
        """Its address without a password."""
        return shown(self.url)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection whose changes are kept together, or, where an error leaves the block, not at all.

        In SQLite it is the only writer from its begin on, so what it has read stays true.
        """
        with self._alone(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for queries that belong together; it waits for no writer."""
        with self._alone(), self.engine.connect() as connection:
            yield connection.execution_options(**{_READS: True})

    async def run(self, work: Callable[[Connection], T]) -> T:
        """What `work` returns: a transaction on the database's thread."""
        return await asyncio.wrap_future(self.submit(work))

    async def read(self, work: Callable[[Connection], T]) -> T:
        """As `run`, for work that only reads."""

        def job() -> T:
            with self.reading() as connection:
                return work(connection)

        return await asyncio.wrap_future(self._thread.submit(job))

    def submit(self, work: Callable[[Connection], T]) -> "Future[T]":
        """As `run`, without waiting. What is asked afterwards by `run` sees what was done."""

        def job() -> T:
            with self.transaction() as connection:
                return work(connection)

        return self._thread.submit(job)

    def close(self) -> None:
        """End when all that was submitted is done."""
        self._thread.shutdown(wait=True)
        self.engine.dispose()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if self.memory:
            with self._one:
                yield
        else:
            yield

    def _update_schema(self) -> None:
        import creuset.server.database.tables  # noqa: F401  (it fills META)

        known = revisions()
        with self.reading() as connection:
            if schema_of(connection) == known[-1]:
                return
        with self.transaction() as connection:
            if self.engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK})
            found = schema_of(connection)  # another process may have been here meanwhile
            if found is not None and found not in known:
                raise ConfigError(
                    f"the database `{self.shown}` has the schema `{found}`, and this version knows `{known[0]}` to "
                    f"`{known[-1]}`",
                    hint="a newer version of creuset made it: use that one, or choose another with --database",
                )
            if found is None:
                META.create_all(connection)
                connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
                insert = text("INSERT INTO alembic_version (version_num) VALUES (:number)")
                connection.execute(insert, {"number": known[-1]})
            elif found != known[-1]:
                migrate(connection)


def revisions() -> list[str]:
    """The numbers of the migrations that are shipped, oldest first: `v0001_items.py` is `0001`."""
    return sorted(file.name[1:5] for file in (MIGRATIONS / "versions").glob("v[0-9]*.py"))


def schema_of(connection: Connection) -> str | None:
    """The number of the last migration that the database has; None for a database that was never stamped."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def migrate(connection: Connection, to: str = "head") -> None:
    """Bring the schema to revision `to`, in the transaction of `connection`."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, to)


def shown(url: str) -> str:
    """An address without its password."""
    try:
        return make_url(url).render_as_string()
    except ArgumentError:
        return url


def _with_driver(url: str) -> str:
    """PostgreSQL is spoken to by psycopg 3, whichever usual name the address has."""
    scheme, mark, rest = url.partition("://")
    return f"postgresql+psycopg://{rest}" if mark and scheme in ("postgres", "postgresql") else url


def _private(file: Path) -> None:
    """A new file is for its owner alone: it holds what people have said."""
    file.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))


def _prepare(connection: Any, _record: Any) -> None:
    """A reader does not wait for the writer, and a crash of the machine loses the last moments only."""
    connection.isolation_level = None  # transactions begin where we say so, changes of tables included
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        f"busy_timeout={WAIT_MS}",
        "foreign_keys=ON",
        "secure_delete=ON",
    ):  # what is deleted is overwritten
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    """A writer takes its place at once: one that began by reading could find that another has written since."""
    reads = connection.get_execution_options().get(_READS)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
