"""A second opinion: where a judge was given, it labels the replies that a rule has labelled, and both are compared.

    class Abstention(SecondOpinion): opinion = "abstention"; its rows say `rules`, the label that the rule gave

The judge decides nothing. Its labels stand beside the rule's: how often both agree (`judge_agreement`, with Cohen's
kappa, what each said where they differ, and the samples), and the main share as the judge counts it. What it is asked
is in data/opinion.toml. No torch.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, ClassVar

from creuset.benchmarks.figures import Social, failure, texts, user
from creuset.benchmarks.judged.judged import judge_facts, judge_row, judged_by
from creuset.benchmarks.judging.clauses import DATA
from creuset.core.sentences import sentence
from creuset.core.stats import cohen_kappa, share
from creuset.evals.extract import without_thinking
from creuset.evals.model import Likelihood, ModelClient, Outcome, Reply
from creuset.evals.task import Row, Sample
from creuset.types.measure import Better, Measure

NAMED = 20  # samples on which both differ that a figure names


@cache
def questions() -> Mapping[str, Any]:
    found: Mapping[str, Any] = tomllib.loads((DATA / "opinion.toml").read_text(encoding="utf-8"))
    return found


def labels_of(rule: str) -> tuple[str, ...]:
    return tuple(questions()[rule]["labels"])


def prompt_of(rule: str) -> str:
    return str(questions()[rule]["prompt"]).lstrip("\n")


def verdict(text: str, rule: str = "refusal") -> str | None:
    """The label that a judge gave: the only one it names, or the last word; None where it names none, or only says
    which one it is not."""
    one = "|".join(labels_of(rule))
    denied = rf"\b(?:not|n't|neither of|nor|never)\b(?: (?:an?|the|really|quite))*\s+(?:{one})\b"
    said = re.sub(denied, " ", text.lower())
    named = re.findall(rf"\b({one})\b", said)
    if not named:
        return None
    last = str(named[-1])
    return last if len(set(named)) == 1 or said.rstrip(" .*\n").endswith(last) else None


class SecondOpinion(Social):
    """Give it `opinion`; override `converse` instead of `play`, and `to_judge` where the judge must know more."""

    opinion: ClassVar[str] = ""

    async def converse(self, sample: Sample, subject: ModelClient) -> list[Outcome]:
        """Ask the subject."""
        return await super().play(sample, subject)

    def to_judge(self, sample: Sample, said: list[str]) -> Mapping[str, str] | None:
        """What fills the slots of the judge's question; None where there is nothing to ask about."""
        return {"request": str(sample.asks[0].messages[-1]["content"]), "reply": said[0]}

    async def play(self, sample: Sample, subject: ModelClient) -> list[Outcome]:
        outcomes = await self.converse(sample, subject)
        if self.judge is None or failure(outcomes):
            return outcomes
        filled = self.to_judge(sample, [without_thinking(text) for text in texts(outcomes)])
        if filled is None:
            return outcomes
        asked = user(prompt_of(self.opinion).format(**filled), max_tokens=64)
        return [*outcomes, *await judged_by(self.judge, [asked])]

    def score(self, sample: Sample, outcomes: Sequence[Outcome]) -> Row:
        own, theirs = ([o for o in outcomes if _by_judge(o) == judge] for judge in (False, True))
        labels = [verdict(without_thinking(o.text), self.opinion) if isinstance(o, Reply) else None for o in theirs]
        row = super().score(sample, own) | judge_row(theirs, labels)
        return row | {"judged": labels[0] if labels else None, "judge_asked": bool(theirs)}

    def compared(
        self, rows: Sequence[Row], main: str, hit: Callable[[str], bool], *, better: Better = "lower"
    ) -> list[Measure]:
        """Judge and rule on the same replies. `main` names the share of labels for which `hit` is true."""
        asked = [row for row in rows if row.get("judge_asked")]
        if not asked:
            return []
        facts = judge_facts(self, prompt_of(self.opinion), asked)
        both = [row for row in asked if row["judged"]]
        if not both:
            none = self.figure(
                "judge_agreement", asked, None, why=sentence("benchmarks.no_verdict"), extra=facts, rule=""
            )
            return [replace(none, status="not_tested", n=0, unextracted=facts["unread"])]
        pairs = [(self.label(row), str(row["judged"])) for row in both]
        kappa = cohen_kappa([a for a, _ in pairs], [b for _, b in pairs])
        differ = Counter(f"{a}, {b}" for a, b in pairs if a != b)
        found = {
            "kappa": kappa if kappa == kappa else None, "rule_then_judge": dict(sorted(differ.items())),
            "differ": [row["id"] for row, (a, b) in zip(both, pairs, strict=True) if a != b and "id" in row][:NAMED],
        }  # fmt: skip
        common: dict[str, Any] = {"n": len(both), "denominator": len(both), "rule": ""}
        agreed = share([float(a == b) for a, b in pairs], self._clusters(both))
        measures = [self.figure("judge_agreement", asked, agreed, extra=facts | found,
                                caveat=sentence("benchmarks.second_opinion"), **common)]  # fmt: skip
        counted = [row for row in both if self.counts(row)]
        if counted:
            level = share([float(hit(str(row["judged"]))) for row in counted], self._clusters(counted))
            mine = sum(hit(self.label(row)) for row in counted) / len(counted)
            measures.append(self.figure(
                f"{main}.judge", asked, level, better=better, extractor=f"{self.opinion}_judge",
                extra=facts | {"by_rule": mine}, **common | {"n": len(counted), "denominator": len(counted)},
            ))  # fmt: skip
        return measures

    def label(self, row: Row) -> str:
        """The rule's label, in the judge's words."""
        return str(row["rules"])

    def counts(self, row: Row) -> bool:
        """Whether the main share is of rows like this one."""
        return True

    @staticmethod
    def _clusters(rows: Sequence[Row]) -> list[str]:
        return [str(row.get("cluster") or "") for row in rows]


def _by_judge(outcome: Outcome) -> bool:
    return not isinstance(outcome, Likelihood) and outcome.by == "judge"
