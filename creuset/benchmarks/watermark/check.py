"""The watermark, measured: is marked text found, is human text left alone, and what does the mark cost?

The model goes on with the beginnings of held-out documents (their first 32 tokens), sampled at temperature 1, with the
mark and, by the same seeds, without it. A detector sees the first 50, 100, 200 and 400 tokens of each continuation, as
text: it is cut anew by the tokenizer, without prompt or model.

    tpr_1e-3        share of marked texts with p < 0.001, as they are and behind each attack (attacks.py, and
                    rewrite.py for those that need a model); `.t0.3` and `.t0` at lower temperatures
    fpr_1e-3        the same share of human texts, each with a fresh key: should be at most 0.001 (false_alarms.py)
    own_key_1e-3    of human texts with the audited key
    unmarked_1e-3   of what the model said without the mark
    perplexity      what the mark costs a reader (cost.py)
    stealing        what counting tells someone who has marked and unmarked text: the AUROC with which the ratio of the
                    two frequencies of a pair of tokens says that the pair is green

A text too short for the detector (fewer than `MIN_SCORED` different n-grams) counts as not found.
"""

import dataclasses
import hashlib
import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from creuset.benchmarks.figures import exact_share
from creuset.benchmarks.part import Found, Room
from creuset.benchmarks.training_data.lineage import open_for
from creuset.benchmarks.watermark import attacks, cost, false_alarms, rewrite
from creuset.core.errors import ConfigError
from creuset.core.sentences import sentence
from creuset.core.stats import auroc, mean
from creuset.data.clean.language import Identifier
from creuset.data.clean.words import Splitter
from creuset.data.shards.files import Shards
from creuset.data.shards.passages import draw_documents, evenly
from creuset.evals.clients.weights import (
    DECISION_P,
    Continuation,
    Tokenizer,
    TooShort,
    Watermark,
    detect,
    load_watermark,
)
from creuset.types.measure import Better, Measure

LENGTHS = (50, 100, 200, 400)
PROMPT = 32
PROMPTS = 100  # continued with and without the mark, where no limit was given
HUMANS = 400  # held-out documents of each source, at most
COLD = (0.3, 0.0)  # temperatures beside 1: the one that small models are shipped with, and greedy
COLD_TOKENS = 200
EMOJI = 40  # prompts of the attack that writes token by token
ALARMS = 10_000  # pieces of human text of each length, over all sources; a fifth of each kind
ALARM_LENGTH = 200
MIN_COUNT = 3  # times a pair must stand in marked or unmarked text for an attacker to say anything of it
ONE_KEY = sentence("benchmarks.one_key")


