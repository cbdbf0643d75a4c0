"""Sealing what is kept: AES-256-GCM with a key of the organization, bound to the place where it is kept.

`seal(organization, what, plain)` and `open(organization, what, sealed)`: `what` is the identity of the row, such as
`responses/body/resp_1`, and goes into the seal as additional data. So a sealed value that is put into another row, or
under another organization, cannot be opened.

Without a master key nothing is sealed, and content is stored as it is. A sealed value begins with MARK, which no JSON
begins with; so a database may hold both, until `creuset vault rotate` has sealed everything. From then on a value that
is not sealed is refused: somebody else has put it there.
"""

import secrets
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from creuset.core.errors import ConfigError, EngineError
from creuset.server.database import Database
from creuset.server.protect.tables import DATA_KEYS
from creuset.server.protect.vault.master import NONCE, SIZE, MasterKey, aes

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from sqlalchemy.engine import Connection

MARK = b"\xc5cr\x01"
_HEAD = len(MARK) + 4
FRESH_S = 30.0  # a rotation is seen within so long
FIRST = 1  # the number of the first data key; under it, values that are not sealed may still be there


class CannotOpen(EngineError):
    """Content that is kept cannot be decrypted: `creuset doctor` names it."""

    status = 500
    code = "content_unreadable"


def place(store: str, column: str, id: str) -> str:
    """The identity of a value: the same words for whoever seals, opens and rotates it."""
    return f"{store}/{column}/{id}"


class Vault:
    def __init__(
        self, database: Database, master: MasterKey | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.database, self.master, self._clock = database, master, clock
        self._keys: dict[str, dict[int, AESGCM]] = {}  # organization: number: key
        self._read_at: dict[str, float] = {}
        self._one = threading.Lock()

    @property
    def seals(self) -> bool:
        return self.master is not None

    def seal(self, organization: str, what: str, plain: bytes) -> bytes:
        if self.master is None:
            return plain
        number, key = self._newest(organization)
        return sealed_with(key, number, organization, what, plain)

    def open(self, organization: str, what: str, sealed: bytes) -> bytes:
        """What was sealed. Raises CannotOpen, without the content."""
        if not sealed.startswith(MARK):
            if self.master is not None and max(self._known(organization), default=FIRST) > FIRST:
                raise CannotOpen(f"{what} is not sealed, though all of {organization or 'this server'} is")
            return sealed
        number = number_of(sealed)
        return opened_with(self._key(organization, number, what), organization, what, sealed)

    def make(self, connection: "Connection", organization: str, number: int) -> "AESGCM":
        """A new data key, in the transaction of `connection`; it is not used before that has ended."""
        assert self.master is not None
        secret = secrets.token_bytes(SIZE)
        wrapped = self.master.wrap(secret, owner_of_key(organization, number))
        connection.execute(insert(DATA_KEYS).values(
            organization=organization, number=number, wrapped=wrapped, master=self.master.id,
            created=self.now(), retired=None,
        ))  # fmt: skip
        return aes(secret)

    def check(self) -> None:
        """ConfigError where there are data keys that this master key does not unwrap, or there is none."""
        with self.database.reading() as connection:
            names = connection.execute(select(DATA_KEYS.c.organization).distinct()).scalars().all()
            if names and self.master is None:
                raise ConfigError(
                    f"content in `{self.database.shown}` is sealed, and there is no master key",
                    hint="name it with --master-key",
                )
            for organization in names:
                self.keys_in(connection, organization)

    def now(self) -> int:
        return int(self._clock())

    def forget(self) -> None:
        """Read the data keys anew when they are next used."""
        with self._one:
            self._keys.clear()

    def _newest(self, organization: str) -> "tuple[int, AESGCM]":
        known = self._known(organization)
        if known and self._clock() - self._read_at[organization] > FRESH_S:
            with suppress(ConfigError):  # another master key wrapped the new ones: this server is to be started anew
                known = self._read(organization)
        if not known:
            try:
                with self.database.transaction() as connection:
                    self.make(connection, organization, FIRST)
            except IntegrityError:
                pass  # another process made it at the same moment
            known = self._read(organization)
        number = max(known)
        return number, known[number]

    def _key(self, organization: str, number: int, what: str) -> "AESGCM":
        if self.master is None:
            raise CannotOpen(f"{what} is sealed, and this server has no master key")
        known = self._known(organization)
        if number not in known:
            known = self._read(organization)  # another process may have made it
        if number not in known:
            raise CannotOpen(f"{what} is sealed with data key {number} of {organization}, which is not there")
        return known[number]

    def _known(self, organization: str) -> "dict[int, AESGCM]":
        with self._one:
            found = self._keys.get(organization)
        return self._read(organization) if found is None else found

    def _read(self, organization: str) -> "dict[int, AESGCM]":
        with self.database.reading() as connection:
            found = self.keys_in(connection, organization)
        with self._one:
            self._keys[organization], self._read_at[organization] = found, self._clock()
        return found

    def keys_in(self, connection: "Connection", organization: str) -> "dict[int, AESGCM]":
        """The data keys of `organization`. ConfigError where the master key is not theirs."""
        assert self.master is not None
        rows = connection.execute(select(DATA_KEYS).where(DATA_KEYS.c.organization == organization)).mappings()
        return {
            row["number"]: aes(self.master.unwrap(row["wrapped"], owner_of_key(organization, row["number"])))
            for row in rows
        }


def owner_of_key(organization: str, number: int) -> str:
    return f"data key {number} of {organization or 'this server'}"


def number_of(sealed: bytes) -> int:
    """The number of the data key that a sealed value needs."""
    if len(sealed) < _HEAD + NONCE:
        raise CannotOpen("a sealed value is cut")
    number: int = struct.unpack(">I", sealed[len(MARK) : _HEAD])[0]
    return number


def sealed_with(key: "AESGCM", number: int, organization: str, what: str, plain: bytes) -> bytes:
    nonce = secrets.token_bytes(NONCE)
    return MARK + struct.pack(">I", number) + nonce + key.encrypt(nonce, plain, _bound(organization, number, what))


def opened_with(key: "AESGCM", organization: str, what: str, sealed: bytes) -> bytes:
    from cryptography.exceptions import InvalidTag

    number, nonce = number_of(sealed), sealed[_HEAD : _HEAD + NONCE]
    try:
        return key.decrypt(nonce, sealed[_HEAD + NONCE :], _bound(organization, number, what))
    except InvalidTag:
        raise CannotOpen(f"{what} was changed, or belongs to another row") from None


def _bound(organization: str, number: int, what: str) -> bytes:
    """What a seal holds for: lengths first, so that no two of them are the same bytes."""
    parts = [organization.encode(), b"%d" % number, what.encode()]
    return b"".join(b"%d:" % len(part) + part for part in parts)
