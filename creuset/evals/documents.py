"""Held-out documents: from the shards of an artifact, or from any text or jsonl file. No torch."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from creuset.core.errors import ConfigError, DataError


@dataclass(frozen=True, slots=True)
class Text:
    """One document."""

    source: str
    index: int
    text: str
    bytes: int              # UTF-8


def is_shards(path: Path) -> bool:
    return (path / "shards.json").is_file()


def read(path: Path, *, limit: int | None = None) -> Iterator[Text]:
    """Documents of `path`: the first `limit` of each held-out source, or of the file. Empty ones are passed over."""
    if is_shards(path):
        yield from _held_out(path, limit)
    elif path.is_file():
        yield from _file(path, limit)
    elif path.is_dir():
        raise ConfigError(f"`{path}` holds no shards.json", hint="give a shards artifact, or files of text or jsonl")
    else:
        raise ConfigError(f"`{path}` does not exist")


def _held_out(path: Path, limit: int | None) -> Iterator[Text]:
    from creuset.data.shards.files import Shards
    from creuset.text.tokenizer import Tokenizer

    shards = Shards.open(path)
    tokenizer = Tokenizer.load(shards.tokenizer)
    for source in shards.sources:
        tokens, offsets = shards.tokens(source, "heldout"), shards.offsets(source, "heldout")
        sizes = shards.bytes(source)
        for index in range(len(sizes) if limit is None else min(len(sizes), limit)):
            ids = tokens[offsets[index] : offsets[index + 1] - 1]       # the last one ends the document
            if sizes[index]:
                yield Text(source, index, tokenizer.decode([int(i) for i in ids]), int(sizes[index]))


def _file(path: Path, limit: int | None) -> Iterator[Text]:
    from creuset.data.read.readers import records
    from creuset.data.read.sources import FilePart, format_of

    kind = format_of(path)
    if kind is None:
        raise ConfigError(f"`{path}` is not a text, jsonl, parquet or HTML file")
    found = 0
    for record in records(FilePart(str(path), path.name, kind)):
        if limit is not None and found >= limit:
            return
        if record.broken:
            raise DataError(f"`{record.where}` is not a document: {record.broken}: {record.detail}")
        if size := len(record.text.encode()):
            yield Text(path.name.split(".")[0], found, record.text, size)
            found += 1
