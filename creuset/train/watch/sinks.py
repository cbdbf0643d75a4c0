"""Where else a run's events go: TensorBoard or Weights & Biases, when they are asked for.

Both packages are the user's to install; nothing is sent anywhere unless `wandb` was named.
"""

import importlib
from pathlib import Path
from typing import Any, Protocol

from creuset.core.errors import ConfigError

NAMES = ("tensorboard", "wandb")


class Sink(Protocol):
    def scalars(self, step: int, values: dict[str, float]) -> None: ...
    def close(self) -> None: ...


class TensorBoardSink:
    """Event files in the run folder's `tensorboard/`."""

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise _missing("tensorboard", error) from error
        self._writer: Any = SummaryWriter(str(folder / "tensorboard"))

    def scalars(self, step: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class WandbSink:
    """A run of Weights & Biases, named like ours. WANDB_MODE=offline keeps it on this machine."""

    def __init__(self, folder: Path, name: str, settings: dict[str, Any]) -> None:
        try:
            wandb: Any = importlib.import_module("wandb")
        except ImportError as error:
            raise _missing("wandb", error) from error
        self._run: Any = wandb.init(project="creuset", name=name, dir=str(folder), config=settings, resume="allow")

    def scalars(self, step: int, values: dict[str, float]) -> None:
        self._run.log(values, step=step)

    def close(self) -> None:
        self._run.finish()


def sinks(names: tuple[str, ...], folder: Path, name: str, settings: dict[str, Any]) -> list[Sink]:
    """ConfigError for a name that is none, or a package that is not installed."""
    for one in names:
        if one not in NAMES:
            raise ConfigError(f"`{one}` is no place for events", hint=f"there are {' and '.join(NAMES)}")
    made: list[Sink] = []
    for one in dict.fromkeys(names):
        made.append(TensorBoardSink(folder) if one == "tensorboard" else WandbSink(folder, name, settings))
    return made


def numbers(fields: dict[str, Any], prefix: str) -> dict[str, float]:
    """The numbers among an event's fields, by names with slashes; nested ones too."""
    found: dict[str, float] = {}
    for name, value in fields.items():
        if isinstance(value, dict):
            found |= numbers(value, f"{prefix}/{name}")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[f"{prefix}/{name}"] = float(value)
    return found


def _missing(name: str, error: ImportError) -> ConfigError:
    return ConfigError(f"--log {name} needs the package {name}: {error}", hint=f"pip install {name}")
