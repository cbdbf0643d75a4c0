"""JSON lines: the one reader and the one writer for everybody; plain, .gz, .xz, .zst or .bz2, as the name ends.

    parsed(path)        every line with its number: the value, or what is wrong with it; never raises for a bad line
    read(path)          (number, object) of every line; DataError names a line that is none
    kept(path)          the whole lines of a file that a killed program may have left with a torn one
    write(path, rows)   a whole file, which has its name only once it is complete
    Writer(path)        the same, row by row
    Appender(path)      for logs and journals: each row is one write, handed to the system before the next

Lines end with a line feed. Empty lines are passed over, and so is a byte order mark at the beginning of the file.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple

from creuset.core.compressed import BrokenArchive, compressor, lines
from creuset.core.errors import DataError

Row = dict[str, Any]
_MARK = b"\xef\xbb\xbf"  # the byte order mark of UTF-8


class Line(NamedTuple):
    """One line: its `value`, or, where `broken` is not empty, the damage."""

    number: int  # from 1
    raw: bytes  # as it stands in the file, without its end
    value: Any = None
    broken: str = ""  # "broken_json", "broken_utf8", "broken_archive"
    why: str = ""  # the damage in words


def parsed(
    path: Path, start: int = 0, end: int | None = None, *, decode: Callable[[bytes], Any] = json.loads
) -> Iterator[Line]:
    """The lines of `path` that begin at decompressed offsets [start, end), the damaged ones included.

    An archive that ends early or cannot be unpacked is one last line, "broken_archive". `decode` must raise a
    ValueError for what is not JSON.
    """
    yield from values(lines(path, start, end), decode=decode)


def values(numbered: Iterable[tuple[int, bytes]], *, decode: Callable[[bytes], Any] = json.loads) -> Iterator[Line]:
    """`parsed` of lines with their numbers, wherever they are from."""
    number = 0
    try:
        for number, raw in numbered:
            said = raw.removeprefix(_MARK) if number == 1 else raw
            if not said.strip():
                continue
            try:
                yield Line(number, raw, decode(said))
            except (ValueError, RecursionError) as error:
                yield _damaged(number, raw, str(error) or type(error).__name__)
    except BrokenArchive as error:
        yield Line(number + 1, b"", broken="broken_archive", why=str(error))


def _damaged(number: int, raw: bytes, why: str) -> Line:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return Line(number, raw, broken="broken_utf8", why=str(error))
    return Line(number, raw, broken="broken_json", why=why)


def read(path: Path) -> Iterator[tuple[int, Row]]:
    """(line number, object) of every line of `path`.

    Raises DataError naming the file and the line where a line is not JSON, not UTF-8, or JSON but not an object,
    and where the file cannot be unpacked to its end; OSError where it cannot be opened.
    """
    for line in parsed(path):
        where = f"`{path}` line {line.number}"
        if line.broken:
            what = {"broken_json": "is not JSON", "broken_utf8": "is not UTF-8"}.get(line.broken, "cannot be unpacked")
            raise DataError(f"{where} {what}: {line.why}")
        if not isinstance(line.value, dict):
            raise DataError(f"{where} is a JSON {type(line.value).__name__}, not an object")
        yield line.number, line.value


def kept(path: Path) -> list[Row]:
    """The objects of `path`, without the lines that a killed program left incomplete; none where there is no file."""
    return [line.value for line in parsed(path) if isinstance(line.value, dict)] if path.is_file() else []


def text(row: Any, *, ascii_only: bool = False) -> str:
    """`row` as one line, its line feed included. `ascii_only` escapes everything else, half surrogate pairs too."""
    return json.dumps(row, ensure_ascii=ascii_only) + "\n"


def write(path: Path, rows: Iterable[Any], *, ascii_only: bool = False) -> int:
    """Write `rows` to `path`, which appears, or is replaced, once all are written; returns how many there were."""
    with Writer(path, ascii_only=ascii_only) as out:
        for row in rows:
            out.write(row)
    return out.rows


class Writer:
    """Writes to a `.tmp` file beside `path`; leaving the block without an error gives the file its name."""

    def __init__(self, path: Path, *, ascii_only: bool = False) -> None:
        self.path = path
        self.rows = 0
        self._ascii_only = ascii_only
        path.parent.mkdir(parents=True, exist_ok=True)
        self._scratch = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        self._file = self._scratch.open("wb")
        self._stream = compressor(self._file, path.suffix)

    def write(self, row: Any) -> None:
        self.write_bytes(text(row, ascii_only=self._ascii_only).encode("utf-8", "surrogatepass")[:-1])

    def write_bytes(self, line: bytes) -> None:
        """`line`: JSON, without a line feed."""
        self._stream.write(line + b"\n")
        self.rows += 1

    def __enter__(self) -> "Writer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._stream is not self._file:
                self._stream.close()
        finally:
            self._file.close()
        if kind is None:
            self._scratch.replace(self.path)
        else:
            self._scratch.unlink(missing_ok=True)


class Appender:
    """Adds rows to the end of a plain file. A row goes out in one write, so that a kill can tear the last line only."""

    def __init__(self, path: Path, *, ascii_only: bool = False) -> None:
        """A torn last line, which an earlier run left, is taken off the file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        mend(path)
        self._ascii_only = ascii_only
        self._file: BinaryIO = path.open("ab", buffering=0)

    def write(self, row: Any) -> None:
        raw = text(row, ascii_only=self._ascii_only).encode("utf-8", "surrogatepass")
        while raw:  # an unbuffered write may take a part only
            raw = raw[self._file.write(raw) :]

    def fileno(self) -> int:
        return self._file.fileno()

    def __enter__(self) -> "Appender":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()


def mend(path: Path) -> None:
    """Take a last line without a line feed off the file `path`, where there is one."""
    if path.is_file() and (size := whole_bytes(path)) < path.stat().st_size:
        os.truncate(path, size)


def whole_bytes(path: Path) -> int:
    """How many bytes of a plain file are whole lines: all up to the last line feed."""
    with path.open("rb") as stream:
        at = stream.seek(0, os.SEEK_END)
        while at > 0:
            begin = max(0, at - (1 << 16))
            stream.seek(begin)
            if (found := stream.read(at - begin).rfind(b"\n")) >= 0:
                return begin + found + 1
            at = begin
    return 0
