"""What a model's card says of its embeddings: how they are made, and how well they found passages where we measured."""

from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from creuset.server.model import ServedModel

METHOD = (
    "the mean over a text's tokens of the chat model's hidden state behind the last layer and the final norm, scaled "
    "to length 1"
)


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
        "method": METHOD,
        "dimensions": model.config.hidden,
        "trained_for_retrieval": False,
        "measured": None if found is None else msgspec.to_builtins(found),
    }
