"""Arena-Hard: hard questions of users; a judge compares each reply with that of a baseline (Li et al. 2024).

data        arena_hard/question.jsonl (v0.1, 500) as published. You bring arena_hard/baseline.jsonl: the baseline's
            replies, one {"uid": ..., "answer": ...} a line, or the authors' own answer files
licence     Apache-2.0
metric      win rate: each question judged twice, positions swapped; a strong verdict counts three times, a tie half a
            win; 95 % bootstrap over questions. It is the win rate of a Bradley-Terry model in which every battle is
            against the baseline, and equals the authors' figure to the last digit. Their interval draws single verdicts
            and counts a strong one as three. On published judgments it was 0.59 times as wide as ours: too narrow.
            Agreement: share of questions whose two verdicts name one winner
reference   85.5 DeepSeek-V3, 85.2 Claude 3.5 Sonnet, 80.4 GPT-4o (DeepSeek-V3 README: another judge)
note        the judge's prompt is written for this project and asks for the same five verdicts. It is asked once: the
            authors ask a second time where it gave none. Questions of v2.0 and their two baselines are not read
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from creuset.benchmarks.files import find, json_rows, made
from creuset.benchmarks.judged.judged import JudgedTask, judge_facts, judge_row, not_asked, text_of, verdict
from creuset.core import stats
from creuset.core.errors import DataError
from creuset.core.sentences import sentence
from creuset.evals.model import GenerateRequest, ModelClient, Outcome, Reply
from creuset.evals.task import Row, Sample
from creuset.types.measure import Measure

SYSTEM = (
    "You compare the replies of two assistants, A and B, to one request. First work out your own answer. Then judge "
    "both replies by it: correctness first, then whether they do what was asked, then clarity and brevity. The order "
    "in which they stand and their length must not count. End with exactly one of these verdicts: [[A>>B]] A is much "
    "better, [[A>B]] A is better, [[A=B]] equally good, [[B>A]] B is better, [[B>>A]] B is much better."
)
FORM = "<request>\n{question}\n</request>\n\n<reply_A>\n{a}\n</reply_A>\n\n<reply_B>\n{b}\n</reply_B>"
# For the reply that stands first: (points, weight).
POINTS = {"A>>B": (3.0, 3.0), "A>B": (1.0, 1.0), "A=B": (0.5, 1.0), "B>A": (0.0, 1.0), "B>>A": (0.0, 3.0)}


class ArenaHard(JudgedTask):
    name: ClassVar[str] = "arena_hard"
    files: ClassVar[tuple[str, ...]] = ("arena_hard/question.jsonl", "arena_hard/baseline.jsonl")
    licence: ClassVar[str] = "Apache-2.0"
    reference: ClassVar[str] = "win rate 85.5 % DeepSeek-V3, 85.2 % Claude 3.5 Sonnet (DeepSeek-V3 README)"
    max_tokens: ClassVar[int] = 2048

    def samples(self, folder: Path) -> Iterator[Sample]:
        questions, answers = (find(folder, file, self.name) for file in self.files)
        baseline = dict(made(answers, json_rows(answers), _answer, self.name))

        def sample(line: int, row: Row) -> Sample:
            uid = str(row["uid"])
            if uid not in baseline:
                raise DataError(f"`{answers}` has no reply to {uid}")
            ask = GenerateRequest(
                messages=({"role": "user", "content": str(row["prompt"])},), max_tokens=self.max_tokens
            )
            return Sample(id=uid, asks=(ask,), gold={"baseline": baseline[uid], "question": row["prompt"]})

        yield from made(questions, json_rows(questions), sample, self.name)

    async def play(self, sample: Sample, subject: ModelClient) -> list[Outcome]:
        """The reply, the verdict with it first, the verdict with it second."""
        reply = (await subject.generate(sample.asks))[0]
        if (said := text_of(reply)) is None:
            return [reply, *[not_asked("the reply failed")] * 2]
        other, question = sample.gold["baseline"], sample.gold["question"]
        pairs = [(said, other), (other, said)]
        asked = [(SYSTEM, FORM.format(question=question, a=a, b=b)) for a, b in pairs]
        return [reply, *await self.ask_judge(asked)]

    def score(self, sample: Sample, outcomes: Sequence[Outcome]) -> Row:
        first, second = (verdict(o.text) if isinstance(o, Reply) else None for o in outcomes[1:])
        games = []
        if first is not None:
            games.append(POINTS[first])
        if second is not None:  # there the model's reply stood second
            points, weight = POINTS[second]
            games.append((weight - points, weight))
        points, weight = (sum(g[i] for g in games) for i in (0, 1))
        return {
            "verdicts": [first, second],
            "points": points,
            "weight": weight,
            "correct": points / weight if first is not None and second is not None else None,
            "answer": text_of(outcomes[0]) or "",
            "gold": "",
            "extracted": first is not None and second is not None,
            "failed": not isinstance(outcomes[0], Reply),
            "agree": None if first is None or second is None else _winner(first) == -_winner(second),
            **judge_row(outcomes[1:], [first, second]),
        }

    def measures(self, rows: Sequence[Row]) -> list[Measure]:
        common: dict[str, Any] = {
            "task": self.name,
            "form": self.form,
            "licence": self.licence,
            "extractor": "judge",
            "failed": sum(row["failed"] for row in rows),
        }
        extra = judge_facts(self, [SYSTEM, FORM], rows)
        known = [row for row in rows if row["weight"]]
        if not known:
            return [
                Measure(
                    **common,
                    metric="win_rate",
                    status="not_tested",
                    extra=extra,
                    denominator=len(rows),
                    unextracted=sum(not row["extracted"] and not row["failed"] for row in rows),
                    why=sentence("benchmarks.no_verdict"),
                )
            ]
        points, weights = (np.array([row[key] for row in known]) for key in ("points", "weight"))
        found = [Measure(
            **common, metric="win_rate", score=float(points.sum() / weights.sum()), n=len(known), denominator=len(rows),
            interval=stats.bootstrap_ratio(points, weights), interval_by=sentence("core.by_bootstrap_questions"),
            unextracted=sum(not row["extracted"] and not row["failed"] for row in rows), extra=extra,
            caveat=sentence("benchmarks.judged_by_model"),
        )]  # fmt: skip
        both = [float(row["agree"]) for row in rows if row["agree"] is not None]
        if both:
            agree = stats.share(both)
            found.append(
                Measure(
                    **common,
                    metric="judge_agreement",
                    score=agree.value,
                    interval=agree.interval,
                    interval_by=agree.by,
                    n=len(both),
                    denominator=len(rows),
                    better="",
                    extra=extra,
                )
            )
        return found


def _winner(said: str) -> int:
    """1 for the reply that stands first, -1 for the other, 0 for none."""
    return {"A>>B": 1, "A>B": 1, "A=B": 0, "B>A": -1, "B>>A": -1}[said]


def _answer(line: int, row: Row) -> tuple[str, str]:
    if "answer" in row:
        return str(row["uid"]), str(row["answer"])
    content = row["messages"][-1]["content"]
    return str(row["uid"]), str(content["answer"] if isinstance(content, dict) else content)
