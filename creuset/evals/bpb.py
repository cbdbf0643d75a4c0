"""Bits per byte of held-out documents, with the document as unit.

Definition. A document of tokens d1..dn is read as `<eot> d1 .. dn`; its bits are the sum of -log2 p over d1..dn and
the <|endoftext|> that ends it, and its bytes are those of its UTF-8 text. A source's score is the sum of bits over
the sum of bytes of its documents, so it does not depend on the tokenizer; the interval is the 95 % percentile
bootstrap over documents. The overall score is the unweighted mean over sources. A document longer than the context
is cut in windows (model/windows.py).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from creuset.evals.documents import Text
from creuset.evals.stats import bootstrap_ratio, mean_of_ratios
from creuset.model.score import Reading, bits, log_likelihoods
from creuset.model.transformer import Transformer
from creuset.model.windows import windows


@dataclass(frozen=True, slots=True)
class Scored:
    """One document's sums."""

    source: str
    index: int
    bits: float
    bytes: int
    tokens: int         # predicted, the last end-of-document included


def score_documents(
    model: Transformer,
    texts: Iterable[Text],
    *,
    eot: int,
    context: int,
    overlap: int = 0,
    tokens_per_batch: int = 4096,
    progress: Callable[[int], None] = lambda tokens: None,
) -> list[Scored]:
    """Score each document; `progress` is told of tokens done."""
    found: list[Scored] = []
    waiting: list[Text] = []

    def settle() -> None:
        found.extend(_score(model, waiting, eot, context, overlap, tokens_per_batch))
        progress(sum(len(t.ids) for t in waiting))
        waiting.clear()

    for text in texts:
        waiting.append(text)
        if sum(len(t.ids) for t in waiting) >= 8 * tokens_per_batch:  # enough to sort by length
            settle()
    settle()
    return found


def _score(
    model: Transformer, texts: list[Text], eot: int, context: int, overlap: int, tokens_per_batch: int
) -> list[Scored]:
    owners: list[int] = []
    parts: list[Reading] = []
    for owner, text in enumerate(texts):
        ids = np.concatenate([[eot], text.ids])
        for window in windows(len(text.ids), context=context, overlap=overlap):
            owners.append(owner)
            parts.append(Reading(ids[window.start : window.end + 1], window.scored - window.start))
    total = np.zeros(len(texts))
    for index, values, _ in log_likelihoods(model, parts, tokens_per_batch=tokens_per_batch):
        total[owners[index]] += values.sum()
    return [Scored(t.source, t.index, bits(float(v)), t.bytes, len(t.ids)) for t, v in zip(texts, total, strict=True)]


def summarise(scored: list[Scored]) -> list[dict[str, Any]]:
    """One row a source, in order of appearance, and the mean over sources when there are several."""
    rows: list[dict[str, Any]] = []
    groups = []
    for source in dict.fromkeys(s.source for s in scored):
        mine = [s for s in scored if s.source == source]
        sums, sizes = np.array([s.bits for s in mine]), np.array([s.bytes for s in mine], dtype=float)
        interval = bootstrap_ratio(sums, sizes)
        groups.append((sums, sizes))
        rows.append({
            "task": "bpb", "source": source, "score": float(sums.sum() / sizes.sum()),
            "interval": [interval.low, interval.high], "n": len(mine),
            "bytes": int(sizes.sum()), "tokens": sum(s.tokens for s in mine),
        })
    if len(rows) > 1:
        mean, interval = mean_of_ratios(groups)
        rows.append({
            "task": "bpb", "source": "mean over sources", "score": mean, "interval": [interval.low, interval.high],
            "n": len(scored), "bytes": sum(r["bytes"] for r in rows), "tokens": sum(r["tokens"] for r in rows),
        })
    return rows
