"""From inputs to tasks: which files there are, whose they are, and how the work is cut.

A task is one source's share of about `split_mb` raw bytes: a range of a big file or a
handful of small ones. Ranges are counted in decompressed bytes, so a compressed file can be
cut too; `ranges` finds where each begins, in one reading.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from typing import Any, Literal

from xxhash import xxh3_64_intdigest

from creuset.core.compressed import COMPRESSED
from creuset.core.errors import ConfigError
from creuset.data import ledger
from creuset.data.settings import Corpus

Format = Literal["jsonl", "json", "parquet", "text", "html", "csv", "tsv", "warc", "tar"]
FORMATS: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".txt": "text",
    ".text": "text",
    ".md": "text",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".csv": "csv",
    ".tsv": "tsv",
    ".warc": "warc",
    ".wet": "warc",
    ".tar": "tar",
}
_TARS = (".tgz", ".txz", ".tbz2")
ENDINGS = f"{', '.join(FORMATS)}, each also .gz, .xz, .zst, .bz2, and {', '.join(_TARS)}"
_NOT_DATA = {"manifest.json", "ledger.json"}
_GUESSED_RATIO = 4.0  # raw bytes for each packed one, where nobody says


@dataclass(frozen=True, slots=True)
class FilePart:
    """Part of a file: raw bytes [start, end) of a jsonl file, else the whole."""

    file: str
    name: str  # how people and document ids call it
    format: Format
    start: int = 0
    end: int | None = None
    raw_bytes: int = 0  # about how many it has, for progress
    bytes: int = 0  # of the file when the build was planned
    stamp: int = 0  # its time of change then, in ns; 0 where it could not be looked at
    last: bool = True  # no later range of the file is read


@dataclass(frozen=True, slots=True)
class ReadTask:
    source: str
    pieces: tuple[FilePart, ...]


@dataclass(frozen=True, slots=True)
class ReadPlan:
    tasks: tuple[ReadTask, ...]
    sources: tuple[ledger.LedgerRow, ...]
    skipped: tuple[str, ...]  # files in input folders whose ending is none of ours

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def format_of(path: PurePath) -> Format | None:
    suffixes = [s.lower() for s in path.suffixes]
    if suffixes and suffixes[-1] in _TARS:
        return "tar"
    if suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    return FORMATS.get(suffixes[-1]) if suffixes else None


def plan(inputs: Sequence[Path], rows: Sequence[ledger.LedgerRow], settings: Corpus) -> ReadPlan:
    """Decide the tasks of a build; refuses inputs that do not exist and, by setting, sources without a licence."""
    files, skipped = _files(inputs)
    if not files:
        raise ConfigError(f"there is nothing to read in {', '.join(map(str, inputs))}", hint=f"endings read: {ENDINGS}")
    default = next((r for r in rows if r.name == "*"), None)
    by_source: dict[str, tuple[ledger.LedgerRow, list[tuple[Path, str]]]] = {}
    for file, shown, name in files:
        row = ledger.find(rows, file=file, name=name)
        if not row.licence and default is not None:
            row = ledger.LedgerRow(**{**asdict(row), "licence": default.licence, "terms": default.terms})
        by_source.setdefault(row.name, (row, []))[1].append((file, shown))
    unknown = [row.name for row, _ in by_source.values() if not row.licence]
    if unknown and settings.licence.unknown == "refuse":
        raise ConfigError(
            f"no ledger row gives the licence of `{unknown[0]}`"
            + (f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""),
            hint="say it in --ledger or --licence NAME=LICENCE, or drop its documents: --set licence.unknown=drop",
        )
    tasks: list[ReadTask] = []
    for row, members in by_source.values():
        tasks += _tasks(row.name, members, settings)
    return ReadPlan(tuple(tasks), tuple(row for row, _ in by_source.values()), tuple(skipped))


def _files(inputs: Sequence[Path]) -> tuple[list[tuple[Path, str, str]], list[str]]:
    """(file, shown name, source name) of every input; text, HTML and archives of a folder are one source, named as it.

    The second list names what is not read: other endings, folders without permission, files given twice.
    """
    found: list[tuple[Path, str, str]] = []
    skipped: list[str] = []
    for path in inputs:
        if path.is_file():
            if format_of(path) is None:
                raise ConfigError(f"`{path}` is not a file we read", hint=f"endings read: {ENDINGS}")
            found.append((path, path.name, ledger.stem(path.name)))
        elif path.is_dir():
            for file in _walk(path, skipped):
                kind = format_of(file)
                shown = file.relative_to(path).as_posix()
                if file.name.lower() in _NOT_DATA:
                    continue
                if kind is None or not file.is_file():
                    skipped.append(shown)
                else:
                    own = kind in ("jsonl", "json", "parquet", "csv", "tsv")
                    found.append((file, shown, ledger.stem(file.name) if own else path.resolve().name))
        else:
            raise ConfigError(f"`{path}` does not exist")
    once: dict[Path, tuple[Path, str, str]] = {}
    for one in found:
        if once.setdefault(one[0].resolve(), one) is not one:
            skipped.append(f"{one[1]} (given twice)")
    return _told_apart(list(once.values())), skipped


def _walk(folder: Path, skipped: list[str]) -> Iterator[Path]:
    def failed(error: OSError) -> None:
        skipped.append(f"{Path(error.filename).relative_to(folder).as_posix()}/ ({error.strerror})")

    files = [Path(at) / name for at, _, names in os.walk(folder, onerror=failed) for name in names]
    yield from sorted(files)


def _told_apart(found: list[tuple[Path, str, str]]) -> list[tuple[Path, str, str]]:
    """Longer shown names for files of one source that share one: as many folders before it as make them differ."""
    out = list(found)
    for depth in range(1, 64):
        seen: dict[tuple[str, str], list[int]] = {}
        for at, (_, shown, source) in enumerate(out):
            seen.setdefault((source, shown), []).append(at)
        same = [at for members in seen.values() if len(members) > 1 for at in members]
        if not same:
            break
        for at in same:
            file, shown, source = found[at]
            parts = file.resolve().parts[1:]
            out[at] = (file, "/".join(parts[-(shown.count("/") + 1 + depth) :]), source)
    return out


def _tasks(source: str, members: list[tuple[Path, str]], settings: Corpus) -> list[ReadTask]:
    split = settings.split_mb * 1_000_000
    budget = settings.limit_of(source)
    tasks: list[ReadTask] = []
    handful: list[FilePart] = []
    held = 0.0
    for file, shown in members:
        if budget <= 0:
            break
        try:
            looked = file.stat()
            packed, stamp = looked.st_size, looked.st_mtime_ns
        except OSError:  # the reader will name it
            packed = stamp = 0
        kind = format_of(file)
        assert kind is not None
        raw = packed * (_GUESSED_RATIO if file.suffix.lower() in COMPRESSED else 1.0)
        if kind == "jsonl" and min(raw, budget) > split:
            # The last range is open: the guessed size need not be right.
            expected = int(min(raw, budget))
            starts = list(range(0, expected, split))
            for start in starts:
                last = start == starts[-1]
                end = start + split if not last else (int(budget) if budget < float("inf") else None)
                size = min(split, expected - start)
                part = FilePart(str(file), shown, kind, start, end, size, packed, stamp, last)
                tasks.append(ReadTask(source, (part,)))
        else:
            end = int(budget) if kind == "jsonl" and budget < float("inf") else None
            handful.append(FilePart(str(file), shown, kind, 0, end, int(raw), packed, stamp))
            held += raw
            # Some names end a handful early, so that one new file does not shift all that come after it.
            if held >= split or (held >= split / 4 and xxh3_64_intdigest(shown.encode()) % 8 == 0):
                tasks.append(ReadTask(source, tuple(handful)))
                handful, held = [], 0.0
        budget -= raw
    if handful:
        tasks.append(ReadTask(source, tuple(handful)))
    return tasks
