"""A tokenizer learned from a corpus artifact or from text files, as an artifact that names its parent."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from creuset.core.artifact import new_artifact
from creuset.core.errors import ConfigError, DataError
from creuset.core.log import Progress, duration, say
from creuset.data.build.documents import documents_file, sample
from creuset.text.tokenizer import Tokenizer, train


def train_tokenizer(
    out: Path,
    *,
    corpus: Path | None = None,
    limits_mb: Mapping[str, float] | None = None,
    texts: Sequence[Path] = (),
    vocab_size: int = 8192,
    max_token_chars: int = 24,
) -> dict[str, Any]:
    """Write the tokenizer artifact `out`; returns its facts, bytes a token by source among them.

    `limits_mb`: the sources of `corpus` to learn from, with how much of each, spread over it (0 is all).
    `texts`: plain UTF-8 files, where there is no corpus. `vocab_size` counts the control tokens.
    """
    limits = dict(limits_mb or {})
    settings = {
        "vocab_size": vocab_size,
        "max_token_chars": max_token_chars,
        "limits_mb": limits,
        "texts": [file.name for file in texts],
    }
    started, facts = time.monotonic(), dict[str, Any]()
    parts: Iterable[Iterable[str]]
    if corpus is not None:
        files = {name: documents_file(corpus, name) for name in limits}
        parts = (sample(files[name], limit_bytes=int(mb * 1e6)) for name, mb in limits.items())
    else:
        parts = map(_paragraphs, texts)
    parents = [corpus] if corpus is not None else []
    with new_artifact(out, kind="tokenizer", settings=settings, parents=parents, facts=facts) as folder:
        tally = _Tally()
        tokenizer = train(
            tally.watch(chain.from_iterable(parts)), vocab_size=vocab_size, max_token_chars=max_token_chars
        )
        tokenizer.save(folder)
        facts |= {"vocab_size": vocab_size, "trained_on_bytes": tally.bytes, "trained_on_texts": tally.texts}
        say(f"learned {vocab_size} ids from {tally.bytes / 1e6:.1f} MB in {duration(time.monotonic() - started)}")
        facts["bytes_per_token"] = _bytes_per_token(tokenizer, corpus, limits, texts)
        facts["seconds"] = round(time.monotonic() - started, 1)
    return facts


class _Tally:
    """Counts the texts that pass, and says so."""

    def __init__(self) -> None:
        self.texts = self.bytes = 0

    def watch(self, texts: Iterable[str]) -> Iterator[str]:
        progress, started = Progress(), time.monotonic()
        for text in texts:
            self.texts += 1
            self.bytes += len(text.encode())
            if self.texts % 100 == 0:
                speed = self.bytes / 1e6 / max(1e-9, time.monotonic() - started)
                progress.show(f"reading {self.bytes / 1e6:.1f} MB, {speed:.1f} MB/s")
            yield text
        progress.show(f"read {self.bytes / 1e6:.1f} MB; merging", final=True)


def _bytes_per_token(
    tokenizer: Tokenizer, corpus: Path | None, names: Iterable[str], files: Iterable[Path]
) -> dict[str, float]:
    """On what training did not see where there is a held-out part, else on a sample of the source."""

    def parts() -> Iterator[tuple[str, Iterable[str]]]:
        for name in names:
            assert corpus is not None
            heldout = documents_file(corpus, name, "heldout")
            texts = list(sample(heldout, limit_bytes=1_000_000))
            yield name, texts or sample(documents_file(corpus, name), limit_bytes=1_000_000)
        for file in files:
            yield file.name, _paragraphs(file)

    found: dict[str, float] = {}
    for name, texts in parts():
        texts = list(texts)
        ids = sum(map(len, tokenizer.encode_batch(texts)))
        found[name] = round(sum(len(t.encode()) for t in texts) / max(1, ids), 3)
    return found


def _paragraphs(file: Path) -> Iterator[str]:
    """A text file in pieces of whole lines, about 64 KB each."""
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            while lines := stream.readlines(1 << 16):
                yield "".join(lines)
    except FileNotFoundError:
        raise ConfigError(f"`{file}` does not exist") from None
    except UnicodeDecodeError as error:
        raise DataError(f"`{file}` is not UTF-8: {error}") from error
