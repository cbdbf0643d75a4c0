"""Records out of files: one for each line, row or page, broken ones named instead of raised."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from creuset.core.compressed import BrokenArchive, whole
from creuset.core.jsonl import parsed
from creuset.data.read.html import text_of
from creuset.data.read.sources import FilePart


@dataclass(frozen=True, slots=True)
class RawRecord:
    """What stands at one place of an input; `broken` is the reason why it is not a document."""

    where: str  # file:line
    text: str = ""
    fields: dict[str, Any] = field(default_factory=dict)
    size: int = 0  # raw bytes
    broken: str = ""
    detail: str = ""


def records(piece: FilePart, text_field: str = "text") -> Iterator[RawRecord]:
    """Yield every record of `piece`, its text being `text_field`; never raises for what is in the file."""
    try:
        match piece.format:
            case "jsonl":
                yield from _jsonl(piece, text_field)
            case "json":
                yield from _json(piece, text_field)
            case "parquet":
                yield from _parquet(piece, text_field)
            case "text":
                yield from _text(piece)
            case "html":
                yield from _html(piece)
    except BrokenArchive as error:
        yield RawRecord(f"{piece.name}:end", broken="broken_archive", detail=str(error))


def _jsonl(piece: FilePart, text_field: str) -> Iterator[RawRecord]:
    for line in parsed(Path(piece.file), piece.start, piece.end, decode=msgspec.json.Decoder().decode):
        where, size = f"{piece.name}:{line.number}", len(line.raw) + 1
        if line.broken == "broken_archive":
            yield RawRecord(where, broken=line.broken, detail=line.why)
        elif line.broken:
            begin = line.raw[:200].decode("utf-8", "replace")
            yield RawRecord(where, begin, size=size, broken=line.broken, detail=line.why)
        else:
            yield _record(line.value, where, size, text_field)


def _record(value: Any, where: str, size: int, text_field: str) -> RawRecord:
    if not isinstance(value, dict):
        return RawRecord(where, size=size, broken="no_text", detail=f"a JSON {type(value).__name__}, not an object")
    text = value.pop(text_field, None)
    if not isinstance(text, str):
        has = ", ".join(map(str, list(value)[:8])) or "nothing"
        missing = f"no `{text_field}`; it has {has}"
        detail = missing if text is None else f"`{text_field}` is a {type(text).__name__}"
        return RawRecord(where, size=size, broken="no_text", detail=detail)
    return RawRecord(where, text, value, size)


def _json(piece: FilePart, text_field: str) -> Iterator[RawRecord]:
    """One object, a list of objects, or lines of them under the wrong ending."""
    raw = whole(Path(piece.file))
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        yield from _jsonl(piece, text_field)
        return
    rows = value if isinstance(value, list) else [value]
    for number, row in enumerate(rows, 1):
        yield _record(row, f"{piece.name}:{number}", len(raw) // max(1, len(rows)), text_field)


def _parquet(piece: FilePart, text_field: str) -> Iterator[RawRecord]:
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    path = Path(piece.file)
    number = 0
    try:
        table = parquet.ParquetFile(path if path.suffix.lower() == ".parquet" else io.BytesIO(whole(path)))
        for batch in table.iter_batches(batch_size=256):
            for row in batch.to_pylist():
                number += 1
                text = row.get(text_field)
                size = len(text.encode("utf-8", "replace")) if isinstance(text, str) else 0
                yield _record(row, f"{piece.name}:{number}", size, text_field)
    except (arrow.ArrowInvalid, OSError, UnicodeDecodeError) as error:
        yield RawRecord(f"{piece.name}:{number + 1}", broken="broken_archive", detail=str(error).splitlines()[0])


def _text(piece: FilePart) -> Iterator[RawRecord]:
    raw = whole(Path(piece.file))
    try:
        yield RawRecord(f"{piece.name}:1", raw.decode("utf-8-sig"), size=len(raw))
    except UnicodeDecodeError as error:
        yield RawRecord(
            f"{piece.name}:1",
            raw[:200].decode("utf-8", "replace"),
            size=len(raw),
            broken="broken_utf8",
            detail=str(error),
        )


def _html(piece: FilePart) -> Iterator[RawRecord]:
    raw = whole(Path(piece.file))
    try:
        page = text_of(raw)
    except UnicodeDecodeError as error:
        yield RawRecord(
            f"{piece.name}:1",
            raw[:200].decode("utf-8", "replace"),
            size=len(raw),
            broken="broken_utf8",
            detail=str(error),
        )
        return
    yield RawRecord(f"{piece.name}:1", page.text, {"title": page.title} if page.title else {}, len(raw))
