"""MT-Bench: 80 questions of two turns, each turn rated 1 to 10 by a judge (Zheng et al. 2023, arXiv 2306.05685).

data        mt_bench/question.jsonl, judge_prompts.jsonl and gpt-4.jsonl (reference answers), as published
licence     Apache-2.0
metric      mean rating over both turns, of each turn, of each category; unread verdicts are left out and counted
reference   ratings depend on the judge: compare only systems that the same judge rated
note        single-answer grading with the prompts as published, all at temperature 0 (the authors' replies: 0.7 for
            writing and roleplay, 0.1 for stem and humanities; the judge at 0). Ratings are read as the authors read
            them, their fallback to [n] left out: 1,286 of the 1,290 published judgments we found have a [[n]], and
            the other four have neither
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from creuset.benchmarks.files import find, json_rows, made
from creuset.benchmarks.judged.judged import JudgedTask, judge_facts, judge_row, not_asked, rating, text_of
from creuset.core import stats
from creuset.core.errors import DataError
from creuset.core.sentences import sentence
from creuset.evals.model import GenerateRequest, ModelClient, Outcome, Reply
from creuset.evals.task import Row, Sample
from creuset.types.measure import Measure

WITH_REFERENCE = {"math", "reasoning", "coding"}
PROMPTS = ("single-v1", "single-math-v1", "single-v1-multi-turn", "single-math-v1-multi-turn")


class MtBench(JudgedTask):
    name: ClassVar[str] = "mt_bench"
    files: ClassVar[tuple[str, ...]] = (
        "mt_bench/question.jsonl",
        "mt_bench/judge_prompts.jsonl",
        "mt_bench/gpt-4.jsonl",
    )
    licence: ClassVar[str] = "Apache-2.0"
    max_tokens: ClassVar[int] = 1024
    prompts: Mapping[str, tuple[str, str]] = MappingProxyType({})  # the judge's, by name: (system prompt, template)

    def samples(self, folder: Path) -> Iterator[Sample]:
        questions, prompts, answers = (find(folder, file, self.name) for file in self.files)
        known = {row.get("name"): row for _, row in json_rows(prompts)}
        if missing := [p for p in PROMPTS if p not in known]:
            raise DataError(f"`{prompts}` has no prompt `{missing[0]}`")
        self.prompts = {p: (str(known[p]["system_prompt"]), str(known[p]["prompt_template"])) for p in PROMPTS}
        references = dict(made(answers, json_rows(answers), _reference, self.name))
        yield from made(questions, json_rows(questions), lambda line, row: self._sample(row, references), self.name)

    def _sample(self, row: Row, references: dict[str, list[str]]) -> Sample:
        first, second = (str(turn) for turn in row["turns"])
        category, id = str(row["category"]), str(row["question_id"])
        reference = references.get(id, []) if category in WITH_REFERENCE else []
        ask = GenerateRequest(messages=({"role": "user", "content": first},), max_tokens=self.max_tokens)
        return Sample(
            id=id, asks=(ask,), gold={"turns": [first, second], "reference": reference}, meta={"category": category}
        )

    async def play(self, sample: Sample, subject: ModelClient) -> list[Outcome]:
        """First turn, second turn, rating of the first, rating of the second."""
        first = (await subject.generate(sample.asks))[0]
        if not isinstance(first, Reply):
            return [first, *[not_asked("the first turn failed")] * 3]
        said = text_of(first) or ""
        messages = (
            *sample.asks[0].messages,
            {"role": "assistant", "content": said},
            {"role": "user", "content": sample.gold["turns"][1]},
        )
        second = (await subject.generate([GenerateRequest(messages=messages, max_tokens=self.max_tokens)]))[0]
        questions = [self.question(sample, said)]
        if isinstance(second, Reply):
            questions.append(self.question(sample, said, text_of(second) or ""))
        ratings = await self.ask_judge(questions)
        return [first, second, *ratings, *[not_asked("the second turn failed")] * (2 - len(ratings))]

    def question(self, sample: Sample, *answers: str) -> tuple[str, str]:
        """What the judge is asked about the answers to one turn or to both: (system prompt, question)."""
        reference = sample.gold["reference"]
        kind = "single-" + ("math-" if reference else "") + "v1" + ("-multi-turn" if len(answers) == 2 else "")
        system, template = self.prompts[kind]
        turns = sample.gold["turns"]
        fields = {
            "question": turns[0],
            "answer": answers[0],
            "question_1": turns[0],
            "question_2": turns[1],
            "answer_1": answers[0],
            "answer_2": answers[-1],
        }
        fields |= {f"ref_answer_{i}": text for i, text in enumerate(reference, 1)}
        return system, template.format(**fields)

    def score(self, sample: Sample, outcomes: Sequence[Outcome]) -> Row:
        ratings = [rating(o.text) if isinstance(o, Reply) else None for o in outcomes[2:]]
        known = [r for r in ratings if r is not None]
        return {
            "ratings": ratings, "correct": (sum(known) / 2 - 1) / 9 if len(known) == 2 else None,
            "answer": "\n\n".join(text_of(o) or "" for o in outcomes[:2]), "gold": sample.gold["reference"],
            "extracted": len(known) == 2, "failed": not all(isinstance(o, Reply) for o in outcomes[:2]),
            "category": sample.meta["category"], **judge_row(outcomes[2:], ratings),
        }  # fmt: skip

    def measures(self, rows: Sequence[Row]) -> list[Measure]:
        found = [self._measure("rating", rows, (0, 1))]
        return found + [self._measure(f"rating_turn_{turn + 1}", rows, (turn,)) for turn in (0, 1)]

    def _measure(self, metric: str, rows: Sequence[Row], turns: tuple[int, ...]) -> Measure:
        values = [(row["ratings"][t], str(at), row["category"]) for at, row in enumerate(rows) for t in turns]
        known = [(v, at, category) for v, at, category in values if v is not None]
        common: dict[str, Any] = {"task": self.name, "metric": metric, "form": self.form, "unit": "rating"}
        extra = judge_facts(self, dict(self.prompts), rows)
        if not known:
            return Measure(
                **common,
                status="not_tested",
                why=sentence("benchmarks.no_verdict"),
                extra=extra,
                denominator=len(values),
                unextracted=extra["unread"],
                extractor="judge",
            )
        mean = stats.mean([v for v, _, _ in known], [at for _, at, _ in known])
        groups: dict[str, list[float]] = {}
        for v, _, category in known:
            groups.setdefault(category, []).append(v)
        return Measure(
            **common, licence=self.licence, score=mean.value, n=len(known),
            interval=mean.interval if len({at for _, at, _ in known}) > 1 else None,
            interval_by=mean.by, denominator=len(values), failed=sum(row["failed"] for row in rows),
            unextracted=extra["unread"], extractor="judge",
            extra=extra | {"groups": {c: {"score": sum(v) / len(v), "n": len(v)} for c, v in sorted(groups.items())}},
            caveat=sentence("benchmarks.rated_by_model"),
        )  # fmt: skip


def _reference(line: int, row: Row) -> tuple[str, list[str]]:
    return str(row["question_id"]), [str(turn) for turn in row["choices"][0]["turns"]]
