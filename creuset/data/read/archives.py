"""Documents in archives: members of a tar file, pages that a crawler kept in a WARC file. Nothing goes to the disk."""

import io
import tarfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from creuset.core.compressed import BrokenArchive, unpacked
from creuset.data.read import encoding
from creuset.data.read.main_text import page_of
from creuset.data.read.sources import format_of

if TYPE_CHECKING:
    from creuset.data.read.readers import RawRecord

_BLOCK = 1 << 18
_PAGES = ("text/html", "application/xhtml+xml")


class ByteStream(io.RawIOBase):
    """A stream of blocks as a file that is read from beginning to end."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks, self._held = blocks, b""
        self.broken: BrokenArchive | None = None  # what ended it; what came before is read first

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        while not self._held:
            try:
                block = next(self._blocks, None)
            except BrokenArchive as error:
                block, self.broken = None, error
            if block is None:
                return 0
            self._held = block
        size = min(len(buffer), len(self._held))
        buffer[:size], self._held = self._held[:size], self._held[size:]
        return size


def tar_records(name: str, stream: Iterator[bytes], text_field: str) -> "Iterator[RawRecord]":
    """The records of every member whose ending we read, in the order of the archive."""
    from creuset.data.read.readers import RawRecord, of_format

    source = ByteStream(stream)
    try:
        with tarfile.open(fileobj=io.BufferedReader(source, _BLOCK), mode="r|") as archive:
            for member in archive:
                inside = f"{name}/{member.name}"
                kind = format_of(PurePosixPath(member.name))
                if not member.isfile() or PurePosixPath(member.name).name.startswith("."):
                    continue
                if kind is None or kind == "tar" or (file := archive.extractfile(member)) is None:
                    yield RawRecord(
                        f"{inside}:1", size=member.size, broken="not_text", detail="a member we do not read"
                    )
                    continue
                content = unpacked(iter(lambda file=file: file.read(_BLOCK), b""), PurePosixPath(member.name).suffix)  # type: ignore[misc]
                try:
                    yield from of_format(kind, inside, content, text_field)
                except BrokenArchive as error:
                    yield RawRecord(f"{inside}:end", broken="broken_archive", detail=str(error))
    except (tarfile.TarError, EOFError) as error:
        raise source.broken or BrokenArchive(f"tar: {error}") from error
    if source.broken:
        raise source.broken


class _Blocks:
    """A stream of blocks that knows where it is and moves forwards: what the library asks for."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = io.BufferedReader(stream, _BLOCK)
        self._at = 0

    def read(self, size: int = -1) -> bytes:
        out = self._stream.read(size)
        self._at += len(out)
        return out

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        wanted = offset + (self._at if whence == io.SEEK_CUR else 0)
        if whence == io.SEEK_END or wanted < self._at:
            raise io.UnsupportedOperation("the stream goes forwards only")
        while self._at < wanted and self.read(min(_BLOCK, wanted - self._at)):
            pass
        return self._at

    def close(self) -> None:
        self._stream.close()


def warc_records(name: str, stream: Iterator[bytes]) -> "Iterator[RawRecord]":
    """The pages of a WARC file (responses), and the texts of a WET file (conversions)."""
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    from creuset.data.read.readers import RawRecord

    wanted = WarcRecordType.response | WarcRecordType.conversion | WarcRecordType.resource
    number = 0
    source = ByteStream(stream)
    last: RawRecord | None = None  # held back: the record in which a file ends early is not whole
    try:
        reader = ArchiveIterator(_Blocks(source), record_types=wanted, auto_decode="all", stream_detect=False)
        for number, one in enumerate(reader, 1):
            if last is not None:
                yield last
            last = _page(f"{name}:{number}", one)
    except BaseException as error:
        # The library answers some damage with a panic, which is no Exception.
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise source.broken or BrokenArchive(f"WARC, after record {number}: {error}") from error
        raise
    if source.broken:
        raise source.broken
    if last is not None:
        yield last


def _page(where: str, one: Any) -> "RawRecord":
    """A response or a conversion as a record."""
    from fastwarc.warc import WarcRecordType

    from creuset.data.read.readers import RawRecord

    body = one.reader.read()
    fields = {"url": one.headers.get("WARC-Target-URI", ""), "date": one.headers.get("WARC-Date", "")}
    fields = {key: value for key, value in fields.items() if value}
    http = one.http_headers if one.record_type == WarcRecordType.response else None
    status = http.status_code if http is not None else 200
    kind = (one.http_content_type or one.headers.get("Content-Type") or "").partition(";")[0].strip().lower()
    if status not in (None, 200):
        return RawRecord(where, size=len(body), fields=fields, broken="http_status", detail=f"status {status}")
    if kind in _PAGES:
        page, was = page_of(body, one.http_charset or "")
        if page.title:
            fields["title"] = page.title
        return RawRecord(where, page.text, fields, len(body), encoding=was)
    if kind == "text/plain":
        said = encoding.decode(body, one.http_charset or "")
        return RawRecord(where, said.text, fields, len(body), encoding=said.encoding)
    return RawRecord(where, size=len(body), fields=fields, broken="not_text", detail=kind or "no type")
