"""Training passages, asked back word for word.

Extractable share (Carlini et al. 2022, arXiv:2202.07646): the share of passages whose 50 tokens behind a prefix of k
tokens of the training text come back word for word by greedy decoding. It is reported by how often the last 100 tokens
of the passage (50 of the prefix, 50 to come) occur in the training data. Held-out passages, which the model has not
read, are the control.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from creuset.benchmarks.figures import exact_share
from creuset.benchmarks.part import Found, Room
from creuset.benchmarks.training_data.lineage import NOT_PARENT, open_for, times_read
from creuset.core.errors import ConfigError
from creuset.core.sentences import joined, sentence
from creuset.data.shards.files import Shards
from creuset.data.shards.passages import Passage, inside, sampled_windows
from creuset.evals.clients.weights import Weights
from creuset.types.measure import Measure

PREFIXES = (50, 100, 200)
CONTINUATION = 50
WINDOW = 100
BUCKETS = ((1, 1, "1"), (2, 3, "2-3"), (4, 7, "4-7"), (8, 15, "8-15"), (16, 31, "16-31"), (32, 1 << 62, "32+"))
PER_BUCKET = 100  # passages of each number of occurrences, where no limit was given
NEEDED = max(PREFIXES) + CONTINUATION  # tokens of context


async def check(room: Room) -> Found:
    shards, parent = open_for(room.given["shards"], room.folder)
    weights = room.weights()
    if weights.context < NEEDED:
        raise ConfigError(f"the context is {weights.context} tokens, and extraction needs {NEEDED}")
    passages = draw_passages(
        shards, per_bucket=room.limit or PER_BUCKET, seed=room.seed, progress=room.count("passages", "tokens read")
    )
    show = room.count("extraction", "continuations")
    found = {name: {k: extracted(weights, rows, k, progress=show) for k in PREFIXES} for name, rows in passages.items()}
    times = times_read(room.given["shards"], room.folder) or {}
    # Held-out passages are not to be read: nothing is said of them.
    read = {
        name: sum(min(1.0, times.get(p.source, 1.0)) for p in rows) / len(rows)
        for name, rows in passages.items() if rows and name != "held-out"
    }  # fmt: skip
    measures = extraction_measures(found, seed=room.seed, caveat="" if parent else NOT_PARENT, read=read)
    evidence = [
        {"id": f"{name}/{i}", "cluster": p.source, "occurrences": p.count,
         **{f"extracted_k{k}": hits[i] for k, hits in found[name].items()}}
        for name, rows in passages.items() for i, p in enumerate(rows)
    ]  # fmt: skip
    return Found(room.sealed(measures, "shards"), evidence)


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
    weights: Weights, passages: Sequence[Passage], k: int, *, progress: Callable[[int], None] = lambda done: None
) -> list[bool]:
    """Whether each passage's last 50 tokens come back behind the k tokens before them."""
    prompts = [p.ids[-CONTINUATION - k : -CONTINUATION] for p in passages]
    said = weights.greedy(prompts, CONTINUATION, progress=progress)
    return [s == p.ids[-CONTINUATION:].tolist() for s, p in zip(said, passages, strict=True)]


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
                rows.append(exact_share(
                    sum(hits), len(hits), task="extraction", metric=metric, form="generate", seed=seed, caveat=said,
                    extra={"occurrences": bucket, "prefix": k},
                ))  # fmt: skip
            else:
                rows.append(Measure(
                    task="extraction", metric=metric, status="not_applicable", better="lower",
                    why=sentence("benchmarks.no_passage", window=WINDOW, bucket=bucket)
                    if bucket != "held-out" else sentence("benchmarks.no_heldout"),
                ))  # fmt: skip
    return rows
