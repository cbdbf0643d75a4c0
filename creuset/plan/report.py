"""The planner's page: plain text, one fact a line, each assumption named."""

import textwrap

from creuset.model.config import ModelConfig
from creuset.model.count import Parameters, forward_flops
from creuset.plan.estimate import GIB, PlanEstimate, PlanRequest, trust
from creuset.plan.facts import thresholds


def page(name: str, note: str, config: ModelConfig, count: Parameters, ask: PlanRequest, found: PlanEstimate) -> str:
    forward = forward_flops(config, context=ask.context)
    rows = [
        (
            "shape",
            f"{name}: {config.family}, {config.layers} layers of {config.hidden}, {_heads(config)}{_experts(config)}",
        ),
        ("", note),
        ("parameters", f"{short(count.total)} total, {short(count.active)} active a token"),
        (
            "",
            f"embedding {short(count.embedding + count.head)}, attention {short(count.attention)}, "
            f"experts {short(count.experts)}, shared and dense {short(count.shared + count.dense)}",
        ),
        (
            "work a token",
            f"{short(forward)}FLOP forward at {ask.context:,} tokens of context, {short(3 * forward)}FLOP trained",
        ),
        (
            "training",
            f"{short(ask.tokens)} tokens: {found.flops:.2e} FLOP ({found.flops_rule:.2e} by 6 x active x tokens)",
        ),
        (
            "time",
            f"{found.gpu_hours:,.4g} GPU hours: {_span(found.days)} on {ask.gpus:,} {ask.gpu.name} "
            f"at {100 * ask.mfu:g} % of {ask.gpu.bf16 / 1e12:,.4g} TFLOP/s",
        ),
        ("energy", f"{_energy(found.mwh)} (rated power of the GPUs, {ask.gpu.watts:g} W each, PUE {ask.pue:g})"),
        ("cost", "" if found.cost is None else f"{found.cost:,.4g} at {ask.price:g} a GPU hour"),
        (
            "memory",
            f"{_size(sum(found.training_bytes.values()))} of training state: "
            + ", ".join(f"{name} {_size(size)}" for name, size in found.training_bytes.items()),
        ),
        (
            "",
            f"{_size(found.training_gib_per_gpu * GIB)} a GPU when evenly split, of which about "
            f"{_size(found.activation_bytes)} of activations for one sequence: "
            f"{'fits' if found.fits else 'does not fit'} in {ask.gpu.memory_gib:g} GiB",
        ),
        ("serving", ", ".join(f"{name} weights {_size(size)}" for name, size in found.weight_bytes.items())),
        (
            "",
            f"KV cache {found.kv_bytes_per_token:,} bytes a token, {_size(found.kv_bytes)} for "
            f"{ask.streams:,} x {ask.context:,} tokens",
        ),
    ]
    law, as_of = thresholds()
    for line in law:
        side = "above" if found.flops_rule > line.flops else "below"
        rows.append(("threshold", f"{side} {line.flops:.0e} FLOP, {line.name} (as of {as_of}; {line.source})"))
    for run in trust():
        rows.append(
            (
                "trust",
                (
                    f"{run['name']}: {run['gpu_hours']:,.4g} GPU hours by this arithmetic, "
                    f"{run['gpu_hours_published']:,.4g} published ({100 * run['difference']:+.1f} %)"
                ),
            )
        )
    indent = " " * 14
    return "\n".join(
        textwrap.fill(f"{label:<13} {text}", 118, subsequent_indent=indent) for label, text in rows if text
    )


def _heads(config: ModelConfig) -> str:
    if config.latent is not None:
        return f"{config.heads} heads of latent attention ({config.latent.kv_rank} + {config.latent.rope} kept)"
    return f"{config.heads}/{config.kv_heads} heads of {config.head_dim}"


def _experts(config: ModelConfig) -> str:
    if not config.is_moe:
        return f", feed-forward {config.ffn}"
    shared = f" and a shared one of {config.shared_ffn}" if config.shared_ffn else ""
    return f", {config.experts} experts of {config.expert_ffn}, {config.experts_per_token} a token{shared}"


def _span(days: float) -> str:
    if days >= 1:
        return f"{days:,.4g} days"
    if days >= 1 / 24:
        return f"{24 * days:.3g} hours"
    return f"{1440 * days:.3g} minutes" if days >= 1 / 1440 else f"{86400 * days:.3g} seconds"


def _size(count: float) -> str:
    """Bytes for people: `2.875 GiB`."""
    return f"{count / GIB:,.4g} GiB" if count >= GIB / 10 else f"{count / 2**20:,.4g} MiB"


def _energy(mwh: float) -> str:
    return f"{mwh:,.4g} MWh" if mwh >= 1 else f"{1e3 * mwh:,.4g} kWh" if mwh >= 1e-3 else f"{1e6 * mwh:,.4g} Wh"


def short(value: float) -> str:
    """`271343816704` -> `271.3 G`."""
    for size, letter in ((1e21, "Z"), (1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.4g} {letter}"
    return f"{value:.4g} "
