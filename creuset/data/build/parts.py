"""Files of documents (JSON lines, zstd) and of facts (JSON) that have their final name only when they are whole."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from creuset.core.compressed import lines
from creuset.core.jsonl import Writer

_encode = msgspec.json.Encoder().encode


class PartWriter(Writer):
    """Writes documents, one a line."""

    def write(self, row: dict[str, Any]) -> None:
        self.write_bytes(_encode(row))


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
