"""Settings of a training run. Derived values are properties; a settings object reads the same before and after."""

from dataclasses import dataclass, field
from typing import Literal

from creuset.core.config import check_ranges, within
from creuset.model.config import ModelConfig

_OPTIM = {
    "lr": "(0, inf)", "matrix_lr": "(0, inf)", "weight_decay": "[0, inf)", "beta1": "[0, 1)", "beta2": "[0, 1)",
    "eps": "(0, inf)", "momentum": "[0, 1)", "clip_norm": "[0, inf)", "warmup_steps": "[0, inf)",
    "decay_share": "[0, 1]", "floor": "[0, 1]",
}  # fmt: skip
_TRAINING = {
    **dict.fromkeys(("steps", "tokens_per_step", "tokens_per_microbatch", "context", "save_every", "keep"), "[1, inf)"),
    **dict.fromkeys(("threads", "max_rise", "balance_coef", "z_coef", "evaluate_every", "evaluate_tokens"), "[0, inf)"),
    **dict.fromkeys(("final_tokens", "seed"), "[0, inf)"),
    **dict.fromkeys(("max_bad_steps", "max_bad_total"), "[1, inf)"),
    "quantize_from": "[0, 1]",
    "ema": "[0, 1)",
    "sample_tokens": "[1, inf)",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Optim:
    """Muon on the matrices of the blocks, AdamW on the rest; one learning rate drives both."""

    lr: float = 3e-3  # AdamW's peak (embeddings, norms, routers, biases)
    matrix_lr: float = 3e-3  # Muon's peak, in units of AdamW's update size (arXiv:2502.16982, eq. 4)
    matrices: Literal["muon", "adamw"] = "muon"
    muon_precision: Literal["auto", "bf16", "fp32"] = "auto"  # of Muon's products; auto: fp32 beside an fp32 model
    weight_decay: float = 0.1  # on matrices only; norms, biases, routers and embeddings are exempt
    beta1: float = 0.9
    beta2: float = 0.95
    eps: float = 1e-10
    momentum: float = 0.95  # Muon's, with Nesterov
    clip_norm: float = 1.0  # global gradient norm; 0 turns clipping off
    warmup_steps: int = 100
    decay_share: float = 0.3  # last part of the run in which the rate falls (WSD)
    floor: float = 0.0  # share of the peak left at the end

    def __post_init__(self) -> None:
        check_ranges(self, _OPTIM)


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """What pre-training and fine-tuning share: everything the loop reads.

    A value of `auto` (threads: 0) is chosen once, when the run begins, and kept with the run (train/choices.py).
    """

    name: str
    steps: int
    tokens_per_step: int  # over all ranks and micro-batches
    tokens_per_microbatch: int  # on one rank: what has to fit in memory
    context: int  # tokens of a row
    device: Literal["auto", "cpu", "cuda"] = "auto"  # auto: the GPU where there is one
    threads: int = 0  # of a CPU; 0 is auto
    precision: Literal["auto", "bf16", "fp32"] = "auto"  # of the model; the masters are fp32 whatever it is
    expert_kernel: Literal["auto", "exact", "padded", "grouped"] = "auto"  # how experts are computed (model/moe.py)
    kernels: Literal["auto", "native", "torch"] = "auto"  # of what is no product (model/fused); auto: native if there
    seed: int = 17
    balance_coef: float = 0.01  # load-balancing loss over the global batch (arXiv:2501.11873)
    z_coef: float = 0.001  # router z-loss (arXiv:2202.08906)
    checkpoint_activations: bool = False
    quantize: Literal["none", "q8", "q4"] = "none"  # weights as they will ship, straight-through gradients
    quantize_from: float = 0.0  # share of the run after which `quantize` begins
    evaluate_every: int = 200  # steps; 0: only at the end
    evaluate_tokens: int = 32_768  # of each held-out source, at each evaluation but the last
    final_tokens: int = 0  # of each held-out source, at the last evaluation; 0: all of it
    ema: float = 0.0  # share that a mean of the weights keeps at each step; it is published beside them. 0: none
    samples: tuple[str, ...] = ()  # prompts that the model goes on with at each evaluation
    sample_tokens: int = 32  # after each prompt
    save_every: int = 100  # steps
    keep: int = 2  # checkpoints left on disk
    max_bad_steps: int = 5  # non-finite steps in a row before the run stops
    max_bad_total: int = 50  # non-finite steps in all before the run stops
    max_rise: float = 1.5  # nats: how far the mean loss of 20 steps may rise above its lowest; 0 lets it rise
    optim: Optim = field(default_factory=Optim)

    def __post_init__(self) -> None:
        check_ranges(self, _TRAINING)
        if self.tokens_per_microbatch % self.context:
            raise ValueError(
                f"tokens_per_microbatch ({self.tokens_per_microbatch}) must be a multiple of context ({self.context})"
            )
        if self.tokens_per_step % self.context:
            raise ValueError(f"tokens_per_step ({self.tokens_per_step}) must be a multiple of context ({self.context})")

    @property
    def total_tokens(self) -> int:
        return self.steps * self.tokens_per_step


@dataclass(frozen=True, kw_only=True, slots=True)
class Pretrain(Training):
    model: ModelConfig
    mix: dict[str, float] = field(default_factory=dict)  # source -> weight; empty: every source by its size

    def __post_init__(self) -> None:
        Training.__post_init__(self)
        if self.context > self.model.context:
            raise ValueError(f"context ({self.context}) is longer than the model's ({self.model.context})")
        _check_mix(self.mix)


@dataclass(frozen=True, kw_only=True, slots=True)
class Finetune(Training):
    """Supervised fine-tuning of a model artifact on dialogues; one row holds whole dialogues."""

    prose: float = 0.0  # share of the rows that are pre-training text, so that prose is not forgotten
    mix: dict[str, float] = field(default_factory=dict)  # of those rows: source -> weight; empty: every source by size

    def __post_init__(self) -> None:
        Training.__post_init__(self)
        check_ranges(self, {"prose": "[0, 1)"})
        _check_mix(self.mix)


def _check_mix(mix: dict[str, float]) -> None:
    for source, weight in mix.items():
        if not within(weight, "(0, inf)"):
            raise ValueError(f"mix must have weights above 0, got {weight} for {source}")
