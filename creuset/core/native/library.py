"""Load the compiled kernels, or say in one line why they cannot be had.

`native/build.py` makes `_core.so` and appends a note to it: for which kind of processor it is, which interface it has,
from which sources it was built, and its hash. The note is read before the file is loaded, since loading a damaged
library can end the process. `CREUSET_ISA` names the level of the processor that is used (`scalar`, `avx2`, `avx512`,
`vnni`, `bf16`, `amx`, `neon`); without it the best one is. A level that is unknown or not here is refused, whoever
computes. `CREUSET_NATIVE=0` leaves the library alone.

The interface of the functions themselves is in `native/*.h`. Their ctypes signatures stand where they are called.
"""

import ctypes
import functools
import hashlib
import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from creuset.core.errors import ConfigError

FILE = Path(__file__).parents[2] / "engine" / "backend" / "native" / "_core.so"
ABI = 2  # of native/build.py
MARK = b"creuset-note:"
ISA_LEVELS = ("scalar", "neon", "avx2", "avx512", "vnni", "bf16", "amx")
BUILD = "build it with `python native/build.py`, or install the package again where a C++ compiler is"


class NativeUnavailable(ConfigError):
    """Why there are no compiled kernels: one line. torch computes then, which is slower."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, hint=BUILD)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Library:
    """The loaded kernels. `functions` has the names of the plain C interface, all of which begin with `creuset_`."""

    functions: ctypes.CDLL
    note: dict[str, Any]  # what the file says of itself: levels, compiler, sources

    @property
    def isa(self) -> str:
        """The level of the processor that is used."""
        return str(self.functions.creuset_isa().decode())

    @property
    def levels(self) -> tuple[str, ...]:
        """Levels that this machine has, the lowest first."""
        return tuple(level for level in ISA_LEVELS if self.functions.creuset_isa_here(level.encode()))

    def force(self, level: str) -> None:
        """Use `level` from now on. Raises NativeUnavailable where that cannot be.

        What was packed for another level must not be used afterwards.
        """
        if level not in ISA_LEVELS:
            raise NativeUnavailable(f"no kernels are called `{level}`; choose among {', '.join(ISA_LEVELS)}")
        if self.functions.creuset_isa_set(level.encode()):
            raise NativeUnavailable(
                f"the kernels `{level}` cannot be used here, since the machine lacks them; "
                f"choose among {', '.join(self.levels)}"
            )


def library() -> Library:
    """The kernels of this package. Raises NativeUnavailable with the reason, ConfigError for a level that is not here.

    Loaded once a process. `CREUSET_NATIVE` and `CREUSET_ISA` are looked at each time.
    """
    level = level_asked_for()
    if os.environ.get("CREUSET_NATIVE", "1") == "0":
        raise NativeUnavailable("CREUSET_NATIVE is 0: the native library is not used")
    loaded = _kept(FILE)
    if level and loaded.isa != level:
        try:
            loaded.force(level)
        except NativeUnavailable as refused:  # to compute with another backend is not what was asked
            raise ConfigError(f"CREUSET_ISA: {refused.reason}") from None
    return loaded


def level_asked_for() -> str:
    """The level that `CREUSET_ISA` names; "" where it names none. Raises ConfigError for one that nobody knows."""
    level = os.environ.get("CREUSET_ISA", "")
    if level and level not in ISA_LEVELS:
        raise ConfigError(
            f"CREUSET_ISA={level} is not a level of processors", hint=f"there are {', '.join(ISA_LEVELS)}"
        )
    return level


@functools.lru_cache(maxsize=1)
def _kept(file: Path) -> Library:
    return load(file)


def load(file: Path) -> Library:
    """The kernels in `file`. Raises NativeUnavailable."""
    note = examined(file)
    try:
        functions = ctypes.CDLL(str(file))
    except OSError as error:
        raise NativeUnavailable(f"`{file.name}` cannot be loaded: {error}") from None
    functions.creuset_isa.restype = ctypes.c_char_p
    functions.creuset_isa.argtypes = []
    functions.creuset_isa_here.argtypes = functions.creuset_isa_set.argtypes = [ctypes.c_char_p]
    return Library(functions, note)


def examined(file: Path) -> dict[str, Any]:
    """The note of `file`, if this process can load it. Raises NativeUnavailable with the first thing that is wrong."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise NativeUnavailable(f"the native library was not built: there is no `{file.name}` in the package") from None
    except OSError as error:
        raise NativeUnavailable(f"`{file.name}` cannot be read: {error.strerror}") from None
    body, mark, text = content.rpartition(b"\n" + MARK)
    try:
        note = json.loads(text) if mark else None
    except ValueError:
        note = None
    if not isinstance(note, dict):
        raise NativeUnavailable(f"`{file.name}` is damaged, or not ours: the note at its end is missing")
    if note.get("machine") != platform.machine():
        raise NativeUnavailable(f"`{file.name}` is for {note.get('machine')}, and this machine is {platform.machine()}")
    if note.get("abi") != ABI:
        raise NativeUnavailable(f"`{file.name}` has interface {note.get('abi')}, and this version needs {ABI}")
    if hashlib.sha256(body).hexdigest() != note.get("sha256"):
        raise NativeUnavailable(f"`{file.name}` is damaged: its hash is not the one it was built with")
    if (sources := _sources_beside()) and sources != note.get("sources"):
        raise NativeUnavailable(f"`{file.name}` was built from other sources than those in `native/`")
    return note


def _sources_beside() -> str:
    """The hash of `native/` in a checkout, as native/build.py makes it; empty in an installed package."""
    folder = Path(__file__).resolve().parents[3] / "native"
    if not (folder / "build.py").is_file():
        return ""
    total = hashlib.sha256()
    for file in sorted(f for f in folder.iterdir() if f.suffix in (".cpp", ".h", ".inc")):
        total.update(f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()
