"""How far the planner can be trusted: what it says of runs whose speed was published.

Runs marked `fit` chose the constants. Runs marked `held out` did not; the error on them is that of a prediction.
"""

import statistics
from dataclasses import dataclass
from functools import cache

from creuset.core.errors import ConfigError
from creuset.model.config import ModelConfig
from creuset.plan.facts import Constants, PublicRun, constants, gpu, public_runs, table
from creuset.plan.layout import Layout
from creuset.plan.search import best
from creuset.plan.step import step
from creuset.plan.wall import goodput


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasuredRun:
    """A run whose tokens a second, or hours, somebody published."""

    name: str
    use: str  # fit, held out
    shape: str
    gpu: str
    gpus: int
    batch: int  # sequences a step
    context: int
    source: str
    fp8: bool = False
    stack: str = "tuned"
    unseen: bool = False  # nothing was changed after its error was seen
    layout: Layout | None = None  # None: not published; the planner takes the best it finds
    tokens_per_second: float | None = None  # of one GPU, while nothing fails
    tokens: float | None = None
    gpu_hours: float | None = None  # of the whole run, interruptions included


@dataclass(frozen=True, slots=True)
class JudgedRun:
    run: MeasuredRun
    layout: Layout
    hours: float  # GPU hours by the planner for the run's tokens (for 10^9 where only speed is known)
    published: float

    @property
    def error(self) -> float:
        return self.hours / self.published - 1


@cache
def config_of_run(name: str) -> ModelConfig:
    from creuset.model.formats.hf_config import from_hf

    run: PublicRun = public_runs()[name]
    return from_hf(run.config)


@cache
def measured_runs() -> tuple[MeasuredRun, ...]:
    found = []
    for row in table("runs.toml")["run"]:
        layout = row.pop("layout", None)
        run = MeasuredRun(**row, layout=None if layout is None else Layout(**layout))
        if run.use not in ("fit", "held out"):
            raise ConfigError(f"`{run.name}` of runs.toml is neither `fit` nor `held out`: {run.use}")
        if run.layout is not None and run.layout.gpus != run.gpus:
            raise ConfigError(f"the layout of `{run.name}` has {run.layout.gpus} GPUs, not {run.gpus}")
        found.append(run)
    return tuple(found)


def judge(run: MeasuredRun, k: Constants | None = None) -> JudgedRun:
    k = k or constants()
    config, machine = config_of_run(run.shape), gpu(run.gpu)
    layout, plain = run.layout, run.stack == "plain"
    if layout is None:
        layout = best(
            config,
            machine,
            gpus=run.gpus,
            batch=run.batch,
            context=run.context,
            fp8=run.fp8,
            k=k,
            plain=run.stack == "plain",
        ).layout
    taken = step(config, layout, machine, k, batch=run.batch, context=run.context, fp8=run.fp8, plain=plain)
    rate = run.batch * run.context / taken.seconds / run.gpus  # tokens a second of one GPU
    tokens = run.tokens or 1e9
    if run.gpu_hours is not None:
        return JudgedRun(run, layout, tokens / rate / 3600 / goodput(run.gpus), run.gpu_hours)
    assert run.tokens_per_second is not None
    return JudgedRun(run, layout, tokens / rate / 3600, tokens / run.tokens_per_second / 3600)


def verdicts(k: Constants | None = None) -> list[JudgedRun]:
    return [judge(run, k) for run in measured_runs()]


def median_error(found: list[JudgedRun], use: str) -> float:
    """The median of the errors' sizes."""
    return statistics.median(abs(one.error) for one in found if one.run.use == use)
