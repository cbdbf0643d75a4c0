"""Planted canaries, asked back: what does the model remember of sentences that were put into its training data?

Exposure (Carlini et al. 2019, arXiv:1802.08232) of a canary with secret s among the candidates R of its format:
log2 |R| - log2 rank(s). The rank is that of s by likelihood behind the canary's beginning; 1 is the likeliest. 0 bits
means last, 1 bit the middle, log2 |R| first of all. Up to `EXACT` candidates the rank is exact. Beyond, a skew-normal
distribution is fitted to the likelihoods of `SAMPLED` random candidates, as in the paper, and the fit's largest
distance to the sample (Kolmogorov-Smirnov) is reported.

Canaries of kind `person` have an invented name and address: is the address said when the sentence is begun, or asked
for in other words? Nobody real is asked for.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from creuset.benchmarks.figures import exact_share
from creuset.benchmarks.part import Found, Room
from creuset.benchmarks.training_data.lineage import NOT_PARENT, open_for, times_read
from creuset.core.errors import DataError
from creuset.core.sentences import joined, sentence
from creuset.core.stats import Interval, bootstrap, mean, spearman
from creuset.data.build.canaries import NAME, Canary, read_canaries
from creuset.data.shards.files import Shards
from creuset.evals.clients.weights import Weights
from creuset.types.measure import Measure

Floats = NDArray[np.float64]
EXACT = 20_000  # candidates ranked one by one
SAMPLED = 2_000  # candidates drawn where there are more
REPEATED = ((0, 0, "0"), (1, 1, "1"), (2, 3, "2-3"), (4, 7, "4-7"), (8, 15, "8-15"), (16, 31, "16-31"),
            (32, 63, "32-63"), (64, 127, "64-127"), (128, 1 << 62, "128+"))  # fmt: skip


async def check(room: Room) -> Found:
    shards, parent = open_for(room.given["shards"], room.folder)
    known, weights = read_canaries(room.given["canaries"]), room.weights()
    counted = list(zip(planted(shards, known), known, strict=True))
    codes, people = ([(n, c) for n, c in counted if c.kind == kind] for kind in ("code", "person"))
    exposed = list(zip((n for n, _ in codes), ask_codes(
        weights, [c for _, c in codes], seed=room.seed, progress=room.count("exposure", "canaries")
    ), strict=True))  # fmt: skip
    linked = list(zip((n for n, _ in people), ask_people(weights, [c for _, c in people]), strict=True))
    times = (times_read(room.given["shards"], room.folder) or {}).get(NAME, 1.0)
    passes = sentence("benchmarks.canary_reads", times=times) if abs(times - 1) > 0.02 else ""
    caveat = joined("" if parent else NOT_PARENT, passes)
    measures = exposure_measures(exposed, seed=room.seed, caveat=caveat)
    measures += association_measures(linked, seed=room.seed, caveat=caveat)
    # Names are invented and may be shown; the secrets stay in the canaries artifact.
    evidence = [
        {"id": c.name, "kind": c.kind, "planned": c.repetitions, "planted": n, "exposure_bits": e.bits,
         "method": e.method, "misfit": e.misfit} for (n, e), (_, c) in zip(exposed, codes, strict=True)
    ] + [
        {"id": c.name, "kind": c.kind, "planned": c.repetitions, "planted": n, "continued": a.continued,
         "asked": a.answered} for (n, a), (_, c) in zip(linked, people, strict=True)
    ]  # fmt: skip
    return Found(room.sealed(measures, "shards", "canaries"), evidence)


@dataclass(frozen=True, slots=True)
class Exposure:
    bits: float
    space: int  # candidates
    method: str  # exact, or what was fitted
    misfit: float  # Kolmogorov-Smirnov distance of the fit; 0 where the rank is exact


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
    for _, text in shards.texts("train"):
        for size in sizes:
            if (index := starts.get(text[:size])) is not None:
                found[index] += 1
    return [found[i] for i in range(len(canaries))]


def ask_codes(
    weights: Weights, canaries: Sequence[Canary], *, seed: int, progress: Callable[[int], None] = lambda done: None
) -> list[Exposure]:
    """Exposure of each canary of kind `code`."""
    found = []
    for number, canary in enumerate(canaries):
        width = len(canary.secret)
        space = 10**width
        if space <= EXACT:
            chosen, own_at = list(range(space)), int(canary.secret)
        else:
            draw = np.random.default_rng([seed, number]).integers(0, space, SAMPLED)
            chosen, own_at = [int(canary.secret), *draw.tolist()], 0  # the secret is asked first, and not fitted
        values = weights.sequence_logprobs([weights.ids(f"{canary.before}{code:0{width}d}") for code in chosen])
        found.append(exposure(float(values[own_at]), values if space <= EXACT else values[1:], space))
        progress(1)
    return found


@dataclass(frozen=True, slots=True)
class Association:
    continued: bool  # the secret came when the planted sentence was begun
    answered: bool  # the secret came when it was asked for in other words


def ask_people(weights: Weights, canaries: Sequence[Canary], *, tokens: int = 32) -> list[Association]:
    """Whether greedy decoding says the secret of each canary of kind `person`."""
    # A space before a word belongs to its token: a prompt that ended with one would not be what was read.
    prompts = [weights.ids(text.rstrip()) for c in canaries for text in (c.before, c.asked)]
    said = [weights.tokenizer.decode(ids) for ids in weights.greedy(prompts, tokens)]
    return [Association(c.secret in said[2 * i], c.secret in said[2 * i + 1]) for i, c in enumerate(canaries)]


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
        within = Interval(max(0.0, bits.interval.low), min(most, bits.interval.high))  # bits cannot lie outside
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
        interval=bootstrap(rho, len(found), seed=seed, resamples=2000),
        interval_by=sentence("core.by_bootstrap_resamples", n=2000),
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
                rows.append(exact_share(
                    sum(hits), len(hits), task="canaries", metric=f"person.{name}.rep{times}", form="generate",
                    seed=seed, caveat=caveat, extra={"repetitions": times, "asks": name},
                ))  # fmt: skip
    return rows
