"""How much energy a run uses: measured by counters where the machine has them, else estimated, and said so.

The boundary is the processor and the GPU: memory, disks, fans and cooling are not in it (no PUE is applied).
"""

import ctypes
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from creuset.core.host import nvml
from creuset.core.sentences import joined, sentence

WATTS_PER_CORE = 10.0  # assumption where no counter is readable
# What rated power over cores comes to: a server's (AMD EPYC 9654: 360 W, 96 cores), a small desktop's (Ryzen 5 7600X:
# 105 W, 6 cores). An estimate is anywhere between.
WATTS_PER_CORE_RANGE = (3.75, 17.5)
WATTS_PER_GPU = 700.0  # assumption: rated power of an H100 or H200 (SXM)


class Counter(Protocol):
    """Something that counts joules since an arbitrary start."""

    method: str

    def joules(self) -> float: ...


class Rapl:
    """The package counters of /sys/class/powercap; they wrap, so read at least every half hour."""

    method: str = sentence("core.rapl")

    def __init__(self, zones: list[Path]) -> None:
        self._zones = zones
        self._span = [int((z / "max_energy_range_uj").read_text()) for z in zones]
        self._last = [self._read(z) for z in zones]
        self._total = 0

    @classmethod
    def find(cls, root: Path = Path("/sys/class/powercap")) -> "Rapl | None":
        with suppress(OSError, ValueError):
            zones = [z for z in sorted(root.glob("*rapl:*")) if (z / "name").read_text().startswith("package")]
            if zones:
                return cls(zones)
        return None

    @staticmethod
    def why_not(root: Path = Path("/sys/class/powercap")) -> str:
        """Why there is no counter of the processor here; empty where there is one."""
        zones = [z for z in sorted(root.glob("*rapl:*")) if (z / "name").is_file()]
        packages = [z for z in zones if (z / "name").read_text().startswith("package")]
        if not packages:
            return sentence("core.no_rapl", path=str(root))
        try:
            for zone in packages:
                Rapl._read(zone)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            return sentence("core.unreadable", path=str(packages[0] / "energy_uj"), reason=reason)
        return ""

    @staticmethod
    def _read(zone: Path) -> int:
        return int((zone / "energy_uj").read_text())

    def joules(self) -> float:
        now = [self._read(z) for z in self._zones]
        for new, old, span in zip(now, self._last, self._span, strict=True):
            self._total += new - old if new >= old else new - old + span
        self._last = now
        return self._total / 1e6


class Nvml:
    """The total-energy counters of the first `gpus` GPUs."""

    method: str = sentence("core.nvml")

    def __init__(self, library: ctypes.CDLL, gpus: int) -> None:
        self._library, self._gpus = library, gpus
        self._start = self._read()

    @classmethod
    def find(cls, gpus: int) -> "Nvml | None":
        library = nvml() if gpus else None
        with suppress(OSError, AttributeError):  # an old driver has no such counter
            return cls(library, gpus) if library else None
        return None

    def _read(self) -> float:
        total = 0.0
        for index in range(self._gpus):
            device, millijoules = ctypes.c_void_p(), ctypes.c_ulonglong()
            failed = self._library.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(device))
            if failed or self._library.nvmlDeviceGetTotalEnergyConsumption(device, ctypes.byref(millijoules)):
                raise OSError(f"GPU {index} has no energy counter")
            total += millijoules.value / 1e3
        return total

    def joules(self) -> float:
        return self._read() - self._start


@dataclass(frozen=True, slots=True)
class Meter:
    """Energy of `cores` cores and `gpus` GPUs: by `cpu` and `gpu` where they are counters, else by rated power."""

    cores: int
    gpus: int
    cpu: Counter | None
    gpu: Counter | None
    watts_per_core: float = WATTS_PER_CORE
    watts_per_gpu: float = WATTS_PER_GPU

    @classmethod
    def here(cls, *, cores: int, gpus: int) -> "Meter":
        return cls(cores, gpus, Rapl.find(), Nvml.find(gpus))

    @property
    def measured(self) -> bool:
        return self.cpu is not None and (self.gpu is not None or not self.gpus)

    @property
    def method(self) -> str:
        """How the energy is known, in a sentence."""
        cpu = self.cpu.method if self.cpu else processor_estimated(self.cores, self.watts_per_core)
        if not self.gpus:
            return cpu
        return joined(self.gpu.method if self.gpu else gpu_estimated(self.gpus, self.watts_per_gpu), cpu)

    def joules(self, wall_s: float) -> float:
        """Since the meter was made, `wall_s` seconds ago."""
        cpu = self.cpu.joules() if self.cpu else self.cores * self.watts_per_core * wall_s
        gpu = self.gpu.joules() if self.gpu else self.gpus * self.watts_per_gpu * wall_s
        return cpu + gpu


def processor_estimated(cores: int, watts: float = WATTS_PER_CORE) -> str:
    return sentence("core.processor_estimated", cores=cores, watts=watts)


def gpu_estimated(gpus: int, watts: float = WATTS_PER_GPU) -> str:
    return sentence("core.gpu_estimated", gpus=gpus, watts=watts)


def kwh(joules: float) -> float:
    return joules / 3.6e6


def describe(attempts: list[dict[str, Any]]) -> dict[str, Any]:
    """The energy of a run from that of its attempts; measured only when each was."""
    return {
        "kwh": kwh(sum(a["joules"] for a in attempts)),
        "measured": all(a["energy_measured"] for a in attempts),
        "method": joined(*dict.fromkeys(a["energy_method"] for a in attempts), by=" / "),
        "boundary": sentence("core.boundary"),
    }
