"""What a run is made from: whole artifacts, known by their hashes, that speak the same token ids."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from creuset.core.artifact import MANIFEST, read_manifest, sha256_file, sha256_json, verify
from creuset.core.errors import ArtifactError, ConfigError
from creuset.parallel import ranks
from creuset.text.tokenizer import Tokenizer


def whole(path: Path) -> None:
    """Raise ArtifactError naming the first file of an artifact that is not as its manifest says."""
    if problems := verify(path):
        raise ArtifactError(
            f"`{path}` is damaged: {problems[0].where} {problems[0].what}",
            hint="make it again, or copy it again from where it was made",
        )


def identity(path: Path) -> str:
    """The hash of an artifact that is whole, of a file, or of a folder (of the names and hashes of its files)."""
    if (path / MANIFEST).is_file():
        if ranks.rank() == 0:
            whole(path)
        return str(read_manifest(path)["sha256"])
    if path.is_file():
        return sha256_file(path)
    return sha256_json({f.name: sha256_file(f) for f in sorted(path.iterdir()) if f.is_file()})


def identities(paths: Sequence[Path]) -> dict[str, str]:
    """Name -> `identity` of each; names that come twice are numbered."""
    found: dict[str, str] = {}
    for path in paths:
        name = path.resolve().name
        found[name if name not in found else f"{name} ({len(found) + 1})"] = identity(path)
    return found


def records(model: Path) -> list[dict[str, Any]]:
    """The technical record that came with a model, if one did."""
    file = model / "record.json"
    return [json.loads(file.read_text())] if file.is_file() else []


def same_tokenizer(model: Path, shards: Path) -> None:
    """Raise ConfigError unless the model and the shards speak the same token ids."""
    mine, theirs = Tokenizer.load(model), Tokenizer.load(shards)
    if mine.identity != theirs.identity:
        raise ConfigError(
            f"`{shards}` was made by another tokenizer ({theirs.vocab_size} ids, {theirs.identity[:12]}) than the one "
            f"of `{model}` ({mine.vocab_size} ids, {mine.identity[:12]})",
            hint="tokenize the corpus with the model's own tokenizer: creuset corpus tokenize CORPUS --tokenizer MODEL",
        )
