"""Membership inference: can it be told from the model whether a document was trained on?

Members are training documents, non-members held-out documents of the same sources, as many of each source: both were
drawn from one pool before training. Every score is higher for what looks more like a member. Of a document's tokens
x_1..x_n, read behind <|endoftext|>, with l_t = ln p(x_t | x_<t):

    loss        mean of l_t                                              (Yeom et al. 2018)
    zlib        mean of l_t, over the bytes of the zlib-compressed text   (Carlini et al. 2021)
    mink_k      mean of the k % lowest l_t                                (Shi et al. 2024, arXiv:2310.16789)
    minkpp_k    mean of the k % lowest (l_t - mu_t) / sigma_t, mu_t and sigma_t being mean and standard deviation of
                ln p(z | x_<t) over z ~ p(. | x_<t)                       (Zhang et al. 2024, arXiv:2404.02936)
    blind       the bytes of the zlib-compressed text, no model at all: an AUROC away from 0.5 would say that members
                and non-members differ as texts, and that the other figures mean nothing (Meeus et al. 2024)

A document of the training split is a member only if training read it. The lineage says how often each source was read
on average (lineage.py). Times the number of copies, this is how often a document was read. The main figures are of
members read once or more. `.read_N` are those of members read about N times, `.read_0-1` of documents that may or may
not have been read; each is set against the non-members of the same sources. `.read_0` is the control: one half of the
non-members against the other. Of equal documents one is asked.

k is 20 in the figures. `sweep` has other values; its best is no figure, since it would be chosen after the fact.
"""

import dataclasses
import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from creuset.benchmarks.part import Found, Room
from creuset.benchmarks.training_data.lineage import NOT_PARENT, open_for, times_read
from creuset.core.errors import DataError
from creuset.core.sentences import joined, sentence
from creuset.core.stats import auroc, bootstrap, tpr_at_fpr, wilson
from creuset.data.shards.passages import DrawnDocument, draw_documents
from creuset.evals.clients.weights import Weights
from creuset.types.measure import Measure

Floats = NDArray[np.float64]
SWEEP = (5, 10, 20, 30, 40, 50, 60)
HEADLINE_K = 20
MIN_TOKENS, MAX_TOKENS = 64, 256
SIGMA_FLOOR = 1e-4  # a distribution that is one token has no spread, and its token no surprise
FPR = 0.01
LEVELS = ((0.0, 1.0, "0-1"), (1.0, 2.0, "1"), (2.0, 4.0, "2-3"), (4.0, 8.0, "4-7"), (8.0, 16.0, "8-15"),
          (16.0, 32.0, "16-31"), (32.0, math.inf, "32+"))  # fmt: skip
DOCUMENTS = 600  # members, and as many non-members, at most
CAVEAT = sentence("benchmarks.attack_proves_nothing")


async def check(room: Room) -> Found:
    drawn = draw(room.given["shards"], room.folder, documents=room.limit or DOCUMENTS, seed=room.seed)
    scored = collect(room.weights(), drawn, progress=room.count("membership", "tokens"))
    return Found(room.sealed(measures(scored, parent=drawn.parent, seed=room.seed), "shards"), evidence(scored))


@dataclass(frozen=True, slots=True)
class Scores:
    """Of one document."""

    source: str
    member: bool
    index: int
    tokens: int
    values: dict[str, float]
    read: float = math.nan  # times training read it, on average over its source; nan: not known


def scores(logprob: Floats, mean: Floats, spread: Floats, text: bytes) -> dict[str, float]:
    """All scores of one document from its per-token statistics."""
    packed = len(zlib.compress(text))
    standard = (logprob - mean) / np.maximum(spread, SIGMA_FLOOR)
    found = {"loss": float(logprob.mean()), "zlib": float(logprob.mean()) / packed, "blind": float(-packed)}
    for k in SWEEP:
        found[f"mink_{k}"] = lowest_mean(logprob, k)
        found[f"minkpp_{k}"] = lowest_mean(standard, k)
    return found


def lowest_mean(values: Floats, percent: int) -> float:
    """Mean of the `percent` % lowest values; of the lowest one where that is less than one."""
    count = max(1, int(len(values) * percent / 100))
    return float(np.partition(values, count - 1)[:count].mean())


@dataclass(frozen=True, slots=True)
class Drawn:
    documents: list[DrawnDocument]
    read: list[float]  # of each: copies in the training split, times the readings of its source
    parent: bool  # whether the model says that it was trained on the shards


