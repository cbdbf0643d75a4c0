"""The layouts that fit a machine, best first, and why others do not."""

from collections import Counter
from dataclasses import dataclass

from creuset.core.errors import ConfigError
from creuset.model.config import ModelConfig
from creuset.plan.facts import Constants, Gpu
from creuset.plan.layout import Layout, candidates, why_not
from creuset.plan.memory import GIB, Memory, memory
from creuset.plan.step import StepTime, step


@dataclass(frozen=True, slots=True)
class Ranked:
    layout: Layout
    memory: Memory
    time: StepTime


@dataclass(frozen=True, slots=True)
class SearchResult:
    ranked: list[Ranked]  # fastest first
    refused: Counter[str]  # reason: layouts
    closest: Ranked | None  # of those that do not fit in memory, the one that needs least


def search(
    config: ModelConfig, gpu: Gpu, *, gpus: int, batch: int, context: int, fp8: bool, k: Constants, plain: bool = False
) -> SearchResult:
    ranked: list[Ranked] = []
    refused: Counter[str] = Counter()
    closest: Ranked | None = None

    def timed(layout: Layout) -> StepTime:
        return step(config, layout, gpu, k, batch=batch, context=context, fp8=fp8, plain=plain)

    for layout in candidates(config, gpus=gpus, node=gpu.node, batch=batch, context=context):
        reason = why_not(config, layout, batch=batch, context=context)
        if reason is not None:
            refused[reason] += 1
            continue
        needs = memory(config, layout, context=context, gpu_gib=gpu.memory_gib, fp8=fp8)
        if needs.total > gpu.memory_gib * GIB:
            refused[f"needs more than the {gpu.memory_gib:g} GiB of a GPU"] += 1
            if closest is None or needs.total < closest.memory.total:
                closest = Ranked(layout, needs, timed(layout))
            continue
        ranked.append(Ranked(layout, needs, timed(layout)))
    ranked.sort(key=lambda one: one.time.seconds)
    return SearchResult(ranked, refused, closest)


def best(
    config: ModelConfig, gpu: Gpu, *, gpus: int, batch: int, context: int, fp8: bool, k: Constants, plain: bool = False
) -> Ranked:
    """The fastest layout that fits. ConfigError: none does, with what is missing."""
    found = search(config, gpu, gpus=gpus, batch=batch, context=context, fp8=fp8, k=k, plain=plain)
    if not found.ranked:
        raise nothing_fits(found, gpu, gpus)
    return found.ranked[0]


def nothing_fits(found: SearchResult, gpu: Gpu, gpus: int) -> ConfigError:
    if found.closest is not None:
        needs = found.closest.memory.total / GIB
        return ConfigError(
            f"no layout fits {gpus:,} {gpu.name} of {gpu.memory_gib:g} GiB: the smallest needs {needs:,.1f} GiB on "
            f"a GPU ({found.closest.layout.words()})",
            hint="take more GPUs, or GPUs with more memory",
        )
    reason = found.refused.most_common(1)
    return ConfigError(
        f"no layout can split this model over {gpus:,} GPUs" + (f": {reason[0][0]}" if reason else ""),
        hint="choose another number of GPUs or another --batch",
    )
