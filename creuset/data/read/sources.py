"""From inputs to tasks: which files there are, whose they are, and how the work is cut.

A task is one source's share of about `split_mb` raw bytes: a range of a big file or a
handful of small ones. Ranges are counted in decompressed bytes, so a compressed file can be
cut too; each reader skips what lies before its range, which costs decompression only.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from creuset.core.compressed import COMPRESSED
from creuset.core.errors import ConfigError
from creuset.data import ledger
from creuset.data.settings import Corpus

Format = Literal["jsonl", "json", "parquet", "text", "html"]
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
}
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


def format_of(path: Path) -> Format | None:
    suffixes = [s.lower() for s in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    return FORMATS.get(suffixes[-1]) if suffixes else None


def plan(inputs: Sequence[Path], rows: Sequence[ledger.LedgerRow], settings: Corpus) -> ReadPlan:
    """Decide the tasks of a build; refuses inputs that do not exist and, by setting, sources without a licence."""
    files, skipped = _files(inputs)
    if not files:
        raise ConfigError(
            f"there is nothing to read in {', '.join(map(str, inputs))}", hint=f"endings read: {', '.join(FORMATS)}"
        )
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
    """(file, shown name, source name) of every input; text and HTML of a folder are one source, named as it."""
    found: list[tuple[Path, str, str]] = []
    skipped: list[str] = []
    for path in inputs:
        if path.is_file():
            if format_of(path) is None:
                raise ConfigError(
                    f"`{path}` is not a file we read",
                    hint=f"endings read: {', '.join(FORMATS)}, each also .gz, .xz, .zst",
                )
            found.append((path, path.name, ledger.stem(path.name)))
        elif path.is_dir():
            for file in sorted(p for p in path.rglob("*") if p.is_file()):
                kind = format_of(file)
                shown = file.relative_to(path).as_posix()
                if file.name.lower() in _NOT_DATA:
                    continue
                if kind is None:
                    skipped.append(shown)
                else:
                    own = kind in ("jsonl", "json", "parquet")
                    found.append((file, shown, ledger.stem(file.name) if own else path.resolve().name))
        else:
            raise ConfigError(f"`{path}` does not exist")
    return found, skipped


def _tasks(source: str, members: list[tuple[Path, str]], settings: Corpus) -> list[ReadTask]:
    split = settings.split_mb * 1_000_000
    budget = settings.limit_of(source)
    tasks: list[ReadTask] = []
    handful: list[FilePart] = []
    held = 0.0
    for file, shown in members:
        if budget <= 0:
            break
        packed = file.stat().st_size
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
                tasks.append(ReadTask(source, (FilePart(str(file), shown, kind, start, end, size),)))
        else:
            end = int(budget) if kind == "jsonl" and budget < float("inf") else None
            handful.append(FilePart(str(file), shown, kind, 0, end, int(raw)))
            held += raw
            if held >= split:
                tasks.append(ReadTask(source, tuple(handful)))
                handful, held = [], 0.0
        budget -= raw
    if handful:
        tasks.append(ReadTask(source, tuple(handful)))
    return tasks
