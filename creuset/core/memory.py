"""How much memory may be used here, and sizes in words: `12GiB`. No torch.

A container has less memory than its machine: what its control group allows counts as well as what the system has.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from creuset.core.errors import MemoryFull

UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
# How libraries say that there is no memory, where they do not raise MemoryError.
_NO_MEMORY = re.compile(
    r"failed to map segment|can't allocate memory|cannot allocate memory|out of memory", re.IGNORECASE
)
_V1_NONE = 1 << 60  # control groups of the first version say "no limit" by a number of about 2^63


def parse_size(text: str) -> int:
    """Bytes in words such as `12GiB`, `512M` or `1.5g`; the units are powers of 1024. Raises ValueError."""
    found = _SIZE.fullmatch(text.strip())
    if found is None or not (size := int(float(found[1]) * UNITS[found[2].upper()])):
        raise ValueError(f"`{text}` is not a size: write it as 512M or 12GiB")
    return size


def show_size(size: float) -> str:
    """`size` bytes for people: `2.88 GiB`, `512 MiB`."""
    for name, unit in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if abs(size) >= unit:
            return f"{size / unit:.3g} {name}" if abs(size) < 1000 * unit else f"{size / unit:.0f} {name}"
    return f"{size:.0f} bytes"


def available_memory(root: Path = Path("/")) -> int:
    """Bytes that this process may still take: the least of what the system has left and what its groups allow.

    Memory that only keeps copies of files counts as free, since the kernel gives it back. Where nothing can be read
    (no Linux), a quarter of what the machine has. `root` is the file system to look at.
    """
    found = [*_system(root), *_groups(root)]
    if found:
        return max(0, min(found))
    import os

    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4


def resident_memory(root: Path = Path("/")) -> int:
    """Bytes of this process that lie in memory now; 0 where that cannot be read."""
    return _field(root / "proc/self/status", "VmRSS:") * 1024


def peak_memory(root: Path = Path("/")) -> int:
    """Most bytes of this process that ever lay in memory at once; 0 where that cannot be read."""
    return _field(root / "proc/self/status", "VmHWM:") * 1024


@contextmanager
def memory_for(what: str) -> Iterator[None]:
    """Raise MemoryFull, which names `what`, where the system gives no more memory for it."""
    try:
        yield
    except (MemoryError, ImportError, OSError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not _NO_MEMORY.search(str(error)):
            raise
        said = str(error).strip().partition("\n")[0]
        raise MemoryFull(
            f"there is not enough memory for {what}{f': {said}' if said else ''}",
            hint="a limit of this process or its container may be reached; a smaller model or context needs less",
        ) from error


def _system(root: Path) -> Iterator[int]:
    if kib := _field(root / "proc/meminfo", "MemAvailable:"):
        yield kib * 1024


def _groups(root: Path) -> Iterator[int]:
    """Room in each control group above this process that has a limit, in both versions of control groups."""
    names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    for folder, first in control_groups(root, "memory"):
        limit_file, used_file, cached = names if first else ("memory.max", "memory.current", "inactive_file")
        limit, used = _number(folder / limit_file), _number(folder / used_file)
        if limit is not None and used is not None and limit < _V1_NONE:
            yield limit - used + _field(folder / "memory.stat", cached)


def control_groups(root: Path, controller: str) -> Iterator[tuple[Path, bool]]:
    """Folders of the control groups that bound this process, the nearest first; True: of the first version."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers == "":
            mount, first = root / "sys/fs/cgroup", False
        elif controller in controllers.split(","):
            mount, first = root / "sys/fs/cgroup" / controller, True
        else:
            continue
        folder = mount / path.lstrip("/")
        # In a container the path may be that of the machine, of which only the mount itself can be seen.
        for one in dict.fromkeys([folder, *folder.parents, mount]):
            if one.is_relative_to(mount):
                yield one, first


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not there, or `max`
        return None


def _field(file: Path, name: str) -> int:
    """The number behind `name` at the beginning of a line; 0 where there is none."""
    try:
        for line in file.read_text(encoding="utf-8").splitlines():
            words = line.split()
            if len(words) > 1 and words[0] == name:
                return int(words[1])
    except (OSError, ValueError):
        pass
    return 0
