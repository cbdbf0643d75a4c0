"""What the work of each task depends on, and where it lies: only the tasks of which something changed are done again.

The results of a task are named by a hash of all that they depend on: the ranges it reads and the size and time of
change of their files, the ledger row, the settings that the first pass uses, the benchmark texts, the version of this
package. A later build in the same work folder finds the results of the tasks that are the same.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from creuset import __version__
from creuset.core.artifact import sha256_json
from creuset.core.config import resolved
from creuset.core.errors import ConfigError
from creuset.data.build.parts import read_json, write_json
from creuset.data.read.ranges import Start, several
from creuset.data.read.sources import ReadPlan, ReadTask
from creuset.data.settings import Corpus

_LATER = ("heldout", "split_mb", "limit_mb", "limits_mb")  # settings that the first pass does not use
_BY_TASK = ("judged", "dropped", "signatures", "tally", "lines")  # folders in which files begin with a task's name
_OURS = {
    *_BY_TASK, "lock", "build.json", "executor", "progress", "verdicts", "sources", "starts", "benchmarks", "buckets",
    "common", "first", "decide.json",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TaskFiles:
    """Paths of what the tasks leave, by the number of a task."""

    work: Path
    names: tuple[str, ...]
    surveyed: tuple[str, ...] = ()  # names before the survey of sites, where there was one

    def judged(self, task: int) -> Path:
        return self.work / "judged" / f"{self.names[task]}.jsonl.zst"

    def dropped(self, task: int) -> Path:
        return self.work / "dropped" / f"{self.names[task]}.jsonl.zst"

    def signatures(self, task: int) -> Path:
        return self.work / "signatures" / f"{self.names[task]}.signatures.npy"

    def facts(self, task: int) -> Path:
        return self.work / "signatures" / f"{self.names[task]}.facts.npy"

    def ids(self, task: int) -> Path:
        return self.work / "signatures" / f"{self.names[task]}.ids.json"

    def tally(self, task: int) -> Path:
        """Written last: where it is, the others are."""
        return self.work / "tally" / f"{self.names[task]}.json"

    def lines(self, task: int) -> Path:
        """Counts of the lines of its pages, by site."""
        return self.work / "lines" / f"{(self.surveyed or self.names)[task]}.npy"

    def verdicts(self, task: int) -> Path:
        return self.work / "verdicts" / f"{task:05d}.npy"


def task_files(plan: ReadPlan, settings: Corpus, work: Path, *, benchmarks: str = "") -> TaskFiles:
    """`benchmarks`: hash of the texts that are looked for."""
    used = resolved(settings)
    common = {
        "version": __version__,
        "benchmarks": benchmarks,
        "settings": {k: v for k, v in used.items() if k not in _LATER and k != "dedup"},
        "signatures": {k: used["dedup"][k] for k in ("near", "shingle", "bands", "rows")},
    }
    rows = {row.name: asdict(row) for row in plan.sources}
    files_of: dict[str, set[str]] = {}
    for task in plan.tasks:
        files_of.setdefault(task.source, set()).update(piece.name for piece in task.pieces)
    names = []
    for task in plan.tasks:
        pieces = [asdict(piece) for piece in task.pieces]
        own = {"pieces": pieces, "row": rows[task.source], "several": len(files_of[task.source]) > 1}
        names.append(sha256_json(common | own)[:24])
    return TaskFiles(work, tuple(names))


@dataclass(frozen=True, slots=True)
class Claim:
    """What an earlier build left for this one."""

    same: bool  # it was a build of the very same
    kept: int = 0  # tasks that need not be done again
    why: tuple[str, ...] = ()  # what is different, in words

    def say(self, tasks: int) -> str:
        if self.same:
            return "going on where the last build of these inputs stopped"
        return f"{self.kept} of {tasks} tasks are as they were and are not done again; {'; '.join(self.why)}"


def refuse_foreign(work: Path, scratch: Path) -> None:
    """Raises ConfigError where the folder of the work holds something that is not ours."""
    by_default = scratch.name.removesuffix(".partial") + ".work"
    strange = sorted(p.name for p in work.iterdir() if p.name not in _OURS)
    if not (work / "build.json").is_file() and strange and work.name != by_default:
        raise ConfigError(f"`{work}` is no folder of earlier work: it holds `{strange[0]}`", hint="name an empty one")


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def claim(plan: ReadPlan, settings: Corpus, files: TaskFiles, scratch: Path, benchmarks: str) -> Claim | None:
    """Make `files.work` ready for this build: what is still right stays, all else of ours goes.

    None where nothing was left by an earlier one.
    """
    work = files.work
    now = {
        "version": __version__,
        "benchmarks": benchmarks,
        "settings": resolved(settings),
        "sources": {row.name: asdict(row) for row in plan.sources},
        "files": {piece.file: [piece.bytes, piece.stamp] for task in plan.tasks for piece in task.pieces},
        "tasks": list(files.names),
    }
    now = json.loads(json.dumps(now))  # as it will be read back: JSON has no tuples
    mark = work / "build.json"
    before: dict[str, Any] = read_json(mark) if mark.is_file() else {}
    if before != now:
        shutil.rmtree(scratch, ignore_errors=True)
        wanted = {name for at, name in enumerate(files.names) if files.tally(at).is_file()} if before else set()
        keys = {starts_key(group) for group in several([p for task in plan.tasks for p in task.pieces])}
        stays = {"lines": set(files.surveyed or files.names), "starts": keys}
        if before:
            stays |= dict.fromkeys(_BY_TASK[:4], wanted)
        for path in work.iterdir():
            if path.name in stays:
                for file in path.iterdir():
                    if file.name.partition(".")[0] not in stays[path.name]:
                        _remove(file)
            elif path.name not in ("lock", "common", "first") and not (
                path.name == "benchmarks" and before.get("benchmarks") == benchmarks
            ):
                _remove(path)
        write_json(mark, now)
        done = work / "executor" / "judge" / "completions"
        done.mkdir(parents=True, exist_ok=True)
        for at in range(len(files.names)):
            if files.names[at] in wanted:
                (done / f"{at:05d}").touch()
    for left in (*scratch.rglob("*.tmp"), *work.rglob("*.tmp")):
        left.unlink()  # of a rank that was killed while it wrote
    if not before:
        return None
    kept = sum(files.tally(at).is_file() for at in range(len(files.names)))
    return Claim(before == now, kept, tuple(_differences(before, now)))


def _differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    out = []
    old, new = before.get("files", {}), now["files"]
    for what, files in (
        ("changed", [f for f in new if f in old and new[f] != old[f]]),
        ("new", [f for f in new if f not in old]),
        ("gone", [f for f in old if f not in new]),
    ):
        if files:
            shown = ", ".join(Path(f).name for f in files[:3])
            out.append(f"{what}: {shown}" + (f" and {len(files) - 3} more" if len(files) > 3 else ""))
    changed = [k for k, v in now["settings"].items() if before.get("settings", {}).get(k) != v]
    if changed:
        out.append(f"settings changed: {', '.join(changed)}")
    if before.get("sources") != now["sources"]:
        out.append("the ledger changed")
    if before.get("benchmarks") != now["benchmarks"]:
        out.append("the benchmark texts changed")
    if before.get("version") != now["version"]:
        out.append(f"version {now['version']} after {before.get('version')}")
    return out or ["nothing else changed"]


def starts_key(group: Sequence[Any]) -> str:
    """Name of what was found out about the ranges of one file."""
    return sha256_json([asdict(part) for part in group])[:24]


def starts_of(work: Path, tasks: Sequence[ReadTask], task: ReadTask) -> dict[tuple[str, int], Start]:
    """What is known about the ranges of this task, by file and start; without it they are found by reading."""
    wanted = {piece.file for piece in task.pieces}
    parts = [piece for t in tasks if t.source == task.source for piece in t.pieces if piece.file in wanted]
    out: dict[tuple[str, int], Start] = {}
    for group in several(parts):
        mark = work / "starts" / f"{starts_key(group)}.json"
        if mark.is_file():
            for part, start in zip(group, read_json(mark), strict=True):
                out[part.file, part.start] = Start(**start)
    return out
