"""The way of a document, from file to corpus: passes, each a datatrove pipeline run by an executor.

    starts   a file a rank:    where the ranges of a big file begin
    survey   a task a rank:    which lines stand on many pages of a site
    judge    a task a rank:    read -> repair -> words -> language -> quality -> leakage -> signatures
                               -> privacy -> write
    decide   one rank:         exact and near duplicates, held-out split
    route    a source a rank:  kept, held out, dropped, each into its file

The documents lie in `<out>.partial` until they are whole, what the passes tell each other in
`<out>.work`. Each finished rank leaves a completion mark there; a killed build started again does the other
ranks only, and those of which something changed (`tasks`).
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

from creuset.core.artifact import new_artifact, sha256_file, sha256_json
from creuset.core.errors import ConfigError
from creuset.core.log import say
from creuset.data import ledger
from creuset.data.build import steps
from creuset.data.build.executor import Executor
from creuset.data.build.parts import read_json, write_json
from creuset.data.build.progress import BuildProgress
from creuset.data.build.report import write_report
from creuset.data.build.survey import Look, settle
from creuset.data.build.tasks import Claim, TaskFiles, claim, refuse_foreign, task_files
from creuset.data.clean.leakage import Index, benchmark_texts
from creuset.data.dedup import decide
from creuset.data.read.ranges import several
from creuset.data.read.sources import ReadPlan
from creuset.data.settings import Corpus

_SMALL = 50_000_000  # raw bytes


@dataclass(frozen=True, slots=True)
class Passes:
    """The pipelines and their numbers of ranks: what any datatrove executor can be given, in this order."""

    starts: list[PipelineStep]
    survey: list[PipelineStep]
    judge: list[PipelineStep]
    decide: list[PipelineStep]
    route: list[PipelineStep]
    ranks: tuple[int, int, int, int, int]


def passes(plan: ReadPlan, settings: Corpus, *, scratch: Path, work: Path, files: TaskFiles | None = None) -> Passes:
    """Steps that read `work` and write documents to `scratch`."""
    files = files or task_files(plan, settings, work)
    groups = several([piece for task in plan.tasks for piece in task.pieces])
    rows = {row.name: row for row in plan.sources}
    meter = steps.StageMeter()
    judge = [
        steps.Read(settings, meter, plan.tasks, rows, work),
        steps.Repair(settings, meter, work),
        steps.Split(settings, meter),
        steps.LanguageStep(settings, meter),
        steps.Judge(settings, meter),
        steps.Check(settings, meter, work / "benchmarks"),
        steps.Sign(settings, meter),
        steps.Mask(settings, meter),
        steps.Write(settings, meter, plan.tasks, files),
    ]
    return Passes(
        [steps.FindStarts(groups, work)],
        [Look(settings, plan.tasks, rows, files)],
        judge,
        [decide.Decide(settings, plan.tasks, rows, files)],
        [decide.Route(settings, plan.tasks, rows, files, scratch)],
        (len(groups), len(plan.tasks), len(plan.tasks), 1, len(rows)),
    )


def build(
    plan: ReadPlan,
    settings: Corpus,
    out: Path,
    *,
    benchmarks: Sequence[Path] = (),
    workers: int = 1,
    quiet: bool = False,
    keep_work: Path | None = None,
) -> dict[str, Any]:
    """Make the corpus artifact `out` and return its report; goes on where a killed build stopped.

    `keep_work`: a folder in which the work of the tasks stays, so that a later build does only the tasks that changed.
    """
    began = time.time()
    scratch, work = out.with_name(out.name + ".partial"), keep_work or out.with_name(out.name + ".work")
    texts = list(benchmark_texts(benchmarks, min_words=settings.leakage.ngram))
    looked_for = sha256_json(texts)
    files = task_files(plan, settings, work, benchmarks=looked_for)
    with _locked(work, scratch):
        files = _surveyed(plan, settings, files, scratch, workers)
        claimed = claim(plan, settings, files, scratch, looked_for)
        if claimed is not None and not quiet:
            say(claimed.say(len(plan.tasks)))
        report = _built(plan, settings, out, files, texts, claimed, workers=workers, quiet=quiet, began=began)
    if keep_work is None:
        shutil.rmtree(work)
    else:
        shutil.rmtree(work / "starts", ignore_errors=True)  # pieces of big files, as large as they are
    return report


def _surveyed(plan: ReadPlan, settings: Corpus, files: TaskFiles, scratch: Path, workers: int) -> TaskFiles:
    """Run what comes before the first pass; its steps pass over what an earlier build left."""
    run = passes(plan, settings, scratch=scratch, work=files.work, files=files)
    shutil.rmtree(files.work / "first", ignore_errors=True)
    if sum(piece.raw_bytes for task in plan.tasks for piece in task.pieces) < _SMALL:
        workers = 1  # to start processes would take longer
    _run(files.work / "first", "starts", run.starts, run.ranks[0], workers)
    if not settings.sites.pages:
        return files
    _run(files.work / "first", "survey", run.survey, run.ranks[1], workers)
    return settle(files, settings)


def _run(logs: Path, name: str, pipeline: list[PipelineStep], ranks: int, workers: int) -> None:
    if ranks:
        Executor(pipeline=pipeline, tasks=ranks, workers=min(workers, ranks), logging_dir=str(logs / name)).run()


def _built(
    plan: ReadPlan,
    settings: Corpus,
    out: Path,
    files: TaskFiles,
    texts: list[tuple[str, str]],
    claimed: Claim | None,
    *,
    workers: int,
    quiet: bool,
    began: float,
) -> dict[str, Any]:
    scratch, work = out.with_name(out.name + ".partial"), files.work
    facts: dict[str, Any] = {}
    with new_artifact(out, kind="corpus", settings=settings, facts=facts, keep_scratch=True):
        if not (work / "benchmarks" / "items.json").is_file():  # written last
            Index.build(texts, work / "benchmarks", settings.leakage)
        run = passes(plan, settings, scratch=scratch, work=work, files=files)
        with BuildProgress(plan, work, quiet=quiet):
            for name, pipeline, ranks in zip(
                ("judge", "decide", "route"), (run.judge, run.decide, run.route), run.ranks[2:], strict=True
            ):
                _run(work / "executor", name, pipeline, ranks, workers)
        resumed = claimed is not None and claimed.same
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
    return report


@contextmanager
def _locked(work: Path, scratch: Path) -> Iterator[None]:
    """Hold the folder of the work, and with it the unfinished corpus, for this build."""
    work.mkdir(parents=True, exist_ok=True)
    refuse_foreign(work, scratch)
    with (work / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"another build is writing `{scratch}`", hint="wait for it, or choose another --out"
            ) from None
        yield


def content_hash(folder: Path, sources: Iterable[str]) -> str:
    """Hash of all documents, kept and dropped, and of the ledger: equal for equal corpora, whatever the speed was."""
    names = [f"{part}/{source}.jsonl.zst" for source in sources for part in ("docs", "heldout", "dropped")] + [
        "ledger.json"
    ]
    return sha256_json({name: sha256_file(folder / name) for name in sorted(names)})
