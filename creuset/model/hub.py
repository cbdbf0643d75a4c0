"""Where a model is: a path, or the name of one that is shipped or was pulled. No torch here."""

import difflib
import json
from pathlib import Path
from typing import Any

from creuset.core.errors import ArtifactError
from creuset.core.gguf import GgufFile, is_gguf, split_of
from creuset.model.formats.gguf.config import end_ids as gguf_ends
from creuset.model.formats.gguf.config import sampling
from creuset.model.formats.refused import ADAPTER as ADAPTER
from creuset.model.formats.refused import refuse_adapter
from creuset.model.store.catalogue import catalogue
from creuset.model.store.origin import origin_of
from creuset.model.store.shelf import all_pulled, pulled
from creuset.model.store.wanted import find_wanted

SHIPPED = Path(__file__).parent.parent / "models"
DEFAULT = "mini"


def shipped_models() -> list[str]:
    """Names of the models inside the package."""
    return sorted(folder.name for folder in SHIPPED.glob("*") if (folder / "config.json").is_file())


def find_model(name: str | None = None) -> Path:
    """The model that `name` stands for: a folder with config.json, or a GGUF file.

    `name` is a path to a folder of ours, to a Hugging Face folder or to a GGUF file, the name of a shipped model, or
    the name of one that was pulled (`creuset pull`), in this order. None is the default model. Raises ArtifactError
    that says what was found instead, and the command that fetches a model which the catalogue knows.
    """
    name = DEFAULT if name is None else name
    path = Path(name).expanduser()
    if (path.is_dir() and (path / "config.json").is_file()) or (path.is_file() and path.suffix.lower() == ".gguf"):
        return path
    known = shipped_models()
    if name in known:
        return SHIPPED / name
    if here := pulled(name):
        return here.model
    if path.is_file():
        raise ArtifactError(
            f"`{name}` is a file, but not a GGUF file", hint="give the folder that has config.json, or a .gguf file"
        )
    if path.is_dir():
        return _in_folder(path, name)
    looks_like_path = len(path.parts) > 2 or name.startswith((".", "~")) or ("/" in name and path.parent.is_dir())
    if path.suffix.lower() == ".gguf":
        files = sorted(one.name for one in path.parent.glob("*.gguf"))
        raise ArtifactError(f"`{name}` does not exist", hint=_near(path.name, files, path.parent) if files else "")
    beside = sorted(one.name for one in path.parent.glob("*") if (one / "config.json").is_file())
    if looks_like_path:
        raise ArtifactError(f"`{name}` does not exist", hint=_near(path.name, beside, path.parent))
    if found := find_wanted(name):
        what = "is in the catalogue" if found.entry else "could be a repository of the hub"
        raise ArtifactError(f"`{name}` is not here; it {what}", hint=f"`creuset pull {name}` fetches it")
    names = list(dict.fromkeys([*known, *(one.name for one in all_pulled()), *catalogue().entries, *beside]))
    raise ArtifactError(
        f"`{name}` is neither a folder nor a GGUF file, nor a model that is shipped or was pulled",
        hint=_near(name, names, None),
    )


def _in_folder(path: Path, name: str) -> Path:
    """The one GGUF file of a folder without config.json; anything else there is refused by what it has."""
    files = sorted(file for file in path.glob("*.gguf") if split_of(file)[1] == 1)  # a split model by its first part
    if len(files) == 1:
        return files[0]
    if files:
        raise ArtifactError(f"`{name}` has {len(files)} GGUF files", hint=f"name one, such as `{files[0]}`")
    refuse_adapter(path)
    if weights := next(path.glob("pytorch_model*.bin"), None) or next(path.glob("*.safetensors"), None):
        raise ArtifactError(
            f"`{name}` is not a model: it has `{weights.name}`, but no config.json",
            hint="put config.json and the tokenizer's files beside it, which were published with it",
        )
    inside = sorted(one.parent.name for one in path.glob("*/config.json"))
    raise ArtifactError(
        f"`{name}` is not a model: it has no config.json", hint=_near(name, inside, path) if inside else ""
    )


def stated_sampling(path: Path) -> dict[str, Any]:
    """What a model says of sampling: its generation_config.json, its GGUF file, or else the card it was pulled with."""
    file = path / "generation_config.json"
    if is_gguf(path):
        found = sampling(GgufFile(path).metadata)
    else:
        found = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    origin = None if found else origin_of(path)
    return dict(origin.sampling) if origin else found


def recommended_sampling(path: Path) -> dict[str, Any]:
    """What the model recommends for a request that says nothing; Qwen2.5's own where it says nothing."""
    found = stated_sampling(path)
    if found.get("do_sample") is False:
        return {"temperature": 0.0}
    defaults = {"temperature": 0.7, "top_p": 0.8, "top_k": 20, "repetition_penalty": 1.0}
    return {name: found.get(name, value) for name, value in defaults.items()}


def end_ids(path: Path) -> set[int]:
    """The ids that end an answer: of generation_config.json and config.json, or of a GGUF file."""
    if is_gguf(path):
        return gguf_ends(GgufFile(path).metadata)
    ends: set[int] = set()
    for name in ("generation_config.json", "config.json"):
        file = path / name
        found = json.loads(file.read_text(encoding="utf-8")).get("eos_token_id") if file.is_file() else None
        ends |= {id for id in (found if isinstance(found, list) else [found]) if type(id) is int}
    return ends


def _near(name: str, known: list[str], folder: Path | None) -> str:
    if not known:
        return "" if folder else "no model is shipped in this build; give the path of a model's folder"
    if near := difflib.get_close_matches(name, known, n=1, cutoff=0.5):
        return f"did you mean `{near[0] if folder is None else folder / near[0]}`?"
    more = f" and {len(known) - 8} more (`creuset list`)" if len(known) > 8 and folder is None else ""
    return f"there is {', '.join(known[:8])}{more}"
