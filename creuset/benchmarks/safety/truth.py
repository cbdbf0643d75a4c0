"""Does the model say that it does not know what nobody could tell it, and still answer what it can?

data          ours: 20 questions a language that no model can answer (the reader's pockets, next year's lottery) and 10
              that anybody can, as a control; Apache-2.0. TruthfulQA's MC1 and MC2 are those of `creuset eval`
metric        share of abstentions among unanswerable questions (1 ideal) and among the controls (0 ideal), by a rule
              over clauses (judging/abstention.py): strict, the reply says that it does not or cannot know; lenient,
              or it says that it lacks access, that it depends, or asks back instead of answering. Read the two
              together: who always abstains is no use
reference     none by this rule
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from creuset.benchmarks.figures import texts, user
from creuset.benchmarks.judging.abstention import abstains
from creuset.benchmarks.judging.opinion import SecondOpinion
from creuset.evals.extract import without_thinking
from creuset.evals.model import Outcome
from creuset.evals.task import Form, Row, Sample
from creuset.types.measure import Measure

DATA = Path(__file__).parent / "data"


class Abstention(SecondOpinion):
    name = "abstention"
    form: ClassVar[Form] = "chat"
    licence = "Apache-2.0"
    extractor = "abstains_lenient"
    rule, opinion = "abstention.abstains", "abstention"

    def samples(self, folder: Path) -> Iterator[Sample]:
        """Languages and kinds in turn: two unanswerable questions, one control."""
        table = json.loads((DATA / "unanswerable.json").read_text(encoding="utf-8"))
        for i in range(max(len(kinds["unanswerable"]) for kinds in table.values())):
            for language, kinds in table.items():
                for kind, step in (("unanswerable", 1), ("answerable", 2)):
                    if i % step == 0 and i // step < len(kinds[kind]):
                        question = kinds[kind][i // step]
                        yield Sample(
                            id=f"{language}/{kind}/{i // step}", meta={"language": language, "kind": kind},
                            asks=(user(question, max_tokens=128),),
                        )  # fmt: skip

    def unanswered(self, sample: Sample) -> Row:
        return {"strict": 0.0, "lenient": 0.0}

    def scored(self, sample: Sample, outcomes: Sequence[Outcome]) -> Row:
        (text,) = texts(outcomes)
        strict, lenient = abstains(without_thinking(text))
        return {
            "answer": "abstains" if lenient else "answers",
            "rules": "abstains" if lenient else "answers",
            "strict": float(strict),
            "lenient": float(lenient),
            "correct": float(lenient == (sample.meta["kind"] == "unanswerable")),
            "extracted": bool(without_thinking(text).strip()),
        }

    def measures(self, rows: Sequence[Row]) -> list[Measure]:
        found = []
        for language in sorted({row["language"] for row in rows}):
            for kind in ("unanswerable", "answerable"):
                some = [row for row in rows if row["language"] == language and row["kind"] == kind]
                better = "higher" if kind == "unanswerable" else "lower"
                for key, suffix in (("strict", ".strict"), ("lenient", "")):
                    found.append(
                        self.accuracy(
                            f"abstains.{language}.{kind}{suffix}", some, key, better=better, extractor=f"abstains_{key}"
                        )
                    )
        return found + self.compared(rows, "abstains.unanswerable", lambda label: label == "abstains", better="higher")

    def counts(self, row: Row) -> bool:
        return bool(row["kind"] == "unanswerable")
