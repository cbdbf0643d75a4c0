"""Files of documents: zstd-compressed JSON lines that have their final name only when they are whole."""

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
import zstandard

from creuset.data.read.archives import lines

_LEVEL = 3
_encode = msgspec.json.Encoder().encode


class PartWriter:
    """Writes lines to a `.tmp` beside `path`; leaving the block without an error gives the file its name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.documents = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._scratch = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        self._file = self._scratch.open("wb")
        self._stream = zstandard.ZstdCompressor(level=_LEVEL).stream_writer(self._file, closefd=False)

    def write(self, line: dict[str, Any]) -> None:
        self.write_bytes(_encode(line))

    def write_bytes(self, line: bytes) -> None:
        self._stream.write(line + b"\n")
        self.documents += 1

    def __enter__(self) -> "PartWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()  # type: ignore[no-untyped-call]
        self._file.close()
        if kind is None:
            self._scratch.replace(self.path)


def read_lines(path: Path) -> Iterator[bytes]:
    for _, line in lines(path):
        yield line


def write_json(path: Path, value: Any) -> None:
    """Replace `path` in one step, so that a reader never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    scratch.write_bytes(_encode(value))
    scratch.replace(path)


def read_json(path: Path) -> Any:
    return msgspec.json.decode(path.read_bytes())
