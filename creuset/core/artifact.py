"""Artifacts: a folder that is complete or absent, and knows where it came from.

Everything the system makes (corpus, tokenizer, shards, model, evaluation) is an
artifact. `manifest.json` is written last, into a temporary folder that is then
renamed: a folder with a manifest is whole. Each parent's manifest is copied into
`lineage/<sha256>.json`, with all of its own ancestors, so that a model walks back
to its run, corpus and licences even where the parents' files are not at hand.

Reading order: `new_artifact`, `read_manifest`, `ancestors`, `verify`.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from creuset.core.config import resolved
from creuset.core.disk import room_for
from creuset.core.errors import ArtifactError, DiskFull

MANIFEST = "manifest.json"
LINEAGE = "lineage"


def sha256_file(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def sha256_json(value: Any) -> str:
    """Hash of the canonical JSON form of `value`: sorted keys, no spaces."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


@contextmanager
def new_artifact(
    path: Path,
    *,
    kind: str,
    settings: Any = None,
    parents: Sequence[Path] = (),
    facts: dict[str, Any] | None = None,
    keep_scratch: bool = False,
) -> Iterator[Path]:
    """Yield a scratch folder to fill; publish it at `path` when the block succeeds.

    `facts` may be filled until the block ends: it is read when the manifest is written.
    With `keep_scratch` a scratch folder left by a killed run is handed back as it was,
    so that the work can go on where it stopped.
    """
    if path.exists():
        raise ArtifactError(f"`{path}` already exists", hint="artifacts are never overwritten; choose another name")
    scratch = path.with_name(path.name + ".partial")
    if not keep_scratch:
        shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True, exist_ok=True)
    try:
        with room_for(path):
            yield scratch
            publish(scratch, path, kind=kind, settings=settings, parents=parents, facts=facts)
    except DiskFull:
        if not keep_scratch:  # it would be thrown away at the next start: the room is needed now
            shutil.rmtree(scratch, ignore_errors=True)
        raise


