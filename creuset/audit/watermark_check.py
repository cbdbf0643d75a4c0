"""The watermark, measured: is marked text found, is human text left alone, and what does the mark cost?

The model goes on with the beginnings of held-out documents (their first 32 tokens), sampled at temperature 1, with the
mark and, by the same seeds, without it. The first 50, 100, 200 and 400 tokens of each continuation, as text, are what
a detector sees: cut anew by the tokenizer, without prompt or model.

    tpr_1e-3       share of marked texts with p < 0.001, as they are and behind each attack
    fpr_1e-3       share of held-out human texts of the same lengths with p < 0.001: should be about 0.001
    unmarked_1e-3  the same for what the model said without the mark
    perplexity     exp of the mean of -ln p by the unmarked model itself: with the mark over without it, same prompts

Attacks: `substitute_N`: N % of the words replaced by words drawn from human text; `paste_N`: the marked text in the
midst of human text, N % of all words being human; `second_half`: the first half cut off. A text too short for the
detector after that (fewer than `MIN_SCORED` different n-grams) counts as not found. Rewriting by another model and
translation are not tried.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from creuset.audit.passages import Document
from creuset.engine.watermark import DECISION_P, TooShort, Watermark, detect
from creuset.evals.measure import Measure
from creuset.evals.stats import clopper_pearson, mean

if TYPE_CHECKING:
    from creuset.text.tokenizer import Tokenizer

LENGTHS = (50, 100, 200, 400)
PROMPT = 32
SUBSTITUTED = (10, 25, 50)
PASTED = (50, 75)


@dataclass(frozen=True, slots=True)
class Said:
    """A continuation: its tokens, and -ln p of each by the unmarked model."""

    ids: list[int]
    surprise: list[float]


def substitute(text: str, percent: int, pool: Sequence[str], dice: random.Random) -> str:
    """`percent` % of the words, wherever they stand, replaced by words of `pool`."""
    words = text.split(" ")
    for at in dice.sample(range(len(words)), round(len(words) * percent / 100)):
        words[at] = dice.choice(pool)
    return " ".join(words)


def paste(text: str, percent: int, pool: Sequence[str], dice: random.Random) -> str:
    """`text` between two runs of human words, which are `percent` % of the whole."""
    human = round(len(text.split(" ")) * percent / (100 - percent))
    start = dice.randrange(max(1, len(pool) - human))
    around = pool[start : start + human]
    return " ".join([*around[: human // 2], text, *around[human // 2 :]])


def second_half(text: str) -> str:
    words = text.split(" ")
    return " ".join(words[len(words) // 2 :])


def found(text: str, tokenizer: "Tokenizer", mark: Watermark) -> bool:
    try:
        return detect(tokenizer.encode(text), mark).p_value < DECISION_P
    except TooShort:
        return False


def say(
    model: Path,
    prompts: Sequence[list[int]],
    mark: Watermark | None,
    *,
    tokens: int,
    seed: int,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Said]:
    """What the model goes on with, sampled at temperature 1; nothing ends it before `tokens`."""
    from creuset.engine.engine import Engine
    from creuset.engine.request import Request, Sampling
    from creuset.engine.settings import EngineSettings

    engine = Engine.load(model, settings=EngineSettings(dtype="fp32", seed=0), watermark=mark)
    said = [Said([], []) for _ in prompts]
    for number, prompt in enumerate(prompts):
        sampling = Sampling(max_tokens=tokens, seed=seed + number, ignore_eos=True, logprobs=0)
        engine.add(Request(id=str(number), prompt=prompt, sampling=sampling))
    while engine.busy:
        for event in engine.step():
            one = said[int(event.id)]
            one.ids.extend(event.tokens)
            one.surprise.extend(-entry.logprob for entry in event.logprobs or ())
            if event.finish:
                progress(1)
    return said


def measures(
    marked: Sequence[Said],
    plain: Sequence[Said],
    humans: Sequence[Document],
    tokenizer: "Tokenizer",
    mark: Watermark,
    *,
    lengths: Sequence[int] = LENGTHS,
    seed: int,
) -> list[Measure]:
    """Pure but for the tokenizer: rates by length and attack, and the cost."""
    dice = random.Random(seed)
    pool = [word for d in humans for word in tokenizer.decode([int(i) for i in d.ids]).split()]
    facts: dict[str, Any] = {"key_id": mark.id, "gamma": mark.gamma, "delta": mark.delta, "width": mark.width}
    rows: list[Measure] = []

    def rate(metric: str, hits: Sequence[bool], better: Any, **extra: Any) -> None:
        if hits:
            rows.append(Measure(
                task="watermark", metric=metric, score=sum(hits) / len(hits), better=better, n=len(hits),
                denominator=len(hits), interval=clopper_pearson(sum(hits), len(hits)), form="generate", seed=seed,
                interval_by="Clopper-Pearson", extra=facts | extra,
            ))  # fmt: skip

    for length in lengths:
        texts = [tokenizer.decode(s.ids[:length]) for s in marked if len(s.ids) >= length]
        attacks: dict[str, list[str]] = {"none": texts}
        attacks |= {f"substitute_{n}": [substitute(t, n, pool, dice) for t in texts] for n in SUBSTITUTED}
        attacks |= {f"paste_{n}": [paste(t, n, pool, dice) for t in texts] for n in PASTED}
        attacks["second_half"] = [second_half(t) for t in texts]
        for attack, changed in attacks.items():
            rate(f"tpr_1e-3.len{length}.{attack}", [found(t, tokenizer, mark) for t in changed], "higher",
                 length=length, attack=attack)  # fmt: skip
        human = [tokenizer.decode([int(i) for i in d.ids[:length]]) for d in humans if len(d.ids) >= length]
        rate(f"fpr_1e-3.len{length}", [found(t, tokenizer, mark) for t in human], "lower", length=length)
        others = [tokenizer.decode(s.ids[:length]) for s in plain if len(s.ids) >= length]
        rate(f"unmarked_1e-3.len{length}", [found(t, tokenizer, mark) for t in others], "lower", length=length)
    rows.append(_cost(marked, plain, facts, seed))
    return rows


def _cost(marked: Sequence[Said], plain: Sequence[Said], facts: dict[str, Any], seed: int) -> Measure:
    """exp of the mean over prompts of the paired difference of mean surprise."""
    pairs = [(float(np.mean(m.surprise)), float(np.mean(p.surprise))) for m, p in zip(marked, plain, strict=True)]
    gap = mean([m - p for m, p in pairs])
    interval = type(gap.interval)(math.exp(gap.interval.low), math.exp(gap.interval.high)) if len(pairs) > 1 else None
    with_mark, without = (math.exp(float(np.mean([pair[i] for pair in pairs]))) for i in (0, 1))
    return Measure(
        task="watermark", metric="perplexity_ratio", score=math.exp(gap.value), interval=interval, unit="ratio",
        interval_by=f"{gap.by} of the paired differences of ln perplexity", better="lower", n=len(pairs),
        denominator=len(pairs), form="generate", seed=seed,
        extra=facts | {"perplexity_marked": with_mark, "perplexity_unmarked": without},
    )  # fmt: skip
