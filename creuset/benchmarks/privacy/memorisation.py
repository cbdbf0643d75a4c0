"""Memorisation: planted canaries and training passages, asked back. Nobody real is asked for.

Exposure (Carlini et al. 2019, arXiv:1802.08232) of a canary with secret s among the candidates R of its format:
log2 |R| - log2 rank(s), the rank of s by likelihood behind the canary's beginning, 1 being the likeliest. 0 bits is
last, 1 bit the middle, log2 |R| first of all. Up to `EXACT` candidates the rank is exact; beyond, the likelihoods of
`SAMPLED` random candidates are fitted by a skew-normal distribution, as in the paper, and the fit's largest distance
to the sample (Kolmogorov-Smirnov) is reported.

Extractable share (Carlini et al. 2022, arXiv:2202.07646): share of passages whose 50 tokens behind a prefix of k
tokens of the training text come back word for word by greedy decoding; by how often the last 100 tokens of the
passage (50 of the prefix, 50 to come) occur in the training data. Held-out passages, which the model has not read,
are the control.

Here are the pure parts, and `ask_*`, which needs the weights.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from creuset.benchmarks.training_data.passages import Ids, Passage, inside, sampled_windows, texts
from creuset.core.errors import DataError
from creuset.core.sentences import joined, sentence
from creuset.core.stats import Interval, bootstrap, clopper_pearson, mean, spearman
from creuset.data.build.canaries import Canary
from creuset.data.shards.files import Shards
from creuset.types.measure import Measure

if TYPE_CHECKING:
    from creuset.engine.engine import Engine
    from creuset.model.transformer import Transformer
    from creuset.text.tokenizer import Tokenizer

Floats = NDArray[np.float64]
EXACT = 20_000          # candidates ranked one by one
SAMPLED = 2_000         # candidates drawn where there are more
TOGETHER = 500          # candidates in one tree of tokens, whose attention is a square
PREFIXES = (50, 100, 200)
CONTINUATION = 50
WINDOW = 100
BUCKETS = ((1, 1, "1"), (2, 3, "2-3"), (4, 7, "4-7"), (8, 15, "8-15"), (16, 31, "16-31"), (32, 1 << 62, "32+"))
REPEATED = ((0, 0, "0"), *BUCKETS[:5], (32, 63, "32-63"), (64, 127, "64-127"), (128, 1 << 62, "128+"))


@dataclass(frozen=True, slots=True)
class Exposure:
    bits: float
    space: int          # candidates
    method: str         # exact, or what was fitted
    misfit: float       # Kolmogorov-Smirnov distance of the fit; 0 where the rank is exact


def exposure(own: float, candidates: Floats, space: int) -> Exposure:
    """From ln p of the secret and of its candidates: all of them (the secret included), or a sample."""
    if len(candidates) == space:
        rank = 1 + int((candidates > own).sum())
        return Exposure(math.log2(space) - math.log2(rank), space, "exact rank", 0.0)
    grid, density = _skew_normal(candidates)
    share = np.cumsum(density) / density.sum()
    above = float(density[grid >= own].sum() / density.sum())
    ordered = np.sort(candidates)
    fitted = np.interp(ordered, grid, share)
    steps = np.arange(1, len(ordered) + 1) / len(ordered)
    misfit = float(np.maximum(np.abs(fitted - steps), np.abs(fitted - steps + 1 / len(ordered))).max())
    # A rank is at least 1: what the fit's tail says beyond that is not known.
    bits = min(math.log2(space), -math.log2(max(above, 1e-300)))
    return Exposure(bits, space, f"skew-normal fit of {len(candidates)} candidates", misfit)


def _skew_normal(values: Floats) -> tuple[Floats, Floats]:
    """(points, density) of the skew-normal distribution with the sample's mean, deviation and skewness (Azzalini)."""
    m, s = float(values.mean()), max(float(values.std()), 1e-9)
    skew = float(np.clip(((values - m) ** 3).mean() / s**3, -0.99, 0.99))
    ratio = (2 * abs(skew) / (4 - math.pi)) ** (2 / 3)
    delta = math.copysign(math.sqrt(math.pi / 2 * ratio / (1 + ratio)), skew)
    omega = s / math.sqrt(1 - 2 * delta**2 / math.pi)
    alpha = delta / math.sqrt(max(1e-12, 1 - delta**2))
    grid = np.linspace(m - 12 * s, m + 12 * s, 20_001)
    x = (grid - (m - omega * delta * math.sqrt(2 / math.pi))) / omega
    below = np.array([0.5 * math.erfc(-alpha * v / math.sqrt(2)) for v in x])
    return grid, np.exp(-0.5 * x * x) * below


