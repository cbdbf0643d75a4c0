"""The time of one training step, by a roofline: what is computed, read and sent, over what the machine can do.

Reading order: `block` (one block of the model, one micro-batch), `step`.

A product takes its FLOPs over the reachable peak plus its bytes over the reachable memory speed; the sum, not the
larger of both, because a tile is loaded before it is multiplied. What is sent and not hidden behind computing is added.
Constants are fitted on the runs that `runs.toml` marks `fit`, by `validation/fit_planner.py`; the runs marked
`held out` were not used for it.
"""

from dataclasses import dataclass, replace
from math import ceil

from creuset.model.config import ModelConfig
from creuset.model.count import attention_flops, moe_layers, projections
from creuset.plan.facts import Constants, Gpu
from creuset.plan.layout import Layout
from creuset.plan.memory import parameters_on

BF16, FP8, FP32 = 2, 1, 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Traffic:
    """What one GPU sends on one axis in a step."""

    axis: str
    link: str  # node: between the GPUs of one node; network: between nodes
    bytes: float
    seconds: float  # if nothing else ran
    waited: float  # of them not hidden behind computing


@dataclass(frozen=True, kw_only=True, slots=True)
class StepTime:
    products: float  # seconds of dense and expert products
    attention: float
    elementwise: float  # norms, rotations, activations, routing, casts
    launches: float  # what a block costs however small it is
    recompute: float
    bubble: float  # of the pipeline
    optimizer: float
    stack: float  # what a program that is not tuned takes more
    traffic: tuple[Traffic, ...]

    @property
    def waited(self) -> float:
        return sum(one.waited for one in self.traffic)

    @property
    def seconds(self) -> float:
        computed = self.products + self.attention + self.elementwise + self.launches + self.recompute
        return computed + self.bubble + self.optimizer + self.waited + self.stack


@dataclass(frozen=True, slots=True)
class _Pass:
    """Seconds of one micro-batch in one block: forward and backward."""

    products: float
    attention: float
    elementwise: float
    launches: float


def block(
    config: ModelConfig, layout: Layout, gpu: Gpu, k: Constants, *, context: int, fp8: bool, moe: bool
) -> tuple[_Pass, _Pass]:
    """Forward and backward of one block on one GPU, one micro-batch, without what is sent."""
    c, x = config, layout
    tokens = x.micro_batch * context / x.context
    peak = gpu.fp8 * k.products_fp8 if fp8 and gpu.fp8 else gpu.bf16 * k.products
    read = gpu.memory * k.memory

    def product(rows: float, weights: float, wide: float) -> tuple[float, float]:
        """Seconds of a product forward and backward (twice the FLOPs). `wide`: numbers of a row in and out."""
        size = BF16 * (weights + rows * wide)
        once = 2 * rows * weights / peak + size / read
        return once, 2 * once

    inner = c.heads * c.head_dim if c.latent is None else c.heads * (c.latent.nope + c.latent.rope)
    parts = [product(tokens, projections(c) / x.tensor, 4 * c.hidden + 4 * inner / x.tensor)]
    values = 14.0 * c.hidden + 4 * inner  # two norms, two sums, rotations
    if moe:
        shared = 3 * c.hidden * c.shared_ffn
        if shared:
            parts.append(product(tokens, shared / x.tensor, 2 * c.hidden + 3 * c.shared_ffn / x.tensor))
            values += 3 * c.shared_ffn
        each = 3 * c.hidden * c.expert_ffn
        # Each GPU has experts / expert ranks of them and, when load is even, as many rows as it sends away.
        mine = c.experts / x.expert / (1 if x.expert > 1 else x.tensor)
        rows = tokens / x.tensor * c.experts_per_token
        size = BF16 * (mine * each + rows * (2 * c.hidden + 3 * c.expert_ffn))
        grouped = 2 * rows * each / (peak * k.experts) + size / read
        parts.append((grouped, 2 * grouped))
        values += k.routing * c.experts_per_token * (6 * c.hidden + 3 * c.expert_ffn) + 4 * c.experts
    else:
        parts.append(product(tokens, 3 * c.hidden * c.ffn / x.tensor, 2 * c.hidden + 3 * c.ffn / x.tensor))
        values += 3 * c.ffn
    if fp8:
        values += 3 * c.hidden  # casts and their scales
    scored = attention_flops(c, [context]) / c.layers * x.micro_batch / (x.context * x.tensor)
    scored_forward = scored / (gpu.bf16 * k.attention)
    moved = BF16 * tokens * values / x.tensor / read
    launch = k.launch_moe if moe else k.launch
    forward = _Pass(sum(part[0] for part in parts), scored_forward, moved, launch)
    # FlashAttention's backward pass makes the scores again: 2.5 times the forward FLOPs.
    return forward, _Pass(sum(part[1] for part in parts), 2.5 * scored_forward, 2 * moved, 2 * launch)


