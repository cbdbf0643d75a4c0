"""Safetensors files: read with refusals that name the tensor, written with the errors of other files."""

import errno
import json
import mmap
import os
import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, safe_open

from creuset.core.errors import ArtifactError
from creuset.model.formats.stored.numbers import STORED, Array, finite, floating, spelled

if TYPE_CHECKING:
    from torch import Tensor


def header(file: Path) -> dict[str, Any]:
    """Names, dtypes, shapes and places of the tensors in `file`; refused when the file is shorter than they need."""
    return _header(file)[0]


def _header(file: Path) -> tuple[dict[str, Any], int]:
    """The same, and the byte from which places are counted."""
    size = file.stat().st_size
    try:
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > size - 8:
                raise ValueError("its header is cut")
            table: dict[str, Any] = json.loads(stream.read(length))
    except (struct.error, ValueError) as error:
        raise ArtifactError(f"`{file}` is not a safetensors file: {error}") from error
    table.pop("__metadata__", None)
    for name, entry in table.items():
        if not isinstance(entry, dict) or not isinstance(places := entry.get("data_offsets"), list):
            raise ArtifactError(f"`{file}` is damaged: tensor `{name}` has no place in it")
        if (end := 8 + length + places[1]) > size:
            raise ArtifactError(f"`{file}` is cut: tensor `{name}` ends at byte {end}, the file at {size}")
    return table, 8 + length


def read(file: Path, names: Iterable[str]) -> Iterator[tuple[str, Array]]:
    """Tensors as they are stored: read-only, in the mapped file, which stays open as long as one of them lives."""
    table, start = _header(file)
    try:
        with safe_open(file, framework="np"):  # the library knows what else may be wrong with a file
            pass
    except SafetensorError as error:
        raise ArtifactError(f"`{file}` is damaged: {error}") from error
    with file.open("rb") as stream:
        mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    for name in names:
        entry = table[name]
        if (dtype := STORED.get(entry["dtype"])) is None:
            raise ArtifactError(f"`{file}`: tensor `{name}` is {entry['dtype']}, which is not read")
        begin, end = entry["data_offsets"]
        flat = np.frombuffer(mapped, np.uint8, end - begin, start + begin)
        yield (
            name,
            (flat if (start + begin) % dtype.alignment == 0 else flat.copy()).view(dtype).reshape(entry["shape"]),
        )


def refuse_difference(wanted: set[str], found: set[str], where: Path) -> None:
    if missing := sorted(wanted - found):
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise ArtifactError(f"`{where}`: tensor `{missing[0]}`{more} is missing")
    if unexpected := sorted(found - wanted):
        more = f" (and {len(unexpected) - 1} more)" if len(unexpected) > 1 else ""
        raise ArtifactError(f"`{where}`: tensor `{unexpected[0]}`{more} is not part of the model that config.json says")


def checked(value: Array, shape: tuple[int, ...], name: str, file: Path) -> Array:
    """`value`, when it is a plain floating-point tensor of that shape with finite values only. ArtifactError else."""
    if value.shape != shape:
        raise ArtifactError(f"`{file}`: tensor `{name}` has shape {list(value.shape)}, config.json says {list(shape)}")
    if not floating(value.dtype):
        raise ArtifactError(f"`{file}`: tensor `{name}` is {spelled(value.dtype)}, not a plain floating-point tensor")
    if not finite(value):
        raise ArtifactError(f"`{file}`: tensor `{name}` has values that are not finite")
    return value


def write(tensors: "Mapping[str, Tensor]", file: Path, *, metadata: dict[str, str] | None = None) -> None:
    """Write contiguous tensors; raises OSError, as every other file does, when there is no room."""
    from safetensors.torch import save_file

    file.touch()
    mode = file.stat().st_mode  # as the user's umask has it: the library makes a file that only the owner can read
    try:
        save_file(dict(tensors), file, metadata=metadata)
        file.chmod(mode)
    except SafetensorError as error:
        # The library tells the system's error in words: `I/O error: No space left on device (os error 28)`.
        found = re.search(r"os error (\d+)", str(error))
        number = int(found[1]) if found else errno.EIO
        raise OSError(number, os.strerror(number), str(file)) from error
