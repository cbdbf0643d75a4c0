"""A backup restored into an empty database is the same database: every row, and every sum of the ledger."""

import asyncio
import gzip
import stat
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from creuset.core.errors import ConfigError, DataError
from creuset.server.database import META, Database
from creuset.server.database.backup import back_up, ledger_sums, restore
from creuset.server.files.store import FileStore, Owner
from creuset.types.usage import TokenUsage

from ..money.conftest import MODEL, caller, limit, proven, set_limits
from ..money.test_books import opened


def rows(database: Database) -> dict[str, list[Any]]:
    with database.reading() as connection:
        return {table.name: sorted(map(repr, connection.execute(select(table)).all())) for table in META.sorted_tables}


async def fill(database: Database) -> None:
    set_limits(
        database, limit(amount=100_000), limit(kind="key", subject="k1", what="tokens", window="day", amount=9_000)
    )
    gate = opened(database)
    await gate.start()
    for at in range(20):
        hold = await gate.admit(caller(), MODEL, request=f"r{at}", prompt_tokens=100, max_tokens=50)
        hold.release() if at % 5 == 0 else hold.settle(TokenUsage(input=100, output=at))
    await gate.stop()
    files = FileStore(database)
    writing = await files.begin(Owner("ann", "org", "proj"))
    await writing.add(bytes(range(256)) * 700)
    await files.finish(writing, "n", "batch", None)


def moved(source: Database, target: Database, file: Path) -> None:
    asyncio.run(fill(source))
    foot = back_up(source, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert restore(target, file) == foot
    with source.reading() as old, target.reading() as new:
        assert ledger_sums(old) == ledger_sums(new) == foot["ledger"]
        assert any(name.startswith("spent/") and total > 0 for name, total in foot["ledger"].items())
    assert rows(source) == rows(target)
    assert proven(target) == proven(source)
    asyncio.run(more(target))


async def more(database: Database) -> None:
    """The restored database goes on: numbers that it gives out are new ones."""
    gate = opened(database)
    await gate.start()
    (await gate.admit(caller(), MODEL, request="later", prompt_tokens=10, max_tokens=5)).settle(TokenUsage(input=10))
    await gate.stop()
    proven(database)


def test_a_backup_restored_into_an_empty_database_is_equal(tmp_path: Path) -> None:
    source, target = Database(f"sqlite:///{tmp_path}/a.db"), Database(f"sqlite:///{tmp_path}/b.db")
    moved(source, target, tmp_path / "backup")
    source.close()
    target.close()


@pytest.mark.slow
def test_a_backup_of_sqlite_may_become_postgresql(tmp_path: Path, postgres_database: str) -> None:
    source, target = Database(f"sqlite:///{tmp_path}/a.db"), Database(postgres_database)
    moved(source, target, tmp_path / "backup")
    source.close()
    target.close()


def test_what_is_no_backup_or_has_nowhere_to_go_is_refused_and_nothing_is_changed(tmp_path: Path) -> None:
    source, file = Database(f"sqlite:///{tmp_path}/a.db"), tmp_path / "backup"
    asyncio.run(fill(source))
    back_up(source, file)
    with pytest.raises(ConfigError, match=r"is not empty: `\w+` has rows"):
        restore(source, file)
    lines = gzip.decompress(file.read_bytes()).splitlines(keepends=True)
    target = Database(f"sqlite:///{tmp_path}/b.db")

    def refused(changed: list[bytes], error: type[Exception], words: str) -> None:
        file.write_bytes(gzip.compress(b"".join(changed)))
        with pytest.raises(error, match=words):
            restore(target, file)
        assert not any(rows(target).values()), "all of it, or nothing"

    refused(lines[1:], DataError, "is no backup")
    refused(lines[:-1], DataError, "is cut")
    refused([*lines[:5], *lines[6:]], DataError, "is cut")
    at = next(at for at, line in enumerate(lines) if line.startswith(b'["ledger"') and b"spent/" in line)
    kept = [part for part in lines[at].split(b",")]
    kept[7] = b"%d" % (int(kept[7]) + 1)
    refused([*lines[:at], b",".join(kept), *lines[at + 1 :]], DataError, "other sums")
    refused([b'{"kind":"creuset.backup","schema":"0001"}\n', *lines[1:]], ConfigError, "has the schema 0001")
    file.write_bytes(gzip.compress(b"".join(lines))[:-30])
    with pytest.raises(DataError):
        restore(target, file)
    source.close()
    target.close()
