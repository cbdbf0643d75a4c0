"""Where the ranges of a big file begin: found in one reading, so that a file of n ranges is not read n times.

Of a plain file the places are kept. A compressed file, and one in UTF-16, is unpacked once into a piece a range.
Without this a reader passes over all that lies before its range, which grows with the square of the file.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from creuset.core.compressed import COMPRESSED, BrokenArchive, blocks, first_lines, split
from creuset.core.jsonl import Writer
from creuset.data.read import encoding
from creuset.data.read.sources import FilePart


@dataclass(frozen=True, slots=True)
class Start:
    """How to come to the lines of one range."""

    offset: int  # of the first line
    lines: int  # before it
    encoding: str
    unpacked: str = ""  # file that has the lines of this range, in UTF-8 if they were UTF-16
    broken: str = ""  # the archive ends in this range, and why


def several(parts: Sequence[FilePart]) -> list[list[FilePart]]:
    """The ranges of each file of which there are two or more, in order."""
    by_file: dict[str, list[FilePart]] = {}
    for part in parts:
        if part.format == "jsonl":
            by_file.setdefault(part.file, []).append(part)
    return [sorted(ranges, key=lambda part: part.start) for ranges in by_file.values() if len(ranges) > 1]


def find_starts(ranges: Sequence[FilePart], folder: Path) -> list[Start]:
    """The starts of adjoining ranges of one file; pieces that are unpacked go into `folder`.

    Raises OSError where the file cannot be read: each reader will then say so.
    """
    first = ranges[0]
    path, stop = Path(first.file), first.bytes if first.stamp else None
    found, stream = encoding.unified(blocks(path, stop=stop))
    if path.suffix.lower() not in COMPRESSED and not encoding.is_wide(found):
        places = first_lines(blocks(path, stop=stop), [part.start for part in ranges])
        return [Start(offset, before, found) for offset, before in places]
    starts: list[Start] = []
    offset = number = 0
    broken = ""
    numbered = split(stream)
    line = _next(numbered)
    for at, part in enumerate(ranges):
        file = folder / f"{at:05d}.jsonl.zst"
        begins, before = offset, number
        with Writer(file) as out:
            while isinstance(line, tuple) and (part.end is None or offset < part.end):
                number, raw = line
                out.write_bytes(raw)
                offset += len(raw) + 1
                line = _next(numbered)
        if isinstance(line, str) and line and not broken:
            broken = line
            starts.append(Start(begins, before, found, str(file), broken))
        else:
            starts.append(Start(begins, before, found, str(file)))
    return starts


def _next(numbered: Iterator[tuple[int, bytes]]) -> tuple[int, bytes] | str:
    """The next line, or why there is none: "" at the end, else how the archive is broken."""
    try:
        return next(numbered, "")
    except BrokenArchive as error:
        return str(error)
