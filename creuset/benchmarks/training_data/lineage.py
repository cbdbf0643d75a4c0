"""What the lineage of a model says of its shards: whether they are its own, and how often training read each source.

A document of the training split was not therefore trained on: a run that reads 6 of 90 million tokens has seen few of
them. Membership and extraction need to know, or they take for a member what the model never met.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from creuset.core.artifact import MANIFEST, ancestors, read_manifest
from creuset.core.errors import ConfigError
from creuset.core.sentences import sentence
from creuset.data.shards.files import Shards

NOT_PARENT = sentence("benchmarks.not_parent")


def open_for(shards_path: Path, model: Path) -> tuple[Shards, bool]:
    """The shards, and whether `model` says that it was trained on them. ConfigError: another tokenizer made them."""
    shards = Shards.open(shards_path)
    if not shards.cut_by(model):
        raise ConfigError(
            f"`{shards_path}` was cut by another tokenizer than that of `{model}`",
            hint="give the shards that the model was trained on",
        )
    known = {m["sha256"] for m in ancestors(model)} if (model / MANIFEST).is_file() else set()
    return shards, (shards_path / MANIFEST).is_file() and read_manifest(shards_path)["sha256"] in known


def times_read(shards_path: Path, model: Path) -> dict[str, float] | None:
    """Times each source was read through on average, by mix, steps and tokens a step of the recorded runs.

    None where the lineage of `model` names no run on these shards.
    """
    if not (model / MANIFEST).is_file() or not (shards_path / MANIFEST).is_file():
        return None
    sizes = {name: stats.train.tokens for name, stats in Shards.open(shards_path).sources.items()}
    return _sum(ancestors(model), read_manifest(shards_path)["sha256"], sizes)


def _sum(manifests: Iterable[Mapping[str, Any]], shards: str, sizes: Mapping[str, int]) -> dict[str, float] | None:
    found: dict[str, float] | None = None
    for manifest in manifests:
        run = manifest["settings"]
        here = any(parent["sha256"] == shards for parent in manifest["parents"])
        if manifest["kind"] != "model" or not here or not {"steps", "tokens_per_step", "context"} <= set(run):
            continue
        # Without a mix the recipe takes every source by its size that is longer than a row.
        mix = run.get("mix") or {name: size for name, size in sizes.items() if size > run["context"]}
        tokens = run["steps"] * run["tokens_per_step"] * run.get("prose", 1.0) / sum(mix.values())
        found = found or dict.fromkeys(sizes, 0.0)
        for name, weight in mix.items():
            if sizes.get(name):
                found[name] += tokens * weight / sizes[name]
    return found
