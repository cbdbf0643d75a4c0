"""The way of a document, from file to corpus: three passes, each a datatrove pipeline run by an executor.

    judge    a task a rank:    read -> repair -> words -> language -> quality -> leakage -> signatures
                               -> privacy -> write
    decide   one rank:         exact and near duplicates, held-out split
    route    a source a rank:  kept, held out, dropped, each into its file

The documents lie in `<out>.partial` until they are whole, what the passes tell each other in
`<out>.work`. Each finished rank leaves a completion mark there; a killed build started again with
the same inputs and settings does the other ranks only.
"""

import fcntl
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datatrove.pipeline.base import PipelineStep

from creuset import __version__
from creuset.core.artifact import new_artifact, sha256_file, sha256_json
from creuset.core.config import resolved
from creuset.core.errors import ConfigError
from creuset.data import ledger
from creuset.data.build import steps
from creuset.data.build.executor import Executor
from creuset.data.build.parts import read_json, write_json
from creuset.data.build.progress import BuildProgress
from creuset.data.build.report import write_report
from creuset.data.clean.leakage import Index, benchmark_texts
from creuset.data.dedup import decide
from creuset.data.read.sources import ReadPlan
from creuset.data.settings import Corpus


@dataclass(frozen=True, slots=True)
class Passes:
    """The three pipelines and their numbers of ranks: what any datatrove executor can be given."""

    judge: list[PipelineStep]
    decide: list[PipelineStep]
    route: list[PipelineStep]
    ranks: tuple[int, int, int]


def passes(plan: ReadPlan, settings: Corpus, *, scratch: Path, work: Path) -> Passes:
    """Steps that read `work` and write documents to `scratch`."""
    rows = {row.name: row for row in plan.sources}
    meter = steps.StageMeter()
    judge = [
        steps.Read(settings, meter, plan.tasks, rows, work),
        steps.Repair(settings, meter),
        steps.Split(settings, meter),
        steps.LanguageStep(settings, meter),
        steps.Judge(settings, meter),
        steps.Check(settings, meter, work / "benchmarks"),
        steps.Sign(settings, meter),
        steps.Mask(settings, meter),
        steps.Write(settings, meter, plan.tasks, work),
    ]
    return Passes(
        judge,
        [decide.Decide(settings, plan.tasks, rows, work)],
        [decide.Route(settings, plan.tasks, rows, work, scratch)],
        (len(plan.tasks), 1, len(rows)),
    )


def build(
    plan: ReadPlan,
    settings: Corpus,
    out: Path,
    *,
    benchmarks: Sequence[Path] = (),
    workers: int = 1,
    quiet: bool = False,
) -> dict[str, Any]:
    """Make the corpus artifact `out` and return its report; goes on where a killed build of the same stopped."""
    began = time.time()
    scratch, work = out.with_name(out.name + ".partial"), out.with_name(out.name + ".work")
    texts = list(benchmark_texts(benchmarks, min_words=settings.leakage.ngram))
    wanted = {
        "version": __version__,
        "plan": plan.as_json(),
        "settings": resolved(settings),
        "benchmarks": sha256_json(texts),
        "inputs": _stamps(plan),
    }
    facts: dict[str, Any] = {}
    with (
        _claimed(scratch, work, sha256_json(wanted)) as resumed,
        new_artifact(out, kind="corpus", settings=settings, facts=facts, keep_scratch=True),
    ):
        if not (work / "benchmarks" / "items.json").is_file():  # written last
            Index.build(texts, work / "benchmarks", settings.leakage)
        run = passes(plan, settings, scratch=scratch, work=work)
        with BuildProgress(plan, work, quiet=quiet, resumed=resumed):
            for name, pipeline, ranks in zip(
                ("judge", "decide", "route"), (run.judge, run.decide, run.route), run.ranks, strict=True
            ):
                Executor(
                    pipeline=pipeline,
                    tasks=ranks,
                    workers=min(workers, ranks),
                    logging_dir=str(work / "executor" / name),
                ).run()
        sources = [read_json(work / "sources" / f"{i:05d}.json") for i in range(len(plan.sources))]
        write_json(scratch / "ledger.json", {"source": ledger.as_json(plan.sources)})
        content = content_hash(scratch, [row.name for row in plan.sources])
        report = write_report(
            scratch,
            plan,
            settings,
            sources,
            decided=read_json(work / "decide.json"),
            content=content,
            workers=workers,
            seconds=time.time() - began,
            resumed=resumed,
            benchmarks=len(texts),
        )
        facts |= {"content_sha256": content, "total": report["total"]}
    shutil.rmtree(work)
    return report


@contextmanager
def _claimed(scratch: Path, work: Path, digest: str) -> Iterator[bool]:
    """Hold the two folders for this build: True when they hold work of the same one, else they are emptied."""
    work.mkdir(parents=True, exist_ok=True)
    with (work / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"another build is writing `{scratch}`", hint="wait for it, or choose another --out"
            ) from None
        mark = work / "build.json"
        same = mark.is_file() and read_json(mark)["sha256"] == digest
        if not same:
            shutil.rmtree(scratch, ignore_errors=True)
            for path in work.iterdir():
                if path.name != "lock":
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            write_json(mark, {"sha256": digest})
        for left in scratch.rglob("*.tmp"):
            left.unlink()  # of a rank that was killed while it wrote
        yield same


def _stamps(plan: ReadPlan) -> list[list[Any]]:
    files = sorted({piece.file for task in plan.tasks for piece in task.pieces})
    return [[f, Path(f).stat().st_size, Path(f).stat().st_mtime_ns] for f in files]


def content_hash(folder: Path, sources: Iterable[str]) -> str:
    """Hash of all documents, kept and dropped, and of the ledger: equal for equal corpora, whatever the speed was."""
    names = [f"{part}/{source}.jsonl.zst" for source in sources for part in ("docs", "heldout", "dropped")] + [
        "ledger.json"
    ]
    return sha256_json({name: sha256_file(folder / name) for name in sorted(names)})
