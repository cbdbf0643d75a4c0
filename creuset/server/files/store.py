"""Files in the database: written piece by piece as they come, read the same way, found by their owner alone."""

import hashlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from secrets import token_hex
from typing import Any

import msgspec
from sqlalchemy import and_, delete, func, insert, or_, select, update
from sqlalchemy.engine import Connection

from creuset.core.errors import RequestError
from creuset.server.database import Database
from creuset.server.files.tables import FILES, PARTS, PIECES, UPLOADS
from creuset.server.protect.privacy.holds import put_away
from creuset.server.protect.vault.vault import Vault, place

PIECE = 64 << 10  # bytes
TOGETHER = 16  # pieces in one transaction: so much of a file is in memory at a time
LEFT_S = 3600  # an upload that was never finished is forgotten after so long
MOST_A_FILE = 512 << 20
MOST_A_PROJECT = 10 << 30


class StoreFull(RequestError):
    status = 413
    code = "storage_quota_exceeded"


class Owner(msgspec.Struct, frozen=True):
    """Whose a file is: `name` finds it, the others say where it belongs."""

    name: str = ""
    organization: str = ""
    project: str = ""


class FileRow(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    owner: str
    organization: str
    project: str
    created: int
    expires: int | None
    bytes: int
    name: str
    purpose: str
    status: str


class Writing:
    """A file, or a part, that is being written."""

    def __init__(self, store: "FileStore", id: str, most: int, organization: str = "") -> None:
        self._store, self.id, self._most, self._organization = store, id, most, organization
        self._held, self._rows = bytearray(), 0
        self.size = 0
        self.hash = hashlib.md5(usedforsecurity=False)

    async def add(self, data: bytes) -> None:
        """Raises StoreFull for more than may be."""
        if self.size + len(self._held) + len(data) > self._most:
            raise StoreFull(f"a file here has at most {self._most} bytes", param="file")
        self.hash.update(data)
        self._held += data
        if len(self._held) >= PIECE * TOGETHER:
            await self._write()

    async def close(self) -> int:
        """All of it is in the database. Returns its bytes."""
        await self._write()
        return self.size

    async def _write(self) -> None:
        data, self._held = bytes(self._held), bytearray()
        rows = [self._piece(at, data[at : at + PIECE]) for at in range(0, len(data), PIECE)]
        self.size += len(data)
        if rows:
            await self._store.database.run(lambda connection: connection.execute(insert(PIECES), rows) and None)

    def _piece(self, at: int, data: bytes) -> dict[str, Any]:
        seal = token_hex(16)
        body = self._store.vault.seal(self._organization, _sealed_as(seal), data)
        return {"file": self.id, "begin": self.size + at, "size": len(data), "organization": self._organization,
                "seal": seal, "body": body}  # fmt: skip


def _sealed_as(seal: str) -> str:
    """A piece keeps its name when the parts of an upload become a file."""
    return place(PIECES.name, "body", seal)


class FileStore:
    def __init__(
        self, database: Database, *, clock: Callable[[], float] = time.time, most: int = MOST_A_PROJECT,
        vault: Vault | None = None,
    ) -> None:  # fmt: skip
        """`most`: bytes that the files of one project may have together; without projects, of one owner."""
        self.database, self._clock, self.most = database, clock, most
        self.vault = vault or Vault(database)

    @property
    def now(self) -> int:
        return int(self._clock())

    # -- writing

    async def begin(self, owner: Owner, *, id: str = "", most: int = MOST_A_FILE) -> Writing:
        """A new file, which nobody sees before `finish`. Raises StoreFull.

        With an `id`, it takes the place of what was begun under it before; that is for what the server itself writes.
        """
        row = FileRow(
            id=id or f"file-{token_hex(16)}", owner=owner.name, organization=owner.organization, project=owner.project,
            created=self.now, expires=None, bytes=0, name="", purpose="", status="uploading",
        )  # fmt: skip
        room = self.most - await self.database.read(lambda connection: _taken(connection, owner))
        if id:
            await self.give_up(id)
            room = most
        if room <= 0:
            raise StoreFull(f"the files of this project have {self.most} bytes already: delete some")
        values = msgspec.structs.asdict(row)
        await self.database.run(lambda connection: connection.execute(insert(FILES).values(**values)) and None)
        return Writing(self, row.id, min(most, room), owner.organization)

    async def finish(self, writing: Writing, name: str, purpose: str, expires_in: int | None) -> FileRow:
        """`expires_in`: seconds after which the file is forgotten; None: never."""
        size = await writing.close()
        values = {"bytes": size, "name": name, "purpose": purpose, "status": "processed", "created": self.now}
        values["expires"] = None if expires_in is None else self.now + expires_in

        def work(connection: Connection) -> FileRow:
            mine = FILES.c.id == writing.id
            connection.execute(update(FILES).where(mine).values(**values))
            return _row(connection.execute(select(FILES).where(mine)).mappings().one())

        return await self.database.run(work)

    async def give_up(self, id: str) -> None:
        """Nothing of a file that was begun stays."""
        await self.database.run(lambda connection: _gone(connection, [id]))

    # -- finding

    async def find(self, owner: str, id: str) -> FileRow | None:
        def work(connection: Connection) -> FileRow | None:
            found = connection.execute(select(FILES).where(self._mine(owner), FILES.c.id == id)).mappings().first()
            return None if found is None else _row(found)

        return await self.database.read(work)

    async def listed(
        self, owner: str, *, purpose: str | None, after: str | None, limit: int, newest: bool
    ) -> list[FileRow] | None:
        """A page and one more; None where there is no file `after`."""

        def work(connection: Connection) -> list[FileRow] | None:
            query = select(FILES).where(self._mine(owner))
            if purpose is not None:
                query = query.where(FILES.c.purpose == purpose)
            if after is not None:
                one = connection.execute(select(FILES.c.created).where(self._mine(owner), FILES.c.id == after)).scalar()
                if one is None:
                    return None
                created, id = FILES.c.created, FILES.c.id
                later = or_(created < one, and_(created == one, id < after)) if newest else or_(
                    created > one, and_(created == one, id > after))  # fmt: skip
                query = query.where(later)
            order = (FILES.c.created, FILES.c.id)
            query = query.order_by(*(column.desc() if newest else column for column in order)).limit(limit + 1)
            return [_row(row) for row in connection.execute(query).mappings()]

        return await self.database.read(work)

    def _mine(self, owner: str) -> Any:
        alive = or_(FILES.c.expires.is_(None), FILES.c.expires > self.now)
        return and_(FILES.c.owner == owner, FILES.c.status == "processed", alive)

    async def drop(self, owner: str, id: str) -> bool:
        def work(connection: Connection) -> bool:
            found = connection.execute(select(FILES.c.id).where(self._mine(owner), FILES.c.id == id)).first()
            if found is not None:
                _gone(connection, [id])
            return found is not None

        return await self.database.run(work)

    # -- reading

    async def read(self, id: str, begin: int, size: int) -> bytes:
        """`size` bytes of a file from `begin` on, or as many as there are."""

        def work(connection: Connection) -> list[Any]:
            query = select(PIECES).where(
                PIECES.c.file == id, PIECES.c.begin > begin - PIECE, PIECES.c.begin < begin + size
            )
            return list(connection.execute(query.order_by(PIECES.c.begin)))

        rows = await self.database.read(work)
        if not rows:
            return b""
        plain = (self.vault.open(row.organization, _sealed_as(row.seal), bytes(row.body)) for row in rows)
        whole, skip = b"".join(plain), begin - rows[0].begin
        return whole[skip : skip + size] if skip < len(whole) else b""

    async def content(self, id: str) -> AsyncIterator[bytes]:
        """A file from its begin to its end, a little at a time."""
        at = 0
        while data := await self.read(id, at, PIECE * TOGETHER):
            yield data
            at += len(data)

    # -- what is over

    def sweep(self, connection: Connection) -> int:
        """Forget files that have expired, and uploads that were never finished. Returns how many files."""
        late = self.now - LEFT_S
        unfinished = and_(FILES.c.status == "uploading", FILES.c.created < late)
        files = list(
            connection.execute(select(FILES.c.id).where(or_(FILES.c.expires <= self.now, unfinished))).scalars()
        )
        ended = select(UPLOADS.c.id).where(or_(UPLOADS.c.expires <= self.now, UPLOADS.c.status != "pending"))
        parts = list(connection.execute(select(PARTS.c.id).where(PARTS.c.upload.in_(ended))).scalars())
        _gone(connection, [*files, *parts])
        connection.execute(delete(PARTS).where(PARTS.c.id.in_(parts)))
        connection.execute(delete(UPLOADS).where(UPLOADS.c.expires <= self.now))
        return len(files)


def _taken(connection: Connection, owner: Owner) -> int:
    """Bytes that the files of the project have, and the parts of its uploads."""
    query = select(func.sum(FILES.c.bytes)).where(FILES.c.organization == owner.organization)
    query = query.where(FILES.c.project == owner.project) if owner.project else query.where(FILES.c.owner == owner.name)
    return int(connection.execute(query).scalar() or 0)


def _gone(connection: Connection, ids: Sequence[str]) -> None:
    for id in ids:
        put_away(connection, FILES.c.id == id, PIECES.c.file == id)
        connection.execute(delete(PIECES).where(PIECES.c.file == id))
        connection.execute(delete(FILES).where(FILES.c.id == id))


def _row(row: Any) -> FileRow:
    return FileRow(**row)