def publish(
    scratch: Path,
    path: Path,
    *,
    kind: str,
    settings: Any = None,
    parents: Sequence[Path] = (),
    facts: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Write the manifest of the finished folder `scratch` and rename it to `path`."""
    inherit(scratch, parents)
    made_from = [(parent.resolve().name, read_manifest(parent)) for parent in parents]
    own = sorted(name for name in _files(scratch) if name != MANIFEST and not name.startswith(LINEAGE + "/"))
    manifest: dict[str, Any] = {
        "kind": kind,
        "settings": resolved(settings),
        "facts": resolved(facts or {}),
        "parents": [{"kind": m["kind"], "name": name, "sha256": m["sha256"]} for name, m in made_from],
        "files": {name: sha256_file(scratch / name) for name in own},
    }
    manifest["sha256"] = sha256_json(manifest)
    (scratch / MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.rename(scratch, path)
    return manifest


def _files(folder: Path) -> Iterator[str]:
    """Names of all files under `folder`, as the manifest writes them."""
    return (f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file())


def inherit(scratch: Path, parents: Sequence[Path]) -> None:
    """Copy the manifests of `parents`, and of all their ancestors, into `scratch/lineage`."""
    folder = scratch / LINEAGE
    shutil.rmtree(folder, ignore_errors=True)  # a killed run may have left those of other parents
    if not parents:
        return
    folder.mkdir()
    for parent in parents:
        manifest = read_manifest(parent)
        shutil.copyfile(parent / MANIFEST, folder / f"{manifest['sha256']}.json")
        for ancestor in sorted((parent / LINEAGE).glob("*.json")):
            shutil.copyfile(ancestor, folder / ancestor.name)


def read_manifest(path: Path) -> dict[str, Any]:
    file = path / MANIFEST
    if not file.is_file():
        reason = "it has no manifest.json" if path.is_dir() else "there is no such folder"
        raise ArtifactError(f"`{path}` is not a complete artifact: {reason}")
    return _load(file)


def artifact_of(path: Path) -> Path:
    """The artifact that a file belongs to: the folder above whose manifest names it. Any other path is itself."""
    for folder in path.parents[:2] if path.is_file() else ():
        if (folder / MANIFEST).is_file():
            return folder if path.relative_to(folder).as_posix() in read_manifest(folder)["files"] else path
    return path


def _load(file: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ArtifactError(f"`{file}` is not JSON: {error}") from error
    shape = {"kind": str, "files": dict, "parents": list, "sha256": str}
    if not isinstance(manifest, dict) or any(not isinstance(manifest.get(k), t) for k, t in shape.items()):
        raise ArtifactError(f"`{file}` is not a manifest of ours")
    if any(not isinstance(p, dict) or not {"kind", "name", "sha256"} <= set(p) for p in manifest["parents"]):
        raise ArtifactError(f"`{file}` is not a manifest of ours: its parents have no kind, name or sha256")
    return manifest


def ancestors(path: Path) -> list[dict[str, Any]]:
    """Manifests of `path` and of everything it was made from, nearest first, each once."""
    known = {f.stem: f for f in (path / LINEAGE).glob("*.json")}
    found: list[dict[str, Any]] = []
    queue, seen = [read_manifest(path)], set()
    while queue:
        manifest = queue.pop(0)
        if manifest["sha256"] in seen:
            continue
        seen.add(manifest["sha256"])
        found.append(manifest)
        for parent in manifest["parents"]:
            if parent["sha256"] in known:
                queue.append(_load(known[parent["sha256"]]))
    return found


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as the manifest says: what, and how."""

    where: str
    what: str


def verify(path: Path) -> list[Problem]:
    """Re-hash every file of `path` and walk its lineage; an empty list means that nothing was altered."""
    path = path.resolve()
    manifest = read_manifest(path)
    problems = _self_hash(manifest, f"{path.name}/{MANIFEST}")
    for name, digest in manifest["files"].items():
        file = path / name
        if not file.is_file():
            problems.append(Problem(f"{path.name}/{name}", "is missing"))
        elif (found := sha256_file(file)) != digest:
            problems.append(Problem(f"{path.name}/{name}", f"has sha256 {found[:12]}, the manifest says {digest[:12]}"))
    for name in sorted(_files(path)):
        if name != MANIFEST and not name.startswith(LINEAGE + "/") and name not in manifest["files"]:
            problems.append(Problem(f"{path.name}/{name}", "is not in the manifest"))
    return problems + _verify_lineage(path, manifest)


def _verify_lineage(path: Path, manifest: dict[str, Any]) -> list[Problem]:
    problems: list[Problem] = []
    seen: set[str] = set()
    wanted = [(p, path.name) for p in manifest["parents"]]
    while wanted:
        parent, child = wanted.pop(0)
        digest = parent["sha256"]
        if digest in seen:
            continue
        seen.add(digest)
        file = path / LINEAGE / f"{digest}.json"
        where = f"{path.name}/{LINEAGE}/{digest[:12]}.json"
        if not file.is_file():
            problems.append(Problem(where, f"is missing: the {parent['kind']} that {child} was made from"))
            continue
        try:
            found = _load(file)
        except ArtifactError:
            problems.append(Problem(where, f"is not a manifest any more: {child} was made from this {parent['kind']}"))
            continue
        problems += _self_hash(found, where)
        if found["sha256"] != digest:
            problems.append(Problem(where, f"says it is {found['sha256'][:12]}"))
        wanted += [(p, parent["name"]) for p in found["parents"]]
    for extra in sorted((path / LINEAGE).glob("*")):
        if extra.stem not in seen:
            problems.append(Problem(f"{path.name}/{LINEAGE}/{extra.name}", "is nobody's parent"))
    return problems


def _self_hash(manifest: dict[str, Any], where: str) -> list[Problem]:
    body = {k: v for k, v in manifest.items() if k != "sha256"}
    if (found := sha256_json(body)) != manifest["sha256"]:
        return [Problem(where, f"was edited: its content has sha256 {found[:12]}, it says {manifest['sha256'][:12]}")]
    return []
