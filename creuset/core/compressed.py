"""Bytes of plain and compressed files, in blocks, so that a damaged end loses only the end."""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

COMPRESSED = (".gz", ".xz", ".zst", ".bz2")
_BLOCK = 1 << 18


class BrokenArchive(Exception):
    """The file ends early or holds bytes that do not decompress; what came before was good."""


def blocks(path: Path) -> Iterator[bytes]:
    """Yield the decompressed bytes of `path`; raises BrokenArchive after the last good ones."""
    with path.open("rb") as stream:
        match path.suffix.lower():
            case ".gz":
                yield from _members(stream, lambda: zlib.decompressobj(wbits=31))
            case ".xz":
                yield from _members(stream, lzma.LZMADecompressor)
            case ".zst":
                import zstandard

                yield from _members(stream, zstandard.ZstdDecompressor().decompressobj, zstandard.ZstdError)
            case ".bz2":
                yield from _members(stream, bz2.BZ2Decompressor)
            case _:
                while block := stream.read(_BLOCK):
                    yield block


def _members(stream: BinaryIO, make: Callable[[], Any], error_of_kind: type[Exception] = zlib.error) -> Iterator[bytes]:
    """Decompress one member (stream, frame) after the other."""
    decoder = make()
    while block := stream.read(_BLOCK):
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
    """Yield (line number from 1, bytes) of the lines that begin at decompressed offsets [start, end).

    Several readers with adjoining ranges together see each line once. When the archive is broken,
    only the reader in whose range the incomplete line begins raises BrokenArchive.
    """
    seen, number, searching = 0, 0, start > 0
    offset = start if not searching else 0  # where the line that is being put together begins
    pending: list[bytes] = []
    try:
        for block in blocks(path):
            base, seen = seen, seen + len(block)
            if searching:
                # A line begins at `start` when the byte before it ends one.
                at = block.find(b"\n", max(0, start - 1 - base)) if seen >= start else -1
                if at < 0:
                    number += block.count(b"\n")
                    continue
                number += block.count(b"\n", 0, at + 1)
                offset, block, searching = base + at + 1, block[at + 1 :], False
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
