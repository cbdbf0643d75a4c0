"""How well a chat model's embeddings find passages: recall at 1 and 5, beside a search by shared words.

    python validation/retrieval.py --data boolq.jsonl --model creuset/models/mini [--n 200] [--write]

`--data` is BoolQ as evaluation harnesses have it: one JSON object a line, its `query` a passage and a question about
it. The first `--n` different passages are taken; each question is to find its own passage among all of them. Both
sides are embedded as `/v1/embeddings` does. A passage that is longer than the model's context is cut at its end, and
the number of those is told. Nothing was chosen by these figures: they are measurements, not fits.

The words' side is BM25 (k1 1.2, b 0.75) over lower-case words: what a search without any model finds.

`--write` puts the figures where the card of the model reads them (creuset/server/retrieval/measured.json).
"""

import argparse
import json
import math
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

HOME = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HOME))

from creuset.engine.engine import Engine  # noqa: E402
from creuset.engine.settings import EngineSettings  # noqa: E402
from creuset.server.model import ServedModel, describe  # noqa: E402
from creuset.server.retrieval.requests import token_text  # noqa: E402
from creuset.types.generation import GenerationRequest, Sampling  # noqa: E402

WRITTEN = HOME / "creuset" / "server" / "retrieval" / "measured.json"


def pairs(file: Path, n: int) -> list[tuple[str, str]]:
    """(question, passage) of the first `n` different passages."""
    found: dict[str, str] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        passage, _, question = json.loads(line)["query"].removeprefix("Passage: ").rpartition("\nQuestion: ")
        found.setdefault(passage, question)
        if len(found) == n:
            break
    if len(found) < n:
        raise SystemExit(f"`{file}` has {len(found)} different passages, and {n} were asked for")
    return [(question, passage) for passage, question in found.items()]


def embedded(
    engine: Engine, model: ServedModel, texts: list[str], kind: Literal["query", "document"]
) -> tuple[NDArray[np.float32], int]:
    """Rows of length 1, and how many texts were cut."""
    ids = [token_text(text, "", model, kind=kind).ids for text in texts]
    room = min(engine.context, engine.capacity)
    for at, one in enumerate(ids):
        engine.add(
            GenerationRequest(
                id=str(at), prompt=one[:room], sampling=Sampling(max_tokens=0), whole=True, embeds=model.pooling.mode
            )
        )
    rows: dict[str, bytes] = {}
    while engine.busy:
        for event in engine.step():
            if event.finish is not None:
                assert event.embedding is not None, event.error
                rows[event.id] = event.embedding
    stacked = np.stack([np.frombuffer(rows[str(at)], dtype="<f4") for at in range(len(texts))])
    return stacked, sum(len(one) > room for one in ids)


def bm25(questions: list[str], passages: list[str]) -> NDArray[np.float64]:
    words = [Counter(re.findall(r"\w+", passage.lower())) for passage in passages]
    lengths = [sum(one.values()) for one in words]
    mean, count = sum(lengths) / len(lengths), len(passages)
    with_word = Counter(word for one in words for word in one)
    scores = np.zeros((len(questions), count))
    for at, question in enumerate(questions):
        for word in set(re.findall(r"\w+", question.lower())):
            weight = math.log(1 + (count - with_word[word] + 0.5) / (with_word[word] + 0.5))
            for other, one in enumerate(words):
                if times := one[word]:
                    scores[at, other] += weight * times * 2.2 / (times + 1.2 * (0.25 + 0.75 * lengths[other] / mean))
    return scores


def recall(scores: NDArray[np.float64], k: int) -> float:
    """The share of questions whose own passage has fewer than `k` others that are as near or nearer."""
    own = np.diag(scores)[:, None]
    before = (scores >= own).sum(1) - 1
    return float((before < k).mean())


def main() -> None:
    read = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    read.add_argument("--data", type=Path, required=True)
    read.add_argument("--model", type=Path, required=True)
    read.add_argument("--n", type=int, default=200)
    read.add_argument("--write", action="store_true")
    asked = read.parse_args()
    model = describe(asked.model)
    questions, passages = (list(side) for side in zip(*pairs(asked.data, asked.n), strict=True))
    engine = Engine.load(asked.model, settings=EngineSettings(dtype="fp32", seed=0, threads=1))
    query_rows, _ = embedded(engine, model, questions, "query")
    passage_rows, cut = embedded(engine, model, passages, "document")
    scores, words = (query_rows @ passage_rows.T).astype(np.float64), bm25(questions, passages)
    told = {
        "model": model.name,
        "sha256": model.sha256,
        "set": f"BoolQ questions and passages, the first {asked.n}; {cut} passages cut to the context",
        "n": asked.n,
        "passages": asked.n,
        "recall_at_1": round(recall(scores, 1), 4),
        "recall_at_5": round(recall(scores, 5), 4),
        "words_at_1": round(recall(words, 1), 4),
        "words_at_5": round(recall(words, 5), 4),
    }
    print(json.dumps(told, indent=2))
    if asked.write:
        held = {one["sha256"]: one for one in json.loads(WRITTEN.read_text())} | {model.sha256: told}
        WRITTEN.write_text(json.dumps(list(held.values()), indent=2) + "\n")


if __name__ == "__main__":
    main()
