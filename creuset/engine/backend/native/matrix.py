"""PackedMatrix matrices: what the native core multiplies with (native/matrix.h says how they lie in memory).

`Matrix` is the structure that C sees. `PackedMatrix` owns the memory behind it; `Arena` hands out memory for many.
"""

import ctypes
import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from creuset.core.errors import ConfigError
from creuset.core.native.library import Library

KINDS: Final = ("f32", "bf16", "q8", "q4", "q4a")
SCALE_TYPES: Final = ("f32", "bf16", "f16")
FORMS: Final = {"f32": 1, "bf16": 2, "q8": 4, "q4": 4, "q4a": 4}  # of the activations that a kind needs
TILE: Final = 32  # outputs that lie together; a thread's share is a multiple of it
CHUNK: Final = 64 << 20  # bytes that an arena takes from the system at once

Floats = npt.NDArray[np.float32]


class Matrix(ctypes.Structure):
    """`struct Matrix` of native/matrix.h. `data` must outlive it: `PackedMatrix` sees to that."""

    _fields_ = [
        *((name, ctypes.c_int32) for name in ("kind", "outs", "ins", "group", "scale_type", "unused")),
        ("data", ctypes.c_void_p),
    ]  # fmt: skip


class Rows(ctypes.Structure):
    """`struct Rows` of native/matrix.h: activations in the forms that products read."""

    _fields_ = [
        *((name, ctypes.c_int32) for name in ("rows", "ins", "forms", "groups")),
        ("ld", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in ("values", "bf16", "codes", "scales", "minus", "halves", "sums")),
    ]  # fmt: skip


