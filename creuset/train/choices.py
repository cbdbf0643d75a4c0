"""What a machine chooses for a run, once: device, kernel of the experts, precision, threads.

A setting left at `auto` (threads: 0) is chosen when the run begins, by timing real training steps of this model on
its own batches. The choice becomes part of the run's settings and of its record, and a resumed run obeys it: a
stopwatch never decides twice what is computed.

Reading order: `choose` (pure, given a timer), `StepTimer` (the timer), `unavailable` (what a resumed run asks).
"""

import copy
import math
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any, TypeVar

import torch

from creuset.core import device as devices
from creuset.core.config import with_overrides
from creuset.core.log import say
from creuset.data.shards.batches import Batch
from creuset.model import fused
from creuset.model.config import ModelConfig
from creuset.model.moe import can_group
from creuset.model.transformer import Transformer
from creuset.parallel import ranks
from creuset.train.objectives import Objective
from creuset.train.settings import Training
from creuset.train.state import DTYPES, TrainState
from creuset.train.step import train_step

S = TypeVar("S", bound=Training)

NAMES = ("device", "kernels", "precision", "expert_kernel", "threads", "optim.muon_precision")
MARGIN = 1.1  # how many times faster something must be than what is tried before it
STEPS = 3  # that are timed for one way to compute, after one that is not
HOPELESS = 3.0  # a way whose first step takes so many times the best one is not timed further


def value(settings: Training, name: str) -> Any:
    return reduce(getattr, name.split("."), settings)


def left_open(settings: Training) -> list[str]:
    """Names of the settings that the machine is to choose."""
    return [name for name in NAMES if value(settings, name) in ("auto", 0)]


def fill(settings: S, values: Mapping[str, Any]) -> S:
    """`settings` with each of `values` (name -> value) in its place."""
    return with_overrides(settings, [f"{name}={chosen}" for name, chosen in values.items()])


def choose(
    settings: S, model: ModelConfig, seconds: Callable[[S], float], *, device: torch.device
) -> tuple[S, list[dict[str, Any]]]:
    """`settings` with nothing left open, and what was timed: the settings tried and their seconds.

    `seconds`: how long a training step takes with the settings that it is given, which leave nothing open. It is
    asked only where there is a choice. The plainest way (fp32, exact, all threads) wins unless another one is 10 %
    faster.
    """
    open_ = left_open(settings)
    timed: list[dict[str, Any]] = []

    def measured(tried: S) -> float:
        values = {name: value(tried, name) for name in open_}
        known = next((row["seconds"] for row in timed if row["values"] == values), None)
        if known is None:
            known = seconds(tried)
            timed.append({"values": values, "seconds": known})
        return float(known)

    def fastest(ways: Sequence[S]) -> S:
        best = ways[0]
        for other in ways[1:]:
            if measured(best) > MARGIN * measured(other):
                best = other
        return best

    def options(base: S, name: str) -> list[S]:
        if name not in open_:
            return [base]
        return [fill(base, {name: option}) for option in possible(name, base, model, device)]

    # What is not decided yet is tried at its first possibility.
    plain = settings
    for name in NAMES:
        plain = options(plain, name)[0]
    # Which kernel is best depends on the precision: both together. The rest one after the other.
    ways = [w for p in options(plain, "precision") for w in options(p, "expert_kernel")]
    best = fastest(ways)
    for name in ("threads", "optim.muon_precision"):
        best = fastest(options(best, name))
    return best, timed


def possible(name: str, settings: Training, model: ModelConfig, device: torch.device) -> list[Any]:
    """What this machine can do for the setting `name`, the plainest first."""
    if name == "device":
        return [device.type]
    if name == "threads":
        most = torch.get_num_threads()
        return [most, 1] if device.type == "cpu" and most > 1 else [most]
    if name == "kernels":
        return ["native" if device.type == "cpu" and fused.available() else "torch"]
    if name == "expert_kernel":
        if not model.is_moe:
            return ["exact"]
        dtype = DTYPES["bf16" if settings.precision == "bf16" else "fp32"]
        grouped = can_group(device, dtype, model.hidden, model.expert_ffn)
        return ["exact", "padded", *(["grouped"] if grouped else [])]
    if name == "optim.muon_precision" and (settings.precision == "fp32" or settings.optim.matrices != "muon"):
        return ["fp32"]  # fp32 settings mean fp32 everywhere
    if not devices.has_bf16(device):
        return ["fp32"]
    return ["fp32", "bf16"] if device.type == "cpu" else ["bf16"]  # a GPU that has bf16 is always faster in it


def unavailable(chosen: Mapping[str, Any], model: ModelConfig, device: torch.device) -> list[str]:
    """What of an earlier choice this machine cannot do, each with the reason; an empty list when it can do all."""
    problems = []
    if chosen.get("device", device.type) != device.type:
        problems.append(f"device {chosen['device']} (here is {device.type} only)")
    if device.type == "cpu" and (threads := int(chosen.get("threads", 1))) > (cores := cores_here()):
        problems.append(f"threads {threads} (here are {cores} cores)")
    for name in ("precision", "optim.muon_precision"):
        if chosen.get(name) == "bf16" and not devices.has_bf16(device):
            problems.append(f"{name} bf16 (this {device.type} has no bf16 products)")
    if chosen.get("kernels") == "native" and (device.type != "cpu" or not fused.available()):
        problems.append("kernels native (the native library is not here, or the device is no CPU)")
    if chosen.get("expert_kernel") == "grouped" and not can_group(
        device, torch.bfloat16, model.hidden, model.expert_ffn
    ):
        problems.append("expert_kernel grouped (it needs a GPU)")
    return problems


def cores_here() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class StepTimer:
    """Seconds of a training step: the first micro-batch of the run and the update, on a copy of the model.

    Ranks measure together, and all of them get what the first one measured.
    """

    def __init__(
        self,
        model: Transformer,
        batches: Sequence[Batch],
        objective: Objective,
        device: torch.device,
        *,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.model, self.batches, self.objective, self.device, self.clock = model, batches[:1], objective, device, clock
        self.best = math.inf

    def __call__(self, settings: Training) -> float:
        """The median of `STEPS` steps."""
        if self.best == math.inf and ranks.rank() == 0:
            say("timing training steps to choose how to compute")
        before = torch.get_num_threads()
        torch.set_num_threads(settings.threads or before)
        try:
            state = TrainState.begin(copy.deepcopy(self.model), settings, self.device)
            first = self._step(state)
            # A first step also fills caches: what is hopeless by that measure stays so.
            times = [first] if first > HOPELESS * self.best else [self._step(state) for _ in range(STEPS)]
        finally:
            torch.set_num_threads(before)
        taken = ranks.from_lead(statistics.median(times))
        self.best = min(self.best, taken)
        return taken

    def _step(self, state: TrainState) -> float:
        devices.synchronize(self.device)
        begun = self.clock()
        train_step(state, self.batches, self.objective)
        devices.synchronize(self.device)
        return ranks.from_lead(self.clock() - begun)
