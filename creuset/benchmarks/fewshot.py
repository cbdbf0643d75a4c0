"""Tasks with worked examples: groups of items, and the examples shown before each item. No torch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from creuset.core.errors import ConfigError
from creuset.evals.task import Sample, Task

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Group(Generic[Item]):
    """Items that share a description and worked examples: a subject of MMLU, or the whole file."""

    questions: Sequence[Item]
    examples: Sequence[Item] = ()  # none: the first questions serve, and are not asked
    description: str = ""


class FewshotTask(Task, Generic[Item]):
    """Give it `groups`, and `sample`, which writes an item with its description and worked examples before it."""

    shots: ClassVar[int] = 0  # worked examples, if the caller says nothing

    def __init__(self, fewshot: int | None = None) -> None:
        self.fewshot = self.shots if fewshot is None else fewshot
        if self.fewshot < 0:
            raise ConfigError(f"the number of worked examples is {self.fewshot}, it must not be negative")

    def groups(self, folder: Path) -> Iterator[Group[Item]]:
        raise NotImplementedError

    def sample(self, description: str, shots: Sequence[Item], item: Item) -> Sample:
        raise NotImplementedError

    def samples(self, folder: Path) -> Iterator[Sample]:
        """One of each group in turn, so that the first few are of all of them."""
        for turn in zip_longest(*(self._samples(group) for group in self.groups(folder))):
            yield from (sample for sample in turn if sample is not None)

    def _samples(self, group: Group[Item]) -> Iterator[Sample]:
        n, pool, asked = self.fewshot, group.examples, group.questions
        if n and not pool:
            pool, asked = asked[:n], asked[n:]
        if len(pool) < n:
            raise ConfigError(f"{self.name} has {len(pool)} worked examples, {n} are asked for")
        return (self.sample(group.description, pool[:n], item) for item in asked)
