"""How far a build is: reads the small files that the ranks leave, in a thread of its own."""

import threading
import time
from pathlib import Path
from types import TracebackType

from creuset.core.log import Progress, duration
from creuset.data.build.parts import read_json
from creuset.data.read.sources import ReadPlan


class BuildProgress:
    """Shows MB read, MB/s and time left while the block runs."""

    def __init__(self, plan: ReadPlan, work: Path, *, quiet: bool) -> None:
        self._work, self._quiet = work, quiet
        self._expected = [sum(piece.raw_bytes for piece in task.pieces) for task in plan.tasks]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._line = Progress(every_s=10.0)

    def __enter__(self) -> "BuildProgress":
        if not self._quiet:
            done = self._done()
            for file in (self._work / "progress").glob("judge-*.json"):
                if int(file.stem.partition("-")[2]) not in done:
                    file.unlink()  # of a task that a killed build did not finish
            self._began, self._at_start = time.monotonic(), sum(self._bytes().values())
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
        moved = sum(read.values()) - self._at_start
        mb, speed = sum(read.values()) / 1e6, moved / 1e6 / max(spent, 1e-9)
        left_mb = (
            sum(max(0, expected - read.get(i, 0)) for i, expected in enumerate(self._expected) if i not in done) / 1e6
        )
        if final:
            self._line.show(f"corpus 100 %  {mb:,.0f} MB  {speed:.2f} MB/s  {duration(spent)} in all", final=True)
        elif len(done) < len(self._expected):
            left = duration(left_mb / speed) if speed > 0 else "?"
            share = mb / max(mb + left_mb, 1e-9)
            self._line.show(
                f"judge {100 * share:3.0f} %  {mb:,.1f} MB  {speed:.2f} MB/s  "
                f"{len(done)}/{len(self._expected)} tasks  {left} left"
            )
        else:
            routed = len(list((self._work / "progress").glob("route-*.json")))
            self._line.show(f"duplicates and files  {routed} sources written  {duration(spent)} so far")
