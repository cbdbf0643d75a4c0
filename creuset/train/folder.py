"""The folder of a run: whose it is, what it was told, what its machine chose.

settings.json     identity, stage, settings with every choice filled in, inputs by hash, choices with their timings
events.jsonl      one line a step          loss.html      the same as plots
attempts.jsonl    one line a few seconds   checkpoints/   train/checkpoint.py
model/            when the run is finished
"""

import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from creuset.core.artifact import MANIFEST, read_manifest
from creuset.core.config import resolved
from creuset.core.errors import ArtifactError, ConfigError
from creuset.train.choices import fill, left_open
from creuset.train.settings import Training

FILE = "settings.json"
S = TypeVar("S", bound=Training)


@dataclass(slots=True)
class Run:
    """What `settings.json` holds. `arguments` are the paths and flags that `resume` needs to find the inputs again."""

    stage: str
    settings: dict[str, Any]
    inputs: dict[str, str]  # name -> sha256
    arguments: dict[str, Any]
    choices: list[dict[str, Any]] = field(default_factory=list)  # the newest last
    id: str = field(default_factory=lambda: secrets.token_hex(6))

    @property
    def chosen(self) -> dict[str, Any]:
        """What the machine chose last: name of the setting -> value."""
        return dict(self.choices[-1]["values"]) if self.choices else {}

    def write(self, folder: Path) -> None:
        """Put it in the place of an older one, whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / (FILE + ".partial")
        partial.write_text(json.dumps(asdict(self), indent=2) + "\n")
        os.replace(partial, folder / FILE)


def read(folder: Path) -> Run | None:
    """The run that lives in `folder`; None when there is none yet."""
    file = folder / FILE
    if not file.is_file():
        return None
    try:
        return Run(**json.loads(file.read_text()))
    except (ValueError, TypeError) as error:
        raise ArtifactError(f"`{file}` is damaged: {error}", hint="begin the run anew in another folder") from error


def adopt(run: Run, settings: S) -> S:
    """`settings` with what they leave open taken from `run`."""
    return fill(settings, {name: run.chosen[name] for name in left_open(settings) if name in run.chosen})


def refuse_others(folder: Path, run: Run, settings: Training, inputs: dict[str, str]) -> None:
    """Raise ConfigError when `folder` is the run of other settings or inputs; the first difference is named."""
    known = {"settings": run.settings, "inputs": run.inputs}
    wanted = {"settings": resolved(settings), "inputs": inputs}
    if different := first_difference(known, json.loads(json.dumps(wanted))):
        path, old, new = different
        raise ConfigError(
            f"`{folder}` is a run with other settings: {path} was {old!r}, now {new!r}",
            hint="choose another --out, or give the settings it was begun with",
        )


def first_difference(a: Any, b: Any, path: str = "") -> tuple[str, Any, Any] | None:
    """Path and both values of the first place where two JSON values differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted({*a, *b}):
            if found := first_difference(a.get(key), b.get(key), f"{path}.{key}" if path else key):
                return found
        return None
    return None if a == b else (path, a, b)


def finished(folder: Path) -> bool:
    """Whether the run's model exists."""
    return (folder / "model" / MANIFEST).is_file()


def refuse_a_strangers_model(folder: Path) -> None:
    """Raise ArtifactError when `folder` has a model and does not say which run made it."""
    if finished(folder) and read(folder) is None:
        made = read_manifest(folder / "model")["sha256"][:12]
        raise ArtifactError(
            f"`{folder}` holds the finished model {made} and no {FILE}: which settings made it is not known",
            hint="choose another --out",
        )
