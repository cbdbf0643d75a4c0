"""Rows of CSV and Parquet files as records."""

import csv
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from creuset.data.read import encoding

if TYPE_CHECKING:
    from creuset.data.read.readers import RawRecord

_DELIMITERS = ",;\t|"


def table_of(text: str, *, tabs: bool = False) -> Iterator[list[str]]:
    """Rows of a CSV file; a quoted field may hold line ends, which other programs take for the end of a row."""
    csv.field_size_limit(sys.maxsize)  # a novel may be one field
    # newline="" leaves line ends as they are: form feed and U+2028 are none.
    return csv.reader(io.StringIO(text, newline=""), delimiter="\t" if tabs else _delimiter(text))


def _delimiter(text: str) -> str:
    """The one of `_DELIMITERS` that stands most often in the first row, outside quotes."""
    head = "".join(text[:20_000].split('"')[::2]).lstrip("\r\n").split("\n", 1)[0]
    return max(_DELIMITERS, key=lambda mark: (head.count(mark), mark == ","))


def csv_rows(name: str, raw: bytes, text_field: str, *, tabs: bool) -> "Iterator[RawRecord]":
    """A record a row; the first row names the columns."""
    from creuset.data.read.readers import RawRecord, record

    decoded = encoding.decode(raw)
    rows = table_of(decoded.text, tabs=tabs)
    columns: list[str] = []
    number = 0
    try:
        for number, row in enumerate(rows, 1):
            if not any(cell.strip() for cell in row):
                continue
            if not columns:
                columns = [cell.strip() for cell in row]
                continue
            values: dict[str, object] = dict(zip(columns, row, strict=False))
            size = sum(len(cell.encode("utf-8", "replace")) + 1 for cell in row)
            yield record(values, f"{name}:{number}", size, text_field, decoded.encoding)
    except csv.Error as error:
        yield RawRecord(f"{name}:{number + 1}", broken="broken_csv", detail=str(error))


def parquet_rows(name: str, source: Path | bytes, text_field: str) -> "Iterator[RawRecord]":
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    from creuset.data.read.readers import RawRecord, record

    number = 0
    try:
        table = parquet.ParquetFile(source if isinstance(source, Path) else io.BytesIO(source))
        for batch in table.iter_batches(batch_size=256):
            for row in batch.to_pylist():
                number += 1
                text = row.get(text_field)
                size = len(text.encode("utf-8", "replace")) if isinstance(text, str) else 0
                yield record(row, f"{name}:{number}", size, text_field)
    except FileNotFoundError:
        raise
    except (arrow.ArrowException, OSError, UnicodeDecodeError) as error:
        detail = (str(error).splitlines() or [type(error).__name__])[0]
        yield RawRecord(f"{name}:{number + 1}", broken="broken_archive", detail=detail)
