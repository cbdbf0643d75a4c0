"""Energy of each completion: measured where the machine has counters, else estimated with its interval; never nothing.

Completions that run together share what the machine uses, evenly, at each moment. So the energies of all add up to that
of the time in which any ran. A counter (RAPL, NVML) counts the whole processor or GPU: what else runs there, and what
an idle machine uses meanwhile, is in it. An estimate is the power of all cores over that time, by core/energy.py, with
its range. Models of other servers use energy elsewhere, which is not known here.
"""

import ctypes
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from creuset.core.energy import WATTS_PER_CORE, WATTS_PER_CORE_RANGE, Meter
from creuset.core.host import nvml, usable_cores

MOST = 10_000  # replies whose energy nobody asked for


@dataclass(frozen=True, slots=True)
class EnergyUse:
    """Joules, and between which they are; where they were measured, these are equal."""

    joules: float
    low: float
    high: float
    measured: bool

    def __add__(self, other: "EnergyUse") -> "EnergyUse":
        both = self.measured and other.measured
        return EnergyUse(self.joules + other.joules, self.low + other.low, self.high + other.high, both)

    @property
    def header(self) -> bytes:
        how = "measured" if self.measured else "estimated"
        return f"joules={self.joules:.4g}, low={self.low:.4g}, high={self.high:.4g}, method={how}".encode()


@dataclass(slots=True)
class EnergyBook:
    """`share` grows, while completions run, by the joules of each of them: what one used is how much it grew."""

    meter: Meter
    clock: Callable[[], float] = time.monotonic
    share: float = 0.0
    _open: dict[str, float] = field(default_factory=dict)
    _told: dict[str, EnergyUse] = field(default_factory=dict)
    _at: float = field(init=False)
    _joules: float = field(init=False, default=0.0)
    _begun: float = field(init=False)

    def __post_init__(self) -> None:
        self._at = self._begun = self.clock()
        self._joules = self.meter.joules(0.0)

    @classmethod
    def here(cls) -> "EnergyBook":
        """Of this machine: its cores, and all its GPUs."""
        return cls(Meter.here(cores=usable_cores(), gpus=_gpus()))

    def accepted(self, ids: Sequence[str]) -> None:
        self._pass()
        for id in ids:
            self._open[id] = self.share

    def ended(self, id: str) -> EnergyUse | None:
        """What the completion `id` (`REPLY:NUMBER`) used; None for one that was not told, or ended before."""
        if id not in self._open:
            return None
        self._pass()
        joules = self.share - self._open.pop(id)
        if self.meter.measured:
            use = EnergyUse(joules, joules, joules, True)
        else:
            low, high = (watts / WATTS_PER_CORE for watts in WATTS_PER_CORE_RANGE)
            use = EnergyUse(joules, joules * low, joules * high, False)
        reply = id.partition(":")[0]
        self._told[reply] = self._told[reply] + use if reply in self._told else use
        while len(self._told) > MOST:
            self._told.pop(next(iter(self._told)))
        return use

    def of(self, reply: str) -> EnergyUse | None:
        """What the completions of a reply used that have ended; it is told once."""
        return self._told.pop(reply, None)

    def _pass(self) -> None:
        """Share out what was used since the last change among those who ran."""
        now = self.clock()
        joules = self.meter.joules(now - self._begun)
        if self._open:
            self.share += max(0.0, joules - self._joules) / len(self._open)
        self._at, self._joules = now, joules


def _gpus() -> int:
    library, count = nvml(), ctypes.c_uint()
    if library is None or library.nvmlDeviceGetCount_v2(ctypes.byref(count)):
        return 0
    return count.value


class EnergyTold:
    """Tells the energy of a whole reply in a header, and of every reply in its line of the log."""

    def __init__(self, app: ASGIApp, book: EnergyBook) -> None:
        self._app, self._book = app, book

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        facts: dict[str, Any] = scope["context"].facts

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start" and (use := self._book.of(str(facts.get("reply")))):
                facts["joules"] = round(use.joules, 6)
                message = {**message, "headers": [*message["headers"], (b"x-creuset-energy", use.header)]}
            await send(message)

        try:
            await self._app(scope, receive, told)
        finally:
            if use := self._book.of(str(facts.get("reply"))):
                facts["joules"] = round(facts.get("joules", 0.0) + use.joules, 6)