def draw(shards_path: Path, model: Path, *, documents: int, seed: int) -> Drawn:
    """About `documents` members and as many non-members, source by source, each text once."""
    shards, parent = open_for(shards_path, model)
    times = times_read(shards_path, model) or {}
    found: list[DrawnDocument] = []
    read: list[float] = []
    per_source = max(1, documents // max(1, len(shards.sources)))
    for source in shards.sources:
        wanted: dict[str, Any] = {"min_tokens": MIN_TOKENS, "max_tokens": MAX_TOKENS, "seed": seed, "distinct": True}
        outside = draw_documents(shards, source, "heldout", count=per_source, **wanted)
        inside = draw_documents(shards, source, "train", count=len(outside), **wanted)
        found += outside[: len(inside)] + inside
        read += [0.0] * len(inside) + [d.copies * times.get(source, math.nan) for d in inside]
    if not found:
        raise DataError(f"`{shards_path}` has no source with held-out documents of {MIN_TOKENS} tokens and more")
    return Drawn(found, read, parent)


def collect(weights: Weights, drawn: Drawn, *, progress: Callable[[int], None] = lambda tokens: None) -> list[Scores]:
    """Read every document with the weights."""
    rows = [np.concatenate([[weights.tokenizer.start], d.ids]) for d in drawn.documents]
    read = weights.surprises(rows, progress=progress)
    return [
        Scores(d.source, d.split == "train", d.index, len(d.ids),
               scores(r.logprob, r.mean, r.spread, weights.tokenizer.decode_bytes([int(i) for i in d.ids])), times)
        for d, r, times in zip(drawn.documents, read, drawn.read, strict=True)
    ]  # fmt: skip


def measures(found: Sequence[Scores], *, parent: bool, seed: int) -> list[Measure]:
    """AUROC (DeLong) and TPR at 1 % FPR (bootstrap, members and non-members drawn apart) of each attack."""
    caveat = CAVEAT if parent else joined(NOT_PARENT, CAVEAT)
    members = [s for s in found if s.member and not s.read < 1]  # nan: not known, and taken at its word
    rows = _attacks(_against(members, found), "", caveat, parent=parent, seed=seed) if members else [Measure(
        task="membership", metric="auroc.loss", status="not_testable", better="lower",
        why=sentence("benchmarks.no_member"),
    )]  # fmt: skip
    levels = {name: [s for s in found if s.member and low <= s.read < high] for low, high, name in LEVELS}
    if sum(map(bool, levels.values())) > 1:  # one level that is all there is would say the same again
        rows += _attacks(_control(found), ".read_0", caveat, parent=parent, seed=seed, read="0")
        for name, mine in levels.items():
            said = joined(sentence("benchmarks.read_less"), caveat) if name == LEVELS[0][2] else caveat
            rows += _attacks(_against(mine, found), f".read_{name}", said, parent=parent, seed=seed, read=name)
    return rows


def _against(members: Sequence[Scores], found: Sequence[Scores]) -> list[Scores]:
    """These members, and the non-members of their sources; nothing where there is none."""
    sources = {s.source for s in members}
    return [*(s for s in found if not s.member and s.source in sources), *members]


def _control(found: Sequence[Scores]) -> list[Scores]:
    """Non-members against non-members: what an attack finds where there is nothing to be found."""
    others = [s for s in found if not s.member]
    return [dataclasses.replace(s, member=i % 2 == 0) for i, s in enumerate(others)]


def _attacks(found: Sequence[Scores], end: str, caveat: str, *, parent: bool, seed: int, **level: str) -> list[Measure]:
    labels = np.array([s.member for s in found], dtype=bool)
    if labels.all() or not labels.any():
        return []
    common: dict[str, Any] = {
        "task": "membership",
        "n": len(found),
        "denominator": len(found),
        "form": "loglikelihood",
        "seed": seed,
        "caveat": caveat,
    }
    facts = {"members": int(labels.sum()), "non_members": int((~labels).sum()), "recorded_parent": parent,
             "max_tokens": MAX_TOKENS, "sources": sorted({s.source for s in found})} | level  # fmt: skip
    rows = []
    for name in ("loss", "zlib", f"mink_{HEADLINE_K}", f"minkpp_{HEADLINE_K}", "blind"):
        values = np.array([s.values[name] for s in found])
        area = auroc(values, labels)
        extra: dict[str, Any] = facts | {"attack": name, "chance": 0.5}
        if "_" in name:
            family = name.split("_")[0]
            extra["sweep"] = {str(k): auroc([s.values[f"{family}_{k}"] for s in found], labels).value for k in SWEEP}
        rows.append(Measure(
            metric=f"auroc.{name}{end}", score=area.value, interval=area.interval, interval_by=area.by, unit="ratio",
            better="" if name == "blind" else "lower", extra=extra, **common,
        ))  # fmt: skip
        if name == "blind":
            continue

        def rate(at: NDArray[np.int64], values: Floats = values) -> float:
            return tpr_at_fpr(values[at], labels[at], FPR)

        caught, within = tpr_at_fpr(values, labels, FPR), sentence("core.by_bootstrap_resamples", n=1000)
        interval = bootstrap(rate, len(found), strata=labels.tolist(), seed=seed, resamples=1000)
        if interval is None:  # all members were caught, or none: the members are the trials
            members = int(labels.sum())
            interval, within = wilson(round(caught * members), members), sentence("core.by_wilson_members")
        rows.append(Measure(
            metric=f"tpr_1pct.{name}{end}", score=caught, better="lower", interval=interval, interval_by=within,
            extra=facts | {"attack": name, "chance": FPR}, **common,
        ))  # fmt: skip
    return rows


def evidence(found: Sequence[Scores]) -> list[dict[str, Any]]:
    """One row a document: where it stands in the shards and what it got. No text."""
    return [
        {"id": f"{s.source}/{'train' if s.member else 'heldout'}/{s.index}", "cluster": s.source, "member": s.member,
         "tokens": s.tokens, "read": None if math.isnan(s.read) else round(s.read, 3),
         **{k: round(v, 6) for k, v in s.values.items()}}
        for s in found
    ]  # fmt: skip
