"""The model card, from artifacts only: what cannot be read in a manifest, a record or an evaluation is not in it.

Reading order: `gather` (what is known, and the checks that it belongs together), `write` (the card),
`package` (model and card as one artifact). The wording is in cardtext.py.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from creuset.core.artifact import LINEAGE, MANIFEST, ancestors, new_artifact, read_manifest, verify
from creuset.core.errors import ArtifactError
from creuset.core.record import read as read_record
from creuset.governance.card import words as cardtext
from creuset.model.config import ModelConfig
from creuset.model.formats.hf_config import config_of
from creuset.types.measure import read_results
from creuset.types.messages import Conversation


@dataclass(frozen=True, slots=True)
class Known:
    """What the artifacts say of a model."""

    name: str
    manifest: dict[str, Any]
    config: ModelConfig
    chain: list[dict[str, Any]]  # manifests of the model and all it was made from
    names: dict[str, str]  # sha256 -> the name a child knew it by
    record: dict[str, Any] | None
    weight_bytes: int
    evaluations: list[dict[str, Any]]  # results.json of each, with `of`: "" or the ancestor that was scored

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        return [m for m in self.chain if m["kind"] == kind]


def gather(path: Path, evaluations: Sequence[Path]) -> Known:
    """Read the model, its lineage, its record and its evaluations; each must be whole and belong to this model."""
    for artifact in (path, *evaluations):
        if problems := verify(artifact):
            raise ArtifactError(f"`{problems[0].where}` {problems[0].what}: no card is written of a damaged artifact")
    manifest = read_manifest(path)
    if manifest["kind"] != "model":
        raise ArtifactError(f"`{path}` is a {manifest['kind']}, not a model")
    chain = ancestors(path)
    names = {p["sha256"]: p["name"] for m in chain for p in m["parents"]}
    record = path / "record.json"
    return Known(
        name=path.resolve().name,
        manifest=manifest,
        config=config_of(path),
        chain=chain,
        names=names,
        record=read_record(record) if record.is_file() else None,
        weight_bytes=sum(f.stat().st_size for f in path.glob("*.safetensors")),
        evaluations=[_evaluation(e, chain, names) for e in evaluations],
    )


def _evaluation(path: Path, chain: list[dict[str, Any]], names: dict[str, str]) -> dict[str, Any]:
    found = read_results(path, kinds=["evaluation"])
    scored = str(found.subject.get("sha256"))
    if scored not in [m["sha256"] for m in chain]:
        raise ArtifactError(
            f"`{path}` scores `{found.name}` ({scored[:12]}), which is not this model nor one that it was made from"
        )
    return found.about | {"results": found.rows, "of": "" if scored == chain[0]["sha256"] else names[scored]}


def write(
    path: Path, evaluations: Sequence[Path], talks: Sequence[Conversation] = (), *, licence: str = "apache-2.0"
) -> str:
    """The card of the model at `path`, with the conversations it was asked for, as Markdown with front matter."""
    return cardtext.page(gather(path, evaluations), talks, licence=licence)


def package(path: Path, evaluations: Sequence[Path], card: str, out: Path) -> None:
    """Publish the model's files with its card as a new artifact, whose parents are the model and its evaluations."""
    manifest = read_manifest(path)
    with new_artifact(
        out, kind="model", settings=manifest.get("settings"), parents=[path, *evaluations], facts=manifest.get("facts")
    ) as scratch:
        ignore = shutil.ignore_patterns(MANIFEST, LINEAGE, "card.md", "README.md")
        shutil.copytree(path, scratch, ignore=ignore, dirs_exist_ok=True)
        (scratch / "card.md").write_text(card, encoding="utf-8")
