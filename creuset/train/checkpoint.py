"""Checkpoints: complete or absent, whole or refused, and enough of them to lose little.

`step-0000200/` is an artifact (core/artifact.py) whose manifest has the hash of each file and the identity of its
run. It holds `state.safetensors` (fp32 masters, moments, loads) and `state.json` (step, cursor, record). It is
filled under another name and renamed, and older ones are dropped only then: a full disk loses nothing.
"""

import json
import re
import shutil
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from creuset.core.artifact import new_artifact, read_manifest, verify
from creuset.core.errors import ArtifactError
from creuset.core.log import say
from creuset.model.formats.tensors import write
from creuset.train.state import TrainState

REFUSED = ".refused"


def save(state: TrainState, folder: Path, *, run: str, record: dict[str, Any], keep: int) -> Path:
    """Publish the state of the run `run` as `folder/step-<n>`, then drop all but the newest `keep` checkpoints."""
    path = folder / f"step-{state.step:07d}"
    if path.exists():  # of an attempt whose steps were lost
        shutil.rmtree(path)
    with new_artifact(path, kind="checkpoint", facts={"run": run, "step": state.step}) as scratch:
        write({n: t.contiguous() for n, t in state.tensors().items()}, scratch / "state.safetensors")
        (scratch / "state.json").write_text(json.dumps(state.scalars() | {"record": record}))
    for old in saved(folder)[:-keep]:
        shutil.rmtree(old)
    return path


def saved(folder: Path) -> list[Path]:
    """Checkpoints that were published and not refused, oldest first."""
    named = [p for p in folder.glob("step-*") if re.fullmatch(r"step-\d+", p.name)]
    return sorted(named, key=lambda p: int(p.name.removeprefix("step-")))


def newest(folder: Path, *, run: str) -> Path | None:
    """The newest checkpoint that is whole and belongs to `run`; None when there never was one.

    Others are named, and set aside under a name that ends in `.refused`. Raises ArtifactError when all are refused:
    beginning anew in silence would throw the work away.
    """
    found = saved(folder)
    for path in reversed(found):
        try:
            check(path, run=run)
            return path
        except ArtifactError as error:
            aside = path.with_name(path.name + REFUSED)
            shutil.rmtree(aside, ignore_errors=True)
            path.rename(aside)
            say(f"{error}; it is set aside as `{aside.name}`, and the one before it is tried")
    if found:
        raise ArtifactError(
            f"none of the {len(found)} checkpoints of `{folder}` can be used",
            hint="delete the folder of the run to begin anew, or choose another --out",
        )
    return None


def check(path: Path, *, run: str) -> None:
    """Raise ArtifactError naming the file that is not as it was written, or the run that wrote the checkpoint."""
    if problems := verify(path):
        raise ArtifactError(f"checkpoint `{path.name}` is damaged: {problems[0].where} {problems[0].what}")
    if (owner := read_manifest(path)["facts"].get("run")) != run:
        raise ArtifactError(f"checkpoint `{path.name}` belongs to the run {owner}, not to this one ({run})")


def restore(state: TrainState, path: Path) -> dict[str, Any]:
    """Put `state` back to what it was at `path`; return the run's record so far."""
    try:
        scalars = json.loads((path / "state.json").read_text())
        tensors = load_file(path / "state.safetensors", device=str(state.load_LE.device))
        missing = set(state.tensors()) - set(tensors)
        if missing:
            raise ArtifactError(f"checkpoint `{path.name}` does not hold `{min(missing)}`")
        state.restore(tensors, scalars)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ArtifactError(f"checkpoint `{path.name}` cannot be read: {error}") from error
    record: dict[str, Any] = scalars["record"]
    return record
