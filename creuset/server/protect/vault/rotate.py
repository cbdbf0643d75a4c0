"""Sealing everything anew under new data keys, perhaps wrapped by another master key: all of it, or nothing.

It is one transaction. A server that runs meanwhile seals with the data key before for some seconds: that one is kept,
retired, until the next rotation. So nothing becomes unreadable. A server must be started anew when the master key has
changed.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from sqlalchemy import and_, delete, func, select, update
from sqlalchemy.engine import Connection

from creuset.core.errors import ConfigError, CreusetError
from creuset.server.protect.privacy.stores import SECRETS, STORES, Row, Store
from creuset.server.protect.tables import DATA_KEYS, HELD
from creuset.server.protect.vault.vault import FIRST, MARK, Vault, number_of, opened_with, owner_of_key, sealed_with

Work = Callable[[str, str, bytes], bytes]  # of an organization's value: what it is, and as it is kept; as it is to be
_STORES = {store.name: store for store in (*STORES, *SECRETS)}


def each_value(connection: Connection, organization_of: Callable[[str], str], work: Work) -> None:
    """Call `work` for every value that is sealed, or would be, and keep what it returns."""
    for store in _STORES.values():
        table, keys = store.table, list(store.table.primary_key.columns)
        names = [tuple(row) for row in connection.execute(select(*keys))]
        for name in names:  # one row at a time: content may be larger than memory
            where = and_(*(key == value for key, value in zip(keys, name, strict=True)))
            row: Row = dict(connection.execute(select(table).where(where)).mappings().one())
            if new := _worked(store, row, _organization(connection, store, row, organization_of), work):
                connection.execute(update(table).where(where).values(**new))
    for held in connection.execute(select(HELD)).mappings().all():
        row = msgspec.msgpack.decode(held["body"])
        if new := _worked(_STORES[held["store"]], row, held["organization"], work):
            body: Any = msgspec.msgpack.encode({**row, **new})
            connection.execute(update(HELD).where(HELD.c.at == held["at"]).values(body=body))


def _organization(connection: Connection, store: Store, row: Row, organization_of: Callable[[str], str]) -> str:
    if store.parent is not None and "organization" not in row:
        parent, column = store.parent
        found = connection.execute(select(parent).where(parent.c.id == row[column])).mappings().first()
        row = {"owner": ""} if found is None else dict(found)
    return str(row["organization"]) if "organization" in row else organization_of(row["owner"])


def _worked(store: Store, row: Row, organization: str, work: Work) -> dict[str, bytes]:
    """The columns that `work` changes."""
    found = {}
    for column in store.sealed:
        if row[column] is not None:
            before = bytes(row[column])
            after = work(organization, store.place(column, row), before)
            if after != before:
                found[column] = after
    return found


def rotate(vault: Vault, target: Vault, organization_of: Callable[[str], str]) -> dict[str, int]:
    """Open everything with `vault` and seal it with `target`, which has the new master key, or none.

    Returns how many values were sealed anew, of each organization. ConfigError, and nothing has changed, where one of
    them cannot be opened.
    """
    done: dict[str, int] = {}
    old: dict[str, dict[int, Any]] = {}
    new: dict[str, tuple[int, Any]] = {}
    with vault.database.transaction() as connection:
        for one in connection.execute(select(DATA_KEYS.c.organization).distinct()).scalars().all():
            old[one] = vault.keys_in(connection, one) if vault.master is not None else {}

        def work(organization: str, what: str, sealed: bytes) -> bytes:
            plain = _plain(old.get(organization, {}), organization, what, sealed)
            done[organization] = done.get(organization, 0) + 1
            if target.master is None:
                return plain
            if organization not in new:
                new[organization] = _next(connection, target, organization)
            number, key = new[organization]
            return sealed_with(key, number, organization, what, plain)

        each_value(connection, organization_of, work)
        _retire(connection, vault, target, new, set(old))
    vault.forget()
    target.forget()
    return done


def _plain(keys: dict[int, Any], organization: str, what: str, sealed: bytes) -> bytes:
    if not sealed.startswith(MARK):
        return sealed
    try:
        number = number_of(sealed)
        if number not in keys:
            raise ConfigError(f"{what} is sealed with data key {number}, which this master key does not open")
        return opened_with(keys[number], organization, what, sealed)
    except CreusetError as error:
        hint = "creuset doctor names all that cannot be read"
        raise ConfigError(f"nothing was rotated: {error}", hint=hint) from None


def _next(connection: Connection, target: Vault, organization: str) -> tuple[int, Any]:
    newest = select(func.max(DATA_KEYS.c.number)).where(DATA_KEYS.c.organization == organization)
    number = int(connection.execute(newest).scalar() or FIRST) + 1  # above FIRST, what is not sealed is refused
    return number, target.make(connection, organization, number)


def _retire(
    connection: Connection, vault: Vault, target: Vault, new: dict[str, tuple[int, Any]], organizations: set[str]
) -> None:
    """Data keys that were retired before go; those of until now are retired, under the master key of `target`."""
    if target.master is None or vault.master is None:
        fresh = {(organization, number) for organization, (number, _) in new.items()}
        for name in connection.execute(select(DATA_KEYS.c.organization, DATA_KEYS.c.number)).all():
            if tuple(name) not in fresh:
                _drop(connection, *name)
        return
    connection.execute(delete(DATA_KEYS).where(DATA_KEYS.c.retired.is_not(None)))
    for organization in organizations:
        number, _ = new.get(organization) or _next(connection, target, organization)
        where = (DATA_KEYS.c.organization == organization, DATA_KEYS.c.number != number)
        for row in connection.execute(select(DATA_KEYS).where(*where)).mappings().all():
            of = owner_of_key(organization, row["number"])
            wrapped = target.master.wrap(vault.master.unwrap(row["wrapped"], of), of)
            here = (DATA_KEYS.c.organization == organization, DATA_KEYS.c.number == row["number"])
            values = {"wrapped": wrapped, "master": target.master.id, "retired": target.now()}
            connection.execute(update(DATA_KEYS).where(*here).values(**values))


def _drop(connection: Connection, organization: str, number: int) -> None:
    here = (DATA_KEYS.c.organization == organization, DATA_KEYS.c.number == number)
    connection.execute(delete(DATA_KEYS).where(*here))


def unreadable(vault: Vault, organization_of: Callable[[str], str]) -> list[str]:
    """What cannot be decrypted, by name: for `creuset doctor`."""
    found = []

    def work(organization: str, what: str, sealed: bytes) -> bytes:
        try:
            vault.open(organization, what, sealed)
        except CreusetError as error:
            found.append(f"{what}: {error}")
        return sealed

    with vault.database.reading() as connection:
        each_value(connection, organization_of, work)
    return found
