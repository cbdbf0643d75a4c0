"""What a run runs on: processor, memory, GPU, code and library versions. No torch."""

import ctypes
import os
import platform
import subprocess
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import creuset
from creuset.core.memory import control_groups

LIBRARIES = ("torch", "numpy", "tokenizers", "safetensors", "datatrove")


def hardware(*, gpus: int = 0) -> dict[str, Any]:
    """Processor, cores and memory of this machine, and the names of the first `gpus` GPUs."""
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count() or 1,
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "gpus": [gpu_name(index) for index in range(gpus)],
    }


def cpu_model() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def usable_cores(root: Path = Path("/")) -> int:
    """Processors that this process may keep busy: those it may run on, within what its control groups allow.

    `root` is the file system to look at. A group with a share of 1.5 processors counts as two.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for folder, first in control_groups(root, "cpu"):
        with suppress(OSError, ValueError):  # not there, or `max`: no limit
            if first:
                quota, period = (int((folder / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
            else:
                quota, period = (int(word) for word in (folder / "cpu.max").read_text().split())
            if quota > 0 and period > 0:
                cores = min(cores, -(-quota // period))
    return max(1, cores)


def commit(root: Path | None = None) -> dict[str, Any]:
    """The commit of the source tree, and whether files differ from it.

    A tree copied without its history can say where it came from by the variable CREUSET_COMMIT.
    """
    root = root or Path(creuset.__file__).parent
    head = _git(root, "rev-parse", "HEAD")
    if head is None:
        return {"sha": os.environ.get("CREUSET_COMMIT", "unknown"), "dirty": None}
    return {"sha": head.strip(), "dirty": bool(_git(root, "status", "--porcelain", "--untracked-files=no"))}


def _git(root: Path, *words: str) -> str | None:
    try:
        ran = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return ran.stdout if ran.returncode == 0 else None


def versions() -> dict[str, str]:
    found = {"creuset": creuset.__version__, "python": platform.python_version(), "system": platform.platform()}
    for name in LIBRARIES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def nvml() -> ctypes.CDLL | None:
    """NVIDIA's management library, initialised, or None where there is no driver."""
    with suppress(OSError):
        library = ctypes.CDLL("libnvidia-ml.so.1")
        if library.nvmlInit_v2() == 0:
            return library
    return None


def gpu_name(index: int) -> str:
    library, buffer = nvml(), ctypes.create_string_buffer(96)
    if library is None:
        return "unknown"
    device = ctypes.c_void_p()
    failed = library.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(device))
    if failed or library.nvmlDeviceGetName(device, buffer, 96):
        return "unknown"
    return buffer.value.decode()
