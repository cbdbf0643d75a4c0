"""The journal of a run: what was answered, sample by sample, in a file that a killed run leaves readable. No torch.

First line: whose journal it is (task, version, form, data, subject, seed). Every further line: a sample's id, a hash
of what it asks, and the outcomes; a later line of the same id replaces an earlier one. Lines are written whole and
flushed; a torn last line (a kill, a full disk) is cut off when the journal is opened again, and its sample is asked
anew. Nothing is kept when there is no path: the run then lives in memory.
"""

import contextlib
import fcntl
import json
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from creuset.core import jsonl
from creuset.core.artifact import sha256_json
from creuset.core.errors import ConfigError, DataError, DiskFull
from creuset.evals.model import Failure, Likelihood, Outcome, Reply
from creuset.evals.task import Sample

KINDS: dict[str, type[Reply] | type[Likelihood] | type[Failure]] = {
    "reply": Reply,
    "likelihood": Likelihood,
    "failure": Failure,
}
VERSION = 1


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    """The outcome's fields, those at their defaults left out; floats come back to the last bit."""
    kind = next(name for name, one in KINDS.items() if isinstance(outcome, one))
    given = {f.name: getattr(outcome, f.name) for f in fields(outcome)}
    return {"kind": kind, **{f.name: given[f.name] for f in fields(outcome)
                             if f.default is MISSING or given[f.name] != f.default}}  # fmt: skip


def outcome_of(value: dict[str, Any]) -> Outcome:
    """Raises KeyError or TypeError where `value` is not an outcome."""
    given: dict[str, Any] = dict(value)
    made: Callable[..., Outcome] = KINDS[given.pop("kind")]
    return made(**{name: tuple(v) if isinstance(v, list) else v for name, v in given.items()})


def asked_hash(sample: Sample) -> str:
    """What a sample asks, in 16 hexadecimal digits: a journal of other questions is recognised by it."""
    asks = [[list(a.messages), a.prompt, a.max_tokens, a.temperature, a.top_p, list(a.stop), a.seed]
            + ([list(a.tools)] if a.tools else []) for a in sample.asks]  # fmt: skip
    texts = [[[t.text, t.overlap] for t in sample.texts]] if sample.texts else []
    return sha256_json([[[p.context, p.continuation] for p in sample.pairs], asks, *texts])[:16]


@dataclass(frozen=True, slots=True)
class Entry:
    asked: str
    outcomes: tuple[Outcome, ...]

    @property
    def failed(self) -> bool:
        return any(isinstance(outcome, Failure) for outcome in self.outcomes)


class Journal:
    """Owns the file while it is open; two runs cannot write one journal."""

    def __init__(self, path: Path | None, head: dict[str, Any]) -> None:
        """`head`: what the run is; JSON. Raises ConfigError where `path` is the journal of something else."""
        self.path = path
        self.entries: dict[str, Entry] = {}
        self._stream: jsonl.Appender | None = None
        if path is None:
            return
        jsonl.mend(path)
        if path.is_file() and (found := read(path)) is not None:
            _compare(path, found[0], head)
            self.entries = found[1]
        self._stream = jsonl.Appender(path, ascii_only=True)
        try:
            fcntl.flock(self._stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._stream.close()
            raise ConfigError(f"`{path}` is being written by another run", hint="wait for it, or stop it") from None
        if not path.stat().st_size:
            self._line({"journal": VERSION, **head})

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, sample: Sample, outcomes: Sequence[Outcome]) -> None:
        entry = Entry(asked_hash(sample), tuple(outcomes))
        self._line({"id": sample.id, "asked": entry.asked, "outcomes": [outcome_json(o) for o in outcomes]})
        self.entries[sample.id] = entry

    def known(self, sample: Sample) -> Entry | None:
        """What was answered to `sample`. Raises ConfigError where the journal's question was another."""
        entry = self.entries.get(sample.id)
        if entry is not None and entry.asked != asked_hash(sample):
            raise ConfigError(
                f"`{self.path}`: sample `{sample.id}` was asked something else", hint="start anew in another folder"
            )
        return entry

    def close(self) -> None:
        if self._stream is not None:
            stream, self._stream = self._stream, None
            with contextlib.suppress(OSError):  # what could not be flushed was refused, and said, when written
                stream.close()

    def _line(self, value: dict[str, Any]) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(value)
        except OSError as error:
            self.close()
            raise DiskFull(
                f"`{self.path}` cannot be written: {error.strerror}",
                hint="what was answered before is kept: make room and run the same command again",
            ) from error


def read(path: Path) -> tuple[dict[str, Any], dict[str, Entry]] | None:
    """Head and entries of a journal; None when it has no whole line. A torn last line is passed over.

    Raises DataError naming a line that is whole and not one of a journal.
    """
    head: dict[str, Any] | None = None
    entries: dict[str, Entry] = {}
    for line in jsonl.parsed(path, end=jsonl.whole_bytes(path)):
        try:
            if line.broken:
                raise ValueError(line.why)
            value = line.value
            if head is None:
                if value.pop("journal") != VERSION:
                    raise ValueError("a journal of another version")
                head = value
            else:
                outcomes = tuple(outcome_of(o) for o in value["outcomes"])
                entries[value["id"]] = Entry(value["asked"], outcomes)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"`{path}` line {line.number} is not a line of a journal: {error!r}") from error
    return None if head is None else (head, entries)


def _compare(path: Path, found: dict[str, Any], head: dict[str, Any]) -> None:
    for name in sorted(set(found) | set(head)):
        ours, theirs = head.get(name), found.get(name)
        if json.dumps(ours, sort_keys=True) != json.dumps(theirs, sort_keys=True):
            raise ConfigError(
                f"`{path}` is the journal of another run: its {name} is {_short(theirs)}, this one's {_short(ours)}",
                hint="give another --work folder, or ask with what the journal says",
            )


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 160 else text[:157] + "..."
