"""LAMBADA: the last word of a passage (Paperno et al. 2016, as processed by OpenAI), 5,153 passages.

data        lambada_openai/lambada_openai.jsonl: {"context": "...", "continuation": "signs"}
licence     CC-BY-4.0 (original), as redistributed in llm-foundry; not verified
metric      acc: whether every token of the word is the likeliest; perplexity: e to the mean of -ln p(word), over words,
            not tokens. In the chat form the word is asked for: acc of the first word of the reply
"""

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from creuset.benchmarks.choices import pair
from creuset.benchmarks.files import Row as Fields
from creuset.benchmarks.files import find, json_rows, made
from creuset.core import stats
from creuset.core.sentences import sentence
from creuset.evals import extract
from creuset.evals.model import GenerateRequest, Likelihood, Outcome, Reply
from creuset.evals.shares import correct_measure
from creuset.evals.task import Row, Sample, Task
from creuset.types.measure import Measure


class Lambada(Task):
    name = "lambada_openai"
    forms = ("loglikelihood", "chat")
    files = ("lambada_openai/lambada_openai.jsonl",)
    licence = "CC-BY-4.0"
    version = 2  # the passage with line ends before its word

    def samples(self, folder: Path) -> Iterator[Sample]:
        path = find(folder, self.files[0], self.name)
        yield from made(path, json_rows(path), self._sample, self.name)

    def _sample(self, line: int, row: Fields) -> Sample:
        id, word = f"lambada/{line}", row["continuation"].strip()
        if self.form == "loglikelihood":
            # One passage of the file has line ends before its word: they are asked for, as lm-evaluation-harness does.
            return Sample(id=id, pairs=(pair(row["context"].rstrip(), f" {row['continuation']}"),), gold=word)
        asked = f"Write the one word that comes next in this passage, and nothing else.\n\n{row['context']}"
        return Sample(
            id=id, asks=(GenerateRequest(messages=({"role": "user", "content": asked},), max_tokens=256),), gold=word
        )

    def score(self, sample: Sample, outcomes: Sequence[Outcome]) -> Row:
        (outcome,) = outcomes
        row: Row = {"gold": sample.gold, "correct": 0, "extracted": False, "failed": False, "answer": None}
        if isinstance(outcome, Likelihood):
            return row | {
                "correct": int(outcome.greedy),
                "extracted": True,
                "log_likelihood": outcome.total,
                "cut": outcome.cut,
            }
        if not isinstance(outcome, Reply):
            return row | {"failed": True}
        word = re.search(r"\w+(?:['’-]\w+)*", extract.without_thinking(outcome.text))
        answer = word[0] if word else None
        return row | {
            "answer": answer,
            "extracted": word is not None,
            "cut": outcome.finish == "length",
            "correct": int(answer is not None and answer.lower() == sample.gold.lower()),
        }

    def measures(self, rows: Sequence[Row]) -> list[Measure]:
        found = [correct_measure(self, "acc", rows, extractor="" if self.form == "loglikelihood" else "first_word")]
        read = [row["log_likelihood"] for row in rows if "log_likelihood" in row]
        if read:  # of a failed call nothing is known: perplexity is over the others, and their number is said
            nats = stats.mean([-value for value in read])
            low, high = (math.exp(min(700.0, bound)) for bound in (nats.interval.low, nats.interval.high))
            found.append(
                Measure(
                    task=self.name,
                    metric="perplexity",
                    score=math.exp(nats.value),
                    interval=stats.Interval(low, high) if math.isfinite(nats.interval.high) else None,
                    interval_by=sentence("core.by_of_ln_p", by=nats.by),
                    unit="ratio",
                    better="lower",
                    n=len(read),
                    denominator=len(rows),
                    failed=len(rows) - len(read),
                    form=self.form,
                    licence=self.licence,
                )
            )
        return found
