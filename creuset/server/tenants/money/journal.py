"""Usage that is not yet in the database, in a file of this process: one JSON object a line.

A request's usage is written here at the moment it is known, before anybody is told; the database gets it some
milliseconds later, with others. So a process that is killed loses none, and neither does one whose database is gone.
Whoever starts next with the same folder settles what is left: each process holds a lock on its own file, which ends
with it.

Lines of one batch go to one of two files; when the database has them, that file is emptied.
"""

import asyncio
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from creuset.core.errors import ConfigError
from creuset.server.tenants.money.ledger import Closing

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Closing).decode


class UsageJournal:
    def __init__(self, folder: Path, replica: str) -> None:
        """A new pair of files in `folder`, which is made where it is not there."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder = folder
        self._lock = -1
        self._files = [_Lines(folder / f"{replica}-{at}.jsonl") for at in range(2)]

    def add(self, closing: Closing) -> None:
        """Note one usage. OSError where there is no room."""
        self._files[0].add(_encode(closing) + b"\n")

    def turn(self) -> None:
        """What was noted until now is on its way to the database, unless an earlier part still is."""
        if not self._files[1].size:
            self._files.reverse()

    def settled(self, *, all: bool) -> None:
        """The database has what was noted before `turn`; `all`: and everything since."""
        self._files[1].empty()
        if all:
            self._files[0].empty()

    @property
    def size(self) -> int:
        """Bytes that the database may not have."""
        return sum(file.size for file in self._files)

    def close(self) -> None:
        """Files that hold nothing are deleted."""
        for file in self._files:
            file.close()
        if self._lock >= 0:
            os.close(self._lock)

    async def alone(self, wait_s: float) -> None:
        """Wait until no other process counts with this folder. ConfigError where one does still after `wait_s`."""
        self._lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        end = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > end:
                    os.close(self._lock)
                    self._lock = -1
                    raise ConfigError(
                        f"another server counts requests and money in the database beside `{self.folder}`",
                        hint="give each server a database of its own, or use PostgreSQL for several servers",
                    ) from None
                await asyncio.sleep(0.05)

    def orphans(self) -> Iterator[tuple[list[Closing], "_Lines"]]:
        """What processes that are gone have left, each file with what empties it."""
        mine = {file.path for file in self._files}
        for path in sorted(self.folder.glob("*.jsonl")):
            if path in mine:
                continue
            try:
                file = _Lines(path)
            except BlockingIOError:
                continue  # its process lives
            yield list(_read(path)), file


class _Lines:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise
        self.size = os.fstat(self._file).st_size

    def add(self, line: bytes) -> None:
        self.size += os.write(self._file, line)

    def empty(self) -> None:
        if self.size:
            os.ftruncate(self._file, 0)
            self.size = 0

    def close(self) -> None:
        if not self.size:
            self.path.unlink(missing_ok=True)
        os.close(self._file)


def _read(path: Path) -> Iterator[Closing]:
    """Whole lines. The last one may be cut: its process died while it wrote, and nobody was told."""
    for line in path.read_bytes().split(b"\n"):
        try:
            if line:
                yield _decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
