"""The figures of `facts.toml`, read once and typed."""

import difflib
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from creuset.core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Gpu:
    name: str
    bf16: float  # FLOP/s, dense peak
    memory_gib: float
    watts: float


@dataclass(frozen=True, slots=True)
class Threshold:
    flops: float
    name: str
    source: str


@dataclass(frozen=True, slots=True)
class Published:
    """A run whose hours somebody published."""

    name: str
    shape: str
    tokens: float
    context: int
    gpu: str
    gpus: int
    gpu_hours: float
    source: str


@cache
def _facts() -> dict[str, Any]:
    with (Path(__file__).parent / "facts.toml").open("rb") as stream:
        return tomllib.load(stream)


def gpu(name: str) -> Gpu:
    known = _facts()["gpu"]
    if name.lower() not in known:
        near = difflib.get_close_matches(name.lower(), known, n=1)
        raise ConfigError(
            f"`{name}` is not a GPU that the planner knows",
            hint=f"did you mean `{near[0]}`?" if near else f"it knows {', '.join(known)}",
        )
    return Gpu(name=name.lower(), **known[name.lower()])


def thresholds() -> tuple[list[Threshold], str]:
    """The lines that law draws on training compute, lowest first, and as of when."""
    table = _facts()["thresholds"]
    return [Threshold(**line) for line in table["line"]], table["as_of"]


def published() -> list[Published]:
    return [Published(**run) for run in _facts()["published"]]