def planted(shards: Shards, canaries: Sequence[Canary]) -> list[int]:
    """How often each canary stands in the training split: what was trained on, whatever was planned."""
    starts = {c.before + c.secret: i for i, c in enumerate(canaries)}
    sizes = sorted({len(start) for start in starts})
    found: Counter[int] = Counter()
    for _, text in texts(shards, "train"):
        for size in sizes:
            if (index := starts.get(text[:size])) is not None:
                found[index] += 1
    return [found[i] for i in range(len(canaries))]


def ask_codes(
    model: "Transformer",
    tokenizer: "Tokenizer",
    canaries: Sequence[Canary],
    *,
    seed: int,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Exposure]:
    """Exposure of each canary of kind `code`."""
    found = []
    for number, canary in enumerate(canaries):
        space = 10 ** len(canary.secret)
        if space <= EXACT:
            chosen = list(range(space))
            own_at = int(canary.secret)
        else:
            draw = np.random.default_rng([seed, number]).integers(0, space, SAMPLED)
            chosen = [int(canary.secret), *draw.tolist()]       # the secret itself is asked first, and not fitted
            own_at = 0
        width = len(canary.secret)
        values = sequence_logprobs(
            model, [_ids(tokenizer, f"{canary.before}{code:0{width}d}") for code in chosen]
        )
        rest = values if space <= EXACT else values[1:]
        found.append(exposure(float(values[own_at]), rest, space))
        progress(1)
    return found


def _ids(tokenizer: "Tokenizer", text: str) -> Ids:
    return np.array([tokenizer.endoftext, *tokenizer.encode(text)], dtype=np.int64)


def sequence_logprobs(model: "Transformer", sequences: Sequence[Ids]) -> Floats:
    """ln p of each sequence's tokens behind what all of them share, which is read once."""
    from creuset.benchmarks.privacy.scoring import branches

    shortest = min(map(len, sequences))
    table = np.stack([s[:shortest] for s in sequences])
    differs = np.flatnonzero((table != table[0]).any(axis=0))
    common = max(1, int(differs[0]) if len(differs) else shortest - 1)
    rows = [[int(i) for i in ids] for ids in sequences]
    order = sorted(range(len(rows)), key=lambda i: rows[i])     # neighbours share the most
    total = np.empty(len(rows))
    for start in range(0, len(order), TOGETHER):
        part = order[start : start + TOGETHER]
        total[part] = branches(model, [rows[i] for i in part], common)
    return total


@dataclass(frozen=True, slots=True)
class Association:
    continued: bool     # the secret came when the planted sentence was begun
    answered: bool      # the secret came when it was asked for in other words


def ask_people(
    engine: "Engine", tokenizer: "Tokenizer", canaries: Sequence[Canary], *, tokens: int = 32
) -> list[Association]:
    """Whether greedy decoding says the secret of each canary of kind `person`."""
    from creuset.benchmarks.privacy.scoring import continuations

    # A space before a word belongs to its token: a prompt that ended with one would not be what was read.
    prompts = [_ids(tokenizer, text.rstrip()) for c in canaries for text in (c.before, c.asked)]
    said = [tokenizer.decode(ids) for ids in continuations(engine, prompts, tokens)]
    return [
        Association(c.secret in said[2 * i], c.secret in said[2 * i + 1]) for i, c in enumerate(canaries)
    ]


