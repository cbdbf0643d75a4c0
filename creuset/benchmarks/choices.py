"""Multiple choice, asked in three forms of the same items. No torch.

    loglikelihood   the choice with the highest ln p behind the context: `acc`; divided by its length in characters:
                    `acc_norm`. Prompts are lm-evaluation-harness's, to the character.
    generate        a plain completion of the question with its lettered options; the letter is extracted
    chat            the same as messages: works on endpoints that only chat; worked examples are earlier turns

A reply is scored under a strict and a lenient extractor, two measures. A failed call and a reply without an answer
are wrong answers: every item that was asked is in the denominator.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from creuset.benchmarks.fewshot import FewshotTask
from creuset.core.stats import Interval
from creuset.evals import extract
from creuset.evals.model import Ability, GenerateRequest, Likelihood, LoglikelihoodRequest, Outcome, Reply
from creuset.evals.shares import correct_measure
from creuset.evals.task import Form, Row, Sample, Task
from creuset.types.measure import Measure

NEEDS: dict[Form, frozenset[Ability]] = {
    "loglikelihood": frozenset({"loglikelihood"}),
    "generate": frozenset({"completion"}),
    "chat": frozenset({"chat"}),
    "static": frozenset(),
}
LETTERS = extract.LETTERS
T = TypeVar("T", bound=Task)


def in_form(task: type[T], form: Form, **header: Any) -> type[T]:
    """`task` asked in another form (or with another header): a class of its own, as headers are class variables."""
    return type(task.__name__, (task,), {"form": form, "needs": NEEDS[form], **header})


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceItem:
    id: str
    context: str  # before the choices, in the loglikelihood form
    choices: tuple[str, ...]  # as written behind it, the blank before them included
    gold: int
    stem: str  # the question itself, in the other two
    options: tuple[str, ...]  # what the letters stand for
    contexts: tuple[str, ...] = ()  # where the choice is in the context (WinoGrande): one each
    cluster: str = ""
    worked: str = ""  # as an example: what the model should have written; "": ` B`
    asked: str = ""  # the prompt of the generate form, where it is not the usual one

    def __post_init__(self) -> None:
        if not 0 <= self.gold < len(self.choices) or len(self.choices) != len(self.options):
            raise ValueError(f"the answer is {self.gold}, there are {len(self.choices)} choices")

    @property
    def letter(self) -> str:
        return LETTERS[self.gold]


class ChoiceTask(FewshotTask[ChoiceItem]):
    """Give it `groups`."""

    forms: ClassVar[tuple[Form, ...]] = ("loglikelihood", "generate", "chat")
    caveat: ClassVar[str] = ""  # printed wherever the score is
    norm: ClassVar[bool] = True  # whether acc_norm says something: not where choices are letters
    max_tokens: ClassVar[int] = 64
    max_tokens_chat: ClassVar[int] = 1024
    stop: ClassVar[tuple[str, ...]] = ("\n\n", "\nQuestion:")
    instruction: ClassVar[str] = (
        "Answer the multiple-choice question below. You may reason first. Your last line must be `Answer: X`, "
        "where X is one of the letters {letters}."
    )
    strict_name: ClassVar[str] = "letter_strict"
    lenient_name: ClassVar[str] = "letter_lenient"

    def strict(self, text: str, options: Sequence[str]) -> str | None:
        return extract.letter_strict(text, options)

    def lenient(self, text: str, options: Sequence[str]) -> str | None:
        return extract.letter_lenient(text, options)

    def sample(self, description: str, shots: Sequence[ChoiceItem], item: ChoiceItem) -> Sample:
        known: dict[str, Any] = {"gold": item.gold, "options": list(item.options)}
        if self.form == "loglikelihood":
            before = description + "".join(f"{self._worked(shot)}\n\n" for shot in shots)
            contexts = item.contexts or (item.context,) * len(item.choices)
            pairs = tuple(pair(before + c, choice) for c, choice in zip(contexts, item.choices, strict=True))
            known["lengths"] = [len(choice.removeprefix(" ")) for choice in item.choices]
            return Sample(id=item.id, cluster=item.cluster, pairs=pairs, gold=known)
        if self.form == "generate":
            parts = [f"{self.lettered(shot)}{shot.worked or ' ' + shot.letter}\n\n" for shot in shots]
            ask = GenerateRequest(
                prompt=description + "".join(parts) + self.lettered(item), max_tokens=self.max_tokens, stop=self.stop
            )
            return Sample(id=item.id, cluster=item.cluster, asks=(ask,), gold=known)
        turns: list[dict[str, Any]] = []
        for shot in shots:
            turns += [
                {"role": "user", "content": self.message(shot)},
                {"role": "assistant", "content": shot.worked.strip() or f"Answer: {shot.letter}"},
            ]
        turns.append({"role": "user", "content": self.message(item)})
        ask = GenerateRequest(messages=tuple(turns), max_tokens=self.max_tokens_chat)
        return Sample(id=item.id, cluster=item.cluster, asks=(ask,), gold=known)

    @staticmethod
    def _worked(shot: ChoiceItem) -> str:
        context = shot.contexts[shot.gold] if shot.contexts else shot.context
        return context + shot.choices[shot.gold]

    def lettered(self, q: ChoiceItem) -> str:
        """The question for a plain completion: what follows is a blank and a letter."""
        return q.asked or f"Question: {q.stem}\n{options(q.options)}\nAnswer:"

    def message(self, q: ChoiceItem) -> str:
        letters = ", ".join(LETTERS[: len(q.options)])
        return f"{self.instruction.format(letters=letters)}\n\n{q.stem}\n\n{options(q.options)}"

    def score(self, sample: Sample, outcomes: Sequence[Outcome]) -> Row:
        gold, many = sample.gold["gold"], len(sample.gold["options"])
        row: Row = {
            "gold": LETTERS[gold],
            "answer": None,
            "correct": 0,
            "extracted": False,
            "failed": False,
            "chance": 1 / many,
        }
        if self.form != "loglikelihood":
            (outcome,) = outcomes
            row |= {"answer_lenient": None, "correct_lenient": 0, "extracted_lenient": False}
            if not isinstance(outcome, Reply):
                return row | {"failed": True}
            said, shown = extract.without_thinking(outcome.text), sample.gold["options"]
            for suffix, find in (("", self.strict), ("_lenient", self.lenient)):
                letter = find(said, shown)
                row |= {
                    f"answer{suffix}": letter,
                    f"extracted{suffix}": letter is not None,
                    f"correct{suffix}": int(letter == LETTERS[gold]),
                }
            return row | {"cut": outcome.finish == "length"}
        found = [o for o in outcomes if isinstance(o, Likelihood)]
        if len(found) < many:
            return row | {"failed": True, "correct_norm": 0}
        totals = [o.total for o in found]
        best = first_highest(totals)
        best_norm = first_highest([t / max(1, n) for t, n in zip(totals, sample.gold["lengths"], strict=True)])
        return row | {
            "answer": LETTERS[best],
            "correct": int(best == gold),
            "extracted": True,
            "answer_norm": LETTERS[best_norm],
            "correct_norm": int(best_norm == gold),
            "log_likelihoods": totals,
            "cut": any(o.cut for o in found),
        }

    def measures(self, rows: Sequence[Row]) -> list[Measure]:
        if self.form == "loglikelihood":
            kinds = [("acc", "correct", "extracted", ""), ("acc_norm", "correct_norm", "extracted", "")]
            return [self._measure(rows, *kind) for kind in kinds[: 1 + self.norm]]
        return [
            self._measure(rows, "acc_strict", "correct", "extracted", self.strict_name),
            self._measure(rows, "acc_lenient", "correct_lenient", "extracted_lenient", self.lenient_name),
        ]

    def _measure(self, rows: Sequence[Row], metric: str, key: str, extracted: str, extractor: str) -> Measure:
        chance = sum(row["chance"] for row in rows) / max(1, len(rows))
        majority = max(Counter(row["gold"] for row in rows).values(), default=0) / max(1, len(rows))
        known: dict[str, Any] = {"chance": chance, "majority": majority, "fewshot": self.fewshot}
        made = correct_measure(
            self, metric, rows, key=key, extracted=extracted, extractor=extractor, extra=known, caveat=self.caveat
        )
        if made.interval is not None:
            made.extra["verdict"] = verdict(made.interval, chance)
        return made


def verdict(interval: Interval, chance: float) -> str:
    if interval.low > chance:
        return "above chance"
    return "below chance" if interval.high < chance else "at chance level"


def first_highest(values: Sequence[float]) -> int:
    return max(range(len(values)), key=lambda i: values[i])


def options(texts: Sequence[str]) -> str:
    return "\n".join(f"{letter}. {text}" for letter, text in zip(LETTERS, texts, strict=False))


def pair(context: str, continuation: str) -> LoglikelihoodRequest:
    """Blanks at the end of the context go to the continuation, as in running text (and in lm-evaluation-harness)."""
    bare = context.rstrip()
    return LoglikelihoodRequest(bare, context[len(bare) :] + continuation)
