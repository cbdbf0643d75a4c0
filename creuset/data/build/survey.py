"""Before the first pass: which lines are common to the pages of a site. One look at all pages, then one sum."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from datatrove.pipeline.base import PipelineStep

from creuset.core.artifact import sha256_json
from creuset.data.build.parts import write_json
from creuset.data.build.tasks import TaskFiles, starts_of
from creuset.data.clean.site_lines import COUNT, Counts, Survey, common_lines, site_of
from creuset.data.ledger import LedgerRow
from creuset.data.read.readers import RawRecord, records
from creuset.data.read.sources import FilePart, ReadTask
from creuset.data.settings import Corpus

_LOOK = 300  # records of a file without an address: then the file is taken for one without sites


def site(record: RawRecord, piece: FilePart, source: str) -> str:
    """The site of a record: from its address, or, for pages in files, the source."""
    return site_of(str(record.fields.get("url") or ""), source if piece.format == "html" else "")


class Look(PipelineStep):  # type: ignore[misc]
    """Counts the lines of one task's pages; a task of which nothing changed is not looked at again."""

    type = "corpus"
    name = "survey"

    def __init__(
        self, settings: Corpus, tasks: tuple[ReadTask, ...], rows: dict[str, LedgerRow], files: TaskFiles
    ) -> None:
        super().__init__()
        self.settings, self.tasks, self.rows, self.files = settings, tasks, rows, files

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        task, target = self.tasks[rank], self.files.lines(rank)
        kind = self.rows[task.source].kind or self.settings.kind
        wanted = kind == "guess" or self.settings.rules_of(kind).site_lines
        if not target.is_file():
            began = time.thread_time()
            survey = Survey()
            for piece in task.pieces if wanted else ():
                start = starts_of(self.files.work, self.tasks, task).get((piece.file, piece.start))
                without = 0
                for record in records(piece, self.settings.text_field, start=start):
                    if record.broken:
                        continue
                    if name := site(record, piece, task.source):
                        survey.add(record.text, name)
                        without = 0
                    else:
                        without += 1
                        if without >= _LOOK:
                            break
            target.parent.mkdir(parents=True, exist_ok=True)
            scratch = target.with_suffix(".tmp")
            with scratch.open("wb") as stream:
                np.save(stream, survey.counts())
            scratch.replace(target)
            write_json(target.with_suffix(".json"), {"seconds": time.thread_time() - began})
        yield from ()


def settle(files: TaskFiles, settings: Corpus) -> TaskFiles:
    """Write the common lines of all sites; the tasks get names that depend on those of their own sites."""
    parts = [np.load(files.lines(i), mmap_mode="r") for i in range(len(files.names))]
    common = common_lines(parts, settings.sites, most=max(100_000, settings.dedup.memory_mb * 10_000))
    save_common(files.work, common)
    names = []
    for part, name in zip(parts, files.names, strict=True):
        own = np.asarray(part["site"][: np.searchsorted(part["key"], 1)])
        mine = common["key"][np.isin(common["site"], own)]
        names.append(sha256_json([name, mine.tolist()])[:24] if len(mine) else name)
    return TaskFiles(files.work, tuple(names), files.names)


def save_common(work: Path, common: Counts) -> None:
    path = common_file(work)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".tmp")
    with scratch.open("wb") as stream:
        np.save(stream, np.sort(common["key"]))
    scratch.replace(path)


def common_file(work: Path) -> Path:
    return work / "common" / "lines.npy"


def load_common(work: Path) -> npt.NDArray[np.uint64]:
    """Keys of the common lines, sorted; none where no pages were surveyed."""
    path = common_file(work)
    return np.load(path, mmap_mode="r") if path.is_file() else np.zeros(0, dtype=COUNT)["key"]
