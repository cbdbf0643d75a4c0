"""The second and third pass: which surviving documents are duplicates, which are held out, and where all go."""

import functools
import shutil
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from datatrove.pipeline.base import PipelineStep

from creuset.data.build.parts import PartWriter, read_json, read_lines, write_json
from creuset.data.build.tally import Tally, merge
from creuset.data.build.tasks import TaskFiles
from creuset.data.dedup.buckets import Buckets, mapped
from creuset.data.dedup.minhash import near_in_buckets
from creuset.data.ledger import LedgerRow
from creuset.data.read.sources import ReadTask
from creuset.data.settings import Corpus, Heldout

KEEP, SAME, NEAR, HELD_OUT = 0, 1, 2, 3
REASONS = {SAME: "duplicate_exact", NEAR: "duplicate_near"}

I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]


class Decide(PipelineStep):  # type: ignore[misc]
    """Looks at the signatures of all tasks at once, in task order, and leaves a verdict for each document."""

    type = "corpus"
    name = "decide"

    def __init__(
        self, settings: Corpus, tasks: tuple[ReadTask, ...], rows: dict[str, LedgerRow], files: TaskFiles
    ) -> None:
        super().__init__()
        self.settings, self.tasks, self.rows, self.files, self.work = settings, tasks, rows, files, files.work

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        began = time.thread_time()
        dedup, bound = self.settings.dedup, self.settings.dedup.memory_mb * 1_000_000 // 2
        folder = self.work / "buckets"
        sizes = [len(np.load(self.files.facts(i), mmap_mode="r")) for i in range(len(self.tasks))]
        starts = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
        total = int(starts[-1])
        verdict, keeper = mapped(folder / "verdict", np.uint8, total), mapped(folder / "keeper", np.int64, total)
        for begin, end in pairwise(starts.tolist()):
            keeper[begin:end] = np.arange(begin, end)
        if dedup.exact:
            self._exact(starts, verdict, keeper, bound)
        candidates = 0
        if dedup.near:
            near_ok = mapped(folder / "taking", np.bool_, total)
            for task, (begin, end) in zip(self.tasks, pairwise(starts.tolist()), strict=True):
                near_ok[begin:end] = self.rows[task.source].near_dedup & (verdict[begin:end] == KEEP)
            candidates = near_in_buckets(self._signatures(starts), near_ok, dedup, keeper, folder, bound)
            for begin, end in pairwise(starts.tolist()):
                taking = near_ok[begin:end]
                verdict[begin:end][taking & (keeper[begin:end] != np.arange(begin, end))] = NEAR
        for name in self.rows:
            own = [i for i, task in enumerate(self.tasks) if task.source == name]
            facts = [(np.load(self.files.facts(i), mmap_mode="r"), verdict[starts[i] : starts[i + 1]]) for i in own]
            held_out(facts, self.settings.heldout, self.settings.seed, max(1000, bound // 400))
        for i in range(len(self.tasks)):
            part = slice(starts[i], starts[i + 1])
            _save(self.files.verdicts(i), np.stack([verdict[part].astype(np.int64), keeper[part]]))
        write_json(
            self.work / "decide.json",
            {
                "starts": starts.tolist(),
                "documents": total,
                "candidates": candidates,
                "seconds": time.thread_time() - began,
                "memory_bound_bytes": dedup.memory_mb * 1_000_000,
            },
        )
        shutil.rmtree(folder, ignore_errors=True)
        yield from ()

    def _exact(self, starts: I64, verdict: npt.NDArray[np.uint8], keeper: I64, bound: int) -> None:
        buckets = Buckets(self.work / "buckets" / "exact", int(starts[-1]), bound, "S16")
        for i in range(len(self.tasks)):
            facts = np.load(self.files.facts(i), mmap_mode="r")
            keys = np.ascontiguousarray(facts[:, :2]).view("S16").ravel()
            buckets.add(np.asarray(facts[:, 0]), keys, np.arange(starts[i], starts[i + 1]))
        for first, again in buckets.repeats():
            verdict[again] = SAME
            keeper[again] = first

    def _signatures(self, starts: I64) -> npt.NDArray[np.uint32]:
        """All signatures as one memory map: the files of the tasks one after the other."""
        width = self.settings.dedup.bands * self.settings.dedup.rows
        path = self.work / "buckets" / "signatures.bin"
        path.parent.mkdir(exist_ok=True)
        with path.open("wb") as out:
            for i in range(len(self.tasks)):
                np.load(self.files.signatures(i), mmap_mode="r").tofile(out)
        if starts[-1] == 0:
            return np.zeros((0, width), dtype=np.uint32)
        return np.memmap(path, dtype=np.uint32, mode="r", shape=(int(starts[-1]), width))


def held_out(
    tasks: Sequence[tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint8]]],
    settings: Heldout,
    seed: int,
    at_once: int = 100_000,
) -> None:
    """Mark what `hold_out` chooses of a source, whose documents (facts, verdicts) come a task at a time.

    Groups are taken in the order of their hash. About `at_once` documents of that order are looked at a time, and the
    rest is not looked at once nothing more can be taken.
    """
    total = count = 0
    smallest = np.inf
    for facts, verdict in tasks:
        sizes = facts[verdict == KEEP, 2]
        total, count = total + int(sizes.sum()), count + len(sizes)
        smallest = min(smallest, int(sizes.min(initial=1 << 62)))
    left = _wanted(total, settings)
    steps = max(1, count // at_once)
    bounds = [np.uint64(2**64 * i // steps) for i in range(1, steps)]
    for low, high in pairwise([None, *bounds, None]):
        if left <= 0 or 2 * left < smallest:
            return
        found = []
        for i, (facts, verdict) in enumerate(tasks):
            at = np.flatnonzero(verdict == KEEP)
            rank = _rank(facts[at, 3], seed)
            here = np.ones(len(at), dtype=bool) if low is None else rank >= low
            at = at[here if high is None else here & (rank < high)]
            found.append((facts[at, 2], facts[at, 3], np.stack([np.full(len(at), i), at])))
        if found:
            characters, groups = (np.concatenate([part[k] for part in found]) for k in (0, 1))
            chosen, left = _first_groups(characters, groups, left, seed, total)
            for i, place in np.concatenate([part[2] for part in found], axis=1)[:, chosen].T.tolist():
                tasks[i][1][place] = HELD_OUT


def hold_out(characters: U64, groups: U64, settings: Heldout, seed: int) -> I64:
    """Indexes of a source's documents to hold out: whole groups in the order of their hash, about `share` of the text.

    A small source holds out `min_kb`, but never over 5 %; a large one `max_mb` at most. A group that
    would take more than twice what is still wanted is passed over.
    """
    total = int(characters.sum())
    return _first_groups(characters, groups, _wanted(total, settings), seed, total)[0]


def _wanted(total: int, settings: Heldout) -> float:
    if settings.share <= 0 or total == 0:
        return 0.0
    return min(settings.max_mb * 1e6, max(settings.share * total, min(settings.min_kb * 1e3, 0.05 * total)))


def _rank(groups: U64, seed: int) -> U64:
    """The place of a group in the order in which they are held out: another seed holds out others."""
    rank = (groups ^ np.uint64(seed * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF)) * np.uint64(0xFF51AFD7ED558CCD)
    return rank ^ (rank >> np.uint64(32))


def _first_groups(characters: U64, groups: U64, left: float, seed: int, total: int) -> tuple[I64, float]:
    """(indexes to hold out, what is still wanted) where `left` is wanted of these documents of a source of `total`."""
    names, member = np.unique(groups, return_inverse=True)
    size = np.bincount(member, weights=characters.astype(np.float64), minlength=len(names))
    taken = np.zeros(len(names), dtype=bool)
    for at in np.argsort(_rank(names, seed), kind="stable"):
        if left <= 0:
            break
        if size[at] <= 2 * left and size[at] < total:
            taken[at] = True
            left -= size[at]
    return np.flatnonzero(taken[member]), left


class _Head(msgspec.Struct):
    """What the third pass needs to know about a line."""

    id: str
    text: str
    lang: str


class Route(PipelineStep):  # type: ignore[misc]
    """One rank a source: kept, held-out and dropped documents into their files, and the source's tally."""

    type = "corpus"
    name = "route"

    def __init__(
        self, settings: Corpus, tasks: tuple[ReadTask, ...], rows: dict[str, LedgerRow], files: TaskFiles, out: Path
    ) -> None:
        super().__init__()
        self.settings, self.tasks, self.rows, self.files, self.out = settings, tasks, rows, files, out
        self.work = files.work

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        source = list(self.rows)[rank]
        began = time.thread_time()
        own = [i for i, task in enumerate(self.tasks) if task.source == source]
        parts = [read_json(self.files.tally(i)) for i in own]
        tally = merge(source, parts)
        keeper_of = _Keepers(self.files)
        decode = msgspec.json.Decoder(_Head).decode
        name = f"{source}.jsonl.zst"
        with (
            PartWriter(self.out / "docs" / name) as docs,
            PartWriter(self.out / "heldout" / name) as heldout,
            PartWriter(self.out / "dropped" / name) as dropped,
        ):
            for i in own:
                for line in read_lines(self.files.dropped(i)):
                    dropped.write_bytes(line)
                verdicts = np.load(self.files.verdicts(i))
                for line, verdict, keeper in zip(read_lines(self.files.judged(i)), *verdicts.tolist(), strict=True):
                    head = decode(line)
                    if reason := REASONS.get(verdict):
                        detail = f"of {keeper_of.name(keeper)}"
                        tally.drop(reason, head.id, head.text, detail)
                        dropped.write(
                            {"id": head.id, "reason": reason, "detail": detail, "source": source, "text": head.text}
                        )
                    else:
                        tally.keep(len(head.text), head.lang, heldout=verdict == HELD_OUT)
                        (heldout if verdict == HELD_OUT else docs).write_bytes(line)
        tally.check()
        self._check(tally)
        seconds: dict[str, float] = {}
        volume: dict[str, int] = {}
        for part in parts:
            for stage, value in part["seconds"].items():
                seconds[stage] = seconds.get(stage, 0.0) + value
                volume[stage] = volume.get(stage, 0) + part["stage_bytes"][stage]
        seconds["route"], volume["route"] = time.thread_time() - began, tally.raw_bytes
        write_json(
            self.work / "sources" / f"{rank:05d}.json", tally.plain() | {"seconds": seconds, "stage_bytes": volume}
        )
        write_json(self.work / "progress" / f"route-{rank:05d}.json", {"bytes": tally.raw_bytes})
        yield from ()

    def _check(self, tally: Tally) -> None:
        """The files hold what the tally says."""
        name = f"{tally.source}.jsonl.zst"
        for folder, expected in (
            ("docs", tally.kept_documents),
            ("heldout", tally.heldout_documents),
            ("dropped", sum(tally.dropped.values())),
        ):
            found = sum(1 for _ in read_lines(self.out / folder / name))
            assert found == expected, f"{folder}/{name} has {found} documents, {expected} were counted"


class _Keepers:
    """Names of documents by their number over all tasks; holds the names of the last tasks that were asked for."""

    def __init__(self, files: TaskFiles) -> None:
        self._starts = np.array(read_json(files.work / "decide.json")["starts"])
        self._names = functools.lru_cache(maxsize=64)(lambda task: read_json(files.ids(task)))

    def name(self, number: int) -> str:
        task = int(np.searchsorted(self._starts, number, side="right")) - 1
        return str(self._names(task)[number - int(self._starts[task])])


def _save(path: Path, array: npt.NDArray[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".tmp")
    with scratch.open("wb") as stream:
        np.save(stream, array)
    scratch.replace(path)
