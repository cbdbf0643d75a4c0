"""The second and third pass: which surviving documents are duplicates, which are held out, and where all go."""

import functools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from datatrove.pipeline.base import PipelineStep

from creuset.data.build.parts import PartWriter, read_json, read_lines, write_json
from creuset.data.build.tally import Tally, merge
from creuset.data.build.tasks import TaskFiles
from creuset.data.dedup.minhash import first_of_equals, memory_bound, near_duplicates
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
        dedup = self.settings.dedup
        facts = [np.load(self.files.facts(i)) for i in range(len(self.tasks))]
        sizes = [len(f) for f in facts]
        starts = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
        every = np.concatenate(facts) if facts else np.zeros((0, 4), dtype=np.uint64)
        del facts
        total = len(every)
        verdict = np.full(total, KEEP, dtype=np.uint8)
        keeper = np.arange(total, dtype=np.int64)
        if dedup.exact and total:
            first = first_of_equals(every[:, 0], every[:, 1])
            verdict[first != keeper] = SAME
            keeper = np.where(first != keeper, first, keeper)
        candidates = 0
        if dedup.near and total:
            near_ok = np.repeat([self.rows[t.source].near_dedup for t in self.tasks], sizes) & (verdict == KEEP)
            found = near_duplicates(self._signatures(starts), near_ok, dedup)
            dropped = found.keeper != np.arange(total)
            verdict[dropped] = NEAR
            keeper[dropped] = found.keeper[dropped]
            candidates = found.candidates
        source_of = np.repeat(np.arange(len(self.tasks)), sizes)
        for name in self.rows:
            mine = np.isin(source_of, [i for i, t in enumerate(self.tasks) if t.source == name]) & (verdict == KEEP)
            at = np.flatnonzero(mine)
            verdict[at[hold_out(every[at, 2], every[at, 3], self.settings.heldout, self.settings.seed)]] = HELD_OUT
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
                "memory_bound_bytes": memory_bound(total),
            },
        )
        yield from ()

    def _signatures(self, starts: I64) -> npt.NDArray[np.uint32]:
        """All signatures as one memory map: the files of the tasks one after the other."""
        width = self.settings.dedup.bands * self.settings.dedup.rows
        path = self.work / "buckets" / "signatures.bin"
        path.parent.mkdir(exist_ok=True)
        with path.open("wb") as out:
            for i in range(len(self.tasks)):
                np.load(self.files.signatures(i), mmap_mode="r").tofile(out)
        return np.memmap(path, dtype=np.uint32, mode="r", shape=(int(starts[-1]), width))


def hold_out(characters: U64, groups: U64, settings: Heldout, seed: int) -> I64:
    """Indexes of a source's documents to hold out: whole groups in the order of their hash, about `share` of the text.

    A small source holds out `min_kb`, but never over 5 %; a large one `max_mb` at most. A group that
    would take more than twice what is still wanted is passed over.
    """
    total = int(characters.sum())
    wanted = min(settings.max_mb * 1e6, max(settings.share * total, min(settings.min_kb * 1e3, 0.05 * total)))
    if settings.share <= 0 or total == 0:
        return np.zeros(0, dtype=np.int64)
    names, member = np.unique(groups, return_inverse=True)
    size = np.bincount(member, weights=characters.astype(np.float64), minlength=len(names))
    # The hash is mixed with the seed: another seed holds out other documents.
    rank = (names ^ np.uint64(seed * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF)) * np.uint64(0xFF51AFD7ED558CCD)
    rank ^= rank >> np.uint64(32)
    taken = np.zeros(len(names), dtype=bool)
    left = wanted
    for at in np.argsort(rank, kind="stable"):
        if left <= 0:
            break
        if size[at] <= 2 * left and size[at] < total:
            taken[at] = True
            left -= size[at]
    return np.flatnonzero(taken[member])


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
