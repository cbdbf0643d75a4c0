"""Responses and conversations that are kept, in the server's database.

Everything belongs to its owner, the name of the key that made it. What belongs to somebody else is found as little as
what never was: one statement asks for both. The database's thread does all the work, in the order in which it was
asked for, so that what was kept is read; the event loop never waits for a disk.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import msgspec
from sqlalchemy import delete as delete_from
from sqlalchemy import insert as insert_into
from sqlalchemy import select, update
from sqlalchemy.engine import Connection

from creuset.server.database import Database
from creuset.server.responses.items import Item
from creuset.server.responses.tables import CONVERSATIONS, ITEMS, RESPONSES

_json = msgspec.json


class Kept(msgspec.Struct, frozen=True):
    """A response as it was kept. `before`: the items that it went on from."""

    body: dict[str, Any]
    input: list[Item]
    before: list[Item]
    events: list[dict[str, Any]]

    @property
    def items(self) -> list[Item]:
        """All that a response after it goes on from."""
        return [*self.before, *self.input, *self.body["output"]]


class ItemStore:
    def __init__(
        self, database: Database | None = None, *, on_error: Callable[[BaseException], object] = lambda _: None
    ):
        """Without a `database` everything is in memory. `on_error` gets what went wrong where nobody waits for it."""
        self._database, self._on_error = database or Database(), on_error
        self._run = self._database.run

    # -- responses

    def keep(self, owner: str, kept: Kept, conversation: str | None = None) -> None:
        """Keep a response, in the background. What is asked afterwards sees it."""
        body = kept.body

        def work(connection: Connection) -> None:
            connection.execute(delete_from(RESPONSES).where(RESPONSES.c.id == body["id"], RESPONSES.c.owner == owner))
            connection.execute(insert_into(RESPONSES).values(
                id=body["id"], owner=owner, created=body["created_at"], body=_json.encode(body),
                input=_json.encode(kept.input), before=_json.encode(kept.before), events=_json.encode(kept.events),
            ))  # fmt: skip
            connection.execute(delete_from(ITEMS).where(ITEMS.c.response == body["id"], ITEMS.c.owner == owner))
            new = [*kept.input, *body["output"]]
            _insert(connection, owner, new, conversation=conversation, response=body["id"])

        self._database.submit(work).add_done_callback(self._tell)

    def _tell(self, done: "Future[None]") -> None:
        if (error := done.exception()) is not None:
            self._on_error(error)

    async def response(self, owner: str, id: str) -> Kept | None:
        def work(connection: Connection) -> Kept | None:
            query = select(RESPONSES).where(RESPONSES.c.id == id, RESPONSES.c.owner == owner)
            row = connection.execute(query).mappings().first()
            if row is None:
                return None
            return Kept(*(_json.decode(row[name]) for name in ("body", "input", "before", "events")))

        return await self._run(work)

    async def forget(self, owner: str, id: str) -> bool:
        def work(connection: Connection) -> bool:
            mine = (RESPONSES.c.id == id, RESPONSES.c.owner == owner)
            gone = connection.execute(delete_from(RESPONSES).where(*mine)).rowcount
            alone = (ITEMS.c.response == id, ITEMS.c.owner == owner, ITEMS.c.conversation.is_(None))
            connection.execute(delete_from(ITEMS).where(*alone))
            return gone > 0

        return await self._run(work)

    async def item(self, owner: str, id: str) -> Item | None:
        """A kept item by its id, for a reference."""

        def work(connection: Connection) -> Item | None:
            query = select(ITEMS.c.body).where(ITEMS.c.id == id, ITEMS.c.owner == owner).limit(1)
            found = connection.execute(query).scalar()
            return None if found is None else _json.decode(found)

        return await self._run(work)

    # -- conversations

    async def converse(
        self, owner: str, id: str, created: int, metadata: dict[str, str], items: Sequence[Item]
    ) -> None:
        def work(connection: Connection) -> None:
            row = {"id": id, "owner": owner, "created": created, "metadata": _json.encode(metadata)}
            connection.execute(insert_into(CONVERSATIONS).values(**row))
            _insert(connection, owner, items, conversation=id)

        await self._run(work)

    async def conversation(self, owner: str, id: str) -> tuple[int, dict[str, str]] | None:
        def work(connection: Connection) -> tuple[int, dict[str, str]] | None:
            mine = (CONVERSATIONS.c.id == id, CONVERSATIONS.c.owner == owner)
            row = connection.execute(select(CONVERSATIONS).where(*mine)).mappings().first()
            return None if row is None else (row["created"], _json.decode(row["metadata"]))

        return await self._run(work)

    async def rename(self, owner: str, id: str, metadata: dict[str, str]) -> None:
        def work(connection: Connection) -> None:
            mine = (CONVERSATIONS.c.id == id, CONVERSATIONS.c.owner == owner)
            connection.execute(update(CONVERSATIONS).where(*mine).values(metadata=_json.encode(metadata)))

        await self._run(work)

    async def drop_conversation(self, owner: str, id: str) -> bool:
        def work(connection: Connection) -> bool:
            mine = (CONVERSATIONS.c.id == id, CONVERSATIONS.c.owner == owner)
            gone = connection.execute(delete_from(CONVERSATIONS).where(*mine)).rowcount
            connection.execute(delete_from(ITEMS).where(ITEMS.c.conversation == id, ITEMS.c.owner == owner))
            return gone > 0

        return await self._run(work)

    async def items_of(self, owner: str, conversation: str) -> list[Item]:
        def work(connection: Connection) -> list[Item]:
            mine = (ITEMS.c.conversation == conversation, ITEMS.c.owner == owner)
            rows = connection.execute(select(ITEMS.c.body).where(*mine).order_by(ITEMS.c.at)).scalars()
            return [_json.decode(row) for row in rows]

        return await self._run(work)

    async def add_items(self, owner: str, conversation: str, items: Sequence[Item]) -> None:
        await self._run(lambda connection: _insert(connection, owner, items, conversation=conversation))

    async def drop_item(self, owner: str, conversation: str, id: str) -> bool:
        def work(connection: Connection) -> bool:
            mine = (ITEMS.c.conversation == conversation, ITEMS.c.owner == owner, ITEMS.c.id == id)
            return connection.execute(delete_from(ITEMS).where(*mine)).rowcount > 0

        return await self._run(work)


def _insert(connection: Connection, owner: str, items: Sequence[Item], **of: str | None) -> None:
    rows = [{"id": item["id"], "owner": owner, "body": _json.encode(item), **of} for item in items]
    if rows:
        connection.execute(insert_into(ITEMS), rows)
