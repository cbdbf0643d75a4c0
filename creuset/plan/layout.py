"""How a training step is split over GPUs: the numbers of each axis, and whether they fit the shape.

`data x context x tensor x pipeline` GPUs hold one program. Experts are split over `expert` of the ranks that hold
different tokens (`data x context`), so this axis adds no GPUs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from creuset.core.errors import ConfigError
from creuset.model.config import ModelConfig

Shard = Literal["none", "optimizer", "full"]
Recompute = Literal["none", "selective", "full"]
Schedule = Literal["1f1b", "overlapped"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    data: int = 1
    tensor: int = 1  # with sequence parallelism: what is not split by heads or columns is split by tokens
    pipeline: int = 1
    virtual: int = 1  # parts of the model that one pipeline rank holds; more of them make the bubble smaller
    context: int = 1
    expert: int = 1
    micro_batch: int = 1  # sequences that go through together
    shard: Shard = "optimizer"  # over the data ranks: nothing, the optimizer's state (ZeRO 1), or all state (FSDP)
    shard_ranks: int = 0  # data ranks that share one copy (hybrid sharding); 0: all of them
    recompute: Recompute = "none"  # in the backward pass: nothing, what costs little, or whole blocks
    schedule: Schedule = "1f1b"  # overlapped: two micro-batches at once, one computes while the other sends

    def __post_init__(self) -> None:
        for name in ("data", "tensor", "pipeline", "virtual", "context", "expert", "micro_batch"):
            if getattr(self, name) < 1:
                raise ConfigError(f"`{name}` of a layout must be at least 1, got {getattr(self, name)}")

    @property
    def gpus(self) -> int:
        return self.data * self.tensor * self.pipeline * self.context

    @property
    def sharers(self) -> int:
        """Ranks over which state is sharded."""
        everyone = self.data * self.context
        return min(self.shard_ranks or everyone, everyone) if self.shard != "none" else 1

    def words(self) -> str:
        """The field's abbreviations, which are the same in all languages."""
        axes = (("DP", self.data), ("TP", self.tensor), ("PP", self.pipeline), ("VP", self.virtual),
                ("CP", self.context), ("EP", self.expert))  # fmt: skip
        said = [f"{name} {size}" for name, size in axes if size > 1] or ["1 GPU"]
        said.append(f"MBS {self.micro_batch}")
        if self.shard != "none":
            group = f" {self.shard_ranks}" if self.shard_ranks else ""
            said.append({"optimizer": "ZeRO-1", "full": "FSDP"}[self.shard] + group)
        if self.recompute != "none":
            said.append(f"AC {self.recompute}")
        return ", ".join(said)


def why_not(config: ModelConfig, layout: Layout, *, batch: int, context: int) -> str | None:
    """Why this shape and this batch (sequences a step) can not be split so; None when they can."""
    c, x = config, layout
    if c.heads % x.tensor or (c.latent is None and c.kv_heads % x.tensor and x.tensor % c.kv_heads):
        return f"{c.heads} heads ({c.kv_heads} of keys) can not be split over {x.tensor} tensor ranks"
    if x.pipeline * x.virtual > c.layers:
        return f"{c.layers} layers are fewer than {x.pipeline} x {x.virtual} pipeline parts"
    if context % x.context:
        return f"sequences of {context:,} tokens can not be split over {x.context} context ranks"
    if x.expert > 1 and (not c.is_moe or c.experts % x.expert):
        return f"{c.experts} experts can not be split over {x.expert} expert ranks"
    if (x.data * x.context) % x.expert and x.gpus // x.pipeline % x.expert:
        return f"{x.expert} expert ranks do not divide {x.data * x.context} data and context ranks"
    if batch % (x.data * x.micro_batch):
        return (
            f"a batch of {batch:,} sequences is no multiple of {x.data} data ranks x micro-batches of {x.micro_batch}"
        )
    if x.virtual > 1 and (batch // (x.data * x.micro_batch)) % x.pipeline:
        return "an interleaved pipeline needs as many micro-batches as a multiple of its ranks"
    return None


def powers(limit: int) -> Iterator[int]:
    value = 1
    while value <= limit:
        yield value
        value *= 2


def candidates(config: ModelConfig, *, gpus: int, node: int, batch: int, context: int) -> Iterator[Layout]:
    """Layouts worth a look: tensor ranks inside a node, experts and pipeline by powers of two."""
    for tensor in powers(min(node, config.heads)):
        for pipeline in powers(min(config.layers, gpus // tensor)):
            for split in powers(min(16, gpus // (tensor * pipeline))) if context > 16_384 else (1,):
                data, left = divmod(gpus, tensor * pipeline * split)
                if left or not data:
                    continue
                experts = powers(min(config.experts, data * split)) if config.is_moe else (1,)
                for expert in experts:
                    for micro in (1, 2, 4, 8):
                        for virtual in {1, *(v for v in (2, 4, 8) if pipeline > 1 and config.layers // (pipeline * v))}:
                            for again in get_args(Recompute):
                                full: tuple[Shard, ...] = ("optimizer", "full") if pipeline == 1 else ("optimizer",)
                                for shard in full:
                                    yield Layout(
                                        data=data, tensor=tensor, pipeline=pipeline, virtual=virtual, context=split,
                                        expert=expert, micro_batch=micro, shard=shard, recompute=again,
                                    )  # fmt: skip
