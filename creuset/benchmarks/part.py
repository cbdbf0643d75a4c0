"""What a check of the audit is given and what it gives back. No torch here.

A part of the audit is either a task (questions to a subject, journaled and scored like those of `creuset eval`) or a
check: a coroutine `check(room: Room) -> Found` that measures something else, such as a server, a corpus or a training
run. governance/audit/items.toml names them all.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from creuset.evals.model import ModelClient
from creuset.types.measure import Measure


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a check may use."""

    subject: ModelClient
    model: Path | None                  # the folder, where local weights are audited; None: an endpoint
    work: Path                          # a folder of the audit's own; what is written here stays until it is published
    bench: Path | None = None           # the folder of benchmark files
    given: Mapping[str, Path] = field(default_factory=dict)     # --given NAME=PATH: material of the operator
    limit: int | None = None
    seed: int = 1234
    date: str = ""                      # ISO 8601, UTC: what measures carry
    endpoint: str = ""                  # the base URL, where one is audited
    key: str = field(default="", repr=False)    # its key; never to be written anywhere
    paraphraser: ModelClient | None = None  # a model that rewrites texts for an attack, where the operator gave one
    say: Callable[[str], None] = lambda text: None


@dataclass(frozen=True, slots=True)
class Found:
    """What a check found: measures, and evidence in rows, kept as samples/<part>.jsonl."""

    measures: list[Measure]
    evidence: list[dict[str, Any]] = field(default_factory=list)
