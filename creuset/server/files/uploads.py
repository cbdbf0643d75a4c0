"""Uploads in parts: each part is kept by itself; the last call puts them together in the order that it names."""

import hashlib
from collections.abc import Sequence
from secrets import token_hex
from typing import Any

import msgspec
from sqlalchemy import and_, func, insert, select, update
from sqlalchemy.engine import Connection

from creuset.core.errors import NotFound, RequestError
from creuset.server.files.store import FileRow, FileStore, Owner, Writing
from creuset.server.files.tables import FILES, PARTS, PIECES, UPLOADS

LIFE_S = 3600
MOST_A_PART = 64 << 20


class UploadRow(msgspec.Struct, frozen=True, kw_only=True):
    """`seconds`: after which the file is to be forgotten, counted from its creation."""

    id: str
    owner: str
    organization: str
    project: str
    created: int
    expires: int
    bytes: int
    name: str
    purpose: str
    status: str
    file: str | None
    seconds: int | None


class UploadOver(RequestError):
    status = 400
    code = "upload_not_pending"


class UploadStore:
    def __init__(self, files: FileStore) -> None:
        self.files, self.database = files, files.database

    async def create(self, owner: Owner, *, size: int, name: str, purpose: str, seconds: int | None) -> UploadRow:
        now = self.files.now
        row = UploadRow(
            id=f"upload_{token_hex(16)}", owner=owner.name, organization=owner.organization, project=owner.project,
            created=now, expires=now + LIFE_S, bytes=size, name=name, purpose=purpose, status="pending", file=None,
            seconds=seconds,
        )  # fmt: skip
        values = msgspec.structs.asdict(row)
        await self.database.run(lambda connection: connection.execute(insert(UPLOADS).values(**values)) and None)
        return row

    async def find(self, owner: str, id: str) -> UploadRow:
        """Raises NotFound, also for somebody else's."""

        def work(connection: Connection) -> Any:
            query = select(UPLOADS).where(UPLOADS.c.owner == owner, UPLOADS.c.id == id)
            return connection.execute(query).mappings().first()

        found = await self.database.read(work)
        if found is None:
            raise NotFound(f"No such Upload object: {id}", param="upload_id")
        row = UploadRow(**found)
        if row.status == "pending" and row.expires <= self.files.now:
            row = msgspec.structs.replace(row, status="expired")
        return row

    async def pending(self, owner: str, id: str) -> UploadRow:
        row = await self.find(owner, id)
        if row.status != "pending":
            raise UploadOver(f"this upload is {row.status}: it takes no more")
        return row

    async def part(self, upload: UploadRow) -> Writing:
        """A new part, which counts when `add_part` was called."""
        return Writing(self.files, f"part_{token_hex(16)}", MOST_A_PART, upload.organization)

    async def add_part(self, upload: UploadRow, writing: Writing) -> int:
        """Returns when it was made. RequestError for parts that are more than was announced."""
        size, now = await writing.close(), self.files.now

        def work(connection: Connection) -> int:
            query = select(func.sum(PARTS.c.bytes)).where(PARTS.c.upload == upload.id)
            total = int(connection.execute(query).scalar() or 0) + size
            if total > 2 * upload.bytes + MOST_A_PART:  # a part may be sent again, and not be named in the end
                raise RequestError(f"the parts of this upload have {total} bytes; {upload.bytes} were announced")
            connection.execute(
                insert(PARTS).values(id=writing.id, upload=upload.id, created=now, bytes=size, status="kept")
            )
            return now

        return await self.database.run(work)

    async def complete(self, upload: UploadRow, parts: Sequence[str], md5: str | None) -> FileRow:
        """The file of these parts, in this order. RequestError where they are not what was announced."""
        if len(set(parts)) != len(parts):
            raise RequestError("`part_ids` names a part twice", param="part_ids")

        def sized(connection: Connection) -> dict[str, int]:
            query = select(PARTS.c.id, PARTS.c.bytes).where(PARTS.c.upload == upload.id, PARTS.c.id.in_(parts))
            return {row.id: row.bytes for row in connection.execute(query)}

        sizes = await self.database.read(sized)
        for part in parts:
            if part not in sizes:
                raise NotFound(f"No such part of this upload: {part[:64]}", param="part_ids")
        if (total := sum(sizes.values())) != upload.bytes:
            raise RequestError(f"these parts have {total} bytes; {upload.bytes} were announced", param="part_ids")
        if md5 is not None:
            found = hashlib.md5(usedforsecurity=False)
            for part in parts:
                async for data in self.files.content(part):
                    found.update(data)
            if found.hexdigest() != md5.lower():
                raise RequestError(f"the MD5 of the file is {found.hexdigest()}, not `md5`", param="md5")
        owner = Owner(upload.owner, upload.organization, upload.project)
        writing = await self.files.begin(owner, most=upload.bytes)

        def work(connection: Connection) -> None:
            mine = and_(UPLOADS.c.id == upload.id, UPLOADS.c.status == "pending")
            ended = update(UPLOADS).where(mine).values(status="completed", file=writing.id)
            if not connection.execute(ended).rowcount:
                raise UploadOver("this upload is over: it takes no more")
            at = 0
            for part in parts:
                pieces = update(PIECES).where(PIECES.c.file == part)
                connection.execute(pieces.values(file=writing.id, begin=PIECES.c.begin + at))
                at += sizes[part]

        await self.database.run(work)
        writing.size = upload.bytes
        return await self.files.finish(writing, upload.name, upload.purpose, upload.seconds)

    async def cancel(self, upload: UploadRow) -> UploadRow:
        def work(connection: Connection) -> None:
            mine = and_(UPLOADS.c.id == upload.id, UPLOADS.c.status == "pending")
            if not connection.execute(update(UPLOADS).where(mine).values(status="cancelled")).rowcount:
                raise UploadOver("this upload is over: it cannot be cancelled")
            for part in connection.execute(select(PARTS.c.id).where(PARTS.c.upload == upload.id)).scalars():
                connection.execute(PIECES.delete().where(PIECES.c.file == part))

        await self.database.run(work)
        return msgspec.structs.replace(upload, status="cancelled")

    async def file_of(self, upload: UploadRow) -> FileRow | None:
        if upload.file is None:
            return None

        def work(connection: Connection) -> Any:
            return connection.execute(select(FILES).where(FILES.c.id == upload.file)).mappings().first()

        found = await self.database.read(work)
        return None if found is None else FileRow(**found)
