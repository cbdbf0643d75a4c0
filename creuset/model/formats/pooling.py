"""How a model makes one row of a text: by what its folder or its GGUF file says, or by the mean where nothing is said.

A folder of sentence-transformers says it in modules.json and in the configuration of its pooling; a GGUF file in
`ARCHITECTURE.pooling_type`. Rows are always scaled to length 1, as OpenAI's are.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from creuset.core.errors import ArtifactError
from creuset.core.gguf import GgufFile, is_gguf

Pool = Literal["mean", "last", "first"]
MODULES, PROMPTS = "modules.json", "config_sentence_transformers.json"
_NAMES: dict[str, Pool] = {
    "mean": "mean",
    "mean_tokens": "mean",
    "lasttoken": "last",
    "cls": "first",
    "cls_token": "first",
}
_GGUF: dict[int, Pool] = {1: "mean", 2: "first", 3: "last"}  # llama.cpp's llama_pooling_type


@dataclass(frozen=True, kw_only=True, slots=True)
class Pooling:
    """`trained`: the model was made for this. `refused`: why no row can be made of it."""

    mode: Pool = "mean"
    trained: bool = False
    prompts: Mapping[str, str] = field(default_factory=dict)  # what its makers put before a `query` or a `document`
    refused: str = ""


def pooling_of(path: Path) -> Pooling:
    """Of the model at `path`. ArtifactError for a file of it that is damaged."""
    if is_gguf(path):
        found = GgufFile(path).metadata
        kind = found.get(f"{found.get('general.architecture')}.pooling_type")
        if kind in (None, 0):
            return Pooling()
        mode = _GGUF.get(kind)
        return Pooling(mode=mode, trained=True) if mode else Pooling(refused=f"its pooling_type is {kind}")
    if not (path / MODULES).is_file():
        return Pooling()
    modules = _read(path / MODULES)
    if not isinstance(modules, list) or not all(isinstance(one, dict) for one in modules):
        raise ArtifactError(f"`{path / MODULES}` must hold a list of modules")
    kinds = {str(one.get("type", "")).rpartition(".")[2]: str(one.get("path", "")) for one in modules}
    if other := sorted(set(kinds) - {"Transformer", "Pooling", "Normalize"}):
        return Pooling(refused=f"it ends in a module that does not run here: {', '.join(other)}")
    if "Pooling" not in kinds:
        return Pooling()
    named = _named(_read(path / kinds["Pooling"] / "config.json"))
    if named not in _NAMES:
        return Pooling(refused=f"its pooling is `{named}`, and only mean, lasttoken and cls run here")
    return Pooling(mode=_NAMES[named], trained=True, prompts=_prompts(path / PROMPTS))


def _named(found: Mapping[str, Any]) -> str:
    """The name of the pooling: one field, or one of several flags that is true."""
    if isinstance(named := found.get("pooling_mode"), str):
        return named
    flags = [name.removeprefix("pooling_mode_") for name, value in found.items()
             if name.startswith("pooling_mode_") and value is True]  # fmt: skip
    return "+".join(flags) or "none"


def _prompts(file: Path) -> dict[str, str]:
    found = _read(file).get("prompts") if file.is_file() else None
    listed = found.items() if isinstance(found, dict) else ()
    return {name: text for name, text in listed if name in ("query", "document") and isinstance(text, str)}


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtifactError(f"`{file}` is missing") from None
    except ValueError as error:
        raise ArtifactError(f"`{file}` is not JSON: {error}") from None
