"""`creuset verify`: walk an artifact's chain, re-hash what is at hand, say what is broken."""

import argparse
import importlib
import json
from pathlib import Path

from creuset.core.artifact import ancestors, artifact_of, read_manifest, verify
from creuset.core.errors import ArtifactError
from creuset.model.hub import SHIPPED, shipped_models
from creuset.model.store.origin import known
from creuset.model.store.shelf import pulled


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, help="folder of an artifact, or the name of a model")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def main(args: argparse.Namespace) -> int:
    args.path = _folder(args.path)
    if args.path.is_file():
        raise ArtifactError(
            f"`{args.path}` is a file: what can be verified is a folder with a manifest.json",
            hint="what `creuset pull` fetched is verified by its name",
        )
    problems = verify(args.path)
    kind = read_manifest(args.path)["kind"]
    module = args.checks.get(kind)
    if module and not problems:  # what is damaged is not read further
        problems = importlib.import_module(module).check(args.path)
    limits = importlib.import_module(module).limits(args.path) if module and not problems else []
    origin = known(args.path) if kind == "model" and not problems else []
    try:
        chain = ancestors(args.path)
    except ArtifactError:  # a manifest of the lineage is damaged: `problems` says which
        chain = [read_manifest(args.path)]
    if args.json:
        print(
            json.dumps(
                {
                    "path": str(args.path),
                    "ok": not problems,
                    "origin": origin,
                    "limits": limits,
                    "problems": [{"where": p.where, "what": p.what} for p in problems],
                    "chain": [{"kind": m["kind"], "sha256": m["sha256"], "parents": m["parents"]} for m in chain],
                },
                indent=2,
            )
        )
        return 1 if problems else 0
    names = {p["sha256"]: p["name"] for m in chain for p in m["parents"]}
    for depth, manifest in enumerate(chain):
        name = args.path.resolve().name if depth == 0 else names.get(manifest["sha256"], "?")
        here = f"{len(manifest['files'])} files re-hashed"
        state = here if depth == 0 else "manifest re-hashed, its files are not here"
        print(f"{manifest['kind']:<12} {name:<24} {manifest['sha256'][:12]}  {state}")
    for problem in problems:
        print(f"BROKEN  {problem.where} {problem.what}")
    for fact in origin:
        print(f"ORIGIN  {fact}")
    for limit in limits:
        print(f"NOT PROVED  {limit}")
    print(
        "broken"
        if problems
        else "whole as far as it could be read"
        if limits and not origin
        else "whole: nothing was altered" + (" in the files that are here" if len(chain) > 1 else "")
    )
    return 1 if problems else 0


def _folder(path: Path) -> Path:
    """The folder of an artifact: `path`, the one that a file belongs to, or where the model of this name lies."""
    if path.exists() or len(path.parts) > 2:
        return artifact_of(path)
    if str(path) in shipped_models():
        return SHIPPED / path
    found = pulled(str(path))
    return found.folder if found else path
