"""A model as a GGUF file: shape, weights of any type, vocabulary and template. Written one tensor at a time.

    write_gguf(open_weights(path), vocabulary(path), file, plan=PLANS["q8_0"])

Reading order: `TypePlan`, `write_gguf`, `_rows`.
"""

import errno
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFValueType, LlamaFileType
from gguf.gguf_writer import GGUFWriter
from torch import Tensor

from creuset.core.disk import room_for
from creuset.core.errors import ArtifactError, ConfigError
from creuset.model.config import ModelConfig
from creuset.model.formats.gguf import latent
from creuset.model.formats.gguf.blocks import Bytes, fits, quantized
from creuset.model.formats.gguf.keys import architecture_of, extra_tensors, keys_of
from creuset.model.formats.gguf.layout import Place, permuted, places
from creuset.model.formats.stored.shapes import weight_shapes
from creuset.model.formats.weights import StoredTensor, WeightSource

F32 = GGMLQuantizationType.F32
# llama.cpp computes with these in fp32 only.
ALWAYS_F32 = ("_norm.weight", "ffn_gate_inp.weight", "ffn_gate_inp_shexp.weight")


@dataclass(frozen=True, kw_only=True, slots=True)
class TypePlan:
    """The type of each matrix. Norms, biases and routers are fp32 in every plan."""

    name: str
    matrices: GGMLQuantizationType
    embedding: GGMLQuantizationType  # and the output head
    narrow: GGMLQuantizationType  # of rows that are no multiple of a block of `matrices`
    number: LlamaFileType
    wider: frozenset[str] = frozenset()  # matrices of the file that have the embedding's type
    searched: bool = False  # scales of 4 bits are those with the least error (fit.py)

    def kind(self, tensor: str, width: int) -> GGMLQuantizationType:
        """The type of the matrix `tensor`, whose rows have `width` numbers."""
        if tensor.endswith(ALWAYS_F32):
            return F32
        chosen = self.embedding if tensor in {"token_embd.weight", "output.weight"} | self.wider else self.matrices
        return next((kind for kind in (chosen, self.narrow) if fits(width, kind)), GGMLQuantizationType.F16)


_T, _F = GGMLQuantizationType, LlamaFileType
PLANS: dict[str, TypePlan] = {
    "fp32": TypePlan(name="fp32", matrices=_T.F32, embedding=_T.F32, narrow=_T.F32, number=_F.ALL_F32),
    "fp16": TypePlan(name="fp16", matrices=_T.F16, embedding=_T.F16, narrow=_T.F16, number=_F.MOSTLY_F16),
    "bf16": TypePlan(name="bf16", matrices=_T.BF16, embedding=_T.BF16, narrow=_T.BF16, number=_F.MOSTLY_BF16),
    "q8_0": TypePlan(name="q8_0", matrices=_T.Q8_0, embedding=_T.Q8_0, narrow=_T.Q8_0, number=_F.MOSTLY_Q8_0),
    # The embedding is read row by row and is the output head where they are tied: it keeps more bits, as in llama.cpp.
    "q4_0": TypePlan(name="q4_0", matrices=_T.Q4_0, embedding=_T.Q8_0, narrow=_T.Q4_0, number=_F.MOSTLY_Q4_0),
    "q4_1": TypePlan(name="q4_1", matrices=_T.Q4_1, embedding=_T.Q8_0, narrow=_T.Q4_1, number=_F.MOSTLY_Q4_1),
    # Blocks of 256: rows of another width have Q5_0, the next better type with blocks of 32, as in llama.cpp.
    "q4_k": TypePlan(name="q4_k", matrices=_T.Q4_K, embedding=_T.Q8_0, narrow=_T.Q5_0, number=_F.MOSTLY_Q4_K_S),
}


def light(config: ModelConfig, plan: TypePlan) -> None:
    """Refuse a model of which `plan` makes no matrix lighter. ConfigError names the width."""
    widths = {config.hidden, config.ffn or config.expert_ffn, config.expert_ffn or config.ffn}
    if not any(fits(width, kind) for width in widths for kind in (plan.matrices, plan.narrow)):
        block = GGML_QUANT_SIZES[plan.narrow][0]
        raise ConfigError(
            f"{plan.name} makes nothing of this model lighter: it needs rows of a multiple of {block} numbers, "
            f"and they have {' and '.join(map(str, sorted(widths)))}"
        )


