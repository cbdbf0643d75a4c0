"""IFEval: instructions that a program can check (Zhou et al. 2023, arXiv 2311.07911), English and French.

data        ifeval: ifeval/en_input_data.jsonl (541 prompts, as published), Apache-2.0
            ifeval_fr: ifeval_fr.json, 50 prompts written for this project in French, Apache-2.0
metric      share of prompts whose instructions are all followed, and share of instructions; strict, and loose (any of
            eight readings of the reply: first or last line left out, asterisks left out)
reference   prompt strict: 86.5 Claude 3.5 Sonnet, 86.1 DeepSeek-V3, 86.0 Llama-3.1-405B (DeepSeek-V3 README)
note        sentence splitter, capital words and language identification are our own choice: see ifeval_check.py
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from creuset.benchmarks.files import find, json_rows, made
from creuset.benchmarks.instructions.ifeval_check import CHECKS, follows, loosened
from creuset.core import stats
from creuset.core.errors import DataError
from creuset.core.sentences import sentence
from creuset.evals.extract import without_thinking
from creuset.evals.model import Ability, GenerateRequest, Outcome, Reply
from creuset.evals.task import Form, Row, Sample, Task
from creuset.types.measure import Measure

OWN = Path(__file__).with_name("ifeval_fr.json")


class Ifeval(Task):
    name: ClassVar[str] = "ifeval"
    form: ClassVar[Form] = "chat"
    needs: ClassVar[frozenset[Ability]] = frozenset({"chat"})
    files: ClassVar[tuple[str, ...]] = ("ifeval/en_input_data.jsonl",)
    licence: ClassVar[str] = "Apache-2.0"
    reference: ClassVar[str] = "prompt strict 86.5 % Claude 3.5 Sonnet, 86.1 % DeepSeek-V3 (DeepSeek-V3 README)"
    lang: ClassVar[str] = "en"
    max_tokens: ClassVar[int] = 1280

    def samples(self, folder: Path) -> Iterator[Sample]:
        path = find(folder, self.files[0], self.name)
        yield from made(path, json_rows(path), self._sample, self.name)

    def _sample(self, line: int, row: Row) -> Sample:
        kinds = [str(k).removeprefix(f"{self.lang}:") for k in row["instruction_id_list"]]
        if unknown := [k for k in kinds if k not in CHECKS]:
            raise ValueError(f"instruction `{unknown[0]}` is not known")
        if len(kinds) != len(row["kwargs"]) or not kinds:
            raise ValueError(f"{len(kinds)} instructions and {len(row['kwargs'])} sets of arguments")
        asked = [{k: v for k, v in one.items() if v is not None} for one in row["kwargs"]]
        ask = GenerateRequest(messages=({"role": "user", "content": row["prompt"]},), max_tokens=self.max_tokens)
        return Sample(id=str(row["key"]), asks=(ask,), gold=[[k, a] for k, a in zip(kinds, asked, strict=True)])

    def score(self, sample: Sample, outcomes: Sequence[Outcome]) -> Row:
        reply = outcomes[0]
        text = without_thinking(reply.text) if isinstance(reply, Reply) else ""
        strict = [follows(kind, text, asked, self.lang) for kind, asked in sample.gold]
        readings = loosened(text)
        loose = [any(follows(kind, r, asked, self.lang) for r in readings) for kind, asked in sample.gold]
        return {
            "correct": float(all(strict)),
            "correct_loose": float(all(loose)),
            "strict": strict,
            "loose": loose,
            "kinds": [kind for kind, _ in sample.gold],
            "answer": text,
            "gold": [kind for kind, _ in sample.gold],
            "extracted": bool(text.strip()),
            "failed": not isinstance(reply, Reply),
            "cut": isinstance(reply, Reply) and reply.finish == "length",
        }

    def measures(self, rows: Sequence[Row]) -> list[Measure]:
        if not rows:
            why = sentence("benchmarks.no_prompt")
            return [Measure(task=self.name, metric="prompt_strict", status="not_tested", why=why)]
        failed = sum(row["failed"] for row in rows)
        empty = sum(not row["extracted"] and not row["failed"] for row in rows)
        made_of = []
        for reading, key in (("strict", "correct"), ("loose", "correct_loose")):
            prompts = stats.share([row[key] for row in rows])
            each = [
                (float(ok), str(at), kind)
                for at, row in enumerate(rows)
                for ok, kind in zip(row[reading], row["kinds"], strict=True)
            ]
            # Instructions of one prompt are answered by one reply: their interval is clustered by prompt.
            single = stats.share([e[0] for e in each], [e[1] for e in each])
            by_kind: dict[str, list[float]] = {}
            for ok, _, kind in each:
                by_kind.setdefault(kind, []).append(ok)
            groups = {k: {"score": sum(v) / len(v), "n": len(v)} for k, v in sorted(by_kind.items())}
            common = {
                "task": self.name,
                "form": self.form,
                "licence": self.licence,
                "failed": failed,
                "unextracted": empty,
                "extractor": f"ifeval_{reading}",
            }
            cut = {"cut": sum(bool(row["cut"]) for row in rows)}
            made_of += [
                Measure(
                    metric=f"prompt_{reading}",
                    score=prompts.value,
                    interval=prompts.interval,
                    interval_by=prompts.by,
                    n=len(rows) - failed,
                    denominator=len(rows),
                    extra=cut,
                    **common,
                ),
                Measure(
                    metric=f"instruction_{reading}",
                    score=single.value,
                    interval=single.interval,
                    interval_by=single.by,
                    n=len(each),
                    denominator=len(each),
                    extra=cut | {"groups": groups},
                    **common,
                ),
            ]
        return made_of


class IfevalFr(Ifeval):
    name = "ifeval_fr"
    files = ()
    reference = ""
    lang = "fr"

    def samples(self, folder: Path) -> Iterator[Sample]:
        """The shipped prompts; `folder` is not looked at."""
        try:
            rows = json.loads(OWN.read_text(encoding="utf-8"))
        except ValueError as error:
            raise DataError(f"`{OWN.name}` is not JSON: {error}") from error
        yield from made(OWN, enumerate(rows, 1), self._sample, self.name)
