"""Checkpoints: complete or absent, and enough of them to lose little.

`step-0000200/` holds `state.safetensors` (fp32 masters, moments, loads) and `state.json` (step, cursor,
record). It is filled under another name and renamed: what exists is whole, whenever the run is killed.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from creuset.core.errors import ArtifactError
from creuset.train.state import TrainState


def save(state: TrainState, folder: Path, *, record: dict[str, Any], keep: int) -> Path:
    """Publish the state as `folder/step-<n>`, then drop all but the newest `keep` checkpoints."""
    path = folder / f"step-{state.step:07d}"
    scratch = path.with_name(path.name + ".partial")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    save_file({n: t.contiguous() for n, t in state.tensors().items()}, scratch / "state.safetensors")
    scalars = {"step": state.step, "bad_steps": state.bad_steps, "cursor": state.cursor, "record": record}
    (scratch / "state.json").write_text(json.dumps(scalars))
    shutil.rmtree(path, ignore_errors=True)
    os.rename(scratch, path)
    for old in saved(folder)[:-keep]:
        shutil.rmtree(old)
    return path


def saved(folder: Path) -> list[Path]:
    """Complete checkpoints, oldest first."""
    return sorted(p for p in folder.glob("step-*") if p.suffix != ".partial" and (p / "state.json").is_file())


def restore(state: TrainState, path: Path) -> dict[str, Any]:
    """Put `state` back to what it was at `path`; return the run's record so far."""
    try:
        scalars = json.loads((path / "state.json").read_text())
        tensors = load_file(path / "state.safetensors", device=str(state.load_LE.device))
        missing = set(state.tensors()) - set(tensors)
        if missing:
            raise ArtifactError(f"`{path}` does not hold `{min(missing)}`")
        state.restore(tensors, scalars)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ArtifactError(
            f"checkpoint `{path}` is damaged: {error}", hint="delete it to go on from the one before"
        ) from error
    record: dict[str, Any] = scalars["record"]
    return record
