"""Held-out documents as token ids: from the shards of an artifact, or from any text or jsonl file. No torch."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from creuset.core.errors import ConfigError, DataError

if TYPE_CHECKING:
    from creuset.text.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Text:
    """One document: its ids with the <|endoftext|> that ends it, and its size."""

    source: str
    index: int
    ids: "np.ndarray"
    bytes: int              # UTF-8


def is_shards(path: Path) -> bool:
    return (path / "shards.json").is_file()


def read(path: Path, tokenizer: "Tokenizer", *, limit: int | None = None) -> Iterator[Text]:
    """Documents of `path`: the first `limit` of each held-out source, or of the file. Empty ones are passed over."""
    if is_shards(path):
        yield from _held_out(path, tokenizer, limit)
    elif path.is_file():
        yield from _file(path, tokenizer, limit)
    elif path.is_dir():
        raise ConfigError(f"`{path}` holds no shards.json", hint="give a shards artifact, or files of text or jsonl")
    else:
        raise ConfigError(f"`{path}` does not exist")


def _held_out(path: Path, tokenizer: "Tokenizer", limit: int | None) -> Iterator[Text]:
    from creuset.data.shards import Shards
    from creuset.text.tokenizer import Tokenizer

    shards = Shards.open(path)
    theirs = Tokenizer.load(shards.tokenizer)
    same = theirs.vocab_size == tokenizer.vocab_size and theirs.special == tokenizer.special and all(
        theirs.token_bytes(i) == tokenizer.token_bytes(i) for i in range(theirs.vocab_size)
    )
    for source in shards.sources:
        tokens, offsets = shards.tokens(source, "heldout"), shards.offsets(source, "heldout")
        sizes = shards.bytes(source)
        for index in range(len(sizes) if limit is None else min(len(sizes), limit)):
            ids = np.asarray(tokens[offsets[index] : offsets[index + 1]], dtype=np.int64)
            if not same:    # another model's tokenizer: back to text, and cut anew
                words = theirs.decode([int(i) for i in ids[:-1]])
                ids = np.array([*tokenizer.encode(words), tokenizer.endoftext], dtype=np.int64)
            if sizes[index]:
                yield Text(source, index, ids, int(sizes[index]))


def _file(path: Path, tokenizer: "Tokenizer", limit: int | None) -> Iterator[Text]:
    from creuset.data.readers import records
    from creuset.data.sources import Piece, format_of

    kind = format_of(path)
    if kind is None:
        raise ConfigError(f"`{path}` is not a text, jsonl, parquet or HTML file")
    found = 0
    for record in records(Piece(str(path), path.name, kind)):
        if limit is not None and found >= limit:
            return
        if record.broken:
            raise DataError(f"`{record.where}` is not a document: {record.broken}: {record.detail}")
        if size := len(record.text.encode()):
            ids = np.array([*tokenizer.encode(record.text), tokenizer.endoftext], dtype=np.int64)
            yield Text(path.name.split(".")[0], found, ids, size)
            found += 1
