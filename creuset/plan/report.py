"""The plan as text: one fact a line, each assumption named."""

import statistics
import textwrap
from dataclasses import asdict

from creuset.model.config import ModelConfig
from creuset.model.count import forward_flops, parameters
from creuset.plan.estimate import PlanEstimate, PlanRequest
from creuset.plan.facts import thresholds
from creuset.plan.memory import GIB
from creuset.plan.offers import OfferedRun
from creuset.plan.search import Ranked
from creuset.plan.trust import median_error, verdicts


def text(name: str, note: str, config: ModelConfig, ask: PlanRequest, found: PlanEstimate) -> str:
    """The plan in lines."""
    count, forward = parameters(config), forward_flops(config, context=ask.context)
    best, gpu = found.chosen, ask.gpu
    shape = f"{name}: {config.family}, {config.layers} layers of {config.hidden}, {_heads(config)}{_experts(config)}"
    measured = "predicted" if ask.mfu is None else "as asked"
    parts = ", ".join(f"{part} {_size(size)}" for part, size in asdict(best.memory).items())
    rows = [
        ("shape", shape),
        ("", note),
        ("parameters", f"{short(count.total)} total, {short(count.active)} active a token"),
        ("", f"embedding {short(count.embedding + count.head)}, attention {short(count.attention)}, "
             f"experts {short(count.experts)}, shared and dense {short(count.shared + count.dense)}"),
        ("work a token", f"{short(forward)}FLOP forward at {ask.context:,} tokens of context, "
                         f"{short(3 * forward)}FLOP trained"),
        ("training", f"{short(ask.tokens)} tokens: {found.flops:.2e} FLOP ({found.flops_rule:.2e} by 6 x active x "
                     f"tokens), {found.batch:,} sequences a step"),
        ("layout", f"{best.layout.words()}: {best.time.seconds:,.3g} s a step"),
        ("", _spent(best)),
        ("time", f"{found.gpu_hours:,.4g} GPU hours: {_span(found.wall_days)} on {ask.gpus:,} {gpu.name} at "
                 f"{100 * found.mfu:.3g} % of {gpu.bf16 / 1e12:,.4g} TFLOP/s ({measured}, restarts included)"),
        ("", f"an interruption every {found.losses.hours_between:,.3g} hours, a checkpoint every "
             f"{found.losses.checkpoint_minutes:,.3g} minutes: {100 * found.losses.goodput:.3g} % of the time counts"),
        ("energy", f"{_energy(found.mwh)} (rated power of the GPUs, {gpu.watts:g} W each, PUE {ask.pue:g})"),
        ("carbon", "" if found.tonnes_co2 is None else f"{found.tonnes_co2:,.4g} t of CO2 at {ask.grid:g} g a kWh"),
        ("cost", f"{found.usd:,.4g} USD at {found.price:g} USD a GPU hour" + (PRICE_NOTE if ask.price is None else "")),
        *(("offer" if not n else "", _offered(one)) for n, one in enumerate(found.offered)),
        ("memory", f"{found.memory_gib_per_gpu:,.4g} of {gpu.memory_gib:g} GiB on the fullest GPU: {parts}"),
        *_others(found),
        ("serving", ", ".join(f"{name} weights {_size(size)}" for name, size in found.weight_bytes.items())),
        ("", f"KV cache {found.kv_bytes_per_token:,} bytes a token, {_size(found.kv_bytes)} for "
             f"{ask.streams:,} x {ask.context:,} tokens"),
    ]  # fmt: skip
    law, as_of = thresholds()
    for line in law:
        side = "above" if found.flops_rule > line.flops else "below"
        rows.append(("threshold", f"{side} {line.flops:.0e} FLOP, {line.name} (as of {as_of}; {line.source})"))
    rows.append(("trust", trusted()))
    indent = " " * 14
    return "\n".join(
        textwrap.fill(f"{label:<13} {line}", 118, subsequent_indent=indent) for label, line in rows if line
    )


PRICE_NOTE = " (an assumption: the price in DeepSeek-V3's report; say yours with --price or --prices)"


def trusted() -> str:
    """One sentence on how far the plan was off for runs that were published."""
    found = verdicts()
    held = [one for one in found if one.run.use == "held out"]
    unseen = [abs(one.error) for one in held if one.run.unseen]
    return (
        f"{len(held)} published runs that were not used to choose the constants: half of them within "
        f"{100 * median_error(found, 'held out'):.1f} % of their hours, the worst off by "
        f"{100 * max(abs(one.error) for one in held):.0f} %; the {len(unseen)} looked at last, half within "
        f"{100 * statistics.median(unseen):.1f} % (docs/guides/plan.md lists each)"
    )


def _spent(one: Ranked) -> str:
    """Where a step's time goes."""
    t = one.time
    parts = {
        "products": t.products, "attention": t.attention, "the rest of the blocks": t.elementwise,
        "launches": t.launches, "recomputing": t.recompute, "the pipeline's bubble": t.bubble, "optimizer": t.optimizer,
        "what is sent": t.waited, "an untuned program": t.stack,
    }  # fmt: skip
    return ", ".join(f"{name} {100 * s / t.seconds:.0f} %" for name, s in parts.items() if s / t.seconds >= 0.005)


def _offered(one: OfferedRun) -> str:
    offer = one.offer
    place = f" in {offer.country}" if offer.country else ""
    few = "" if one.enough else f", but it has only {offer.gpus:,} GPUs"
    seen = f" ({offer.seen})" if offer.seen else ""
    return f"{offer.provider}{place}: {one.usd:,.4g} USD at {offer.usd:g} USD a GPU hour{seen}{few}"


def _others(found: PlanEstimate) -> list[tuple[str, str]]:
    """The next best layouts, and why others were left out."""
    if found.found is None:
        return []
    best = found.chosen.time.seconds
    lines = [f"{one.layout.words()}: {100 * (one.time.seconds / best - 1):+.0f} % time, "
             f"{one.memory.total / GIB:,.3g} GiB" for one in found.found.ranked[1:4]]  # fmt: skip
    out = [f"{count:,} layouts: {reason}" for reason, count in found.found.refused.most_common(2)]
    rows = [("others" if not n else "", said) for n, said in enumerate(lines)]
    return rows + [("left out" if not n else "", said) for n, said in enumerate(out)]


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
