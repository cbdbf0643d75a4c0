"""Weights in 8 or 4 bits with one scale per group; model/formats/stored/quantized.py reads what is written here.

A matrix is cut along its input dimension into groups; a group is whole numbers times one bf16 scale.

    8 bits   q in [-127, 127], scale = largest magnitude / 127, one byte each          NAME.q8
    4 bits   q in [-8, 7], scale = the value of largest magnitude / -8, two a byte     NAME.q4   (q + 8; low half first)

Scales lie in NAME.scale; what is not quantized (norms, biases, router) lies in NAME, fp32. Names are
our parameters' names: experts stay stacked. `quantize` of what `dequantize` gave returns the same codes.

Training that will be quantized can see the loss coming: `fake_quant` rounds in the forward pass
and lets gradients through (straight-through estimator, arXiv:1308.3432).
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from creuset.core.errors import ConfigError
from creuset.model.formats.stored.quantized import FILE as FILE
from creuset.model.formats.tensors import write
from creuset.model.transformer import Transformer


@dataclass(frozen=True, kw_only=True, slots=True)
class QuantPlan:
    """Bits of each kind of weight: 8, 4, or 0 for none."""

    embedding: int = 8  # and the output head
    attention: int = 8
    mlp: int = 8  # dense feed-forward layers and shared experts
    experts: int = 4
    group: int = 32  # weights a scale

    def __post_init__(self) -> None:
        for name in ("embedding", "attention", "mlp", "experts"):
            if getattr(self, name) not in (0, 4, 8):
                raise ValueError(f"{name} must be 0, 4 or 8 bits, got {getattr(self, name)}")
        if self.group < 2 or self.group % 2:
            raise ValueError(f"group must be even and at least 2, got {self.group}")

    def bits(self, name: str) -> int:
        """Bits of the parameter `name`; 0 when it is kept as it is."""
        if name.endswith(("embed_tokens.weight", "lm_head.weight")):
            return self.embedding
        if name.endswith("_proj.weight"):
            return self.attention if ".self_attn." in name else self.mlp
        return self.experts if name.endswith((".experts.gate_up", ".experts.down")) else 0


# What a model is shipped as, and trained for.
PLANS = {"q8": QuantPlan(experts=8), "q4": QuantPlan(experts=4)}


def quantize(weight: Tensor, bits: int, group: int) -> tuple[Tensor, Tensor]:
    """Codes, int8 of `weight`'s shape, and scales, bf16 (..., in / group)."""
    grouped = _grouped(weight, group).float()
    if bits == 8:
        scale = grouped.abs().amax(-1, keepdim=True) / 127
    else:
        top = grouped.gather(-1, grouped.abs().argmax(-1, keepdim=True))
        scale = top / -8
    scale = scale.to(torch.bfloat16)
    safe = torch.where(scale == 0, 1.0, scale.float())
    low, high = (-127, 127) if bits == 8 else (-8, 7)
    codes = (grouped / safe).round_().clamp_(low, high)
    return codes.to(torch.int8).view(weight.shape), scale.squeeze(-1)


def dequantize(codes: Tensor, scale: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    group = codes.shape[-1] // scale.shape[-1]
    value = _grouped(codes, group).float() * scale.float()[..., None]
    return value.view(codes.shape).to(dtype)


def fake_quant(weight: Tensor, bits: int, group: int) -> Tensor:
    """`weight` as it will come back from disk; its gradient is passed through unchanged."""
    if not bits:
        return weight
    with torch.no_grad():
        change = dequantize(*quantize(weight, bits, group), weight.dtype) - weight
    return weight + change


def pack4(codes: Tensor) -> Tensor:
    """Two codes of [-8, 7] a byte: even columns in the low half."""
    shifted = (codes + 8).to(torch.uint8)
    return shifted[..., 0::2] | (shifted[..., 1::2] << 4)


def _grouped(weight: Tensor, group: int) -> Tensor:
    if weight.shape[-1] % group:
        raise ConfigError(f"input width {weight.shape[-1]} is not a multiple of group {group}")
    return weight.reshape(*weight.shape[:-1], -1, group)


def save_quantized(model: Transformer, file: Path, plan: QuantPlan) -> None:
    out: dict[str, Tensor] = {}
    for name, parameter in model.named_parameters():
        value = parameter.detach().cpu()
        if not (bits := plan.bits(name)):
            out[name] = value.float().contiguous()
            continue
        codes, out[f"{name}.scale"] = quantize(value, bits, plan.group)
        out[f"{name}.q{bits}"] = codes if bits == 8 else pack4(codes)
    write(out, file, metadata={"format": "pt"})


def quantize_folder(source: Path, target: Path, plan: QuantPlan) -> None:
    """Write the model of `source` into `target` as config.json and model.q.safetensors.

    `target` may exist (an artifact's scratch folder); tokenizer and record files are the caller's to copy.
    """
    from creuset.model.formats.weights import load_model, write_config, write_json

    model = load_model(source)
    target.mkdir(parents=True, exist_ok=True)
    write_config(model, target, "bf16")
    save_quantized(model, target / FILE, plan)
    write_json(target / "quantization.json", {"file": FILE} | asdict(plan))
