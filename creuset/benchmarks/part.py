"""What an audit is made of: parts, one test each, of a requirement of `items.py`. No torch here.

A part is either a task (questions to a subject, journaled and scored like those of `creuset eval`) or a check: a
coroutine that measures something else (a server, a corpus, a training run) and says what it found. Modules with
parts export `ITEMS: tuple[Part, ...]`; `items.py` puts them together.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from creuset.evals.model import Ability, Subject
from creuset.evals.task import Task
from creuset.types.measure import Measure


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a check may use."""

    subject: Subject
    model: Path | None                  # the folder, where local weights are audited; None: an endpoint
    work: Path                          # a folder of the audit's own; what is written here stays until it is published
    bench: Path | None = None           # the folder of benchmark files
    given: Mapping[str, Path] = field(default_factory=dict)     # --given NAME=PATH: material of the operator
    limit: int | None = None
    seed: int = 1234
    date: str = ""                      # ISO 8601, UTC: what measures carry
    endpoint: str = ""                  # the base URL, where one is audited
    key: str = field(default="", repr=False)    # its key; never to be written anywhere
    paraphraser: Subject | None = None  # a model that rewrites texts for an attack, where the operator gave one
    say: Callable[[str], None] = lambda text: None


@dataclass(frozen=True, slots=True)
class Found:
    """What a check found: measures, and evidence in rows, kept as samples/<part>.jsonl."""

    measures: list[Measure]
    evidence: list[dict[str, Any]] = field(default_factory=list)


Check = Callable[[Room], Awaitable[Found]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    name: str                           # unique in the audit: "bbq", "canaries"
    row: str                            # of the requirement table, "2" to "15"
    task: Callable[[], Task] | None = None      # a Task class, or what makes one
    otherwise: Callable[[], Task] | None = None     # another form of it, for subjects that cannot answer the first
    judged: bool = False                # the task takes a second opinion: its `judge` is set, where there is one
    check: Check | None = None
    needs: frozenset[Ability] = frozenset()     # beside what the task itself needs; "weights": local weights only
    files: tuple[str, ...] = ()         # below the benchmark folder, for checks; a task names its own
    material: Mapping[str, str] = field(default_factory=dict)   # NAME of --given NAME=PATH: what it is, for people
    optional: Mapping[str, str] = field(default_factory=dict)   # the same, of what it can do without
    reported: bool = False              # its measures are somebody else's: nothing is asked of the subject
    articles: tuple[str, ...] = ()      # where they differ from the requirement's
    harmful: bool = False               # only behind --allow-harmful (a task's own flag counts as well)

    def __post_init__(self) -> None:
        if (self.task is None) == (self.check is None):
            raise ValueError(f"part `{self.name}` has either a task or a check")


def sha256_texts(*texts: str) -> str:
    """Hash of several texts in order, each with its length, so that no two lists of texts share one."""
    digest = hashlib.sha256()
    for text in texts:
        raw = text.encode("utf-8", "surrogatepass")
        digest.update(b"%d:" % len(raw) + raw)
    return digest.hexdigest()
