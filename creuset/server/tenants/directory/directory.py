"""The directory as a server uses it: who a key stands for, from memory, and changes that every replica sees.

Each change adds one to a number in the database. Each replica reads that number every `poll_s` seconds, on a thread of
its own, and reads everything anew when it has grown. So a key that was revoked anywhere stops within a second.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sqlalchemy import insert, select, update
from sqlalchemy.engine import Connection

from creuset.core.errors import ConfigError, NotAllowed, RequestError
from creuset.server.database import Database
from creuset.server.tenants.directory.audit import Actor
from creuset.server.tenants.directory.change import Change
from creuset.server.tenants.directory.pepper import Pepper, make_pepper, read_pepper
from creuset.server.tenants.directory.snapshot import KeyEntry, Snapshot, read_snapshot
from creuset.server.tenants.directory.tables import KEYS, SESSIONS, STATE
from creuset.types.tenants import Caller

T = TypeVar("T")
POLL_S = 0.4
STALE_S = 5.0  # without the database for so long, nobody knows which keys were revoked: all are refused
TELL_USE_S = 30.0  # times of last use are written this often


class DirectoryUnavailable(RequestError):
    status = 503
    code = "directory_unavailable"
    kind = "server_error"


class AddressNotAllowed(NotAllowed):
    code = "ip_not_authorized"


def is_set_up(database: Database) -> bool:
    """Whether the database has a directory: a server then asks for keys."""
    with database.reading() as connection:
        return connection.execute(select(STATE.c.id)).first() is not None


class Directory:
    def __init__(
        self, database: Database, pepper: Path, *, clock: Callable[[], float] = time.time, poll_s: float = POLL_S
    ) -> None:
        """`pepper`: its file. ConfigError where it is missing, or not the one that the keys were made with."""
        self.database, self._clock, self._poll_s = database, clock, poll_s
        self._on_error: Callable[[BaseException], object] = lambda _: None
        with database.reading() as connection:
            mark = connection.execute(select(STATE.c.pepper)).scalar()
        if mark is None:
            raise ConfigError(
                f"the database `{database.shown}` has no directory of people and keys",
                hint="make one: creuset people setup ORGANIZATION --email you@example.org",
            )
        self.pepper: Pepper = read_pepper(pepper)
        if self.pepper.mark != mark:
            raise ConfigError(
                f"the pepper `{pepper}` is not the one that the keys in `{database.shown}` were made with",
                hint="name the right file with --pepper",
            )
        self._one = threading.Lock()  # of those who read a snapshot
        self._used: dict[str, int] = {}
        self._stop = threading.Event()
        self._snapshot = Snapshot(-1)
        self._read_at = self._told_at = time.monotonic()
        self._watcher: threading.Thread | None = None
        self.refresh()

    @classmethod
    def create(cls, database: Database, pepper: Path, *, clock: Callable[[], float] = time.time) -> "Directory":
        """The directory of a database, made where there is none."""
        if not is_set_up(database):
            mark = make_pepper(pepper).mark
            with database.transaction() as connection:
                if connection.execute(select(STATE.c.id)).first() is None:
                    connection.execute(insert(STATE).values(id=1, version=0, pepper=mark))
        return cls(database, pepper, clock=clock)

    # -- who asks

    def identify(self, key: str, address: str = "") -> Caller:
        """Whose `key` it is. Looked up by its digest, so that time says nothing of the keys that exist."""
        if not key:
            raise NotAllowed("an API key is required: Authorization: Bearer KEY")
        entry = self._snapshot.keys.get(self.pepper.digest(key))
        if entry is None:
            self._refuse_stale()
            raise NotAllowed("this API key is not known here")
        caller = self._checked(entry, address, "this API key has expired")
        self._used[caller.key] = int(self._clock())
        return caller

    def session(self, token: str) -> Caller:
        """Whose session `token`, of a cookie, is."""
        entry = self._snapshot.sessions.get(self.pepper.digest(token))
        if entry is None:
            self._refuse_stale()
            raise NotAllowed("this session is over: sign on again", code="session_over")
        return self._checked(entry, "", "this session is over: sign on again")

    def standing(self, id: str) -> Caller:
        """The caller of the key with this id, if that was not revoked."""
        entry = next((one for one in self._snapshot.keys.values() if one.caller.key == id), None)
        if entry is None:
            self._refuse_stale()
            raise NotAllowed("it was revoked")
        self._refuse_stale()
        if entry.refused or (entry.expires is not None and entry.expires <= self._clock()):
            raise NotAllowed(entry.refused or "it has expired")
        return entry.caller

    def organization_of(self, owner: str) -> str:
        """The organization whose things `owner` has: an owner is `project/principal`, or `organization/principal`."""
        place = owner.partition("/")[0]
        return self._snapshot.projects.get(place, place)

    def _checked(self, entry: KeyEntry, address: str, over: str) -> Caller:
        self._refuse_stale()
        if entry.expires is not None and entry.expires <= self._clock():
            raise NotAllowed(over)
        if not entry.admits(address):
            raise AddressNotAllowed("this API key may not be used from this address")
        if entry.refused:
            raise NotAllowed(entry.refused)
        return entry.caller

    def _refuse_stale(self) -> None:
        if self._watcher is not None and time.monotonic() - self._read_at > STALE_S:
            raise DirectoryUnavailable("people and keys cannot be read from the database now", retry_after=1.0)

    # -- changes

    def change(self, actor: Actor, work: Callable[[Change], T]) -> T:
        """What `work` returns: all that it changes is kept together, and counts at once here, soon elsewhere."""
        with self.database.transaction() as connection:
            found = self._apply(connection, actor, work)
        self.refresh()
        return found

    async def change_later(self, actor: Actor, work: Callable[[Change], T]) -> T:
        """As `change`, on the database's thread."""
        found = await self.database.run(lambda connection: self._apply(connection, actor, work))
        await asyncio.to_thread(self.refresh)
        return found

    def _apply(self, connection: Connection, actor: Actor, work: Callable[[Change], T]) -> T:
        # First: changes of all replicas wait here for each other, so that each sees what the one before has done.
        connection.execute(update(STATE).values(version=STATE.c.version + 1))
        return work(Change(connection, int(self._clock()), actor, self.pepper))

    @property
    def now(self) -> int:
        return int(self._clock())

    # -- what others changed

    def refresh(self) -> None:
        """Read everything anew where something has changed."""
        with self._one:
            begun = time.monotonic()
            with self.database.reading() as connection:
                version = connection.execute(select(STATE.c.version)).scalar()
                if version != self._snapshot.version:
                    self._snapshot = read_snapshot(connection)
            self._read_at = begun

    def start(self, on_error: Callable[[BaseException], object] = lambda _: None) -> None:
        """Watch for changes of others until `close`; `on_error` gets what keeps it from doing so."""
        self._on_error = on_error
        self._watcher = threading.Thread(target=self._watch, name="directory", daemon=True)
        self._watcher.start()

    def _watch(self) -> None:
        while not self._stop.wait(self._poll_s):
            try:
                self.refresh()
                if time.monotonic() - self._told_at > TELL_USE_S:
                    self.tell_use()
            except Exception as error:
                self._on_error(error)

    def tell_use(self) -> None:
        """Write when keys were last used, and forget sessions that are over."""
        used, self._used = self._used, {}
        self._told_at = time.monotonic()
        with self.database.transaction() as connection:
            for id, when in used.items():
                connection.execute(update(KEYS).where(KEYS.c.id == id).values(used=when))
            connection.execute(SESSIONS.delete().where(SESSIONS.c.expires <= self.now))

    def close(self) -> None:
        self._stop.set()
        if self._watcher is not None:
            self._watcher.join()
            try:
                self.tell_use()
            except Exception as error:
                self._on_error(error)
