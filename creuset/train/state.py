"""Everything a run is at one moment: saved and restored as one thing."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from creuset.core import device as devices
from creuset.model.quant import QuantPlan, fake_quant
from creuset.model.transformer import Transformer
from creuset.train.optim import Optimizer
from creuset.train.settings import Training

PLANS = {"q8": QuantPlan(experts=8), "q4": QuantPlan(experts=4)}


@dataclass(slots=True)
class TrainState:
    """`model` computes in `precision`; the fp32 truth is in `optimizer.masters`."""

    model: Transformer
    optimizer: Optimizer
    settings: Training
    load_LE: Tensor  # share of copies each expert got in the last global batch
    step: int = 0
    bad_steps: int = 0  # non-finite steps in a row
    cursor: dict[str, Any] = field(default_factory=dict)  # of the batch source

    @classmethod
    def begin(cls, model: Transformer, settings: Training, device: torch.device) -> "TrainState":
        """Take `model`'s weights as fp32 masters and leave it computing in the run's precision."""
        dtype = devices.precision(settings.precision, device)
        muon = settings.optim.muon_precision
        optimizer = Optimizer(
            ((n, p.to(device)) for n, p in model.named_parameters()),
            settings.optim,
            muon_dtype=dtype if muon == "auto" else devices.precision(muon, device),
        )
        model = model.to(device=device, dtype=dtype)
        model.checkpoint = settings.checkpoint_activations
        config = model.config
        layers = sum(config.moe_layer(i) for i in range(config.layers))
        even = torch.full((layers, max(1, config.experts)), 1 / max(1, config.experts), device=device)
        state = cls(model, optimizer, settings, even)
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

    def tensors(self) -> dict[str, Tensor]:
        return self.optimizer.state() | {"load": self.load_LE}

    @torch.no_grad()
    def restore(self, tensors: dict[str, Tensor], scalars: dict[str, Any]) -> None:
        self.optimizer.load(tensors)
        self.load_LE.copy_(tensors["load"])
        self.step, self.bad_steps, self.cursor = scalars["step"], scalars["bad_steps"], scalars["cursor"]
        self.refresh_weights()
