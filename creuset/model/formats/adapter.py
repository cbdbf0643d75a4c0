"""LoRA adapters in PEFT's layout: a difference to some matrices of a model that is elsewhere (arXiv:2106.09685).

    adapter_config.json         r, lora_alpha, which modules
    adapter_model.safetensors   base_model.model.<module>.lora_A.weight (r, in), .lora_B.weight (out, r)

    W' = W + s B A        s = lora_alpha / r, or lora_alpha / sqrt(r) with `use_rslora`

Two ways lead to an answer. `AdaptedWeights` makes the sum in fp32 when the weights are read: every backend answers with
it, as fast as without, and holds a model of its own. `low_rank` gives A and s B: the native core adds their product to
the rows of those requests that want it, so that many adapters share one model (`Runner.adapt`).
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from creuset.core.errors import ArtifactError
from creuset.model.formats.refused import ADAPTER
from creuset.model.formats.stored.numbers import Array, finite, fp32
from creuset.model.formats.tensors import header, read
from creuset.model.formats.weights import StoredTensor, WeightSource

FILE = "adapter_model.safetensors"
# What an adapter may have beside plain matrices, and the value that says that it has not.
_PLAIN: dict[str, tuple[Any, ...]] = {
    "peft_type": ("LORA",), "bias": ("none", None), "use_dora": (False, None), "fan_in_fan_out": (False, None),
    "modules_to_save": (None, []), "lora_bias": (False, None), "target_parameters": (None, []),
    "trainable_token_indices": (None, []), "alora_invocation_tokens": (None, []),
}  # fmt: skip


class AdaptedWeights:
    """The weights of `base` with the adapter in `folder` added. ArtifactError names what cannot be added."""

    def __init__(self, base: WeightSource, folder: Path) -> None:
        self._base, self._folder, self.config = base, folder, base.config
        self._settings = _settings(folder)
        if not (folder / FILE).is_file():
            raise ArtifactError(f"`{folder}` has no {FILE}: only safetensors are read")
        self._names = _pairs(folder)

    def tensors(self) -> Iterator[StoredTensor]:
        left = set(self._names)
        for tensor in self._base.tensors():
            module = tensor.name.removesuffix(".weight")
            if module in left:
                left.remove(module)
                yield StoredTensor(tensor.name, self._added(module, tensor), None)
            else:
                yield tensor
        if left:
            raise ArtifactError(f"`{self._folder}` changes `{min(left)}`, and the model has no such matrix")

    def _added(self, module: str, tensor: StoredTensor) -> Array:
        weight_NK = tensor.fp32()
        a_RK, b_NR = _pair(self._folder, module, self._names[module], weight_NK.shape)
        return weight_NK + np.float32(_scale(self._settings, module)) * (b_NR @ a_RK)


def low_rank(folder: Path, shapes: Mapping[str, tuple[int, ...]]) -> Iterator[tuple[str, Array, Array]]:
    """(module, A (r, in), s B (out, r)) in fp32 for each matrix that the adapter changes; `shapes` are the model's,
    by module. ArtifactError names what cannot be added."""
    settings = _settings(folder)
    if not (folder / FILE).is_file():
        raise ArtifactError(f"`{folder}` has no {FILE}: only safetensors are read")
    for module, names in sorted(_pairs(folder).items()):
        if module not in shapes:
            raise ArtifactError(f"`{folder}` changes `{module}`, and the model has no such matrix")
        a_RK, b_NR = _pair(folder, module, names, shapes[module])
        yield module, a_RK, np.float32(_scale(settings, module)) * b_NR


def modules_of(folder: Path) -> list[str]:
    """The matrices that the adapter changes, by their names in the model. ArtifactError for a damaged one."""
    _settings(folder)
    return sorted(_pairs(folder))


def _pair(folder: Path, module: str, names: tuple[str, str], shape: tuple[int, ...]) -> tuple[Array, Array]:
    (_, a_RK), (_, b_NR) = read(folder / FILE, names)
    if (b_NR.shape[0], a_RK.shape[1]) != tuple(shape) or a_RK.shape[0] != b_NR.shape[1]:
        raise ArtifactError(
            f"`{folder}`: `{module}` is {tuple(shape)} in the model, and the adapter's is "
            f"{tuple(b_NR.shape)} times {tuple(a_RK.shape)}"
        )
    if not (finite(a_RK) and finite(b_NR)):
        raise ArtifactError(f"`{folder}`: `{module}` has values that are not finite")
    return fp32(a_RK), fp32(b_NR)


def _settings(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / ADAPTER).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(f"`{folder}` is no adapter: {ADAPTER} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise ArtifactError(f"`{folder / ADAPTER}` must hold a JSON object")
    for name, plain in _PLAIN.items():
        if (value := found.get(name, plain[-1] if name != "peft_type" else None)) not in plain:
            raise ArtifactError(
                f"`{folder / ADAPTER}`: `{name}` is {json.dumps(value)}; only {plain[0]!r} can be added"
            )
    for name in ("r", "lora_alpha"):
        if not isinstance(found.get(name), int | float) or found[name] <= 0:
            raise ArtifactError(f"`{folder / ADAPTER}`: `{name}` must be a positive number, got {found.get(name)!r}")
    return found


def _pairs(folder: Path) -> dict[str, tuple[str, str]]:
    """The names of both matrices of each module, by the module's name in the model."""
    found: dict[str, dict[str, str]] = {}
    for name in header(folder / FILE):
        part = re.fullmatch(r"(?:base_model\.model\.)?(.+)\.lora_(A|B)(?:\.default)?\.weight", name)
        if part is None:
            raise ArtifactError(f"`{folder / FILE}`: tensor `{name}` is neither lora_A nor lora_B of a matrix")
        found.setdefault(part[1], {})[part[2]] = name
    for module, both in found.items():
        if len(both) != 2:
            raise ArtifactError(f"`{folder / FILE}`: `{module}` has lora_{min(both)} alone")
    return {module: (both["A"], both["B"]) for module, both in found.items()}


def _scale(settings: dict[str, Any], module: str) -> float:
    """As PEFT has it: patterns match the end of a module's name, and replace rank and alpha."""

    def of(name: str, pattern: str) -> float:
        for key, value in (settings.get(pattern) or {}).items():
            if re.match(rf"(.*\.)?({key})$", module):
                return float(value)
        return float(settings[name])

    rank, alpha = of("r", "rank_pattern"), of("lora_alpha", "alpha_pattern")
    return alpha / math.sqrt(rank) if settings.get("use_rslora") else alpha / rank
