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

k is 20 in the figures and swept in `sweep`; the best of a sweep is not a figure, since it is chosen after the fact.
The statistics are pure functions of numbers; the weights are asked in `collect`.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from creuset.audit.passages import NOT_PARENT, Document, draw_documents, open_for
from creuset.core.errors import DataError
from creuset.evals.measure import Measure
from creuset.evals.stats import auroc, bootstrap, tpr_at_fpr

Floats = NDArray[np.float64]
SWEEP = (5, 10, 20, 30, 40, 50, 60)
HEADLINE_K = 20
MIN_TOKENS, MAX_TOKENS = 64, 256
SIGMA_FLOOR = 1e-4      # a distribution that is one token has no spread, and its token no surprise
FPR = 0.01
CAVEAT = "an attack that fails does not prove that none succeeds"


@dataclass(frozen=True, slots=True)
class Scores:
    """Of one document."""

    source: str
    member: bool
    index: int
    tokens: int
    values: dict[str, float]


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


def draw(
    shards_path: Path, model: Path, *, documents: int, seed: int
) -> tuple[list[Document], bool]:
    """About `documents` members and as many non-members, source by source; and whether the model says it read them."""
    shards, parent = open_for(shards_path, model)
    found: list[Document] = []
    per_source = max(1, documents // max(1, len(shards.sources)))
    for source in shards.sources:
        wanted = {"min_tokens": MIN_TOKENS, "max_tokens": MAX_TOKENS, "seed": seed}
        outside = draw_documents(shards, source, "heldout", count=per_source, **wanted)
        inside = draw_documents(shards, source, "train", count=len(outside), **wanted)
        found += outside[: len(inside)] + inside
    if not found:
        raise DataError(f"`{shards_path}` has no source with held-out documents of {MIN_TOKENS} tokens and more")
    return found, parent


def collect(
    model: Path, documents: Sequence[Document], *, progress: Callable[[int], None] = lambda tokens: None
) -> list[Scores]:
    """Read every document with the weights of `model`."""
    from creuset.audit.scoring import surprises  # here, not at the top: the audit's verb must not load torch
    from creuset.model.weights import load_model
    from creuset.text.tokenizer import Tokenizer

    tokenizer = Tokenizer.load(model)
    rows = [np.concatenate([[tokenizer.endoftext], d.ids]) for d in documents]
    read = surprises(load_model(model), rows, progress=progress)
    return [
        Scores(d.source, d.split == "train", d.index, len(d.ids),
               scores(r.logprob, r.mean, r.spread, tokenizer.decode_bytes([int(i) for i in d.ids])))
        for d, r in zip(documents, read, strict=True)
    ]  # fmt: skip


def measures(found: Sequence[Scores], *, parent: bool, seed: int) -> list[Measure]:
    """AUROC (DeLong) and TPR at 1 % FPR (bootstrap, members and non-members drawn apart) of each attack."""
    labels = np.array([s.member for s in found])
    common: dict[str, Any] = {
        "task": "membership", "n": len(found), "denominator": len(found), "form": "loglikelihood", "seed": seed,
        "caveat": CAVEAT if parent else f"{NOT_PARENT}; {CAVEAT}",
    }
    facts = {"members": int(labels.sum()), "non_members": int((~labels).sum()), "recorded_parent": parent,
             "max_tokens": MAX_TOKENS}  # fmt: skip
    rows = []
    for name in ("loss", "zlib", f"mink_{HEADLINE_K}", f"minkpp_{HEADLINE_K}", "blind"):
        values = np.array([s.values[name] for s in found])
        area = auroc(values, labels)
        extra: dict[str, Any] = facts | {"chance": 0.5}
        if "_" in name:
            family = name.split("_")[0]
            extra["sweep"] = {
                str(k): auroc([s.values[f"{family}_{k}"] for s in found], labels).value for k in SWEEP
            }
        rows.append(Measure(
            metric=f"auroc.{name}", score=area.value, interval=area.interval, interval_by=area.by, unit="ratio",
            better="" if name == "blind" else "lower", extra=extra, **common,
        ))  # fmt: skip
        if name == "blind":
            continue

        def rate(at: NDArray[np.int64], values: Floats = values) -> float:
            return tpr_at_fpr(values[at], labels[at], FPR)

        rows.append(Measure(
            metric=f"tpr_1pct.{name}", score=tpr_at_fpr(values, labels, FPR), better="lower",
            interval=bootstrap(rate, len(found), strata=labels.tolist(), seed=seed, resamples=1000),
            interval_by="bootstrap, 1,000 resamples", extra=facts | {"chance": FPR}, **common,
        ))  # fmt: skip
    return rows


def evidence(found: Sequence[Scores]) -> list[dict[str, Any]]:
    """One row a document: where it stands in the shards and what it got. No text."""
    return [
        {"id": f"{s.source}/{'train' if s.member else 'heldout'}/{s.index}", "cluster": s.source, "member": s.member,
         "tokens": s.tokens, **{k: round(v, 6) for k, v in s.values.items()}}
        for s in found
    ]  # fmt: skip
