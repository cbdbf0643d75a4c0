"""Short answers: a number, a word, a literal. Generated, extracted strictly and leniently, compared. No torch.

Forms: `generate` (a plain completion, the prompts of lm-evaluation-harness) and `chat` (messages; worked examples are
earlier turns). Nothing is dropped: failed calls and replies without an answer are wrong answers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, ClassVar

from creuset.core.errors import ConfigError
from creuset.evals import extract
from creuset.evals.model import GenerateRequest, Outcome, Reply
from creuset.evals.shares import correct_measure
from creuset.evals.task import Form, Row, Sample, Task
from creuset.types.measure import Measure


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerItem:
    id: str
    prompt: str             # for a plain completion, up to where the answer begins
    message: str            # for a chat
    gold: str
    worked: str = ""        # as an example: what the model should have written behind `prompt`
    cluster: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problems:
    """Problems that share a description and worked examples."""

    asked: Sequence[AnswerItem]
    examples: Sequence[AnswerItem] = ()    # none: the first problems serve, and are not asked
    description: str = ""


class AnswerTask(Task):
    """Give it `groups`, and the two extractors with their names."""

    form: ClassVar[Form] = "generate"
    needs = frozenset({"completion"})
    forms: ClassVar[tuple[Form, ...]] = ("generate", "chat")
    shots: ClassVar[int] = 0
    max_tokens: ClassVar[int] = 512
    stop: ClassVar[tuple[str, ...]] = ("\n\n",)
    metric: ClassVar[str] = "em"        # "em_strict" and "em_lenient"
    strict_name: ClassVar[str]
    lenient_name: ClassVar[str]

    def __init__(self, fewshot: int | None = None) -> None:
        self.fewshot = self.shots if fewshot is None else fewshot
        if self.fewshot < 0:
            raise ConfigError(f"the number of worked examples is {self.fewshot}, it must not be negative")

    def groups(self, folder: Path) -> Iterator[Problems]:
        raise NotImplementedError

    def strict(self, text: str, language: str) -> str | None:
        raise NotImplementedError

    def lenient(self, text: str, language: str) -> str | None:
        raise NotImplementedError

    def same(self, answer: str, gold: str) -> bool:
        return answer == gold

    def same_leniently(self, answer: str, gold: str) -> bool:
        return self.same(answer, gold)

    def _stops(self, language: str) -> tuple[str, ...]:
        return self.stop

    def samples(self, folder: Path) -> Iterator[Sample]:
        """One of each group in turn, so that the first few are of all of them."""
        for turn in zip_longest(*(self._samples(group) for group in self.groups(folder))):
            yield from (sample for sample in turn if sample is not None)

    def _samples(self, group: Problems) -> Iterator[Sample]:
        n, pool, asked = self.fewshot, group.examples, group.asked
        if n and not pool:
            pool, asked = asked[:n], asked[n:]
        if len(pool) < n:
            raise ConfigError(f"{self.name} has {len(pool)} worked examples, {n} are asked for")
        for problem in asked:
            yield Sample(
                id=problem.id, asks=(self._ask(group.description, pool[:n], problem),), cluster=problem.cluster,
                gold={"gold": problem.gold, "language": problem.language},
            )

    def _ask(self, description: str, shots: Sequence[AnswerItem], problem: AnswerItem) -> GenerateRequest:
        if self.form == "generate":
            before = description + "".join(f"{shot.prompt}{shot.worked}\n\n" for shot in shots)
            return GenerateRequest(
                prompt=before + problem.prompt, max_tokens=self.max_tokens, stop=self._stops(problem.language)
            )
        turns: list[dict[str, Any]] = []
        for shot in shots:
            turns += [{"role": "user", "content": shot.message}, {"role": "assistant", "content": shot.worked.strip()}]
        turns.append({"role": "user", "content": problem.message})
        turns[0]["content"] = description + turns[0]["content"]
        return GenerateRequest(messages=tuple(turns), max_tokens=max(1024, self.max_tokens))

    def score(self, sample: Sample, outcomes: Sequence[Outcome]) -> Row:
        (outcome,) = outcomes
        gold = sample.gold["gold"]
        row: Row = {"gold": gold, "answer": None, "correct": 0, "extracted": False, "answer_lenient": None,
                    "correct_lenient": 0, "extracted_lenient": False, "failed": not isinstance(outcome, Reply),
                    "language": sample.gold["language"]}
        if not isinstance(outcome, Reply):
            return row
        said = extract.without_thinking(outcome.text)
        ways = (("", self.strict, self.same), ("_lenient", self.lenient, self.same_leniently))
        for suffix, find, same in ways:
            answer = find(said, sample.gold["language"])
            row |= {f"answer{suffix}": answer, f"extracted{suffix}": answer is not None,
                    f"correct{suffix}": int(answer is not None and same(answer, gold))}
        return row | {"cut": outcome.finish == "length"}

    def measures(self, rows: Sequence[Row]) -> list[Measure]:
        return self._two(rows, "")

    def _two(self, rows: Sequence[Row], suffix: str) -> list[Measure]:
        about = {"fewshot": self.fewshot}
        return [
            correct_measure(self, f"{self.metric}_strict{suffix}", rows, extractor=self.strict_name, extra=about),
            correct_measure(self, f"{self.metric}_lenient{suffix}", rows, key="correct_lenient",
                            extracted="extracted_lenient", extractor=self.lenient_name, extra=about),
        ]
