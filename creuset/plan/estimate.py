"""From a shape, a machine and an amount of text to memory, hours, money, energy and carbon. Arithmetic only.

Reading order: `PlanRequest` (what is planned), `estimate`. The time of a step is predicted by `plan.step` for the
fastest layout that fits (`plan.search`), or taken from a share of the peak that the reader names (`mfu`).
"""

from dataclasses import dataclass, replace
from math import log2

from creuset.core.errors import ConfigError
from creuset.model.config import ModelConfig
from creuset.model.count import forward_flops, kv_bytes, parameters
from creuset.plan.facts import Gpu, constants, thresholds
from creuset.plan.layout import Layout, why_not
from creuset.plan.memory import GIB, memory
from creuset.plan.offers import Offer, OfferedRun, carbon, quoted
from creuset.plan.search import Ranked, SearchResult, nothing_fits, search
from creuset.plan.step import step
from creuset.plan.wall import Losses, losses

# Rental price of an H800 hour in DeepSeek-V3's report (arXiv:2412.19437, table 1): an assumption for every GPU.
ASSUMED_PRICE = 2.0
# Tokens of a step grow with those of the run: B ~ D^0.383 (arXiv:2505.13738), 2^19 at 1.2e9 tokens (nanochat's log).
BATCH_AT, BATCH_TOKENS, BATCH_POWER = 1.2e9, 2**19, 0.383


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanRequest:
    tokens: float  # trained on
    context: int  # tokens of a sequence
    gpu: Gpu
    gpus: int
    batch: int | None = None  # sequences a step; None: by the rule above
    fp8: bool = False
    plain: bool = False  # PyTorch's own sharding instead of a program tuned for the machine
    layout: Layout | None = None  # None: the fastest that fits
    mfu: float | None = None  # share of the bf16 peak, restarts included; None: predicted
    price: float | None = None  # US dollars a GPU hour; None: ASSUMED_PRICE
    pue: float = 1.0  # energy of the hall over energy of the machines
    grid: float | None = None  # grams of CO2 a kilowatt-hour
    streams: int = 1  # served at once, for the KV cache
    offers: tuple[Offer, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanEstimate:
    flops: float
    flops_rule: float  # 6 x active parameters x tokens: the rule by which law and most reports count
    batch: int
    gpu_hours: float
    wall_days: float
    mfu: float  # of the bf16 peak, restarts included
    losses: Losses
    mwh: float
    tonnes_co2: float | None
    usd: float
    price: float
    offered: list[OfferedRun]
    chosen: Ranked
    found: SearchResult | None  # None: the layout was given
    weight_bytes: dict[str, float]  # to serve, by format
    kv_bytes_per_token: int
    kv_bytes: float
    crossed: list[str]  # thresholds of law at or below `flops_rule`

    @property
    def memory_gib_per_gpu(self) -> float:
        return self.chosen.memory.total / GIB


def batch_for(tokens: float, context: int, gpus: int) -> int:
    """Sequences of a step for a run of so many tokens: a multiple that can be split over this number of GPUs."""
    wanted = BATCH_TOKENS * (tokens / BATCH_AT) ** BATCH_POWER / context
    odd = gpus
    while odd % 2 == 0:
        odd //= 2
    doublings = round(log2(max(1.0, wanted / odd)))
    return int(odd * 2**doublings)


def estimate(config: ModelConfig, ask: PlanRequest) -> PlanEstimate:
    """ConfigError: no layout fits, or the given one does not, with what is missing."""
    count, machine = parameters(config), ask.gpu
    batch = ask.batch or batch_for(ask.tokens, ask.context, ask.gpus)
    flops = 3 * forward_flops(config, context=ask.context) * ask.tokens
    if ask.fp8 and not machine.fp8:
        raise ConfigError(f"{machine.name} has no products in 8 bits", hint="leave --fp8 out")
    found, chosen = _layout(config, ask, batch)
    lost = losses(ask.gpus)
    steps = ask.tokens / (batch * ask.context)
    if ask.mfu is None:
        hours = steps * chosen.time.seconds * ask.gpus / 3600 / lost.goodput
    else:
        hours = flops / (machine.bf16 * ask.mfu) / 3600
    rule = 6 * count.active * ask.tokens
    mwh = hours * machine.watts * ask.pue / 1e6
    price = ASSUMED_PRICE if ask.price is None else ask.price
    return PlanEstimate(
        flops=flops, flops_rule=rule, batch=batch, gpu_hours=hours, wall_days=hours / ask.gpus / 24,
        mfu=flops / (hours * 3600 * machine.bf16), losses=lost, mwh=mwh,
        tonnes_co2=None if ask.grid is None else carbon(mwh, ask.grid), usd=hours * price, price=price,
        offered=quoted(ask.offers, hours, machine.name, ask.gpus), chosen=chosen, found=found,
        weight_bytes={"bf16": 2.0 * count.total, "8-bit": 1.0625 * count.total, "4-bit": 0.5625 * count.total},
        kv_bytes_per_token=kv_bytes(config), kv_bytes=float(kv_bytes(config) * ask.context * ask.streams),
        crossed=[line.name for line in thresholds()[0] if rule > line.flops],
    )  # fmt: skip


def _layout(config: ModelConfig, ask: PlanRequest, batch: int) -> tuple[SearchResult | None, Ranked]:
    k = constants()
    if ask.layout is None:
        found = search(
            config, ask.gpu, gpus=ask.gpus, batch=batch, context=ask.context, fp8=ask.fp8, k=k, plain=ask.plain
        )
        if not found.ranked:
            raise nothing_fits(found, ask.gpu, ask.gpus)
        return found, found.ranked[0]
    given = ask.layout
    if given.gpus != ask.gpus:
        raise ConfigError(f"the layout has {given.gpus:,} GPUs, the cluster {ask.gpus:,}")
    if (reason := why_not(config, given, batch=batch, context=ask.context)) is not None:
        raise ConfigError(f"this layout can not be used: {reason}")
    needs = memory(config, given, context=ask.context, gpu_gib=ask.gpu.memory_gib, fp8=ask.fp8)
    if needs.total > ask.gpu.memory_gib * GIB:
        raise ConfigError(
            f"this layout needs {needs.total / GIB:,.1f} GiB on a GPU of {ask.gpu.memory_gib:g} GiB",
            hint="leave --layout out: the planner then looks for one that fits",
        )
    taken = step(config, given, ask.gpu, k, batch=batch, context=ask.context, fp8=ask.fp8, plain=ask.plain)
    return None, Ranked(given, needs, taken)


def at(config: ModelConfig, ask: PlanRequest, gpus: int) -> PlanEstimate | None:
    """The same run on another number of GPUs; None when nothing fits."""
    try:
        return estimate(config, replace(ask, gpus=gpus, layout=None, offers=()))
    except ConfigError:
        return None