async def check(room: Room) -> Found:
    # Without a key of the operator's, one for this test: what is measured does not depend on which.
    key = hashlib.blake2b(f"audit {room.seed}".encode(), digest_size=32).digest()
    mark = load_watermark(room.given["watermark"]) if "watermark" in room.given else Watermark(key=key)
    shards, _ = open_for(room.given["shards"], room.folder)
    humans = [
        document for source in shards.sources for document in draw_documents(
            shards, source, "heldout", count=HUMANS, min_tokens=PROMPT, max_tokens=max(LENGTHS), seed=room.seed)
    ]  # fmt: skip
    weights, facts = room.weights(), MarkFacts(mark, room.seed)
    tokenizer = weights.tokenizer
    prompts = [[tokenizer.start, *map(int, d.ids[:PROMPT])] for d in evenly(humans, room.limit or PROMPTS)]
    if not prompts:
        raise ConfigError(f"the shards hold out no document of {PROMPT} tokens: nothing to go on with")
    tokens, show = min(max(LENGTHS), weights.context - PROMPT - 1), room.count("watermark", "continuations")
    cold = min(tokens, COLD_TOKENS)

    marked, plain = (weights.sample(prompts, m, tokens=tokens, seed=room.seed, progress=show) for m in (mark, None))
    human = [word for d in humans for word in tokenizer.decode([int(i) for i in d.ids]).split()]
    measures = detection_measures(marked, plain, human, tokenizer, facts)
    measures.append(facts.cost(cost.read(weights, prompts, marked, mark, temperature=1.0, progress=show), 1.0))
    for temperature in COLD:
        # At temperature 0 answers are marked only where the key says so: what that would do is what is asked here.
        other = dataclasses.replace(mark, greedy=True) if temperature == 0 else mark
        said = weights.sample(prompts, other, tokens=cold, seed=room.seed, temperature=temperature, progress=show)
        texts = texts_of(said, cold, tokenizer)
        measures += found_rows(texts, tokenizer, cold, f"none.t{temperature:g}", facts)
        costs = cost.read(weights, prompts, said, mark, temperature=temperature, progress=show)
        measures.append(facts.cost(costs, temperature))
    emoji = weights.sample_between_signs(
        prompts[:EMOJI], mark, tokens=min(cold, weights.context // 4), seed=room.seed, progress=show
    )
    measures += found_rows([tokenizer.decode(ids) for ids in emoji], tokenizer, len(emoji[0]), "emoji", facts)
    measures.append(stealing(marked, plain, facts))
    measures += await _rewritten(room, texts_of(marked, cold, tokenizer), tokenizer, cold, facts)
    return Found(room.sealed([*measures, *_alarms(room, shards, tokenizer, facts)], "shards"))


async def _rewritten(
    room: Room, texts: Sequence[str], tokenizer: Tokenizer, length: int, facts: "MarkFacts"
) -> list[Measure]:
    """What is still found when a model has rewritten the texts; not tested without one."""
    if room.paraphraser is None:
        return [
            Measure(
                task="watermark", metric=f"tpr_1e-3.len{length}.{name}", status="not_tested", why=rewrite.NONE_GIVEN
            )
            for name in rewrite.ATTACKS
        ]
    if not texts:
        return []
    identify, split = Identifier().identify, Splitter().split
    languages = ["French" if identify(text, split(text)).language == "fr" else "English" for text in texts]
    changed = await rewrite.rewrite(room.paraphraser, texts, languages)
    by = str(room.paraphraser.identity().get("name", ""))
    return rewritten_measures(texts, changed, tokenizer, length, facts, by)


def _alarms(room: Room, shards: Shards, tokenizer: Tokenizer, facts: "MarkFacts") -> list[Measure]:
    """False alarms on human text by length, and by kind of text at one length."""
    most = min(ALARMS, 100 * room.limit) if room.limit else ALARMS
    keys, show = false_alarms.fresh(facts.mark, room.seed), room.count("false alarms", "texts")
    held_out, cut, length = false_alarms.held_out, false_alarms.cut, ALARM_LENGTH
    rows: list[Measure] = []
    for size in LENGTHS:
        each = most // len(shards.sources)
        pieces = [
            p for source in shards.sources for p in false_alarms.of_documents(held_out(shards, source), size, each)
        ]
        for name, marks, caveat in (("fpr", keys, ""), ("own_key", itertools.repeat(facts.mark), ONE_KEY)):
            found = false_alarms.examine(pieces, marks)
            rows += facts.alarms(f"{name}_1e-3.len{size}", found, length=size, caveat=caveat)
        show(len(pieces))
    kinds = {
        source: false_alarms.of_documents(held_out(shards, source), length, most // 5) for source in shards.sources
    }
    texts = {"code": false_alarms.code(), "lists": false_alarms.lists(most // 20, room.seed)}
    if room.bench is not None:
        texts |= {f"mgsm_{code}": iter([text]) for code, text in false_alarms.mgsm(room.bench)}
    kinds |= {kind: cut(some, tokenizer, length, most // 5) for kind, some in texts.items()}
    for kind, pieces in kinds.items():
        rows += facts.alarms(f"fpr_1e-3.{kind}", false_alarms.examine(pieces, keys), length=length, kind=kind)
        show(len(pieces))
    return rows


def found(text: str, tokenizer: Tokenizer, mark: Watermark) -> bool:
    """Whether the detector calls the text marked."""
    try:
        return detect(tokenizer.encode(text), mark).p_value < DECISION_P
    except TooShort:
        return False


@dataclass(frozen=True, slots=True)
class MarkFacts:
    """What every row of the watermark carries."""

    mark: Watermark
    seed: int

    @property
    def of_mark(self) -> dict[str, Any]:
        m = self.mark
        return {"key_id": m.id, "gamma": m.gamma, "delta": m.delta, "width": m.width}

    def rate(self, metric: str, hits: int, n: int, better: Better, *, caveat: str = "", **extra: Any) -> Measure:
        return exact_share(
            hits,
            n,
            task="watermark",
            metric=metric,
            better=better,
            form="generate",
            seed=self.seed,
            caveat=caveat,
            extra=self.of_mark | extra,
        )

    def alarms(self, metric: str, alarms: false_alarms.Alarms, *, caveat: str = "", **extra: Any) -> list[Measure]:
        if not alarms.pieces:
            return []
        return [self.rate(metric, alarms.alarms, alarms.pieces, "lower", caveat=caveat,
                          refused=alarms.refused, expected=alarms.expected, **extra)]  # fmt: skip

    def cost(self, costs: Sequence[float], temperature: float) -> Measure:
        """The ratio of perplexities that mean costs, in nats a token, come to."""
        gap = mean(costs)
        interval = type(gap.interval)(math.exp(gap.interval.low), math.exp(gap.interval.high))
        end = "" if temperature == 1 else f".t{temperature:g}"
        return Measure(
            task="watermark", metric=f"perplexity_ratio.expected{end}", score=math.exp(gap.value), unit="ratio",
            interval=interval if len(costs) > 1 else None, interval_by=sentence("core.by_of_nats", by=gap.by),
            better="lower", n=len(costs), denominator=len(costs), form="loglikelihood", seed=self.seed,
            extra=self.of_mark | {"temperature": temperature, "nats_a_token": gap.value,
                                  "scored_by": "the model itself, without the mark"},
        )  # fmt: skip


def texts_of(said: Sequence[Continuation], length: int, tokenizer: Tokenizer) -> list[str]:
    return [tokenizer.decode(s.ids[:length]) for s in said if len(s.ids) >= length]


def found_rows(texts: Sequence[str], tokenizer: Tokenizer, length: int, attack: str, facts: MarkFacts) -> list[Measure]:
    """The row of one attack at one length; none where no text is that long."""
    if not texts:
        return []
    hits = sum(found(text, tokenizer, facts.mark) for text in texts)
    return [facts.rate(f"tpr_1e-3.len{length}.{attack}", hits, len(texts), "higher", length=length, attack=attack)]


def detection_measures(
    marked: Sequence[Continuation], plain: Sequence[Continuation], human: Sequence[str], tokenizer: Tokenizer,
    facts: MarkFacts, *, lengths: Sequence[int] = LENGTHS,
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


def stealing(marked: Sequence[Continuation], plain: Sequence[Continuation], facts: MarkFacts) -> Measure:
    """What frequencies betray of the lists, where the mark looks one token back.

    Pairs that stand `MIN_COUNT` times or more in what was read; the attacker has as much text without the mark.
    """
    if facts.mark.width > 1:
        return Measure(
            task="watermark",
            metric="stealing.auroc",
            status="not_tested",
            better="lower",
            why=sentence("benchmarks.width", width=facts.mark.width),
        )
    seen, usual = _pairs(marked), _pairs(plain)
    known = [pair for pair in {*seen, *usual} if seen[pair] + usual[pair] >= MIN_COUNT]
    green = facts.mark.hits(known) if known else np.zeros(0, dtype=bool)
    if not green.any() or green.all():
        return Measure(
            task="watermark",
            metric="stealing.auroc",
            status="not_tested",
            better="lower",
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


def _pairs(said: Sequence[Continuation]) -> Counter[tuple[int, ...]]:
    return Counter(pair for s in said for pair in zip(s.ids, s.ids[1:], strict=False))


def rewritten_measures(
    texts: Sequence[str], rewritten: Mapping[str, Sequence[str | None]], tokenizer: Tokenizer, length: int,
    facts: MarkFacts, by: str,
) -> list[Measure]:  # fmt: skip
    """Rows of what a model rewrote; a call that failed stays in the denominator as not found, and is counted."""
    rows = []
    for attack, changed in rewritten.items():
        hits = sum(text is not None and found(text, tokenizer, facts.mark) for text in changed)
        row = facts.rate(f"tpr_1e-3.len{length}.{attack}", hits, len(changed), "higher", length=length, attack=attack,
                         rewritten_by=by, words_kept=rewrite.kept(texts, changed))  # fmt: skip
        rows.append(dataclasses.replace(row, failed=sum(text is None for text in changed)))
    return rows
