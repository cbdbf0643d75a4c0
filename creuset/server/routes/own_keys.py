"""Keys that tenants bring for an upstream of a route: sealed in the database, opened into memory, told to nobody.

A key belongs to a project, or to the whole organization. Who may set it is whoever may change the project or the
organization. Without a master key none is stored: a key in plain text would be in every backup.
"""

import threading
import time
from collections.abc import Callable, Mapping
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select
from sqlalchemy.engine import Connection

from creuset.core.errors import EngineError, RequestError
from creuset.server.database import Database
from creuset.server.routes.tables import UPSTREAM_KEYS
from creuset.types.tenants import Caller

if TYPE_CHECKING:
    from creuset.server.protect.vault.vault import Vault

Row = dict[str, Any]
FRESH_S = 1.0  # how soon a key that another server stored or deleted is seen


class CannotKeepKeys(RequestError):
    """There is nothing to encrypt a key with."""

    status = 409
    code = "no_master_key"


def place(id: str) -> str:
    """What a seal holds for: the row."""
    return f"upstream_keys/sealed/{id}"


class TenantKeys:
    def __init__(
        self, database: Database | None = None, vault: "Vault | None" = None, *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._database, self._vault, self._clock = database, vault, clock
        self._known: Mapping[tuple[str, str, str], str] = {}
        self._opened: dict[str, tuple[bytes, str]] = {}  # id: as it is sealed, and open
        self._read_at = -FRESH_S
        self._one = threading.Lock()

    def find(self, who: Caller | None, upstream: str) -> str | None:
        """The key of the caller's project there, or else of the organization."""
        if who is None or self._vault is None or not self._vault.seals:
            return None
        if self._clock() - self._read_at >= FRESH_S:
            self.refresh()
        return self._known.get((who.organization, who.project, upstream)) or self._known.get(
            (who.organization, "", upstream)
        )

    def refresh(self) -> None:
        if self._database is None or self._vault is None:
            return
        with self._one:
            with self._database.reading() as connection:
                rows = connection.execute(select(UPSTREAM_KEYS)).mappings().all()
            opened: dict[str, tuple[bytes, str]] = {}
            known: dict[tuple[str, str, str], str] = {}
            for row in rows:
                held = self._opened.get(row["id"])
                if held is None or held[0] != row["sealed"]:
                    try:
                        plain = self._vault.open(row["organization"], place(row["id"]), row["sealed"])
                        held = row["sealed"], plain.decode()
                    except EngineError:
                        continue  # `creuset doctor` names it
                opened[row["id"]] = held
                known[row["organization"], row["project"], row["upstream"]] = held[1]
            self._opened, self._known, self._read_at = opened, known, self._clock()

    def sealed(self, organization: str, project: str, upstream: str, key: str, by: str) -> Row:
        """The row that keeps `key`. CannotKeepKeys without a master key."""
        if self._vault is None or not self._vault.seals:
            raise CannotKeepKeys("this server has no master key, so it keeps no keys of others",
                                 hint="start it with --master-key")  # fmt: skip
        if not key or len(key) > 4096 or any(not 33 <= ord(letter) < 127 for letter in key):
            raise RequestError("`key` must be a text of letters, digits and signs without spaces", param="key")
        id = f"upkey_{token_hex(12)}"
        return {
            "id": id, "organization": organization, "project": project, "upstream": upstream,
            "sealed": self._vault.seal(organization, place(id), key.encode()), "created": int(time.time()),
            "created_by": by,
        }  # fmt: skip

    def store(self, connection: Connection, row: Row) -> None:
        """Keep `row`, in the place of one for the same project and upstream."""
        self.drop(connection, row["organization"], row["project"], row["upstream"])
        connection.execute(insert(UPSTREAM_KEYS).values(**row))

    def drop(self, connection: Connection, organization: str, project: str, upstream: str) -> bool:
        mine = (UPSTREAM_KEYS.c.organization == organization, UPSTREAM_KEYS.c.project == project)
        return connection.execute(delete(UPSTREAM_KEYS).where(*mine, UPSTREAM_KEYS.c.upstream == upstream)).rowcount > 0


def listed(connection: Connection, organization: str, project: str) -> list[Row]:
    mine = (UPSTREAM_KEYS.c.organization == organization, UPSTREAM_KEYS.c.project == project)
    return [shown(dict(row)) for row in connection.execute(select(UPSTREAM_KEYS).where(*mine)).mappings()]


def shown(row: Row) -> Row:
    """What is told of a key: never a part of it."""
    return {
        "object": "creuset.upstream_key", "id": row["id"], "upstream": row["upstream"],
        "project": row["project"] or None, "created_at": row["created"], "created_by": row["created_by"],
    }  # fmt: skip
