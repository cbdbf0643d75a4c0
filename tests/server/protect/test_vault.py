"""Sealed content: bound to its row, unreadable without the master key, rotated as a whole or not at all."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from creuset.core.errors import ConfigError
from creuset.server.database import Database
from creuset.server.protect.privacy.stores import STORES
from creuset.server.protect.tables import DATA_KEYS
from creuset.server.protect.vault.master import make_master, read_master
from creuset.server.protect.vault.rotate import rotate, unreadable
from creuset.server.protect.vault.vault import MARK, CannotOpen, Vault
from creuset.server.responses.store import ItemStore, Kept
from creuset.server.responses.tables import CONVERSATIONS, ITEMS, RESPONSES

CANARY = "canary-7f3a91c2"
ITEM = {"id": "msg_1", "type": "message", "content": [{"type": "input_text", "text": CANARY}]}


def organization(owner: str) -> str:
    return owner.partition("/")[0]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = Database(f"sqlite:///{tmp_path / 'server.db'}")
    yield found
    found.close()


def master_in(folder: Path, name: str = "master") -> Any:
    make_master(folder / name)
    return read_master(f"file:{folder / name}")


def fill(database: Database, vault: Vault, owner: str = "acme/ann") -> ItemStore:
    store = ItemStore(database, vault=vault, organization=organization)

    async def work() -> None:
        body = {"id": "resp_1", "created_at": 1, "output": []}
        store.keep(owner, Kept(body, [ITEM], [], []))
        await store.converse(owner, "conv_1", 1, {"topic": CANARY}, [ITEM | {"id": "msg_2"}])

    asyncio.run(work())
    return store


def read(store: ItemStore, owner: str = "acme/ann") -> str:
    async def work() -> str:
        kept = await store.response(owner, "resp_1")
        talk = await store.conversation(owner, "conv_1")
        return f"{kept} {talk} {await store.items_of(owner, 'conv_1')} {await store.item(owner, 'msg_1')}"

    return asyncio.run(work())


def files(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


def test_what_is_kept_is_on_disk_sealed_only_and_comes_back_as_it_was(tmp_path: Path, database: Database) -> None:
    store = fill(database, Vault(database, master_in(tmp_path)))
    assert read(store).count(CANARY) == 4
    assert CANARY.encode() not in files(tmp_path) and MARK in files(tmp_path)
    fresh = Vault(database, read_master(f"file:{tmp_path / 'master'}"))
    assert read(ItemStore(database, vault=fresh, organization=organization)).count(CANARY) == 4


def test_without_a_master_key_content_is_stored_as_it_is(tmp_path: Path, database: Database) -> None:
    store = fill(database, Vault(database))
    assert read(store).count(CANARY) == 4 and CANARY.encode() in files(tmp_path)


@pytest.mark.parametrize("other", [("globex", "a/b/1"), ("acme", "a/b/2"), ("acm", "ea/b/1")])
def test_a_seal_holds_for_one_row_of_one_organization(tmp_path: Path, database: Database, other: Any) -> None:
    vault = Vault(database, master_in(tmp_path))
    sealed = vault.seal("acme", "a/b/1", b"said")
    vault.seal(other[0], "x", b"so that it has a key")
    assert vault.open("acme", "a/b/1", sealed) == b"said"
    with pytest.raises(CannotOpen):
        vault.open(*other, sealed)
    for at in range(len(sealed)):
        changed = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        if at >= len(MARK):  # what has no mark is content that was never sealed
            with pytest.raises(CannotOpen):
                vault.open("acme", "a/b/1", changed)
    with pytest.raises(CannotOpen, match="no master key"):
        Vault(database).open("acme", "a/b/1", sealed)


def test_two_processes_make_one_data_key(tmp_path: Path, database: Database) -> None:
    master = master_in(tmp_path)
    one, two = Vault(database, master), Vault(database, master)
    two._known("acme")  # it has looked before there was a key
    sealed = one.seal("acme", "w", b"said")
    assert two.open("acme", "w", two.seal("acme", "w", b"more")) == b"more" and two.open("acme", "w", sealed) == b"said"
    with database.reading() as connection:
        assert len(connection.execute(select(DATA_KEYS)).all()) == 1


def test_rotation_seals_everything_anew_under_another_master_key(tmp_path: Path, database: Database) -> None:
    old, new = master_in(tmp_path), master_in(tmp_path, "next")
    plain = fill(database, Vault(database))  # from the time before encryption
    assert read(plain).count(CANARY) == 4
    assert sum(rotate(Vault(database), Vault(database, old), organization).values()) == 7
    assert CANARY not in "".join(map(repr, rows(database)))
    before = rows(database)
    assert rotate(Vault(database, old), Vault(database, new), organization) == {"acme": 7}
    assert not set(before) & set(rows(database))
    vault = Vault(database, new)
    assert read(ItemStore(database, vault=vault, organization=organization)).count(CANARY) == 4
    assert unreadable(vault, organization) == []
    with pytest.raises(ConfigError, match="cannot unwrap the data key"):
        Vault(database, old).check()
    with pytest.raises(ConfigError, match="is sealed, and there is no master key"):
        Vault(database).check()
    rotate(vault, Vault(database), organization)  # and back to none
    assert read(ItemStore(database, organization=organization)).count(CANARY) == 4


def rows(database: Database) -> list[bytes]:
    with database.reading() as connection:
        return [
            bytes(row[column])
            for store in STORES
            for row in connection.execute(select(store.table)).mappings()
            for column in store.sealed
        ]


def test_one_damaged_value_stops_the_rotation_before_anything_has_changed(tmp_path: Path, database: Database) -> None:
    master = master_in(tmp_path)
    vault = Vault(database, master)
    fill(database, vault)
    rotate(vault, vault, organization)
    with database.transaction() as connection:
        sealed = connection.execute(select(CONVERSATIONS.c.metadata)).scalar_one()
        connection.execute(update(CONVERSATIONS).values(metadata=bytes(sealed[:-1]) + b"?"))
    before = rows(database)
    with pytest.raises(ConfigError, match="nothing was rotated: conversations/metadata/conv_1 was changed"):
        rotate(vault, Vault(database, master_in(tmp_path, "next")), organization)
    assert rows(database) == before
    assert unreadable(vault, organization) == [
        "conversations/metadata/conv_1: conversations/metadata/conv_1 was changed, or belongs to another row"
    ]
    with database.transaction() as connection:  # once all is sealed, what is not was put there by somebody else
        connection.execute(update(ITEMS).where(ITEMS.c.id == "msg_1").values(body=b'{"id": "msg_1"}'))
    assert any("items/body/msg_1 is not sealed" in one for one in unreadable(vault, organization))


def test_a_server_that_runs_during_a_rotation_reads_and_writes_on(tmp_path: Path, database: Database) -> None:
    now = [1000.0]
    master = master_in(tmp_path)
    running = Vault(database, master, clock=lambda: now[0])
    store = fill(database, running)
    rotate(Vault(database, master), Vault(database, master), organization)
    late = running.seal("acme", "w", b"said")
    assert read(store).count(CANARY) == 4  # under a key it did not know
    now[0] += 31
    assert running.seal("acme", "w", b"said")[: len(MARK) + 4] > late[: len(MARK) + 4], "the new key, soon"
    assert running.open("acme", "w", late) == b"said"


def test_rows_of_one_owner_cannot_be_moved_to_another(tmp_path: Path, database: Database) -> None:
    vault = Vault(database, master_in(tmp_path))
    fill(database, vault)
    with database.transaction() as connection:
        connection.execute(update(RESPONSES).values(owner="globex/eve"))
    eve = ItemStore(database, vault=vault, organization=organization)
    vault.seal("globex", "x", b"so that it has a key")
    with pytest.raises(CannotOpen):
        asyncio.run(eve.response("globex/eve", "resp_1"))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("", "must be file:PATH"), ("secret", "must be file:PATH"), ("file:/not/there", "cannot be read"),
        ("command:/not/there", "cannot be run"), ("command:false", "ended with 1"),
        ("command:echo 00", "holds no master key"), ("pkcs11:module=x;token=y", "needs module=, token= and label="),
        ("pkcs11:module=x;token=y;label=z", "needs its PIN"),
    ],
)  # fmt: skip
def test_a_master_key_that_cannot_be_is_named(spec: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_master(spec)


def test_a_master_key_from_a_command_and_from_a_file_that_others_can_read(tmp_path: Path) -> None:
    secret = "ab" * 32
    found = read_master(f"command:{sys.executable} -c \"print('{secret}')\"")
    (tmp_path / "key").write_text(secret)
    with pytest.raises(ConfigError, match="can be read by others"):
        read_master(f"file:{tmp_path / 'key'}")
    (tmp_path / "key").chmod(0o600)
    assert read_master(f"file:{tmp_path / 'key'}").unwrap(found.wrap(b"k" * 32, "x"), "x") == b"k" * 32
    with pytest.raises(ConfigError, match="cannot unwrap"):
        found.unwrap(found.wrap(b"k", "x"), "y")
    with pytest.raises(ConfigError, match="File exists"):
        make_master(tmp_path / "key")
