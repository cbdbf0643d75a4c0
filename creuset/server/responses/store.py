"""Responses and conversations that are kept, in the server's database.

Everything belongs to its owner, the name of the key that made it. What belongs to somebody else is found as little as
what never was: one statement asks for both. The database's thread does all the work, in the order in which it was
asked for, so that what was kept is read; the event loop never waits for a disk. What was said is sealed before it gets
there, and opened after it was read (protect/vault).
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import msgspec
from sqlalchemy import Table, select, update
from sqlalchemy import delete as delete_from
from sqlalchemy import insert as insert_into
from sqlalchemy.engine import Connection
from sqlalchemy.sql import ColumnElement

from creuset.server.database import Database
from creuset.server.protect.privacy.holds import preserve
from creuset.server.protect.privacy.stores import STORES
from creuset.server.protect.vault.vault import Vault, place
from creuset.server.responses.items import Item
from creuset.server.responses.tables import CONVERSATIONS, ITEMS, RESPONSES

_json = msgspec.json
_STORES = {store.name: store for store in STORES}
_PARTS = ("body", "input", "before", "events")


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
        self,
        database: Database | None = None,
        *,
        on_error: Callable[[BaseException], object] = lambda _: None,
        vault: Vault | None = None,
        organization: Callable[[str], str] = lambda _owner: "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Without a `database` everything is in memory. `on_error` gets what went wrong where nobody waits for it.

        `organization`: of an owner, whose key seals what is kept.
        """
        self._database, self._on_error = database or Database(), on_error
        self._vault, self._organization, self._clock = vault or Vault(self._database), organization, clock
        self._run = self._database.run

    # -- responses

    def keep(self, owner: str, kept: Kept, conversation: str | None = None) -> None:
        """Keep a response, in the background. What is asked afterwards sees it."""
        body = kept.body
        id = body["id"]
        parts = {name: self._sealed(owner, RESPONSES, name, id, getattr(kept, name)) for name in _PARTS}
        items = self._rows(owner, [*kept.input, *body["output"]], conversation=conversation, response=id)

        def work(connection: Connection) -> None:
            connection.execute(delete_from(RESPONSES).where(RESPONSES.c.id == id, RESPONSES.c.owner == owner))
            row = {"id": id, "owner": owner, "created": body["created_at"], **parts}
            connection.execute(insert_into(RESPONSES).values(**row))
            connection.execute(delete_from(ITEMS).where(ITEMS.c.response == id, ITEMS.c.owner == owner))
            _insert(connection, items)

        self._database.submit(work).add_done_callback(self._tell)

    def _tell(self, done: "Future[None]") -> None:
        if (error := done.exception()) is not None:
            self._on_error(error)

    async def response(self, owner: str, id: str) -> Kept | None:
        query = select(RESPONSES).where(RESPONSES.c.id == id, RESPONSES.c.owner == owner)
        row = await self._run(lambda connection: connection.execute(query).mappings().first())
        if row is None:
            return None
        return Kept(*(self._opened(owner, RESPONSES, name, id, row[name]) for name in _PARTS))

    async def forget(self, owner: str, id: str) -> bool:
        alone = (ITEMS.c.response == id, ITEMS.c.owner == owner, ITEMS.c.conversation.is_(None))

        def work(connection: Connection) -> bool:
            gone = self._delete(connection, owner, RESPONSES, RESPONSES.c.id == id, RESPONSES.c.owner == owner)
            self._delete(connection, owner, ITEMS, *alone)
            return gone > 0

        return await self._run(work)

    async def item(self, owner: str, id: str) -> Item | None:
        """A kept item by its id, for a reference."""
        query = select(ITEMS.c.body).where(ITEMS.c.id == id, ITEMS.c.owner == owner).limit(1)
        found = await self._run(lambda connection: connection.execute(query).scalar())
        return None if found is None else self._opened(owner, ITEMS, "body", id, found)

    # -- conversations

    async def converse(
        self, owner: str, id: str, created: int, metadata: dict[str, str], items: Sequence[Item]
    ) -> None:
        said = self._sealed(owner, CONVERSATIONS, "metadata", id, metadata)
        row, rows = {"id": id, "owner": owner, "created": created, "metadata": said}, self._rows(
            owner, items, conversation=id, response=None
        )  # fmt: skip

        def work(connection: Connection) -> None:
            connection.execute(insert_into(CONVERSATIONS).values(**row))
            _insert(connection, rows)

        await self._run(work)

    async def conversation(self, owner: str, id: str) -> tuple[int, dict[str, str]] | None:
        mine = (CONVERSATIONS.c.id == id, CONVERSATIONS.c.owner == owner)
        query = select(CONVERSATIONS).where(*mine)
        row = await self._run(lambda connection: connection.execute(query).mappings().first())
        if row is None:
            return None
        return row["created"], self._opened(owner, CONVERSATIONS, "metadata", id, row["metadata"])

    async def rename(self, owner: str, id: str, metadata: dict[str, str]) -> None:
        mine = (CONVERSATIONS.c.id == id, CONVERSATIONS.c.owner == owner)
        said = self._sealed(owner, CONVERSATIONS, "metadata", id, metadata)
        await self._run(lambda one: one.execute(update(CONVERSATIONS).where(*mine).values(metadata=said)))

    async def drop_conversation(self, owner: str, id: str) -> bool:
        mine = (CONVERSATIONS.c.id == id, CONVERSATIONS.c.owner == owner)

        def work(connection: Connection) -> bool:
            gone = self._delete(connection, owner, CONVERSATIONS, *mine)
            self._delete(connection, owner, ITEMS, ITEMS.c.conversation == id, ITEMS.c.owner == owner)
            return gone > 0

        return await self._run(work)

    async def items_of(self, owner: str, conversation: str) -> list[Item]:
        mine = (ITEMS.c.conversation == conversation, ITEMS.c.owner == owner)
        query = select(ITEMS.c.id, ITEMS.c.body).where(*mine).order_by(ITEMS.c.at)
        rows = await self._run(lambda connection: connection.execute(query).all())
        return [self._opened(owner, ITEMS, "body", id, body) for id, body in rows]

    async def add_items(self, owner: str, conversation: str, items: Sequence[Item]) -> None:
        rows = self._rows(owner, items, conversation=conversation, response=None)
        await self._run(lambda connection: _insert(connection, rows))

    async def drop_item(self, owner: str, conversation: str, id: str) -> bool:
        mine = (ITEMS.c.conversation == conversation, ITEMS.c.owner == owner, ITEMS.c.id == id)
        return await self._run(lambda connection: self._delete(connection, owner, ITEMS, *mine) > 0)

    # -- sealing and deleting

    def _sealed(self, owner: str, table: Table, column: str, id: str, value: Any) -> bytes:
        what = place(table.name, column, id)
        return self._vault.seal(self._organization(owner), what, _json.encode(value))

    def _opened(self, owner: str, table: Table, column: str, id: str, sealed: bytes) -> Any:
        what = place(table.name, column, id)
        return _json.decode(self._vault.open(self._organization(owner), what, bytes(sealed)))

    def _rows(self, owner: str, items: Sequence[Item], **of: str | None) -> list[dict[str, Any]]:
        now = int(self._clock())
        return [
            {"id": item["id"], "owner": owner, "created": now, **of,
             "body": self._sealed(owner, ITEMS, "body", item["id"], item)}
            for item in items
        ]  # fmt: skip

    def _delete(self, connection: Connection, owner: str, table: Table, *where: ColumnElement[bool]) -> int:
        """Delete rows of `owner`; what is under a legal hold is put away first."""
        preserve(
            connection, self._organization(owner), owner, _STORES[table.name], where, int(self._clock())
        )  # fmt: skip
        return connection.execute(delete_from(table).where(*where)).rowcount


def _insert(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        connection.execute(insert_into(ITEMS), rows)
