"""Verbs that write a model anew: in another format, with lighter weights."""

from pathlib import Path
from typing import Any

# Keys of a GGUF file that say what the model is, and stay true of a copy.
KEPT = ("general.license", "general.languages", "general.tags", "general.organization", "general.author", "general.url")
SAMPLING = {"temperature": "temp", "top_p": "top_p", "top_k": "top_k", "min_p": "min_p"}


def facts_of(model: Path) -> dict[str, Any]:
    """The keys `general.…` of a GGUF file made of `model`: name, sampling, and what a file said of itself."""
    from creuset.core.gguf import GgufFile, is_gguf
    from creuset.model.hub import stated_sampling

    said = stated_sampling(model)
    found: dict[str, Any] = {"general.name": model.stem if model.is_file() else model.resolve().name}
    for name, key in SAMPLING.items():
        if isinstance(value := said.get(name), int | float):
            found[f"general.sampling.{key}"] = int(value) if key == "top_k" else float(value)
    if said.get("do_sample") is False:
        found["general.sampling.temp"] = 0.0
    if is_gguf(model):
        metadata = GgufFile(model).metadata
        found |= {key: metadata[key] for key in KEPT if metadata.get(key)}
    return found
