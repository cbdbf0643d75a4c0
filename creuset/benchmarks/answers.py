"""Short answers: a number, a word, a literal. Generated, extracted strictly and leniently, compared. No torch.

Forms: `generate` (a plain completion, the prompts of lm-evaluation-harness) and `chat` (messages; worked examples are
earlier turns). Nothing is dropped: failed calls and replies without an answer are wrong answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from creuset.benchmarks.fewshot import FewshotTask
from creuset.evals import extract
from creuset.evals.model import GenerateRequest, Outcome, Reply
from creuset.evals.shares import correct_measure
from creuset.evals.task import Form, Row, Sample
from creuset.types.measure import Measure


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerItem:
    id: str
    prompt: str  # for a plain completion, up to where the answer begins
    message: str  # for a chat
    gold: str
    worked: str = ""  # as an example: what the model should have written behind `prompt`
    cluster: str = ""
    language: str = ""


class AnswerTask(FewshotTask[AnswerItem]):
    """Give it `groups`, and the extractors with their names."""

    form: ClassVar[Form] = "generate"
    needs = frozenset({"completion"})
    forms: ClassVar[tuple[Form, ...]] = ("generate", "chat")
    max_tokens: ClassVar[int] = 512
    stop: ClassVar[tuple[str, ...]] = ("\n\n",)
    metric: ClassVar[str] = "em"  # "em_strict" and "em_lenient"
    strict_name: ClassVar[str]
    lenient_name: ClassVar[str]
    read_name: ClassVar[str] = ""  # a third extractor, which knows how each language writes numbers: "em_read"

    def strict(self, text: str, language: str) -> str | None:
        raise NotImplementedError

    def lenient(self, text: str, language: str) -> str | None:
        raise NotImplementedError

    def read(self, text: str, language: str) -> str | None:
        raise NotImplementedError

    def same(self, answer: str, gold: str) -> bool:
        return answer == gold

    def same_leniently(self, answer: str, gold: str) -> bool:
        return self.same(answer, gold)

    def _stops(self, language: str) -> tuple[str, ...]:
        return self.stop

    def sample(self, description: str, shots: Sequence[AnswerItem], item: AnswerItem) -> Sample:
        known = {"gold": item.gold, "language": item.language}
        return Sample(id=item.id, asks=(self._ask(description, shots, item),), cluster=item.cluster, gold=known)

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
        row: Row = {
            "gold": gold,
            "answer": None,
            "correct": 0,
            "extracted": False,
            "answer_lenient": None,
            "correct_lenient": 0,
            "extracted_lenient": False,
            "failed": not isinstance(outcome, Reply),
            **({"answer_read": None, "correct_read": 0, "extracted_read": False} if self.read_name else {}),
            "language": sample.gold["language"],
        }
        if not isinstance(outcome, Reply):
            return row
        said = extract.without_thinking(outcome.text)
        ways = [("", self.strict, self.same), ("_lenient", self.lenient, self.same_leniently)]
        if self.read_name:
            ways.append(("_read", self.read, self.same))
        for suffix, find, same in ways:
            answer = find(said, sample.gold["language"])
            row |= {
                f"answer{suffix}": answer,
                f"extracted{suffix}": answer is not None,
                f"correct{suffix}": int(answer is not None and same(answer, gold)),
            }
        return row | {"cut": outcome.finish == "length"}

    def measures(self, rows: Sequence[Row]) -> list[Measure]:
        return self._shares(rows, "")

    def _shares(self, rows: Sequence[Row], suffix: str) -> list[Measure]:
        """One share for each extractor."""
        ways = [("strict", "", self.strict_name), ("lenient", "_lenient", self.lenient_name)]
        ways += [("read", "_read", self.read_name)] if self.read_name else []
        return [
            correct_measure(
                self,
                f"{self.metric}_{name}{suffix}",
                rows,
                key=f"correct{key}",
                extracted=f"extracted{key}",
                extractor=extractor,
                extra={"fewshot": self.fewshot},
            )
            for name, key, extractor in ways
        ]
