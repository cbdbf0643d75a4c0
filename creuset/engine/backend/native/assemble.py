"""A model of the native core, put together of weights as they are stored.

`Assembled` owns the C++ model and the packed weights that it points to. A weight is packed when it comes, so no second
copy of a whole model is ever in memory.
"""

import ctypes
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from creuset.core.errors import ArtifactError, ConfigError
from creuset.core.native.library import Library
from creuset.engine.backend.native import latent
from creuset.engine.backend.native.interface import Slot, declare, shape_of
from creuset.engine.backend.native.matrix import PackedMatrix
from creuset.model.config import ModelConfig
from creuset.model.formats.adapter import low_rank, modules_of
from creuset.model.formats.weights import StoredTensor

Pack = Callable[[StoredTensor], PackedMatrix]

# Of a layer: (slot, which of the matrices side by side). Norms have another place in families that norm behind.
_MATRICES = {
    "self_attn.q_proj": (Slot.QKV, 0), "self_attn.k_proj": (Slot.QKV, 1), "self_attn.v_proj": (Slot.QKV, 2),
    "self_attn.o_proj": (Slot.OUT, 0), "mlp.gate": (Slot.ROUTER, 0),
    "mlp.gate_proj": (Slot.UP, 0), "mlp.up_proj": (Slot.UP, 1), "mlp.down_proj": (Slot.DOWN, 0),
    "mlp.shared_expert.gate_proj": (Slot.SHARED_UP, 0), "mlp.shared_expert.up_proj": (Slot.SHARED_UP, 1),
    "mlp.shared_expert.down_proj": (Slot.SHARED_DOWN, 0),
    "mlp.experts.gate_proj": (Slot.EXPERT_UP, 0), "mlp.experts.up_proj": (Slot.EXPERT_UP, 1),
    "mlp.experts.down_proj": (Slot.EXPERT_DOWN, 0), "eh_proj": (Slot.JOIN, 0),
}  # fmt: skip
_NORMS = {
    "input_layernorm": Slot.NORM_IN, "post_attention_layernorm": Slot.NORM_MIDDLE,
    "pre_feedforward_layernorm": Slot.NORM_BEFORE, "post_feedforward_layernorm": Slot.NORM_AFTER,
    "self_attn.q_norm": Slot.Q_NORM, "self_attn.k_norm": Slot.K_NORM, **latent.NORMS,
    "enorm": Slot.NORM_NEXT, "hnorm": Slot.NORM_HIDDEN, "shared_head.norm": Slot.NORM_GUESS,
}  # fmt: skip
ADAPTED = (Slot.QKV, Slot.OUT, Slot.UP, Slot.DOWN)  # what adapters can change beside others that do not
_LAYER = re.compile(r"model\.layers\.(\d+)\.(.+)")
_EXPERT = re.compile(r"mlp\.experts\.(\d+)\.")
_FUNCTION = "mlp.act_fn."


def unsupported(config: ModelConfig) -> str | None:
    """Why the native core cannot compute such a model, in one line; None: it can."""
    if config.experts > 4096:
        return f"the native core has room for 4096 experts, and the model has {config.experts}"
    return None


def adaptable(config: ModelConfig, module: str) -> bool:
    """Whether an adapter's difference to this matrix can be computed beside other adapters."""
    found = _LAYER.fullmatch(module)
    slot = _MATRICES.get(found[2], (Slot.HEAD, 0))[0] if found is not None else Slot.HEAD
    return config.latent is None and slot in ADAPTED


