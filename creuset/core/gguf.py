"""The GGUF container: metadata and the places of tensors, read from a memory-mapped file. Knows nothing of models.

The format is llama.cpp's (ggml-org/ggml, docs/gguf.md): magic, version, two counts, keys with typed values, a line for
each tensor, then the tensors' bytes at multiples of `general.alignment`. Types, block sizes and dequantisation are the
`gguf` library's. Its reader is not used: it makes several arrays for each string of a vocabulary
(docs/adr/0017). Whatever is wrong is refused with the file, the field and the byte.

A model may be split into `NAME-00001-of-0000N.gguf`: the first file brings the others with it.

Reading order: `GgufFile`, `GgufTensor`, `_Cursor`.
"""

import math
import mmap
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

from creuset.core.errors import ArtifactError

MAGIC = b"GGUF"
VERSIONS = (2, 3)
ALIGNMENT = 32
MOST_DIMENSIONS = 4
MOST_NESTING = 3  # arrays of arrays

# Number of a value's type -> how struct reads one, and numpy's type for many. 7 is bool, 8 string, 9 array.
SCALARS: dict[int, tuple[str, str]] = {
    0: ("<B", "u1"), 1: ("<b", "i1"), 2: ("<H", "<u2"), 3: ("<h", "<i2"), 4: ("<I", "<u4"), 5: ("<i", "<i4"),
    6: ("<f", "<f4"), 7: ("<B", "u1"), 10: ("<Q", "<u8"), 11: ("<q", "<i8"), 12: ("<d", "<f8"),
}  # fmt: skip
BOOL, STRING, ARRAY = 7, 8, 9
_U64 = struct.Struct("<Q")


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """Where a tensor lies. `shape` is row-major: the last number is the width of a row, which blocks cut."""

    name: str
    shape: tuple[int, ...]
    type: GGMLQuantizationType
    offset: int  # bytes from the start of its file
    nbytes: int
    file: Path

    @property
    def row_bytes(self) -> int:
        block, size = GGML_QUANT_SIZES[self.type]
        return self.shape[-1] // block * size


