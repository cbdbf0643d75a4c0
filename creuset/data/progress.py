"""How far a build is: reads the small files that the ranks leave, in a thread of its own."""

import threading
import time
from pathlib import Path
from types import TracebackType

from creuset.core.log import Progress, duration, say
from creuset.data.archives import COMPRESSED
from creuset.data.parts import read_json
from creuset.data.sources import Plan

_GUESSED_RATIO = 4.0


class Watch:
    """Shows MB read, MB/s and time left while the block runs."""

    def __init__(self, plan: Plan, work: Path, *, workers: int, quiet: bool, resumed: bool) -> None:
        self._work, self._tasks, self._quiet, self._resumed = work, len(plan.tasks), quiet, resumed
        self._packed = [sum(p.packed_bytes for p in task.pieces) for task in plan.tasks]
        self._raw = [sum(p.packed_bytes * (_GUESSED_RATIO if Path(p.file).suffix in COMPRESSED else 1) for p in t.pieces) for t in plan.tasks]
        self._workers = workers
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._line = Progress(every_s=10.0)

    def __enter__(self) -> "Watch":
        if not self._quiet:
            if self._resumed:
                say("going on where the last build of these inputs stopped")
            self._began, self._at_start = time.monotonic(), self._bytes()
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if not self._quiet:
            self._stop.set()
            self._thread.join()
            if kind is None:
                self._show(final=True)

    def _run(self) -> None:
        while not self._stop.wait(1.0):
            self._show(final=False)

    def _done(self) -> set[int]:
        folder = self._work / "executor" / "judge" / "completions"
        return {int(f.name) for f in folder.glob("*")} if folder.is_dir() else set()

    def _bytes(self) -> dict[int, int]:
        out: dict[int, int] = {}
        for file in (self._work / "progress").glob("judge-*.json"):
            try:
                out[int(file.stem.partition("-")[2])] = int(read_json(file)["bytes"])
            except (OSError, ValueError, KeyError):
                continue
        return out

    def _show(self, *, final: bool) -> None:
        spent = time.monotonic() - self._began
        read, done = self._bytes(), self._done()
        moved = sum(read.values()) - sum(self._at_start.values())
        mb, speed = sum(read.values()) / 1e6, moved / 1e6 / max(spent, 1e-9)
        share = sum(
            packed if i in done else packed * min(1.0, read.get(i, 0) / max(1.0, raw))
            for i, (packed, raw) in enumerate(zip(self._packed, self._raw, strict=True))
        ) / max(1, sum(self._packed))
        if final:
            self._line.show(f"corpus 100 %  {mb:,.0f} MB  {speed:.2f} MB/s  {duration(spent)} in all", final=True)
        elif len(done) < self._tasks:
            left = duration((1 - share) * mb / max(share, 1e-9) / speed) if speed > 0 and share > 0 else "?"
            self._line.show(f"judge {100 * share:3.0f} %  {mb:,.1f} MB  {speed:.2f} MB/s  {len(done)}/{self._tasks} tasks  {left} left")
        else:
            routed = len(list((self._work / "progress").glob("route-*.json")))
            self._line.show(f"duplicates and files  {routed} sources written  {duration(spent)} so far")
