"""The figures of `facts.toml` and the shapes of `public_runs.toml`, read once and typed."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicRun:
    """A model whose shape its maker published. What was not published is None."""

    title: str
    config: dict[str, Any]  # of its config.json, as Hugging Face writes it
    source: str
    tokens: float | None = None
    context: int | None = None  # tokens of a sequence in pre-training
    gpu: str | None = None
    gpus: int | None = None


@cache
def _facts() -> dict[str, Any]:
    return _table("facts.toml")


def _table(name: str) -> dict[str, Any]:
    with (Path(__file__).parent / name).open("rb") as stream:
        return tomllib.load(stream)


@cache
def public_runs() -> dict[str, PublicRun]:
    """By the name that `creuset plan` takes."""
    return {name: PublicRun(**run) for name, run in _table("public_runs.toml").items()}


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