class GgufFile:
    def __init__(self, path: Path) -> None:
        """Open `path`, and the other parts of a split model. ArtifactError says what is wrong, where, at which byte."""
        self.path = path
        first, number, count = split_of(path)
        if number > 1:
            raise ArtifactError(f"`{path}` is part {number} of {count}", hint=f"give the first part: `{first}`")
        self._maps: dict[Path, mmap.mmap] = {}
        self.tensors: dict[str, GgufTensor] = {}
        self.metadata: dict[str, Any] = self._open(path)
        said = self.metadata.get("split.count", 1)
        if said not in (count, 0):
            raise ArtifactError(f"`{path}`: split.count is {said}, its name says {count}")
        for at in range(2, count + 1):
            part = part_name(path, at, count)
            if not part.is_file():
                raise ArtifactError(f"`{path}`: its part {at} of {count}, `{part.name}`, is missing")
            found = self._open(part).get("split.no")
            if found != at - 1:
                raise ArtifactError(f"`{part}`: split.no is {found}, its name says {at - 1}")
        wanted = self.metadata.get("split.tensors.count")
        if wanted is not None and wanted != len(self.tensors):
            raise ArtifactError(f"`{path}`: split.tensors.count is {wanted}, the parts have {len(self.tensors)}")

    @property
    def files(self) -> list[Path]:
        return list(self._maps)

    def raw(self, name: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """The bytes of a tensor as they are stored: (*shape[:-1], bytes of a row), read-only, in the mapped file."""
        tensor = self.tensors[name]
        flat = np.frombuffer(self._maps[tensor.file], np.uint8, count=tensor.nbytes, offset=tensor.offset)
        return flat.reshape(*tensor.shape[:-1], tensor.row_bytes)

    def _open(self, path: Path) -> dict[str, Any]:
        try:
            with path.open("rb") as stream:
                mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError as error:  # an empty file cannot be mapped
            raise ArtifactError(f"`{path}` is not a GGUF file: it is empty") from error
        except OSError as error:
            raise ArtifactError(f"`{path}` cannot be read: {error.strerror or error}") from error
        self._maps[path] = mapped
        cursor = _Cursor(path, mapped)
        tensors, keys = cursor.start()
        metadata = cursor.pairs(keys)
        align = metadata.get("general.alignment", ALIGNMENT)
        if type(align) is not int or align < 1 or align & (align - 1):
            raise ArtifactError(f"`{path}`: general.alignment must be a power of two, got {align!r}")
        for tensor in cursor.table(tensors, align):
            if tensor.name in self.tensors:
                raise ArtifactError(f"`{path}`: tensor `{tensor.name}` is there twice")
            self.tensors[tensor.name] = tensor
        return metadata


def is_gguf(path: Path) -> bool:
    """Whether `path` is a file that begins as GGUF does, or is named so."""
    if not path.is_file():
        return False
    if path.suffix.lower() == ".gguf":
        return True
    with path.open("rb") as stream:
        return stream.read(4) == MAGIC


_SPLIT = re.compile(r"^(.*)-(\d{5})-of-(\d{5})\.gguf$")


def split_of(path: Path) -> tuple[Path, int, int]:
    """(first part, number of this part, number of parts) by its name; one of one when it is not a part."""
    if not (found := _SPLIT.match(path.name)) or not 1 <= int(found[2]) <= int(found[3]):
        return path, 1, 1
    return path.with_name(f"{found[1]}-00001-of-{found[3]}.gguf"), int(found[2]), int(found[3])


def part_name(first: Path, number: int, count: int) -> Path:
    return first.with_name(first.name.replace(f"-00001-of-{count:05d}.gguf", f"-{number:05d}-of-{count:05d}.gguf"))


class _Cursor:
    """A place in the header that moves on; every read is checked against the end of the file."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self.path, self.data, self.size, self.at = path, data, len(data), 0
        self.field = "magic"

    def refuse(self, what: str, at: int | None = None) -> ArtifactError:
        where = self.at if at is None else at
        return ArtifactError(f"`{self.path}` is not a GGUF file that can be read: {self.field} at byte {where}: {what}")

    def start(self) -> tuple[int, int]:
        """Number of tensors and of keys."""
        if self.data[:4] != MAGIC:
            raise ArtifactError(f"`{self.path}` is not a GGUF file: it begins with {self.data[:4]!r}, not with `GGUF`")
        self.at, self.field = 4, "version"
        version = self.scalar(4)
        if version not in VERSIONS:
            if int.from_bytes(version.to_bytes(4, "little"), "big") in VERSIONS:
                raise self.refuse("the file is big-endian; only little-endian files are read", 4)
            raise self.refuse(f"version {version} is not read, only {' and '.join(map(str, VERSIONS))}", 4)
        self.field = "tensor_count"
        tensors = self.count(24)
        self.field = "kv_count"
        return tensors, self.count(12)

    def scalar(self, kind: int) -> Any:
        form = SCALARS[kind][0]
        end = self.at + struct.calcsize(form)
        if end > self.size:
            raise self.refuse(f"the file is cut: it ends at byte {self.size}")
        (value,) = struct.unpack_from(form, self.data, self.at)
        if kind == BOOL:
            if value > 1:
                raise self.refuse(f"a boolean is {value}")
            value = bool(value)
        self.at = end
        return value

    def count(self, least: int) -> int:
        """A number of things that take at least `least` bytes each: no more than the file can hold."""
        at, value = self.at, int(self.scalar(10))
        if value * least > self.size - self.at:
            raise self.refuse(f"the file is cut or damaged: it cannot hold {value} of them", at)
        return value

    def text(self) -> str:
        length = self.count(1)
        end = self.at + length
        try:
            value = self.data[self.at : end].decode()
        except UnicodeDecodeError as error:
            raise self.refuse(f"text that is not UTF-8 ({error.reason})", self.at + error.start) from error
        self.at = end
        return value

    def pairs(self, count: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for index in range(count):
            self.field = f"key {index}"
            key = self.text()
            if key in found:
                raise self.refuse(f"`{key}` is there twice")
            self.field = f"`{key}`"
            found[key] = self.value(self.scalar(4))
        return found

    def value(self, kind: int, nesting: int = 0) -> Any:
        if kind in SCALARS:
            return self.scalar(kind)
        if kind == STRING:
            return self.text()
        if kind != ARRAY or nesting == MOST_NESTING:
            raise self.refuse(f"values of type {kind} are not known", self.at - 4)
        inner = self.scalar(4)
        if inner in SCALARS:
            return self.numbers(inner)
        if inner not in (STRING, ARRAY):
            raise self.refuse(f"an array of type {inner} is not known", self.at - 4)
        count = self.count(8)
        return self.texts(count) if inner == STRING else [self.value(ARRAY, nesting + 1) for _ in range(count)]

    def numbers(self, kind: int) -> list[Any]:
        form = np.dtype(SCALARS[kind][1])
        count = self.count(form.itemsize)
        values = np.frombuffer(self.data, form, count=count, offset=self.at)
        if kind == BOOL and count and values.max() > 1:
            raise self.refuse(f"a boolean is {values.max()}")
        self.at += count * form.itemsize
        return [bool(v) for v in values.tolist()] if kind == BOOL else values.tolist()

    def texts(self, count: int) -> list[str]:
        """A vocabulary: the loop that has to be fast."""
        found: list[str] = []
        data, at, size, read = self.data, self.at, self.size, _U64.unpack_from
        for index in range(count):
            if at + 8 > size or (end := at + 8 + (length := read(data, at)[0])) > size:
                raise self.refuse(f"the file is cut: entry {index} of {count} goes beyond its end ({size})", at)
            try:
                found.append(data[end - length : end].decode())
            except UnicodeDecodeError as error:
                raise self.refuse(f"entry {index} is not UTF-8 ({error.reason})", at) from error
            at = end
        self.at = at
        return found

    def table(self, count: int, align: int) -> list[GgufTensor]:
        """The tensors, each inside the file."""
        lines = [self.line(index) for index in range(count)]
        start = -(-self.at // align) * align
        found = []
        for name, shape, kind, offset in lines:
            self.field = f"tensor `{name}`"
            block, size = GGML_QUANT_SIZES[kind]
            if shape[-1] % block:
                raise self.refuse(f"rows of {shape[-1]} are not whole blocks of {block} ({kind.name})", start + offset)
            if offset % align:
                raise self.refuse(f"its place {offset} is not a multiple of {align}", start + offset)
            nbytes = math.prod(shape) // block * size
            if (end := start + offset + nbytes) > self.size:
                raise self.refuse(f"the file is cut: it ends at byte {self.size}, the tensor at {end}", start + offset)
            found.append(GgufTensor(name, shape, kind, start + offset, nbytes, self.path))
        return found

    def line(self, index: int) -> tuple[str, tuple[int, ...], GGMLQuantizationType, int]:
        self.field = f"tensor {index}"
        name = self.text()
        self.field = f"tensor `{name}`"
        dimensions = self.scalar(4)
        if not 1 <= dimensions <= MOST_DIMENSIONS:
            raise self.refuse(f"{dimensions} dimensions", self.at - 4)
        shape = tuple(self.scalar(10) for _ in range(dimensions))[::-1]
        if min(shape) < 1:
            raise self.refuse(f"shape {list(shape)}")
        number = self.scalar(4)
        try:
            kind = GGMLQuantizationType(number)
        except ValueError as error:
            raise self.refuse(f"type {number} is not known to the gguf library", self.at - 4) from error
        return name, shape, kind, self.scalar(10)
