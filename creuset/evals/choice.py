"""Multiple choice by likelihood: the choice to which the model gives the highest probability.

`acc` takes the sum of ln p over a choice's tokens, `acc_norm` divides it by the choice's length in characters (as
lm-evaluation-harness). Chance is what guessing gets, on these items; where it lies inside the 95 % Wilson interval,
the score is said to be at chance level. `majority` is what always giving the most frequent answer gets.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from creuset.evals.stats import wilson
from creuset.evals.tasks import Item
from creuset.model.score import Reading, log_likelihoods
from creuset.model.transformer import Transformer

if TYPE_CHECKING:
    from creuset.text.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model said to one item."""

    gold: int
    log_likelihoods: tuple[float, ...]      # a choice each
    lengths: tuple[int, ...]                # characters of the choices, the blank before them left out
    cut: bool                               # the context did not fit and lost its beginning

    @property
    def choice(self) -> int:
        return int(np.argmax(self.log_likelihoods))

    @property
    def choice_norm(self) -> int:
        return int(np.argmax([ll / max(1, n) for ll, n in zip(self.log_likelihoods, self.lengths, strict=True)]))


def answer(
    model: Transformer,
    tokenizer: "Tokenizer",
    items: Sequence[Item],
    *,
    context: int,
    prefix: bool = True,
    tokens_per_batch: int = 4096,
    progress: Callable[[int], None] = lambda items: None,
) -> list[Answer]:
    """Score every choice of every item; `progress` is told of items done, a few hundred at a time.

    `prefix`: put <|endoftext|> before the context, as before every document our models were trained on.
    """
    found: list[Answer] = []
    for start in range(0, len(items), 200):
        part = items[start : start + 200]
        found += _answer(model, tokenizer, part, context, prefix, tokens_per_batch)
        progress(len(part))
    return found


def _answer(
    model: Transformer,
    tokenizer: "Tokenizer",
    items: Sequence[Item],
    context: int,
    prefix: bool,
    tokens_per_batch: int,
) -> list[Answer]:
    readings: list[Reading] = []
    cut: set[int] = set()
    owners: list[tuple[int, int]] = []
    for number, item in enumerate(items):
        for position, choice in enumerate(item.choices):
            ids, scored = continuation(tokenizer, item.context, choice, prefix=prefix)
            if (over := len(ids) - 1 - context) > 0:    # keep the choice and the end of the context
                scored = max(0, scored - over)
                ids = ids[over:]
                cut.add(number)
            readings.append(Reading(np.array(ids), scored))
            owners.append((number, position))
    sums = [[0.0] * len(item.choices) for item in items]
    for index, values, _ in log_likelihoods(model, readings, tokens_per_batch=tokens_per_batch):
        number, position = owners[index]
        sums[number][position] = float(values.sum())
    return [
        Answer(item.gold, tuple(scores), tuple(len(c.removeprefix(" ")) for c in item.choices), number in cut)
        for number, (item, scores) in enumerate(zip(items, sums, strict=True))
    ]


def continuation(tokenizer: "Tokenizer", context: str, choice: str, *, prefix: bool = True) -> tuple[list[int], int]:
    """Ids of `<eot> context choice`, and the first input whose next token belongs to the choice.

    The whole is cut into tokens at once, and the context's own tokens are taken off its front, so that a choice is
    tokenized as it would be in running text. Without `prefix` the <eot> is left out, unless there is no context.
    """
    first = [tokenizer.endoftext] if prefix or not context else []
    before = len(tokenizer.encode(context))
    whole = [*first, *tokenizer.encode(context + choice)]
    # A cut that joins the last of the context to the choice must leave the choice at least one token.
    return whole, max(0, min(len(first) + before - 1, len(whole) - 2))


def summarise(name: str, answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """Rows for `acc` and `acc_norm`, each with n, interval, chance level and what that means."""
    n = len(answers)
    chance = float(np.mean([1 / len(a.log_likelihoods) for a in answers]))
    majority = Counter(a.gold for a in answers).most_common(1)[0][1] / n
    rows = []
    for metric, right in (
        ("acc", sum(a.choice == a.gold for a in answers)),
        ("acc_norm", sum(a.choice_norm == a.gold for a in answers)),
    ):
        interval = wilson(right, n)
        rows.append({
            "task": name, "metric": metric, "score": right / n, "interval": [interval.low, interval.high], "n": n,
            "chance": chance, "majority": majority, "verdict": verdict(interval.low, interval.high, chance),
            "cut": sum(a.cut for a in answers),
        })
    return rows


def verdict(low: float, high: float, chance: float) -> str:
    if low > chance:
        return "above chance"
    return "below chance" if high < chance else "at chance level"
