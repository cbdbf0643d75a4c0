"""The watermark, measured: is marked text found, is human text left alone, and what does the mark cost?

The model goes on with the beginnings of held-out documents (their first 32 tokens), sampled at temperature 1, with the
mark and, by the same seeds, without it. The first 50, 100, 200 and 400 tokens of each continuation, as text, are what
a detector sees: cut anew by the tokenizer, without prompt or model.

    tpr_1e-3        share of marked texts with p < 0.001, as they are and behind each attack (attacks.py, and
                    rewrite.py for those that need a model); `.t0.3` and `.t0` at lower temperatures
    fpr_1e-3        the same share of human texts, each with a fresh key: should be at most 0.001 (false_alarms.py)
    own_key_1e-3    of human texts with the audited key
    unmarked_1e-3   of what the model said without the mark
    perplexity      exp of the mean of -ln p by the unmarked model itself: with the mark over without it, same prompts
    stealing        what counting tells someone who has marked and unmarked text: the AUROC with which the ratio of the
                    two frequencies of a pair of tokens says that the pair is green

A text too short for the detector (fewer than `MIN_SCORED` different n-grams) counts as not found.
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from creuset.benchmarks.watermark import attacks
from creuset.benchmarks.watermark.false_alarms import Alarms
from creuset.benchmarks.watermark.rewrite import kept
from creuset.core.sentences import sentence
from creuset.core.stats import auroc, clopper_pearson, mean
from creuset.text.watermark import DECISION_P, TooShort, Watermark, detect
from creuset.types.measure import Better, Measure

if TYPE_CHECKING:
    from creuset.engine.engine import Engine
    from creuset.text.tokenizer import Tokenizer

LENGTHS = (50, 100, 200, 400)
PROMPT = 32
COLD = (0.3, 0.0)       # temperatures beside 1: the one that small models are shipped with, and greedy
COLD_TOKENS = 200
MIN_COUNT = 3           # times a pair must stand in marked or unmarked text for an attacker to say anything of it


@dataclass(frozen=True, slots=True)
class Said:
    """A continuation: its tokens, and -ln p of each by the unmarked model."""

    ids: list[int]
    surprise: list[float]


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
    temperature: float = 1.0,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Said]:
    """What the model goes on with; nothing ends it before `tokens`."""
    from creuset.types.generation import GenerationRequest, Sampling

    engine = _engine(model, mark)
    said = [Said([], []) for _ in prompts]
    for number, prompt in enumerate(prompts):
        sampling = Sampling(
            max_tokens=tokens, seed=seed + number, ignore_eos=True, logprobs=0, temperature=temperature
        )
        engine.add(GenerationRequest(id=str(number), prompt=prompt, sampling=sampling))
    while engine.busy:
        for event in engine.step():
            one = said[int(event.id)]
            one.ids.extend(event.tokens)
            one.surprise.extend(-entry.logprob for entry in event.logprobs or ())
            if event.finish:
                progress(1)
    return said


def say_with_emoji(
    model: Path,
    prompts: Sequence[list[int]],
    mark: Watermark,
    *,
    tokens: int,
    seed: int,
    progress: Callable[[int], None] = lambda done: None,
) -> list[list[int]]:
    """The emoji attack: a sign behind each token while the model writes, gone from what is handed in.

    Kirchenbauer et al. 2023 (section 7) have the user ask for an emoji behind each word and remove them. Here the sign
    is put there, as if a model that obeys had been asked: each token is then marked for a context that is no more.
    """
    from creuset.types.generation import GenerationRequest, Sampling

    engine = _engine(model, mark)
    sign = engine.tokenizer.encode(" *")
    written = [list(prompt) for prompt in prompts]      # with signs
    kept: list[list[int]] = [[] for _ in prompts]
    for at in range(tokens):
        for number, ids in enumerate(written):
            sampling = Sampling(max_tokens=1, seed=seed + number * tokens + at, ignore_eos=True)
            engine.add(GenerationRequest(id=str(number), prompt=ids, sampling=sampling))
        while engine.busy:
            for event in engine.step():
                kept[int(event.id)] += event.tokens
                written[int(event.id)] += [*event.tokens, *sign]
        progress(1)
    return kept


def _engine(model: Path, mark: Watermark | None) -> "Engine":
    from creuset.engine.engine import Engine
    from creuset.engine.settings import EngineSettings

    return Engine.load(model, settings=EngineSettings(dtype="fp32", seed=0), watermark=mark)


@dataclass(frozen=True, slots=True)
class Facts:
    """What every row of the watermark carries."""

    mark: Watermark
    seed: int

    @property
    def of_mark(self) -> dict[str, Any]:
        m = self.mark
        return {"key_id": m.id, "gamma": m.gamma, "delta": m.delta, "width": m.width}

    def rate(self, metric: str, hits: int, n: int, better: Better, *, caveat: str = "", **extra: Any) -> Measure:
        return Measure(
            task="watermark", metric=metric, score=hits / n, better=better, n=n, denominator=n, form="generate",
            interval=clopper_pearson(hits, n), interval_by="Clopper-Pearson", seed=self.seed, caveat=caveat,
            extra=self.of_mark | extra,
        )  # fmt: skip

    def alarms(self, metric: str, alarms: Alarms, *, caveat: str = "", **extra: Any) -> list[Measure]:
        if not alarms.pieces:
            return []
        return [self.rate(metric, alarms.alarms, alarms.pieces, "lower", caveat=caveat,
                          refused=alarms.refused, expected=alarms.expected, **extra)]  # fmt: skip


def texts_of(said: Sequence[Said], length: int, tokenizer: "Tokenizer") -> list[str]:
    return [tokenizer.decode(s.ids[:length]) for s in said if len(s.ids) >= length]


def found_rows(
    texts: Sequence[str], tokenizer: "Tokenizer", length: int, attack: str, facts: Facts
) -> list[Measure]:
    """The row of one attack at one length; none where no text is that long."""
    if not texts:
        return []
    hits = sum(found(text, tokenizer, facts.mark) for text in texts)
    return [facts.rate(f"tpr_1e-3.len{length}.{attack}", hits, len(texts), "higher", length=length, attack=attack)]


def detection_measures(
    marked: Sequence[Said], plain: Sequence[Said], human: attacks.Human, tokenizer: "Tokenizer", facts: Facts,
    *, lengths: Sequence[int] = LENGTHS,
) -> list[Measure]:  # fmt: skip
    """Rates by length and attack. Pure but for the tokenizer."""
    rows: list[Measure] = []
    for length in lengths:
        texts, unmarked = (texts_of(said, length, tokenizer) for said in (marked, plain))
        for attack, changed in attacks.every(texts, unmarked, human, seed=facts.seed).items():
            rows += found_rows(changed, tokenizer, length, attack, facts)
        if unmarked:
            hits = sum(found(t, tokenizer, facts.mark) for t in unmarked)
            rows.append(facts.rate(f"unmarked_1e-3.len{length}", hits, len(unmarked), "lower", length=length))
    return rows


def cost(marked: Sequence[Said], plain: Sequence[Said], facts: Facts, *, end: str = "", **extra: Any) -> Measure:
    """exp of the mean over prompts of the paired difference of mean surprise, by the model without the mark."""
    pairs = [(float(np.mean(m.surprise)), float(np.mean(p.surprise))) for m, p in zip(marked, plain, strict=True)]
    gap = mean([m - p for m, p in pairs])
    interval = type(gap.interval)(math.exp(gap.interval.low), math.exp(gap.interval.high)) if len(pairs) > 1 else None
    with_mark, without = (math.exp(float(np.mean([pair[i] for pair in pairs]))) for i in (0, 1))
    return Measure(
        task="watermark", metric=f"perplexity_ratio{end}", score=math.exp(gap.value), interval=interval, unit="ratio",
        interval_by=f"{gap.by} of the paired differences of ln perplexity", better="lower", n=len(pairs),
        denominator=len(pairs), form="generate", seed=facts.seed,
        extra=facts.of_mark | {"perplexity_marked": with_mark, "perplexity_unmarked": without,
                               "scored_by": "the model itself, without the mark"} | extra,
    )  # fmt: skip


def stealing(marked: Sequence[Said], plain: Sequence[Said], facts: Facts) -> Measure:
    """What frequencies betray of the lists, where the mark looks one token back.

    Pairs that stand `MIN_COUNT` times or more in what was read; the attacker has as much text without the mark.
    """
    if facts.mark.width > 1:
        return Measure(
            task="watermark", metric="stealing.auroc", status="not_tested", better="lower",
            why=sentence("benchmarks.width", width=facts.mark.width),
        )
    seen, usual = _pairs(marked), _pairs(plain)
    known = [pair for pair in {*seen, *usual} if seen[pair] + usual[pair] >= MIN_COUNT]
    green = facts.mark.hits(known) if known else np.zeros(0, dtype=bool)
    if not green.any() or green.all():
        return Measure(
            task="watermark", metric="stealing.auroc", status="not_tested", better="lower",
            why=sentence("benchmarks.few_occurrences", n=MIN_COUNT),
        )
    more, less = sum(seen.values()), sum(usual.values())
    score = [math.log((seen[p] + 0.5) / more) - math.log((usual[p] + 0.5) / less) for p in known]
    area = auroc(score, green)
    return Measure(
        task="watermark", metric="stealing.auroc", score=area.value, interval=area.interval, interval_by=area.by,
        unit="ratio", better="lower", n=len(known), denominator=len(known), form="generate", seed=facts.seed,
        caveat=sentence("benchmarks.pairs_independent"),
        extra=facts.of_mark | {"chance": 0.5, "tokens_read": more + less, "pairs_seen": len({*seen, *usual}),
                               "least_count": MIN_COUNT},
    )  # fmt: skip


def _pairs(said: Sequence[Said]) -> Counter[tuple[int, ...]]:
    return Counter(pair for s in said for pair in zip(s.ids, s.ids[1:], strict=False))


def rewritten_measures(
    texts: Sequence[str], rewritten: Mapping[str, Sequence[str | None]], tokenizer: "Tokenizer", length: int,
    facts: Facts, by: str,
) -> list[Measure]:  # fmt: skip
    """Rows of what a model rewrote; a call that failed stays in the denominator as not found, and is counted."""
    rows = []
    for attack, changed in rewritten.items():
        hits = sum(text is not None and found(text, tokenizer, facts.mark) for text in changed)
        row = facts.rate(f"tpr_1e-3.len{length}.{attack}", hits, len(changed), "higher", length=length, attack=attack,
                         rewritten_by=by, words_kept=kept(texts, changed))  # fmt: skip
        rows.append(dataclasses.replace(row, failed=sum(text is None for text in changed)))
    return rows
