"""Our file of weights in 8 or 4 bits, read as codes and scales; model/quant.py says what they are, and writes it."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from creuset.core.errors import ArtifactError
from creuset.model.formats.stored.numbers import Array, finite, floating, spelled
from creuset.model.formats.tensors import checked, header, read, refuse_difference

FILE = "model.q.safetensors"


def stored(file: Path, shapes: Mapping[str, tuple[int, ...]]) -> Iterator[tuple[str, Array, Array | None]]:
    """(name, codes, scales) of each parameter in a quantized file; (name, values, None) of those kept as they are.

    `shapes` says which parameters there must be. ArtifactError names the tensor that is missing, foreign or damaged.
    """
    table = header(file)
    wanted: set[str] = set()
    for name in shapes:
        key = next((f"{name}{end}" for end in (".q8", ".q4") if f"{name}{end}" in table), name)
        wanted |= {key} if key == name else {key, f"{name}.scale"}
    refuse_difference(wanted, set(table), file)
    tensors = dict(read(file, table))
    for name, shape in shapes.items():
        if name in tensors:
            yield name, checked(tensors.pop(name), shape, name, file), None
            continue
        key = f"{name}.q8" if f"{name}.q8" in tensors else f"{name}.q4"
        codes, scale = tensors.pop(key), tensors.pop(f"{name}.scale")
        if codes.dtype != (np.int8 if key.endswith("8") else np.uint8):
            raise ArtifactError(f"`{file}`: tensor `{key}` is {spelled(codes.dtype)}")
        if key.endswith("4"):
            codes = unpack4(codes)
        if codes.shape != shape:
            raise ArtifactError(f"`{file}`: tensor `{key}` is for {list(codes.shape)}, not {list(shape)}")
        if scale.shape[:-1] != codes.shape[:-1] or not scale.shape[-1] or codes.shape[-1] % scale.shape[-1]:
            raise ArtifactError(f"`{file}`: tensor `{name}.scale` has shape {list(scale.shape)}")
        if not floating(scale.dtype) or not finite(scale):
            raise ArtifactError(f"`{file}`: tensor `{name}.scale` has values that are not finite")
        yield name, codes, scale


def unpack4(packed: Array) -> Array:
    """Bytes (..., in / 2) -> codes (..., in), int8 of [-8, 7]: even columns are in the low half."""
    codes = np.empty((*packed.shape[:-1], 2 * packed.shape[-1]), dtype=np.int8)
    codes[..., 0::2], codes[..., 1::2] = packed & 15, packed >> 4
    codes -= 8
    return codes
