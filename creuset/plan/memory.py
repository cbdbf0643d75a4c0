"""Memory of the fullest GPU, by part.

The fullest GPU is one of the first pipeline stage: it holds the activations of as many micro-batches as there are
stages. Activations are those of a block with flash attention: what the backward pass reads again
(Korthikanti et al., arXiv:2205.05198, without their scores). The last stage holds the logits instead of so many
micro-batches; the larger of both is taken.
"""

from dataclasses import dataclass

from creuset.model.config import ModelConfig
from creuset.model.count import Parameters, parameters
from creuset.plan.layout import Layout

GIB = 2**30
# bytes a parameter: bf16 weight, fp32 gradient, fp32 master weight and two fp32 moments of AdamW
WEIGHT, GRADIENT, OPTIMIZER = 2, 4, 12
# What the driver, the libraries and their communication buffers hold (torchtitan's and Megatron's logs show 2 to 4).
RUNTIME_GIB = 3.0
MARGIN = 0.06  # of the memory: fragments of the allocator, and peaks that are not modelled


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """Bytes on the fullest GPU."""

    weights: float
    gradients: float
    optimizer: float
    activations: float
    buffers: float
    margin: float

    @property
    def total(self) -> float:
        parts = (self.weights, self.gradients, self.optimizer, self.activations, self.buffers, self.margin)
        return float(sum(parts))


def parameters_on(config: ModelConfig, layout: Layout) -> tuple[float, float]:
    """Parameters of one GPU before the data ranks share them: (those that each data rank has, those of its experts)."""
    count: Parameters = parameters(config)
    ends = max(count.embedding, count.head or count.embedding) if layout.pipeline > 1 else count.embedding + count.head
    blocks = count.attention + count.norm + count.dense + count.router + count.shared
    dense = (blocks / layout.pipeline + ends) / layout.tensor
    experts = count.experts / layout.pipeline / _expert_ranks(layout)
    return dense, experts


def _expert_ranks(layout: Layout) -> int:
    """GPUs that share the experts of a stage. Without an expert axis each expert is split by columns like the rest."""
    return layout.expert if layout.expert > 1 else layout.tensor


def block_values(config: ModelConfig) -> tuple[float, float]:
    """Values of one token that the backward pass of one block reads: (whole block, only its input)."""
    c = config
    if c.latent is None:
        heads = c.head_dim * (2 * c.heads + 2 * c.kv_heads)
    else:
        heads = 2 * c.heads * (c.latent.nope + c.latent.rope + c.latent.value) + c.latent.q_rank + c.latent.kv_rank
    routed = c.experts_per_token * (2 * c.hidden + 3 * c.expert_ffn) + 3 * c.shared_ffn if c.is_moe else 0
    wide = max(routed, 3 * c.ffn) if not c.is_moe else routed
    return 4 * c.hidden + heads + wide, float(c.hidden)


def memory(config: ModelConfig, layout: Layout, *, context: int, gpu_gib: float, fp8: bool = False) -> Memory:
    x, c = layout, config
    dense, experts = parameters_on(c, x)
    share = x.sharers
    share_experts = max(1, share // x.expert) if x.expert > 1 else share
    full, state = x.shard == "full", x.shard != "none"

    def bytes_of(each: int, sharded: bool) -> float:
        return each * (dense / (share if sharded else 1) + experts / (share_experts if sharded else 1))

    tokens = x.micro_batch * context / x.context
    whole, only = block_values(c)
    if fp8:  # what goes into a product is kept in one byte, half of a value here
        whole -= (3 * c.hidden + (whole - 4 * c.hidden) / 3) / 2
    kept = {"none": whole, "selective": 0.6 * whole + 0.4 * only, "full": only}[x.recompute]
    layers = c.layers / x.pipeline
    in_flight = x.pipeline * (1 + (x.pipeline - 1) / (x.pipeline * x.virtual) if x.virtual > 1 else 1)
    if x.schedule == "overlapped":
        in_flight = x.pipeline + 1
    one_block = whole if x.recompute == "full" else 0.0
    first = 2 * tokens / x.tensor * (kept * layers * in_flight + one_block)
    logits = tokens * c.vocab_size / x.tensor * (4 + 2)  # fp32 beside bf16
    last = 2 * tokens / x.tensor * (kept * layers + one_block) + logits
    gathered = 2 * (dense + experts) / layers * 2 if full else 0.0  # two blocks, gathered ahead of their use
    sent = 2 * 2 * tokens / x.tensor * c.experts_per_token * c.hidden if x.expert > 1 else 0.0
    return Memory(
        weights=bytes_of(WEIGHT, full),
        gradients=bytes_of(GRADIENT, full),
        optimizer=bytes_of(OPTIMIZER, state),
        activations=max(first, last) if x.pipeline > 1 else first + logits,
        buffers=gathered + sent + RUNTIME_GIB * GIB,
        margin=MARGIN * gpu_gib * GIB,
    )
