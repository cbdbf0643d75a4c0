"""Published benchmark files, read row by row: what is missing or broken is named with its line. No torch."""

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from creuset.core import jsonl
from creuset.core.errors import ConfigError, DataError

Row = dict[str, Any]
Item = TypeVar("Item")


def find(folder: Path, file: str, task: str) -> Path:
    """`file` where a folder of benchmarks has it; where the caller gave one file instead of a folder, that one."""
    path = folder / file if folder.is_dir() else folder
    if not path.is_file():
        raise ConfigError(f"`{path}` does not exist: {task} needs it", hint="give a folder that has it, with --bench")
    return path


def lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            yield from enumerate(stream, 1)
    except UnicodeDecodeError as error:
        raise DataError(f"`{path}` is not UTF-8: {error}") from error


def json_object(path: Path) -> Row:
    """The object that a .json file is."""
    found = _json(path)
    if not isinstance(found, dict):
        raise DataError(f"`{path}` is a JSON {type(found).__name__}, not an object")
    return found


def json_list(path: Path) -> Iterator[tuple[int, Any]]:
    """(number, item) of a .json file that is a list."""
    found = _json(path)
    if not isinstance(found, list):
        raise DataError(f"`{path}` is a JSON {type(found).__name__}, not a list")
    yield from enumerate(found, 1)


def json_lists(path: Path, what: str) -> dict[str, list[str]]:
    """A .json file that is an object of lists, none of them empty; `what` says of what."""
    found = json_object(path)
    if not all(isinstance(value, list) and value for value in found.values()):
        raise DataError(f"`{path}`: expected an object of non-empty lists of {what}")
    return found


def _json(path: Path) -> Any:
    try:
        return json.loads("".join(line for _, line in lines(path)))
    except ValueError as error:
        raise DataError(f"`{path}` is not JSON: {error}") from error


def json_rows(path: Path) -> Iterator[tuple[int, Row]]:
    """(line, object) of a .jsonl file."""
    return jsonl.read(path)


def csv_rows(path: Path, header: tuple[str, ...] = (), delimiter: str = ",") -> Iterator[tuple[int, Row]]:
    """(line, fields by name); `header` names the columns of a file that has no line of names."""
    reader = csv.reader((line for _, line in lines(path)), delimiter=delimiter)
    names = header
    try:
        for cells in reader:
            if not names:
                names = tuple(cells)
            elif len(cells) != len(names):
                raise DataError(f"`{path}` line {reader.line_num} has {len(cells)} fields, not {len(names)}")
            else:
                yield reader.line_num, dict(zip(names, cells, strict=True))
    except csv.Error as error:
        raise DataError(f"`{path}` line {reader.line_num} is not CSV: {error}") from error


def tsv_rows(path: Path, header: tuple[str, ...]) -> Iterator[tuple[int, Row]]:
    """(line, fields): tabs between, no quoting at all."""
    for number, line in lines(path):
        cells = line.rstrip("\r\n").split("\t")
        if len(cells) != len(header):
            raise DataError(f"`{path}` line {number} has {len(cells)} fields, not {len(header)}")
        yield number, dict(zip(header, cells, strict=True))


def parquet_rows(path: Path) -> Iterator[tuple[int, Row]]:
    """(number, fields) of a parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        yield from enumerate(pq.read_table(path).to_pylist(), 1)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"`{path}` is not parquet: {error}") from error


def made(path: Path, rows: Iterator[tuple[int, Row]], make: Callable[[int, Row], Item], task: str) -> Iterator[Item]:
    """`make(line, row)` of every row; DataError names the line that is no item of the task."""
    for number, row in rows:
        try:
            yield make(number, row)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"`{path}` line {number} is not an item of {task}: {error!r}") from error
