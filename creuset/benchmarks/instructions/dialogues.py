"""Held-out dialogues of our own instruction data: does the reply say what the rule that wrote the dialogue says?

data     heldout.jsonl.zst of a dialogues artifact (`creuset tune data`), given as --bench
licence  that of each dialogue (its artifact's ledger.json)
metric   share of last turns answered word for word, and by rule; share whose numbers are all right, in order;
         share that ended by itself
reference none: these dialogues exist here only. Word for word is strict: for stories and talk, where many replies
         are good, the share by rule means little; for sums, capitals, sorting and copying it is the truth.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from creuset.benchmarks.files import find
from creuset.core import stats
from creuset.core.errors import DataError
from creuset.core.jsonl import parsed
from creuset.evals.model import Ability, GenerateRequest, Outcome, Reply
from creuset.evals.shares import correct_measure
from creuset.evals.task import Form, Row, Sample, Task
from creuset.types.measure import Measure

FILE = "heldout.jsonl.zst"


def words(text: str) -> list[str]:
    """What is compared: words and marks, whatever blanks are between them."""
    return re.findall(r"\w+|[^\w\s]", text)


def numbers(text: str) -> list[str]:
    return re.findall(r"\d+(?:[.,]\d+)*", text)


class Dialogues(Task):
    name: ClassVar[str] = "dialogues"
    form: ClassVar[Form] = "chat"
    needs: ClassVar[frozenset[Ability]] = frozenset({"chat"})
    files: ClassVar[tuple[str, ...]] = (FILE,)
    licence: ClassVar[str] = "those of the dialogues' sources"

    def samples(self, folder: Path) -> Iterator[Sample]:
        """In the order of their hashes, so that the first n are a sample of all rules."""
        path = find(folder, FILE, self.name)
        found = []
        for line in parsed(path):
            try:
                if line.broken:
                    raise ValueError(line.why)
                found.append(_sample(line.value, line.raw))
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(f"`{path}` line {line.number} is not a dialogue: {error!r}") from error
        if not found:
            raise DataError(f"`{path}` holds no dialogue")
        yield from sorted({sample.id: sample for sample in found}.values(), key=lambda sample: sample.id)

    def score(self, sample: Sample, outcomes: Sequence[Outcome]) -> Row:
        (reply,) = outcomes
        text = reply.text if isinstance(reply, Reply) else ""
        wanted = numbers(sample.gold)
        return {
            "correct": float(words(text) == words(sample.gold)), "answer": text, "gold": sample.gold,
            "numeric": bool(wanted), "figures": float(bool(wanted) and numbers(text) == wanted),
            "stopped": float(isinstance(reply, Reply) and reply.finish == "stop"), "rule": sample.meta["rule"],
            "extracted": True, "failed": not isinstance(reply, Reply),
        }  # fmt: skip

    def measures(self, rows: Sequence[Row]) -> list[Measure]:
        rules: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            rules[row["rule"]].append(row)
        by_rule: dict[str, Any] = {}
        for rule, mine in sorted(rules.items()):
            right = sum(row["correct"] for row in mine)
            interval = stats.wilson(round(right), len(mine))
            by_rule[rule] = {"score": right / len(mine), "n": len(mine), "interval": [interval.low, interval.high]}
        return [
            correct_measure(self, "same", rows, extra={"by_rule": by_rule}),
            correct_measure(self, "figures", [row for row in rows if row["numeric"]], key="figures"),
            correct_measure(self, "stopped", rows, key="stopped"),
        ]


def _sample(row: dict[str, Any], line: bytes) -> Sample:
    *before, last = row["messages"]
    if last["role"] != "assistant" or not before:
        raise ValueError("it does not end with an answer to something")
    ask = GenerateRequest(
        messages=tuple(before), max_tokens=max(48, 2 * len(last["content"]))
    )  # a token is a byte at least
    return Sample(
        id=hashlib.sha256(line + b"\n").hexdigest()[:16], asks=(ask,), gold=last["content"], meta={"rule": row["rule"]}
    )
