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
    fp8: float  # the same in 8 bits; 0: it has none
    memory: float  # bytes a second
    node_link: float  # bytes a second that one GPU sends to others of its node
    network: float  # the same to other nodes
    node: int  # GPUs of a node
    memory_gib: float
    watts: float


@dataclass(frozen=True, slots=True)
class Constants:
    """What machines reach of their data sheets (shares), seconds that a block costs at least, shares of waiting."""

    products: float
    products_fp8: float
    experts: float  # of what dense products reach, in grouped products
    attention: float
    routing: float  # passes over the rows that are sorted for the experts and back
    launch: float
    launch_moe: float
    plain: float  # time of PyTorch's own sharding over that of a tuned program
    plain_moe: float  # the same where layers have experts
    waited_tensor: float
    waited_expert: float
    waited_data: float
    memory: float
    network: float


@dataclass(frozen=True, slots=True)
class Reliability:
    """How often a run is interrupted, and what each interruption costs."""

    interruptions: float
    days: float
    gpus: float
    restart_minutes: float
    source: str

    @property
    def gpu_hours_between(self) -> float:
        return self.gpus * self.days * 24 / self.interruptions


@dataclass(frozen=True, slots=True)
class Threshold:
    flops: float
    name: str
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
    return table("facts.toml")


def table(name: str) -> dict[str, Any]:
    """A file of figures beside this one."""
    with (Path(__file__).parent / name).open("rb") as stream:
        return tomllib.load(stream)


@cache
def public_runs() -> dict[str, PublicRun]:
    """By the name that `creuset plan` takes."""
    return {name: PublicRun(**run) for name, run in table("public_runs.toml").items()}


def gpu_names() -> list[str]:
    return list(_facts()["gpu"])


def gpu(name: str) -> Gpu:
    known = _facts()["gpu"]
    if name.lower() not in known:
        near = difflib.get_close_matches(name.lower(), known, n=1)
        raise ConfigError(
            f"`{name}` is not a GPU that the planner knows",
            hint=f"did you mean `{near[0]}`?" if near else f"it knows {', '.join(known)}",
        )
    return Gpu(name=name.lower(), **known[name.lower()])


@cache
def constants() -> Constants:
    return Constants(**_facts()["constants"])


@cache
def reliability() -> Reliability:
    return Reliability(**_facts()["reliability"])


def thresholds() -> tuple[list[Threshold], str]:
    """The lines that law draws on training compute, lowest first, and as of when."""
    table = _facts()["thresholds"]
    return [Threshold(**line) for line in table["line"]], table["as_of"]
