"""Documents of a corpus artifact as a tokenizer sees them: text, and how far the file is read."""

import io
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import zstandard

from creuset.core.artifact import read_manifest
from creuset.core.errors import ArtifactError, ConfigError, DataError

ENDING = ".jsonl.zst"
_DECODER = msgspec.json.Decoder(dict[str, Any])


@dataclass(frozen=True, slots=True)
class CorpusText:
    text: str
    packed_bytes: int  # of the file read so far, for progress


def sources_of(corpus: Path) -> list[str]:
    """Names of the sources of a corpus artifact; refuses what is none."""
    manifest = read_manifest(corpus)
    if manifest["kind"] != "corpus":
        raise ArtifactError(f"`{corpus}` is a {manifest['kind']} artifact, not a corpus")
    names = sorted(file.name.removesuffix(ENDING) for file in (corpus / "docs").glob("*" + ENDING))
    if not names:
        raise ArtifactError(f"`{corpus}` holds no documents", hint="every source was dropped; see its report.json")
    return names


def chosen_sources(corpus: Path, names: list[str] | None) -> list[str]:
    """All sources, or those of `names`; an unknown one is refused."""
    known = sources_of(corpus)
    for name in names or []:
        if name not in known:
            raise ConfigError(f"`{corpus}` has no source `{name}`", hint=f"it has {', '.join(known)}")
    return names or known


def documents_file(corpus: Path, source: str, split: str = "train") -> Path:
    return corpus / ("docs" if split == "train" else "heldout") / (source + ENDING)


def read(file: Path) -> Iterator[CorpusText]:
    """Texts of one file, in order; a file that is not there has none, a damaged line is refused by number."""
    if not file.is_file():
        return
    line_number = 0
    try:
        with file.open("rb") as packed:
            stream = zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True)
            for line in io.BufferedReader(stream, 1 << 20):
                line_number += 1
                if not line.endswith(b"\n"):  # a cut-off zstd stream ends without a word
                    raise DataError(f"`{file}` is cut off at line {line_number}")
                if line.strip():
                    yield CorpusText(_DECODER.decode(line)["text"], packed.tell())
    except (msgspec.DecodeError, KeyError, UnicodeDecodeError, zstandard.ZstdError) as error:
        raise DataError(f"`{file}` is damaged at line {line_number}: {error!r}") from error


def sample(file: Path, *, limit_bytes: int, seed: int = 17) -> Iterator[str]:
    """About `limit_bytes` of a file's texts, spread over all of it and the same every time; 0 is all."""
    total = sum(len(document.text.encode()) for document in read(file)) if limit_bytes else 0
    share = limit_bytes / total if limit_bytes and total else 1.0
    draw = random.Random(seed)
    for document in read(file):
        if share >= 1.0 or draw.random() < share:
            yield document.text