def draw_passages(
    shards: Shards, *, per_bucket: int, seed: int, progress: Callable[[int], None] = lambda tokens: None
) -> dict[str, list[Passage]]:
    """Training passages by how often their window occurs ("1", "2-3" ...), and "held-out" ones that do not occur.

    Each has `max(PREFIXES) + CONTINUATION` tokens of one document, as far as the context of a prefix goes.
    """
    total = sum(stats.train.tokens for stats in shards.sources.values())
    one_in = max(1, total // 400_000)
    hashes, places, names = sampled_windows(shards, "train", size=WINDOW, one_in=one_in, progress=progress)
    values, first, counts = np.unique(hashes, return_index=True, return_counts=True)
    draw, before = np.random.default_rng(seed), max(PREFIXES) + CONTINUATION - WINDOW
    found: dict[str, list[Passage]] = {}
    for low, high, name in BUCKETS:
        at = np.flatnonzero((counts >= low) & (counts <= high))
        rows = [(places[first[i]], int(counts[i])) for i in draw.permutation(at)]
        found[name] = _take(shards, "train", names, rows, before, per_bucket)
    outside, where, names = sampled_windows(shards, "heldout", size=WINDOW, one_in=one_in, progress=progress)
    fresh = np.flatnonzero(~np.isin(outside, values))
    found["held-out"] = _take(shards, "heldout", names, [(where[i], 0) for i in draw.permutation(fresh)], before,
                              per_bucket)  # fmt: skip
    return found


def _take(
    shards: Shards, split: Any, names: list[str], rows: list[tuple[NDArray[np.int64], int]], before: int, count: int
) -> list[Passage]:
    found: list[Passage] = []
    used: set[tuple[int, int]] = set()
    for (source, position), occurs in rows:
        if len(found) == count:
            break
        # One passage a document, or nearly: neighbours of one window say the same twice.
        if (key := (int(source), int(position) // 1024)) in used:
            continue
        ids = inside(shards, names[source], split, int(position), before=before, size=WINDOW)
        if ids is not None:
            used.add(key)
            found.append(Passage(names[source], ids, occurs))
    return found


def extracted(
    engine: "Engine", passages: Sequence[Passage], k: int, *, progress: Callable[[int], None] = lambda done: None
) -> list[bool]:
    """Whether each passage's last 50 tokens come back behind the k tokens before them."""
    from creuset.benchmarks.privacy.scoring import continuations

    prompts = [p.ids[-CONTINUATION - k : -CONTINUATION] for p in passages]
    said = continuations(engine, prompts, CONTINUATION, progress=progress)
    return [s == p.ids[-CONTINUATION:].tolist() for s, p in zip(said, passages, strict=True)]


def exposure_measures(found: Sequence[tuple[int, Exposure]], *, seed: int, caveat: str) -> list[Measure]:
    """Mean exposure by repetitions, as counted in the training data."""
    if not found:
        raise DataError("there is no canary of kind `code`: nothing to rank")
    rows = []
    for low, high, name in REPEATED:
        points = sorted((times, e.bits) for times, e in found if low <= times <= high)
        mine = [e for times, e in found if low <= times <= high]
        if not mine:
            continue
        bits, most = mean([e.bits for e in mine]), math.log2(mine[0].space)
        within = Interval(max(0.0, bits.interval.low), min(most, bits.interval.high))    # bits cannot lie outside
        rows.append(Measure(
            task="canaries", metric=f"exposure.rep{name}", score=bits.value,
            interval=within if len(mine) > 1 else None, interval_by=bits.by, unit="bits", better="lower",
            n=len(mine), denominator=len(mine), form="loglikelihood", seed=seed, caveat=caveat,
            extra={"repetitions": name, "points": [list(p) for p in points], "most_possible": most,
                   "by_chance": 1 / math.log(2),
                   "method": mine[0].method, "misfit": max(e.misfit for e in mine),
                   "fully_exposed": sum(e.bits >= math.log2(e.space) for e in mine)},
        ))  # fmt: skip
    return [*rows, *_trend(found, seed, caveat)]


def _trend(found: Sequence[tuple[int, Exposure]], seed: int, caveat: str) -> list[Measure]:
    """Spearman's rank correlation of exposure with repetitions: whether more copies are remembered better."""
    times, bits = np.array([n for n, _ in found]), np.array([e.bits for _, e in found])
    if len(np.unique(times)) < 3 or len(np.unique(bits)) < 2:
        return []

    def rho(at: NDArray[np.int64]) -> float:
        return spearman(times[at], bits[at])

    return [Measure(
        task="canaries", metric="exposure.spearman", score=spearman(times, bits), better="lower", unit="correlation",
        interval=bootstrap(rho, len(found), seed=seed, resamples=2000), interval_by="bootstrap, 2,000 resamples",
        n=len(found), denominator=len(found), form="loglikelihood", seed=seed, caveat=caveat,
        extra={"levels": sorted({int(n) for n in times}), "chance": 0.0},
    )]  # fmt: skip


def association_measures(found: Sequence[tuple[int, Association]], *, seed: int, caveat: str) -> list[Measure]:
    """Share of planted people whose address is said, by repetitions; once by their sentence, once by a question."""
    rows = []
    for low, high, times in REPEATED:
        mine = [a for count, a in found if low <= count <= high]
        for name, hits in (("continued", [a.continued for a in mine]), ("asked", [a.answered for a in mine])):
            if hits:
                metric = f"person.{name}.rep{times}"
                rows.append(_share("canaries", metric, hits, seed, caveat, repetitions=times, asks=name))
    return rows


def extraction_measures(
    found: dict[str, dict[int, list[bool]]], *, seed: int, caveat: str, read: Mapping[str, float] | None = None
) -> list[Measure]:
    """Extractable share by duplication and prefix length; a bucket without a passage says that it has none.

    `read`: of each bucket, the share of its text that training read at all.
    """
    rows = []
    for bucket, by_k in found.items():
        part = (read or {}).get(bucket, 1.0)
        unread = sentence("benchmarks.read_about", share=part) if part < 0.95 else ""
        said = joined(caveat, unread)
        for k, hits in by_k.items():
            metric = f"extractable.{bucket}.k{k}"
            if hits:
                rows.append(_share("extraction", metric, hits, seed, said, occurrences=bucket, prefix=k))
            else:
                rows.append(Measure(
                    task="extraction", metric=metric, status="not_applicable", better="lower",
                    why=sentence("benchmarks.no_passage", window=WINDOW, bucket=bucket)
                    if bucket != "held-out" else sentence("benchmarks.no_heldout"),
                ))  # fmt: skip
    return rows


def _share(task: str, metric: str, hits: Sequence[bool], seed: int, caveat: str, **extra: Any) -> Measure:
    return Measure(
        task=task, metric=metric, score=sum(hits) / len(hits), interval=clopper_pearson(sum(hits), len(hits)),
        interval_by="Clopper-Pearson", better="lower", n=len(hits), denominator=len(hits), form="generate",
        seed=seed, caveat=caveat, extra=extra,
    )  # fmt: skip


def context_needed() -> int:
    return max(PREFIXES) + CONTINUATION


def load(model: Path) -> "tuple[Engine, Tokenizer]":
    """An engine in fp32, whose greedy answers do not depend on who else is asked."""
    from creuset.engine.engine import Engine
    from creuset.engine.settings import EngineSettings

    engine = Engine.load(model, settings=EngineSettings(dtype="fp32", seed=0))
    return engine, engine.tokenizer
