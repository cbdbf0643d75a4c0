"""What a check of the audit is given and what it gives back. No torch here.

A part of the audit is either a task (questions to a subject, journaled and scored like those of `creuset eval`) or a
check: a coroutine `check(room: Room) -> Found` that measures something else, such as a server, a corpus or a training
run. governance/audit/items.toml names them all.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from creuset.core.artifact import MANIFEST, read_manifest
from creuset.core.log import Progress
from creuset.evals.model import ModelClient
from creuset.types.measure import Measure

if TYPE_CHECKING:
    from creuset.evals.clients.weights import Weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a check may use."""

    subject: ModelClient
    model: Path | None  # the folder, where local weights are audited; None: an endpoint
    work: Path  # a folder of the audit's own; what is written here stays until it is published
    bench: Path | None = None  # the folder of benchmark files
    given: Mapping[str, Path] = field(default_factory=dict)  # --given NAME=PATH: material of the operator
    limit: int | None = None
    seed: int = 1234
    date: str = ""  # ISO 8601, UTC: what measures carry
    endpoint: str = ""  # the base URL, where one is audited
    key: str = field(default="", repr=False)  # its key; never to be written anywhere
    paraphraser: ModelClient | None = None  # a model that rewrites texts for an attack, where the operator gave one
    say: Callable[[str], None] = lambda text: None

    @property
    def folder(self) -> Path:
        """The model's folder, in a part that needs `weights`."""
        assert self.model is not None, "these parts need `weights`, which only a local subject has"
        return self.model

    def weights(self) -> "Weights":
        """The weights of the audited model; nothing is loaded yet."""
        from creuset.evals.clients.weights import Weights

        return Weights(self.folder)

    def count(self, what: str, unit: str) -> Callable[[int], None]:
        """A function that is told how much more is done, and shows the sum on stderr now and then."""
        line, done = Progress(), 0

        def show(more: int) -> None:
            nonlocal done
            done += more
            line.show(f"{what}: {done:,} {unit}")

        return show

    def sealed(self, measures: Sequence[Measure], *names: str) -> list[Measure]:
        """The measures, with the material they were made from: names and manifest hashes."""
        given = [self.given[name] for name in names if name in self.given]
        hashes = [read_manifest(path)["sha256"] for path in given if (path / MANIFEST).is_file()]
        return [
            dataclasses.replace(
                m, data=m.data or ", ".join(path.resolve().name for path in given),
                data_sha256=m.data_sha256 or ", ".join(hashes), seed=self.seed,
            )
            for m in measures
        ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """What a check found: measures, and evidence in rows, kept as samples/<part>.jsonl."""

    measures: list[Measure]
    evidence: list[dict[str, Any]] = field(default_factory=list)
