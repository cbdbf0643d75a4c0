"""From a workload to memory, hours, energy and money. Arithmetic only; every assumption is a named number.

Reading order: `Ask` (what is planned), `estimate`, `against_published` (how far the arithmetic can be trusted).
"""

from dataclasses import dataclass
from typing import Any

from creuset.plan.facts import Gpu, Published, gpu, published, thresholds
from creuset.plan.workload import REFERENCE, Workload

GIB = 2**30

# Of the bf16 peak, end to end with restarts, by `model.count`'s formula. The two published runs reached 39 %
# (DeepSeek-V3, helped by FP8) and 36 % (Llama-3.1-405B); by 6 x parameters x tokens both are 35 %.
MFU = 0.37

# bf16 weight and gradient, fp32 master weight, two fp32 moments of AdamW. Muon keeps one moment on matrices: less.
TRAINING_BYTES = {"weights": 2, "gradients": 2, "master weights": 4, "optimizer": 8}


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanRequest:
    tokens: float  # trained on
    context: int  # tokens of a sequence
    gpu: Gpu
    gpus: int
    mfu: float = MFU
    price: float | None = None  # a GPU hour, in the reader's currency
    pue: float = 1.0  # energy of the hall over energy of the machines
    streams: int = 1  # served at once, for the KV cache


@dataclass(frozen=True, slots=True)
class PlanEstimate:
    flops: float
    flops_rule: float  # 6 x active parameters x tokens
    gpu_hours: float
    days: float
    mwh: float
    cost: float | None
    training_bytes: dict[str, float]  # whole model, over all GPUs
    activation_bytes: float  # one sequence on one GPU, blocks recomputed
    training_gib_per_gpu: float
    fits: bool
    weight_bytes: dict[str, float]  # to serve, by format
    kv_bytes_per_token: int
    kv_bytes: float
    crossed: list[str]  # thresholds of law at or below `flops_rule`


def estimate(work: Workload, ask: PlanRequest) -> PlanEstimate:
    flops = work.training_flops(tokens=ask.tokens, context=ask.context)
    hours = flops / (ask.gpu.bf16 * ask.mfu) / 3600
    state = {name: float(size * work.total) for name, size in TRAINING_BYTES.items()}
    activations = activation_bytes(work, ask.context)
    per_gpu = sum(state.values()) / ask.gpus + activations
    rule = work.rule_of_thumb(ask.tokens)
    return PlanEstimate(
        flops=flops,
        flops_rule=rule,
        gpu_hours=hours,
        days=hours / ask.gpus / 24,
        mwh=hours * ask.gpu.watts * ask.pue / 1e6,
        cost=None if ask.price is None else hours * ask.price,
        training_bytes=state,
        activation_bytes=activations,
        training_gib_per_gpu=per_gpu / GIB,
        fits=per_gpu / GIB <= ask.gpu.memory_gib,
        weight_bytes={"bf16": 2.0 * work.total, "8-bit": 1.0625 * work.total, "4-bit": 0.5625 * work.total},
        kv_bytes_per_token=work.kv_bytes,
        kv_bytes=float(work.kv_bytes * ask.context * ask.streams),
        crossed=[line.name for line in thresholds()[0] if rule > line.flops],
    )


def activation_bytes(work: Workload, context: int) -> float:
    """Rough: every block's input in bf16, the values inside one block, and the logits of the sequence in fp32."""
    return context * (2.0 * work.layers * work.hidden + 2.0 * work.block_values + 4.0 * work.vocab_size)


def against_published(run: Published, mfu: float = MFU) -> dict[str, Any]:
    """Our hours for a published run beside its own, by the formula and by the rule of thumb at 35 %."""
    work, machine = REFERENCE[run.shape](), gpu(run.gpu)
    flops = work.training_flops(tokens=run.tokens, context=run.context)
    ours = flops / (machine.bf16 * mfu) / 3600
    rule = work.rule_of_thumb(run.tokens) / (machine.bf16 * 0.35) / 3600
    return {
        "name": run.name,
        "gpu_hours_published": run.gpu_hours,
        "gpu_hours": ours,
        "difference": ours / run.gpu_hours - 1,
        "difference_by_rule_at_35_percent": rule / run.gpu_hours - 1,
        "mfu_it_reached": flops / (run.gpu_hours * 3600 * machine.bf16),
        "source": run.source,
    }


def trust(mfu: float = MFU) -> list[dict[str, Any]]:
    return [against_published(run, mfu) for run in published()]