def write_gguf(
    source: WeightSource,
    vocabulary: Mapping[str, Any],
    file: Path,
    *,
    plan: TypePlan,
    facts: Mapping[str, Any] | None = None,
    importance: Mapping[str, Tensor] | None = None,
) -> dict[str, int]:
    """Write `file`, complete or not at all; returns how many tensors there are of each type.

    `vocabulary` holds the keys `tokenizer.…`, `facts` those of `general.…`. `importance` (width) of the inputs of some
    parameters says how much an error there counts where scales are searched. Raises ArtifactError where the file exists
    or llama.cpp has no architecture that computes the same.
    """
    if file.exists():
        raise ArtifactError(f"`{file}` already exists", hint="nothing is overwritten; choose another name")
    arch, keys = architecture_of(source.config), keys_of(source.config)
    stored = {tensor.name: tensor for tensor in latent.apart(source.config, source.tensors())}
    shapes = latent.apart_shapes(source.config, weight_shapes(source.config))
    groups = matrices_of(arch, source.config, shapes)
    scratch = file.with_name(file.name + ".partial")
    scratch.parent.mkdir(parents=True, exist_ok=True)
    writer = GGUFWriter(scratch, arch)
    general = {"general.type": "model", "general.file_type": int(plan.number), "general.quantization_version": 2}
    for key, value in (general | dict(facts or {}) | keys | dict(vocabulary)).items():
        _add(writer, key, value)
    kinds: dict[str, GGMLQuantizationType] = {}
    for tensor, group in groups.items():
        shape = _shape(group, shapes)
        kinds[tensor] = plan.kind(tensor, shape[-1]) if len(shape) > 1 and tensor.endswith(".weight") else F32
        block, size = GGML_QUANT_SIZES[kinds[tensor]]
        nbytes = int(np.prod(shape)) // block * size
        writer.add_tensor_info(tensor, shape, np.dtype(np.float32), nbytes, raw_dtype=kinds[tensor])
    extra = {name: np.asarray(values, np.float32) for name, values in extra_tensors(source.config).items()}
    for name, vector in extra.items():
        writer.add_tensor_info(name, vector.shape, vector.dtype, vector.nbytes)
    try:
        with room_for(file), _numbered(scratch):
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_ti_data_to_file()
            for tensor, group in groups.items():
                writer.write_tensor_data(_bytes(group, stored, kinds[tensor], plan, importance or {}))
            for vector in extra.values():
                writer.write_tensor_data(vector)
            writer.close()
        os.replace(scratch, file)
    finally:
        writer.close()
        scratch.unlink(missing_ok=True)
    return {kind.name: sum(k == kind for k in kinds.values()) for kind in sorted(set(kinds.values()))}


def matrices_of(
    arch: str, config: ModelConfig, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, list[tuple[Place, str]]]:
    """Of each tensor of the file the parameters in it, in its order."""
    groups: dict[str, list[tuple[Place, str]]] = defaultdict(list)
    for name, place in places(arch, config, shapes).items():
        groups[place.tensor].append((place, name))
    for group in groups.values():
        group.sort(key=lambda one: (one[0].expert or 0, one[0].start))
    return groups


@contextmanager
def _numbered(file: Path) -> Iterator[None]:
    """NumPy says in words alone that there was no room to write."""
    try:
        yield
    except OSError as error:
        if error.errno is not None:
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file)) from error


def _shape(group: list[tuple[Place, str]], shapes: Mapping[str, tuple[int, ...]]) -> list[int]:
    """Row-major shape of a tensor of the file: experts, rows of all its parts, width."""
    first = group[0][0]
    one = [name for place, name in group if place.expert == first.expert]
    shape = [sum(shapes[name][0] for name in one), *shapes[one[0]][1:]]
    return shape if first.expert is None else [len(group) // len(one), *shape]


def _bytes(
    group: list[tuple[Place, str]], stored: Mapping[str, StoredTensor], kind: GGMLQuantizationType, plan: TypePlan,
    importance: Mapping[str, Tensor],
) -> Bytes:  # fmt: skip
    rows = (_rows(stored[name], place, kind, plan.searched, importance.get(name)) for place, name in group)
    return np.concatenate([one.reshape(-1) for one in rows])


def _rows(
    tensor: StoredTensor, place: Place, kind: GGMLQuantizationType, searched: bool, importance: Tensor | None
) -> Bytes:
    """One parameter in the file's order of rows and of type `kind`; its blocks as they are where it has that type."""
    same = tensor.kind == kind.name and not place.offset
    order = permuted(tensor.shape[0], place.heads) if place.heads else None
    if same:
        return np.ascontiguousarray(tensor.codes if order is None else tensor.codes[order])
    values = tensor.values(torch.float32)
    if order is not None:
        values = values[torch.from_numpy(order)]
    values = values + place.offset if place.offset else values
    return quantized(values[None] if values.ndim == 1 else values, kind, searched=searched, importance=importance)


def _add(writer: GGUFWriter, key: str, value: Any) -> None:
    """Whole numbers are 32 bits without sign, as llama.cpp's converter writes them."""
    if isinstance(value, list | tuple):
        writer.add_array(key, list(value))
    elif isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_key_value(key, value, GGUFValueType.UINT32)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    else:
        writer.add_key_value(key, value, GGUFValueType.STRING)
