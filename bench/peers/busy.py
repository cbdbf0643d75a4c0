"""Was somebody else computing? Processor time of the machine less that of our own processes, from /proc."""

import os
import time
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def machine_seconds() -> float:
    """Processor seconds that were used or stolen since the machine started, over all processors."""
    user, nice, system, _idle, _wait, irq, soft, steal, *_ = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    )
    return (user + nice + system + irq + soft + steal) / TICK


def process_seconds(ids: list[int]) -> float:
    """Processor seconds of these processes and of those of theirs that have ended."""
    total = 0
    for id in ids:
        try:
            fields = Path(f"/proc/{id}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15]))
    return total / TICK


def descendants(id: int) -> list[int]:
    """The process and all that it started, as far as they still run."""
    found = [id]
    for one in found:
        try:
            for task in Path(f"/proc/{one}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return found


class Quiet:
    """The share of one processor that others used while it watched, as `others`."""

    def __init__(self, ids: list[int]) -> None:
        self._ids = ids
        self.others = 0.0

    def __enter__(self) -> "Quiet":
        self._start = time.perf_counter()
        self._machine, self._ours = machine_seconds(), self._mine()
        return self

    def __exit__(self, *_: object) -> None:
        wall = time.perf_counter() - self._start
        self.others = max(0.0, machine_seconds() - self._machine - (self._mine() - self._ours)) / wall

    def _mine(self) -> float:
        return process_seconds([os.getpid(), *(one for id in self._ids for one in descendants(id))])