class Assembled:
    """The C++ model. It is freed with this object."""

    def __init__(self, library: Library, config: ModelConfig, tensors: Iterable[StoredTensor], pack: Pack) -> None:
        self.functions, self.config = library.functions, config
        declare(self.functions)
        shape = shape_of(config)
        self.handle: int | None = self.functions.creuset_model_new(ctypes.byref(shape))
        if self.handle is None:
            raise ArtifactError("the native core and its Python side are not of one version: build the core again")
        self.kinds: Counter[str] = Counter()  # bytes of the packed weights, by their kind
        self._matrices = _MATRICES if config.latent is None else _MATRICES | latent.MATRICES
        self._kept: list[PackedMatrix] = []
        self._parts: dict[tuple[int, Slot, int], dict[int, PackedMatrix]] = {}
        self._biases: dict[tuple[int, Slot, int], dict[int, NDArray[np.float32]]] = {}
        self._bends: dict[int, dict[str, float]] = {}
        for tensor in tensors:
            self._take(tensor, pack)
        self._finish()

    def __del__(self) -> None:
        if getattr(self, "handle", None) is not None:
            self.functions.creuset_model_free(self.handle)
            self.handle = None

    def adapt(self, folder: Path) -> int:
        """The number of the adapter in `folder`. ConfigError: it changes what this core adds nothing to."""
        for module in modules_of(folder):
            if not adaptable(self.config, module) and _LAYER.fullmatch(module):
                raise ConfigError(f"`{folder}` changes `{module}`, which the native core adds to in a copy only")
        shapes = {f"model.layers.{layer}.{stem}": (weight.outs, weight.ins)
                  for stem, (slot, part) in _MATRICES.items() for (layer, place, _), parts in self._parts.items()
                  if place == slot and (weight := parts.get(part)) is not None}  # fmt: skip
        pairs = list(low_rank(folder, shapes))  # all of them, before anything is changed
        number = int(self.functions.creuset_model_adapter(self.handle))
        if not number:
            raise MemoryError("no memory for an adapter in the native core")
        for module, a_RK, b_NR in pairs:
            found = _LAYER.fullmatch(module)
            assert found is not None
            layer, (slot, part) = int(found[1]), _MATRICES[found[2]]
            parts = self._parts[layer, slot, 0]
            at = sum(weight.outs for before, weight in parts.items() if before < part)
            a_RK, b_RN = (np.ascontiguousarray(one, dtype=np.float32) for one in (a_RK, b_NR.T))
            self._done(self.functions.creuset_model_low_rank(
                self.handle, number, layer, slot, at, b_RN.shape[1], a_RK.shape[1], len(a_RK), a_RK.ctypes.data,
                b_RN.ctypes.data,
            ))  # fmt: skip
        return number

    def _take(self, tensor: StoredTensor, pack: Pack) -> None:
        if tensor.name == "model.embed_tokens.weight":
            self._matrix((0, Slot.EMBEDDING, 0), 0, pack(tensor))
        elif tensor.name == "lm_head.weight":
            self._matrix((0, Slot.HEAD, 0), 0, pack(tensor))
        elif tensor.name == "model.norm.weight":
            self._vector(0, Slot.NORM_LAST, 0, tensor.fp32() + self.config.traits.norm_offset)
        elif (found := _LAYER.fullmatch(tensor.name)) is not None:
            self._take_of_layer(int(found[1]), found[2], tensor, pack)
        else:
            raise ArtifactError(f"tensor `{tensor.name}` has no place in the native core")

    def _take_of_layer(self, layer: int, name: str, tensor: StoredTensor, pack: Pack) -> None:
        if self.config.latent is not None:
            tensor = latent.sorted_rows(self.config.latent, name.rpartition(".")[0], tensor)
        expert = int(number[1]) if (number := _EXPERT.match(name)) else 0
        stem, _, kind = _EXPERT.sub("mlp.experts.", name).rpartition(".")
        if name == "mlp.shared_expert_gate.weight":
            self._vector(layer, Slot.SHARED_GATE, 0, tensor.fp32())
        elif name == "mlp.gate.e_score_correction_bias":
            self._vector(layer, Slot.CORRECTION, 0, tensor.fp32())
        elif name == "self_attn.sinks":
            self._vector(layer, Slot.SINKS, 0, tensor.fp32())
        elif name.startswith(_FUNCTION):
            self._bends.setdefault(layer, {})[name.removeprefix(_FUNCTION)] = float(tensor.fp32().item())
        elif stem == latent.BOTH and self.config.latent is not None:
            for slot, head, weight in latent.heads(self.config.latent, self.config.heads, tensor):
                self._matrix((layer, slot, head), 0, pack(weight))
        elif stem in _NORMS:
            self._vector(layer, _NORMS[stem], 0, tensor.fp32() + self.config.traits.norm_offset)
        elif stem in self._matrices and kind == "bias":
            place, part = self._matrices[stem]
            self._biases.setdefault((layer, place, expert), {})[part] = tensor.fp32()
        elif stem in self._matrices and kind == "weight":
            place, part = self._matrices[stem]
            self._matrix((layer, place, expert), part, pack(tensor))
        else:
            raise ArtifactError(f"tensor `{tensor.name}` has no place in the native core")

    def _matrix(self, at: tuple[int, Slot, int], part: int, weight: PackedMatrix) -> None:
        self._parts.setdefault(at, {})[part] = weight
        self.kinds[weight.kind] += weight.bytes

    def _finish(self) -> None:
        if self.config.tie_embeddings:
            self._parts[0, Slot.HEAD, 0] = self._parts[0, Slot.EMBEDDING, 0]
        for (layer, place, expert), parts in self._parts.items():
            for _, weight in sorted(parts.items()):
                struct = ctypes.byref(weight.struct)
                self._done(self.functions.creuset_model_matrix(self.handle, layer, place, expert, struct))
                self._kept.append(weight)
        for (layer, place, expert), biases in self._biases.items():
            self._vector(layer, place, expert, np.concatenate([bias for _, bias in sorted(biases.items())]))
        for layer in range(self.config.layers + self.config.next_layers):
            bend = self._bends.get(layer)
            numbers = None if bend is None else np.array(_xielu(bend), dtype=np.float32)
            curve = None if numbers is None else numbers.ctypes.data
            window, local = self.config.window_of(layer), self.config.is_local(layer)
            self._done(self.functions.creuset_model_layer(self.handle, layer, window, int(local), curve))

    def _vector(self, layer: int, place: Slot, expert: int, values: NDArray[np.float32]) -> None:
        flat = np.ascontiguousarray(values, dtype=np.float32).reshape(-1)
        self._done(self.functions.creuset_model_vector(self.handle, layer, place, expert, flat.ctypes.data, len(flat)))

    def _done(self, failed: int) -> None:
        if failed == 2:
            raise MemoryError("no memory for the weights of the native core")
        assert not failed, "a weight has no place in the native core"


def _xielu(numbers: dict[str, float]) -> list[float]:
    """As model/layers/mlp.py's XIELU computes them of what is stored."""

    def softplus(x: float) -> float:
        return x if x > 20 else math.log1p(math.exp(x))  # as torch has it

    beta = numbers["beta"]
    return [softplus(numbers["alpha_p"]), beta + softplus(numbers["alpha_n"]), beta, numbers["eps"]]
