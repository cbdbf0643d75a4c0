"""What a model's card says of its embeddings: how they are made, and how well they found passages where we measured."""

from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from creuset.server.model import ServedModel

METHODS = {
    "mean": "the mean over a text's tokens of the model's hidden state behind the last layer and the final norm",
    "last": "the model's hidden state of a text's last token behind the last layer and the final norm",
    "first": "the model's hidden state of a text's first token behind the last layer and the final norm",
}


class Recall(msgspec.Struct, frozen=True, kw_only=True):
    """One run of validation/retrieval.py: for each of `n` questions its own passage is to be found among `passages`."""

    model: str
    sha256: str  # of the model
    set: str
    n: int
    passages: int
    recall_at_1: float
    recall_at_5: float
    words_at_1: float  # of the same search by the words that are shared (BM25): what to compare with
    words_at_5: float


@cache
def measured() -> dict[str, Recall]:
    """Of each model that was measured, by its hash. validation/retrieval.py writes the file."""
    raw = files("creuset.server.retrieval").joinpath("measured.json").read_bytes()
    return {one.sha256: one for one in msgspec.json.decode(raw, type=list[Recall])}


def embeddings_of(model: ServedModel) -> dict[str, Any]:
    found = measured().get(model.sha256)
    return {
        "method": METHODS[model.pooling.mode] + ", scaled to length 1",
        "dimensions": model.config.hidden,
        "trained_for_retrieval": model.pooling.trained,
        "measured": None if found is None else msgspec.to_builtins(found),
    }