def step(
    config: ModelConfig,
    layout: Layout,
    gpu: Gpu,
    k: Constants,
    *,
    batch: int,
    context: int,
    fp8: bool = False,
    plain: bool = False,
) -> StepTime:
    """One step of `batch` sequences of `context` tokens."""
    c, x = config, layout
    micro = batch / (x.data * x.micro_batch)
    here = ceil(c.layers / (x.pipeline * x.virtual)) * x.virtual  # blocks of the fullest stage
    share = moe_layers(c) / c.layers
    passes: list[tuple[float, tuple[_Pass, _Pass]]] = []
    for moe, part in ((True, share), (False, 1 - share)):
        if part:
            found = block(c, x, gpu, k, context=context, fp8=fp8, moe=moe)
            passes.append((here * part, found))

    def total(name: str) -> float:
        return float(sum(blocks * (getattr(f, name) + getattr(b, name)) for blocks, (f, b) in passes))

    def forward_of(*names: str) -> float:
        return float(sum(blocks * sum(getattr(f, name) for name in names) for blocks, (f, _) in passes))

    tokens = x.micro_batch * context / x.context
    head = 3 * 2 * tokens * c.hidden * c.vocab_size / x.tensor / (gpu.bf16 * k.products)
    head += 4 * FP32 * tokens * c.vocab_size / x.tensor / (gpu.memory * k.memory)
    again = {"none": 0.0, "selective": forward_of("elementwise", "attention"),
             "full": forward_of("products", "attention", "elementwise", "launches")}[x.recompute]  # fmt: skip
    traffic, per_micro = _inside(c, x, gpu, k, tokens=tokens, blocks=here, share=share, fp8=fp8)
    names = ("products", "attention", "elementwise", "launches")
    one = sum(total(name) for name in names) + again + per_micro
    bubble = (x.pipeline - 1) / x.virtual * one if x.schedule == "1f1b" else 0.35 * (x.pipeline - 1) * one / x.virtual
    outside = _between(c, x, gpu, k, blocks=here, micro=micro, hidden_behind=one)
    dense, experts = parameters_on(c, x)
    optimizer = 30 * (dense / x.sharers + experts / max(1, x.sharers // x.expert)) / (gpu.memory * k.memory)
    made = StepTime(
        products=micro * (total("products") + head / x.pipeline),
        attention=micro * total("attention"),
        elementwise=micro * total("elementwise"),
        launches=micro * total("launches"),
        recompute=micro * again,
        bubble=bubble,
        optimizer=optimizer,
        stack=0.0,
        traffic=tuple(
            Traffic(axis=t.axis, link=t.link, bytes=micro * t.bytes, seconds=micro * t.seconds, waited=micro * t.waited)
            for t in traffic
        )
        + outside,
    )
    return replace(made, stack=((k.plain_moe if c.is_moe else k.plain) - 1) * made.seconds) if plain else made


def _link(gpu: Gpu, k: Constants, ranks: float, inside: bool) -> tuple[str, float]:
    return ("node", gpu.node_link * k.network) if inside else ("network", gpu.network * k.network)


def _inside(
    c: ModelConfig, x: Layout, gpu: Gpu, k: Constants, *, tokens: float, blocks: float, share: float, fp8: bool
) -> tuple[list[Traffic], float]:
    """What is sent in the blocks of one micro-batch, forward and backward, and how much of it is waited for."""
    found: list[Traffic] = []
    if x.tensor > 1:
        # Two gathers and two scatters forward, as many backward, and one gather more (arXiv:2205.05198, section 4.2.2).
        size = 9 * blocks * BF16 * tokens * c.hidden * (x.tensor - 1) / x.tensor
        link, speed = _link(gpu, k, x.tensor, x.tensor <= gpu.node)
        found.append(_traffic("tensor", link, size, size / speed, k.waited_tensor))
    if x.context > 1:
        size = 3 * blocks * BF16 * tokens * 2 * c.kv_heads * c.head_dim / x.tensor * (x.context - 1)
        link, speed = _link(gpu, k, x.context, x.tensor * x.context <= gpu.node)
        found.append(_traffic("context", link, size, size / speed, 0.2))
    if x.expert > 1 and c.is_moe:
        nodes = max(1.0, x.expert * (x.tensor if x.tensor > 1 else 1) / gpu.node)
        rows = blocks * share * tokens / x.tensor
        wide = (1 if fp8 else 2) + 2  # dispatch in 8 bits where products are, combine in 16
        forward_and_back = 2 * rows * c.hidden * wide / 2
        copies_node = c.experts_per_token * (x.expert - 1) / x.expert
        if nodes > 1:
            # A token is sent once to each node that has one of its experts.
            away = min(nodes * (1 - (1 - 1 / nodes) ** c.experts_per_token) * (nodes - 1) / nodes, c.groups_per_token
                       if c.expert_groups > 1 else nodes)  # fmt: skip
            size = 2 * forward_and_back * away
            found.append(_traffic("expert", "network", size, size / (gpu.network * k.network), _exposed(x, k)))
        size = 2 * forward_and_back * copies_node
        found.append(_traffic("expert", "node", size, size / (gpu.node_link * k.network), _exposed(x, k)))
    if x.pipeline > 1:
        size = 2 * x.virtual * BF16 * tokens * c.hidden / x.tensor
        inside = x.tensor * x.data * x.context * x.pipeline <= gpu.node
        link, speed = _link(gpu, k, x.pipeline, inside)
        found.append(_traffic("pipeline", link, size, size / speed, 0.5))
    return found, sum(one.waited for one in found)


def _exposed(x: Layout, k: Constants) -> float:
    return 0.1 if x.schedule == "overlapped" else k.waited_expert


def _traffic(axis: str, link: str, size: float, seconds: float, share: float) -> Traffic:
    return Traffic(axis=axis, link=link, bytes=size, seconds=seconds, waited=share * seconds)


def _between(
    c: ModelConfig, x: Layout, gpu: Gpu, k: Constants, *, blocks: float, micro: float, hidden_behind: float
) -> tuple[Traffic, ...]:
    """What the data ranks send to each other in a step."""
    ranks = x.data * x.context
    if ranks == 1:
        return ()
    dense, experts = parameters_on(c, x)
    share = x.sharers
    gathered = _all_of(dense, share) + _all_of(experts, max(1, share // x.expert))
    summed = _all_of(dense, ranks) + _all_of(experts, max(1, ranks // x.expert))
    inside = x.gpus // x.pipeline <= gpu.node
    # What all GPUs of a node need comes into it once, over all its ways to the network together.
    together = max(1, min(gpu.node // min(x.tensor, gpu.node), ranks))

    def seconds(size: float, everyone: int) -> float:
        if everyone * x.tensor <= gpu.node:
            return size / (gpu.node_link * k.network)
        return max(size / together / (gpu.network * k.network), size / (gpu.node_link * k.network))

    if x.shard == "full":
        # Weights are gathered for the forward and the backward pass, gradients scattered, with each micro-batch.
        size = micro * gathered * (BF16 + BF16 + BF16)
        taken = seconds(size, share)
        waited = max(0.0, taken - micro * hidden_behind) + k.waited_data * taken
        if share < ranks:  # and then summed over the copies, a part each
            more = 2 * FP32 * summed / share
            size, taken = size + more, taken + more / (gpu.network * k.network)
            waited += k.waited_data * more / (gpu.network * k.network)
    else:
        size = summed * (FP32 + BF16)
        taken = seconds(size, ranks)
        waited = max(0.0, taken - hidden_behind) + k.waited_data * min(taken, hidden_behind)
    link = "node" if inside else "network"
    return (Traffic(axis="data", link=link, bytes=size, seconds=taken, waited=waited),)


def _all_of(values: float, ranks: int) -> float:
    """What each of `ranks` receives when all gather `values`."""
    return values * (ranks - 1) / ranks