class Arena:
    """Memory for packed weights in large pieces, on pages of 2 MiB where the system gives them."""

    def __init__(self) -> None:
        self._piece: mmap.mmap | None = None
        self._used = 0
        self.bytes = 0  # handed out so far

    def take(self, size: int) -> npt.NDArray[np.uint8]:
        """`size` bytes, aligned to 64, zero. They live as long as somebody holds them."""
        whole = -(-size // 64) * 64
        if self._piece is None or self._used + whole > len(self._piece):
            self._piece, self._used = _private(max(whole, CHUNK)), 0
            if hasattr(mmap, "MADV_HUGEPAGE"):
                self._piece.madvise(mmap.MADV_HUGEPAGE)
        taken = np.frombuffer(self._piece, np.uint8, size, self._used)
        self._used += whole
        self.bytes += whole
        return taken


def _private(size: int) -> mmap.mmap:
    # Memory that is shared, as it would be by default, never gets large pages.
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


@dataclass(frozen=True, slots=True)
class PackedMatrix:
    """A matrix in the layout of the kernels."""

    kind: str
    outs: int
    ins: int
    struct: Matrix
    memory: npt.NDArray[np.uint8]

    @property
    def bytes(self) -> int:
        return self.memory.nbytes


class Products:
    """Packing, activations and products of one library, for loading, tests and benches. A step calls C itself."""

    def __init__(self, library: Library) -> None:
        self.library = library
        f = self._functions = library.functions
        matrix, rows, i64, i32, pointer = (
            ctypes.POINTER(Matrix), ctypes.POINTER(Rows), ctypes.c_int64, ctypes.c_int32, ctypes.c_void_p,
        )  # fmt: skip
        f.creuset_packed_bytes.restype = f.creuset_rows_bytes.restype = i64
        f.creuset_packed_bytes.argtypes = [matrix]
        for name in ("f32", "bf16", "rounded"):
            getattr(f, f"creuset_pack_{name}").argtypes = [matrix, i64, i64, pointer]
        f.creuset_unpack.argtypes = [matrix, i64, i64, pointer]
        f.creuset_pack_codes.argtypes = [matrix, i64, i64, pointer, pointer, pointer]
        f.creuset_rows_bytes.argtypes = [i32, i32, i32]
        f.creuset_prepare.argtypes = [rows, pointer, i32, i32, i32, pointer, i64]
        f.creuset_multiply.argtypes = [matrix, rows, pointer, i32, pointer, i64, i32, i32]

    def empty(
        self, kind: str, outs: int, ins: int, *, group: int = 32, scales: str = "f32", arena: Arena | None = None
    ) -> PackedMatrix:
        """A matrix to be filled. ConfigError: there is no such kind, or the kind has no such group."""
        if kind not in KINDS or scales not in SCALE_TYPES:
            raise ConfigError(f"there are no matrices of kind `{kind}` with scales in `{scales}`")
        plain = kind in ("f32", "bf16")
        if not plain and group != 32 and (kind, group) != ("q8", 16):
            raise ConfigError(f"matrices of kind `{kind}` have no groups of {group}")
        struct = Matrix(
            KINDS.index(kind), outs, ins, 0 if plain else group, 0 if plain else SCALE_TYPES.index(scales), 0, None
        )
        memory = (arena or Arena()).take(self._functions.creuset_packed_bytes(ctypes.byref(struct)))
        struct.data = memory.ctypes.data
        return PackedMatrix(kind, outs, ins, struct, memory)

    def pack_values(self, packed: PackedMatrix, values: npt.NDArray[Any], begin: int = 0) -> None:
        """Rows `begin`... from numbers: fp32, or bf16 as uint16. Codes are rounded to, where the kind has them."""
        values = np.ascontiguousarray(values)
        plain = packed.kind in ("f32", "bf16")
        name = "rounded" if not plain else "bf16" if values.dtype == np.uint16 else "f32"
        if values.dtype != (np.uint16 if name == "bf16" else np.float32):
            raise ConfigError(f"values of type {values.dtype} cannot be packed as {packed.kind}")
        self._check(packed, begin, values.shape)
        call = getattr(self._functions, f"creuset_pack_{name}")
        call(ctypes.byref(packed.struct), begin, len(values), values.ctypes.data)

    def pack_codes(
        self,
        packed: PackedMatrix,
        codes: npt.NDArray[np.int8],
        scales: Floats,
        minima: Floats | None = None,
        begin: int = 0,
    ) -> None:
        """Rows `begin`... from codes (rows, ins), scales and minima (rows, groups), as they are."""
        self._check(packed, begin, codes.shape)
        groups = (len(codes), -(-packed.ins // packed.struct.group))
        for one in (scales, minima) if packed.kind == "q4a" else (scales,):
            if one is None or one.shape != groups or one.dtype != np.float32:
                raise ConfigError(f"scales must be {groups} in fp32, got {None if one is None else one.shape}")
        codes, scales = np.ascontiguousarray(codes), np.ascontiguousarray(scales)
        minima = None if minima is None else np.ascontiguousarray(minima)
        self._functions.creuset_pack_codes(
            ctypes.byref(packed.struct), begin, len(codes), codes.ctypes.data, scales.ctypes.data,
            None if minima is None else minima.ctypes.data,
        )  # fmt: skip

    def unpack(self, packed: PackedMatrix) -> Floats:
        """The numbers that the matrix stands for, (outs, ins)."""
        values = np.empty((packed.outs, packed.ins), np.float32)
        self._functions.creuset_unpack(ctypes.byref(packed.struct), 0, packed.outs, values.ctypes.data)
        return values

    def prepare(self, x: Floats, kinds: Sequence[str]) -> "Activations":
        """Activations (rows, ins) in the forms that products with matrices of `kinds` read."""
        return Activations(self._functions, x, kinds)

    def multiply(
        self,
        packed: PackedMatrix,
        x: "Activations",
        index: Sequence[int] | None = None,
        share: tuple[int, int] | None = None,
    ) -> Floats:
        """(rows, outs): each row, or those that `index` names, times the matrix. Outside `share` there are NaNs."""
        y = np.full((x.struct.rows if index is None else len(index), packed.outs), np.nan, np.float32)
        self.into(packed, x, y, index, share)
        return y

    def into(
        self, packed: PackedMatrix, x: "Activations", y: Floats, index: Sequence[int] | None = None,
        share: tuple[int, int] | None = None,
    ) -> None:  # fmt: skip
        """`multiply` into `y`, of which only the share of the outputs is written."""
        rows = None if index is None else np.asarray(index, np.int32)
        begin, end = share or (0, packed.outs)
        self._functions.creuset_multiply(
            ctypes.byref(packed.struct), ctypes.byref(x.struct), None if rows is None else rows.ctypes.data, len(y),
            y.ctypes.data, packed.outs, begin, end,
        )  # fmt: skip

    @staticmethod
    def _check(packed: PackedMatrix, begin: int, shape: tuple[int, ...]) -> None:
        rows, ins = shape
        ends = begin + rows == packed.outs or rows % TILE == 0
        if ins != packed.ins or begin % TILE or not ends or begin + rows > packed.outs:
            raise ConfigError(
                f"{rows} rows of {ins} from row {begin} do not fit a matrix of {packed.outs} by {packed.ins}"
            )


class Activations:
    """Rows prepared once for several matrices. `struct` is what C sees."""

    def __init__(self, functions: Any, x: Floats, kinds: Sequence[str]) -> None:
        self._x = np.ascontiguousarray(x, np.float32)
        forms = 0
        for kind in kinds:
            forms |= FORMS[kind]
        rows, ins = self._x.shape
        self._memory = Arena().take(max(64, functions.creuset_rows_bytes(rows, ins, forms)))
        self.struct = Rows()
        functions.creuset_prepare(
            ctypes.byref(self.struct), self._memory.ctypes.data, rows, ins, forms, self._x.ctypes.data, ins
        )
