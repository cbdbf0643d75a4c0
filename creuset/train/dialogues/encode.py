"""Dialogues from files to token ids with a training mask.

Reads any jsonl of `messages` (plain, .gz, .xz, .zst), as OpenAI's fine-tuning files have them. A line that is no
conversation is counted and named, never fatal; a file without one good line is an error.

Reading order: `read_dialogues`, `encode_dialogues`.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from creuset.core.errors import DataError, RequestError
from creuset.core.jsonl import parsed
from creuset.core.log import say
from creuset.text.chat import chat_template
from creuset.text.template import ChatTemplate
from creuset.text.tokenizer import Tokenizer
from creuset.text.training import encode_dialogue
from creuset.types.messages import parse_messages

Encoded = tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint8]]  # ids (n,), mask (n,): 1 where trained on


@dataclass(slots=True)
class DialogueReading:
    """What was read: good lines, and the names of the first bad ones with their reason."""

    good: int = 0
    bad: int = 0
    long: int = 0
    named: list[str] = field(default_factory=list)

    def refuse(self, where: str, reason: str) -> None:
        self.bad += 1
        if len(self.named) < 20:
            self.named.append(f"{where}: {reason}")


def read_dialogues(path: Path, reading: DialogueReading) -> Iterator[list[dict[str, Any]]]:
    """The `messages` of each good line of `path`, with an assistant's message to learn from."""
    for line in parsed(path):
        where = path.name if line.broken == "broken_archive" else f"{path.name}:{line.number}"
        if line.broken:
            reading.refuse(where, line.why)
            continue
        messages = line.value.get("messages") if isinstance(line.value, dict) else None
        try:
            checked = parse_messages(messages, "lenient")
        except (ValueError, RequestError) as error:
            reading.refuse(where, str(error))
            continue
        if not any(message.role == "assistant" and message.weight for message in checked):
            reading.refuse(where, "nothing to learn from: no message of the assistant")
            continue
        reading.good += 1
        yield line.value["messages"]


def encode_dialogues(
    paths: Sequence[Path],
    tokenizer: Tokenizer,
    max_tokens: int,
    *,
    template: ChatTemplate | None = None,
    ends: frozenset[int] = frozenset(),
    cache: Path | None = None,
) -> list[Encoded]:
    """Ids and mask of every dialogue of at most `max_tokens` tokens, in the order of the files.

    `template`: the model's, and `ends` the ids that end its answers; ours where nothing is said. A dialogue whose
    mask cannot be known to be right under the template is left out like a bad line.

    With `cache` the result is kept in that .npz file and read from it as long as the files, the
    tokenizer, the template and `max_tokens` stay the same.
    """
    template = template or ChatTemplate(tokenizer, {"default": chat_template()})
    ends = ends | tokenizer.end_ids
    key = _key(paths, tokenizer, max_tokens, template, ends)
    if cache is not None and (kept := _cached(cache, key)) is not None:
        return kept
    reading = DialogueReading()
    encoded: list[Encoded] = []
    for path in paths:
        before = reading.good
        for messages in read_dialogues(path, reading):
            try:
                found = encode_dialogue(template, messages, ends)
            except RequestError as error:
                reading.good -= 1
                reading.refuse(path.name, str(error))
                continue
            if len(found.ids) > max_tokens:
                reading.long += 1
                continue
            encoded.append((np.asarray(found.ids, np.uint32), np.asarray(found.mask, np.uint8)))
        if reading.good == before:
            raise DataError(
                f"`{path}` holds no dialogue", hint=reading.named[-1] if reading.named else "the file is empty"
            )
    if reading.bad:
        say(f"{reading.bad} bad lines left out: " + "; ".join(reading.named[:5]))
    if reading.long:
        say(f"{reading.long} dialogues of more than {max_tokens} tokens left out")
    if cache is not None:
        _keep(cache, key, encoded)
    return encoded


def _key(
    paths: Sequence[Path], tokenizer: Tokenizer, max_tokens: int, template: ChatTemplate, ends: frozenset[int]
) -> str:
    """Changes with anything that the result depends on."""
    digest = hashlib.sha256(f"2 {max_tokens} {tokenizer.identity}".encode())
    digest.update(template.source.encode())
    if not template.is_ours:
        digest.update(f"{sorted(ends)}".encode())
    for path in paths:
        if not path.is_file():
            raise DataError(f"`{path}` is not a file of dialogues")
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def _keep(cache: Path, key: str, encoded: list[Encoded]) -> None:
    lengths = np.asarray([len(ids) for ids, _ in encoded], np.int64)
    empty = np.zeros(0, np.uint32)
    cache.parent.mkdir(parents=True, exist_ok=True)
    partial = cache.with_name(cache.name + ".partial.npz")
    np.savez_compressed(
        partial, key=np.asarray(key), lengths=lengths, ids=np.concatenate([empty, *(ids for ids, _ in encoded)]),
        mask=np.concatenate([empty.astype(np.uint8), *(mask for _, mask in encoded)]),
    )  # fmt: skip
    partial.rename(cache)


def _cached(cache: Path, key: str) -> list[Encoded] | None:
    if not cache.is_file():
        return None
    try:
        with np.load(cache, allow_pickle=False) as kept:
            if str(kept["key"]) != key:
                return None
            ends = np.cumsum(kept["lengths"])[:-1]
            return list(zip(np.split(kept["ids"], ends), np.split(kept["mask"], ends), strict=True))
    except (ValueError, KeyError, OSError, EOFError):  # a cache is only a cache: damaged, it is made again
        return None
