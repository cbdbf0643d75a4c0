"""The shelf: the folders a rule may read from, one document at a time.

Folders hold `<name>.jsonl` files, plain or packed with gzip, xz or zstandard. A
broken line is counted and named, never fatal; a file that is not there reads as empty
and is listed in `absent`, so that the report can say so.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from creuset.core.compressed import BrokenArchive, lines

SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.xz", ".jsonl.zst")


@dataclass(slots=True)
class Shelf:
    """Where the sources are: `pretrain` (texts), `instruct` (messages), `reasoning` (prompt, solution, answer)."""

    pretrain: Path | None = None
    instruct: Path | None = None
    reasoning: Path | None = None
    broken: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)

    def read(self, kind: str, name: str) -> Iterator[dict[str, Any]]:
        """Documents of `<kind folder>/<name>.jsonl*`, each with `source` and `license`."""
        folder: Path | None = getattr(self, kind)
        path = next((p for s in SUFFIXES if folder and (p := folder / (name + s)).is_file()), None)
        if path is None:
            self._note(self.absent, f"{kind}/{name}")
            return
        try:
            for number, line in lines(path):
                try:
                    document = json.loads(line)
                except ValueError:
                    document = None
                if isinstance(document, dict):
                    yield document
                elif line.strip():
                    self._note(self.broken, f"{path.name}:{number}")
        except BrokenArchive as error:
            self._note(self.broken, f"{path.name}: {error}")

    @staticmethod
    def _note(names: list[str], name: str) -> None:
        if name not in names:
            names.append(name)
