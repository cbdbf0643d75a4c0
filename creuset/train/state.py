"""Everything a run is at one moment: saved and restored as one thing."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from creuset.core.errors import ConfigError
from creuset.model import fused
from creuset.model.quant import PLANS, fake_quant
from creuset.model.transformer import Transformer
from creuset.train.optim import Optimizer
from creuset.train.settings import Training
from creuset.train.watch.divergence import LossWatch

DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}


@dataclass(slots=True)
class TrainState:
    """`model` computes in `precision`; the fp32 truth is in `optimizer.masters`."""

    model: Transformer
    optimizer: Optimizer
    settings: Training
    load_LE: Tensor  # share of copies each expert got in the last global batch
    fused: bool = False  # the native library computes what is no product (settings.kernels)
    step: int = 0
    bad_steps: int = 0  # non-finite steps in a row
    bad_total: int = 0  # non-finite steps since the run began
    watch: LossWatch = field(default_factory=LossWatch)
    cursor: dict[str, Any] = field(default_factory=dict)  # of the batch source
    mean: dict[str, Tensor] = field(default_factory=dict)  # of the masters over the last steps, when settings.ema > 0

    @classmethod
    def begin(cls, model: Transformer, settings: Training, device: torch.device) -> "TrainState":
        """Take `model`'s weights as fp32 masters and leave it computing in the run's precision.

        The precision must be known by now: choosing it is train/choices.py's business.
        """
        if settings.precision == "auto":
            raise ConfigError("precision is `auto`, which nobody chose yet", hint="call train/choices.py's `choose`")
        dtype, muon = DTYPES[settings.precision], settings.optim.muon_precision
        native = device.type == "cpu" and settings.kernels != "torch" and fused.available()
        if settings.kernels == "native" and not native:
            raise ConfigError(
                "kernels is native, and the native library is not here, or the device is no CPU",
                hint="--set kernels=auto",
            )
        optimizer = Optimizer(
            ((n, p.to(device)) for n, p in model.named_parameters()),
            settings.optim,
            muon_dtype=dtype if muon == "auto" else DTYPES[muon],
            native=native,
        )
        model = model.to(device=device, dtype=dtype)
        model.use_kernel(None if settings.expert_kernel == "auto" else settings.expert_kernel)
        model.use_fused(native)
        model.checkpoint = settings.checkpoint_activations
        config = model.config
        layers = sum(config.moe_layer(i) for i in range(config.layers))
        even = torch.full((layers, max(1, config.experts)), 1 / max(1, config.experts), device=device)
        state = cls(model, optimizer, settings, even, fused=native)
        if settings.ema:
            state.mean = {name: master.clone() for name, master in optimizer.masters.items()}
        state.refresh_weights()
        return state

    @property
    def quantizing(self) -> bool:
        s = self.settings
        return s.quantize != "none" and self.step >= s.quantize_from * s.steps

    @torch.no_grad()
    def refresh_weights(self) -> None:
        """Write the masters into the model, rounded as they will ship when the run quantizes."""
        plan = PLANS[self.settings.quantize] if self.quantizing else None
        for name, parameter in self.model.named_parameters():
            master = self.optimizer.masters[name]
            bits = plan.bits(name) if plan else 0
            parameter.copy_(fake_quant(master, bits, plan.group) if plan and bits else master)

    @torch.no_grad()
    def average(self) -> None:
        """Move the mean of the weights towards the masters; to be called after each step that changed them."""
        for name, mean in self.mean.items():
            mean.lerp_(self.optimizer.masters[name], 1 - self.settings.ema)

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint keeps as tensors; `scalars` is the rest."""
        return self.optimizer.state() | {"load": self.load_LE} | {f"mean/{n}": m for n, m in self.mean.items()}

    def scalars(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "bad_steps": self.bad_steps,
            "bad_total": self.bad_total,
            "watch": self.watch.state(),
            "cursor": self.cursor,
        }

    @torch.no_grad()
    def restore(self, tensors: dict[str, Tensor], scalars: dict[str, Any]) -> None:
        self.optimizer.load(tensors)
        self.load_LE.copy_(tensors["load"])
        for name, mean in self.mean.items():
            mean.copy_(tensors[f"mean/{name}"])
        self.step, self.cursor = scalars["step"], scalars["cursor"]
        self.bad_steps, self.bad_total = scalars["bad_steps"], scalars["bad_total"]
        self.watch = LossWatch.restored(scalars["watch"])
        self.refresh_weights()
