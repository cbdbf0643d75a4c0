"""Bytes of plain and compressed files, in blocks, so that a damaged end loses only the end."""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

COMPRESSED = (".gz", ".xz", ".zst", ".bz2", ".tgz", ".txz", ".tbz2")  # the last three: tar files
_BLOCK = 1 << 18


class BrokenArchive(Exception):
    """The file ends early or holds bytes that do not decompress; what came before was good."""


def blocks(path: Path, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
    """Yield the decompressed bytes of `path`; raises BrokenArchive after the last good ones.

    `start` and `stop` are places in a plain file; a compressed one is read from its beginning to packed byte `stop`.
    """
    with path.open("rb") as stream:
        if stop is not None:
            stream = _UpTo(stream, stop)  # type: ignore[assignment]
        if path.suffix.lower() not in COMPRESSED:
            stream.seek(start)
        yield from unpacked(iter(lambda: stream.read(_BLOCK), b""), path.suffix)


def unpacked(packed: Iterable[bytes], suffix: str) -> Iterator[bytes]:
    """Decompress a stream as `suffix` says; any other suffix leaves it as it is."""
    match suffix.lower():
        case ".gz" | ".tgz":
            yield from _members(packed, lambda: zlib.decompressobj(wbits=31))
        case ".xz" | ".txz":
            yield from _members(packed, lzma.LZMADecompressor)
        case ".zst":
            import zstandard

            yield from _members(packed, zstandard.ZstdDecompressor().decompressobj, zstandard.ZstdError)
        case ".bz2" | ".tbz2":
            yield from _members(packed, bz2.BZ2Decompressor)
        case _:
            yield from packed


class _UpTo:
    """A file that ends at byte `stop`, however long it has grown since."""

    def __init__(self, stream: BinaryIO, stop: int) -> None:
        self._stream, self._stop = stream, stop

    def seek(self, at: int) -> int:
        return self._stream.seek(at)

    def read(self, size: int) -> bytes:
        return self._stream.read(max(0, min(size, self._stop - self._stream.tell())))


def _members(
    packed: Iterable[bytes], make: Callable[[], Any], error_of_kind: type[Exception] = zlib.error
) -> Iterator[bytes]:
    """Decompress one member (stream, frame) after the other."""
    decoder = make()
    for block in packed:
        while block:
            if decoder.eof:
                block = block.lstrip(b"\0")  # padding between members
                if not block:
                    break
                decoder = make()
            try:
                out = decoder.decompress(block)
            except (zlib.error, lzma.LZMAError, OSError, error_of_kind) as error:
                raise BrokenArchive(str(error)) from error
            if out:
                yield out
            block = decoder.unused_data if decoder.eof else b""
    if not decoder.eof:
        raise BrokenArchive("the file ends before its archive does")


def lines(path: Path, start: int = 0, end: int | None = None) -> Iterator[tuple[int, bytes]]:
    """Yield (line number from 1, bytes) of the lines of `path` that begin at decompressed offsets [start, end)."""
    yield from split(blocks(path), start, end)


def split(
    stream: Iterable[bytes], start: int = 0, end: int | None = None, *, at: int = 0, before: int = 0
) -> Iterator[tuple[int, bytes]]:
    """Yield (line number from 1, bytes) of the lines that begin at offsets [start, end) of a stream.

    The stream begins at offset `at`, with `before` lines before it. Several readers with adjoining ranges together see
    each line once. When the stream is broken, only the reader in whose range the incomplete line begins raises
    BrokenArchive.
    """
    seen, number, searching = at, before, start > at
    offset = at  # where the line that is being put together begins
    pending: list[bytes] = []
    try:
        for block in stream:
            base, seen = seen, seen + len(block)
            if searching:
                # A line begins at `start` when the byte before it ends one.
                found = block.find(b"\n", max(0, start - 1 - base)) if seen >= start else -1
                if found < 0:
                    number += block.count(b"\n")
                    continue
                number += block.count(b"\n", 0, found + 1)
                offset, block, searching = base + found + 1, block[found + 1 :], False
            if end is not None and offset >= end:
                return
            first, *rest = block.split(b"\n")
            pending.append(first)
            for part in rest:
                line = b"".join(pending)
                number += 1
                yield number, line
                offset += len(line) + 1
                if end is not None and offset >= end:
                    return
                pending = [part]
    except BrokenArchive:
        if searching:
            return
        raise
    if line := b"".join(pending):
        yield number + 1, line


def first_lines(stream: Iterable[bytes], starts: Sequence[int]) -> list[tuple[int, int]]:
    """For each of the ascending `starts`: (offset of the first line that begins there or later, lines before it).

    One reading of the stream; where no line begins so late, its length and all lines.
    """
    found: list[tuple[int, int]] = []
    seen = number = 0
    for block in stream:
        base, seen = seen, seen + len(block)
        counted = 0  # of the block: up to there its line ends are in `number`
        while len(found) < len(starts):
            start = starts[len(found)]
            if start == 0:
                found.append((0, 0))
                continue
            if found and start <= found[-1][0]:  # a line so long that no other begins in the range before
                found.append(found[-1])
                continue
            at = block.find(b"\n", max(0, start - 1 - base)) if seen >= start else -1
            if at < 0:
                break
            number += block.count(b"\n", counted, at + 1)
            counted = at + 1
            found.append((base + at + 1, number))
        number += block.count(b"\n", counted)
    return found + [(seen, number)] * (len(starts) - len(found))


def whole(path: Path) -> bytes:
    return b"".join(blocks(path))


def compressor(file: BinaryIO, suffix: str) -> Any:
    """What to write to, so that `file` gets the bytes packed as `suffix` says; `file` itself for any other suffix.

    The same bytes give the same archive: no date and no name are in it.
    """
    match suffix.lower():
        case ".gz":
            return gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0)
        case ".xz":
            return lzma.LZMAFile(file, "wb")
        case ".zst":
            import zstandard

            return zstandard.ZstdCompressor(level=3).stream_writer(file, closefd=False)
        case ".bz2":
            return bz2.BZ2File(file, "wb")
        case _:
            return file
