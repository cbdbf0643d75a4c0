"""Records out of files: one for each line, row, page or member, broken ones named instead of raised.

A file is read as it was when the build was planned: what was appended since is left, and the file is named.
Archives are in `archives`, tables in `tables`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from creuset.core import jsonl
from creuset.core.compressed import BrokenArchive, blocks, split
from creuset.data.read import encoding
from creuset.data.read.main_text import page_of
from creuset.data.read.ranges import Start
from creuset.data.read.sources import FilePart, Format


@dataclass(frozen=True, slots=True)
class RawRecord:
    """What stands at one place of an input; `broken` is the reason why it is not a document."""

    where: str  # file:line
    text: str = ""
    fields: dict[str, Any] = field(default_factory=dict)
    size: int = 0  # raw bytes
    broken: str = ""
    detail: str = ""
    encoding: str = "utf-8"  # what it was converted from


def records(piece: FilePart, text_field: str = "text", *, start: Start | None = None) -> Iterator[RawRecord]:
    """Yield every record of `piece`, its text being `text_field`; never raises for what is in the file.

    `start`: where its range begins, if that is known; else what lies before the range is read and passed over.
    """
    path = Path(piece.file)
    end = f"{piece.name}:end"
    try:
        if piece.format == "jsonl":
            yield from _range(piece, text_field, start)
        elif piece.format == "parquet" and path.suffix.lower() == ".parquet":
            from creuset.data.read.tables import parquet_rows

            yield from parquet_rows(piece.name, path, text_field)
        else:
            yield from of_format(piece.format, piece.name, blocks(path, stop=_stop(piece)), text_field)
    except BrokenArchive as error:
        yield RawRecord(end, broken="broken_archive", detail=str(error))
    except FileNotFoundError:
        yield RawRecord(end, broken="file_vanished", detail="it was there when the build began")
        return
    except OSError as error:
        yield RawRecord(end, broken="file_unreadable", detail=error.strerror or str(error))
        return
    except (ValueError, LookupError, NotImplementedError, EOFError, RecursionError) as error:
        yield RawRecord(end, broken="broken_file", detail=f"{type(error).__name__}: {str(error)[:200]}")
    if piece.last and (what := _changed(piece)):
        yield RawRecord(end, broken="file_changed", detail=what)


def _stop(piece: FilePart) -> int | None:
    return piece.bytes if piece.stamp else None


def _changed(piece: FilePart) -> str:
    """What happened to the file since the build was planned, or ""."""
    try:
        now = Path(piece.file).stat()
    except OSError:
        return "" if not piece.stamp else "it was deleted while it was read"
    if not piece.stamp or (now.st_size, now.st_mtime_ns) == (piece.bytes, piece.stamp):
        return ""
    if now.st_size > piece.bytes:
        return f"it grew from {piece.bytes:,} to {now.st_size:,} bytes; what was added is not read"
    return f"it was changed during the build: {piece.bytes:,} bytes then, {now.st_size:,} now"


def of_format(format: Format, name: str, stream: Iterator[bytes], text_field: str) -> Iterator[RawRecord]:
    """Records of a file or of a member of an archive; raises BrokenArchive and what broken content brings about."""
    match format:
        case "jsonl":
            yield from _lines(name, stream, text_field)
        case "json":
            yield from _json(name, b"".join(stream), text_field)
        case "text":
            yield _text(name, b"".join(stream))
        case "html":
            yield _html(name, b"".join(stream))
        case "csv" | "tsv":
            from creuset.data.read.tables import csv_rows

            yield from csv_rows(name, b"".join(stream), text_field, tabs=format == "tsv")
        case "parquet":
            from creuset.data.read.tables import parquet_rows

            yield from parquet_rows(name, b"".join(stream), text_field)
        case "warc":
            from creuset.data.read.archives import warc_records

            yield from warc_records(name, stream)
        case "tar":
            from creuset.data.read.archives import tar_records

            yield from tar_records(name, stream, text_field)


def _range(piece: FilePart, text_field: str, start: Start | None) -> Iterator[RawRecord]:
    path, stop = Path(piece.file), _stop(piece)
    if start is None:
        yield from _lines(piece.name, blocks(path, stop=stop), text_field, piece.start, piece.end)
        return
    if start.unpacked:  # the lines of this range alone, in UTF-8
        stream = blocks(Path(start.unpacked))
        numbered = split(stream, before=start.lines)
    else:
        numbered = split(blocks(path, start.offset, stop), start.offset, piece.end, at=start.offset, before=start.lines)
    yield from _values(piece.name, numbered, start.encoding, text_field)
    if start.broken:
        raise BrokenArchive(start.broken)


def _lines(
    name: str, stream: Iterator[bytes], text_field: str, start: int = 0, end: int | None = None
) -> Iterator[RawRecord]:
    found, stream = encoding.unified(stream)
    yield from _values(name, split(stream, start, end), found, text_field)


def _values(name: str, numbered: Iterator[tuple[int, bytes]], found: str, text_field: str) -> Iterator[RawRecord]:
    reader = _LineReader("utf-8" if encoding.is_wide(found) else found)
    for line in jsonl.values(numbered, decode=reader.decode):
        where, size = f"{name}:{line.number}", len(line.raw) + 1
        if line.broken == "broken_archive":
            raise BrokenArchive(line.why)
        if line.broken:
            begin = line.raw[:200].decode("utf-8", "replace")
            yield RawRecord(where, begin, size=size, broken=line.broken, detail=line.why)
        else:
            was = found if encoding.is_wide(found) else reader.encoding
            yield record(line.value, where, size, text_field, was)


class _LineReader:
    """JSON of a line, strict first; then as others write it: NaN, control characters in strings, other encodings."""

    def __init__(self, found: str) -> None:
        self._found = found
        self._strict = msgspec.json.Decoder().decode
        self._lenient = json.JSONDecoder(strict=False, parse_int=_integer).decode
        self.encoding = "utf-8"  # of the last line

    def decode(self, raw: bytes) -> Any:
        self.encoding = "utf-8"
        if self._found == "utf-8" or raw.isascii():
            try:
                return self._strict(raw)
            except (msgspec.DecodeError, UnicodeDecodeError):
                pass
        said = encoding.line(raw, self._found)
        if said is None:
            raw.decode("utf-8")  # raises
            raise AssertionError
        self.encoding = said.encoding if not raw.isascii() else "utf-8"
        return self._lenient(said.text.lstrip("\ufeff"))


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) < 20 else digits


def lenient_json(text: str) -> Any:
    return json.JSONDecoder(strict=False, parse_int=_integer).decode(text)


def record(value: Any, where: str, size: int, text_field: str, was: str = "utf-8") -> RawRecord:
    if not isinstance(value, dict):
        return RawRecord(where, size=size, broken="no_text", detail=f"a JSON {type(value).__name__}, not an object")
    text = value.pop(text_field, None)
    if not isinstance(text, str):
        has = ", ".join(map(str, list(value)[:8])) or "nothing"
        missing = f"no `{text_field}`; it has {has}"
        detail = missing if text is None else f"`{text_field}` is a {type(text).__name__}"
        return RawRecord(where, size=size, broken="no_text", detail=detail)
    return RawRecord(where, whole_characters(text), value, size, encoding=was)


def whole_characters(text: str) -> str:
    """Half surrogate pairs, which JSON escapes can name and UTF-8 cannot hold, become U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _json(name: str, raw: bytes, text_field: str) -> Iterator[RawRecord]:
    """One object, a list of objects, or lines of them under the wrong ending."""
    decoded = encoding.decode(raw)
    try:
        value = lenient_json(decoded.text)
    except (ValueError, RecursionError):
        yield from _lines(name, iter((raw,)), text_field)
        return
    rows = value if isinstance(value, list) else [value]
    for number, row in enumerate(rows, 1):
        yield record(row, f"{name}:{number}", len(raw) // max(1, len(rows)), text_field, decoded.encoding)


def _text(name: str, raw: bytes) -> RawRecord:
    decoded = encoding.decode(raw)
    return RawRecord(f"{name}:1", decoded.text, size=len(raw), encoding=decoded.encoding)


def _html(name: str, raw: bytes) -> RawRecord:
    page, was = page_of(raw)
    return RawRecord(f"{name}:1", page.text, {"title": page.title} if page.title else {}, len(raw), encoding=was)
