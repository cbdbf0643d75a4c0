"""The way of a document, from file to corpus: three passes, each a datatrove pipeline run by an executor.

    judge    a task a rank:    read -> repair -> words -> language -> quality -> leakage -> signatures
                               -> privacy -> write
    decide   one rank:         exact and near duplicates, held-out split
    route    a source a rank:  kept, held out, dropped, each into its file

Everything lies in `<out>.partial` until it is whole. Each finished rank leaves a completion mark
there; a killed build started again with the same inputs and settings does the other ranks only.
"""

import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datatrove.pipeline.base import PipelineStep

from creuset.core.artifact import new_artifact, sha256_file, sha256_json
from creuset.core.config import resolved
from creuset.data import decide, ledger, steps
from creuset.data.executor import Executor
from creuset.data.leakage import Index, benchmark_texts
from creuset.data.parts import read_json, write_json
from creuset.data.progress import Watch
from creuset.data.report import write_report
from creuset.data.settings import Corpus
from creuset.data.sources import Plan

WORK = "work"


@dataclass(frozen=True, slots=True)
class Passes:
    """The three pipelines and their numbers of ranks: what any datatrove executor can be given."""

    judge: list[PipelineStep]
    decide: list[PipelineStep]
    route: list[PipelineStep]
    ranks: tuple[int, int, int]


def passes(plan: Plan, settings: Corpus, *, scratch: Path) -> Passes:
    work = scratch / WORK
    rows = {row.name: row for row in plan.sources}
    meter = steps.Meter()
    judge = [
        steps.Read(settings, meter, plan.tasks, rows, work),
        steps.Repair(settings, meter),
        steps.Split(settings, meter),
        steps.Identify(settings, meter),
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
    plan: Plan,
    settings: Corpus,
    out: Path,
    *,
    benchmarks: Sequence[Path] = (),
    workers: int = 1,
    quiet: bool = False,
) -> dict[str, Any]:
    """Make the corpus artifact `out` and return its report; goes on where a killed build of the same stopped."""
    began = time.time()
    scratch = out.with_name(out.name + ".partial")
    texts = list(benchmark_texts(benchmarks, min_words=settings.leakage.ngram))
    resumed = _claim(
        scratch,
        {
            "plan": plan.as_json(),
            "settings": resolved(settings),
            "benchmarks": sha256_json(texts),
            "inputs": _stamps(plan),
        },
    )
    facts: dict[str, Any] = {}
    with new_artifact(out, kind="corpus", settings=settings, facts=facts, keep_scratch=True):
        work = scratch / WORK
        if not (work / "benchmarks" / "items.json").is_file():  # written last
            Index.build(texts, work / "benchmarks", settings.leakage)
        run = passes(plan, settings, scratch=scratch)
        with Watch(plan, work, quiet=quiet, resumed=resumed):
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
        decide.forget(work)
    return report


def _claim(scratch: Path, wanted: dict[str, Any]) -> bool:
    """Make the scratch folder ours: True when it holds work of the same build, else it is emptied."""
    mark = scratch / WORK / "build.json"
    digest = sha256_json(wanted)
    if mark.is_file() and read_json(mark)["sha256"] == digest:
        return True
    shutil.rmtree(scratch, ignore_errors=True)
    write_json(mark, {"sha256": digest})
    return False


def _stamps(plan: Plan) -> list[list[Any]]:
    files = sorted({piece.file for task in plan.tasks for piece in task.pieces})
    return [[f, Path(f).stat().st_size, Path(f).stat().st_mtime_ns] for f in files]


def content_hash(folder: Path, sources: Iterable[str]) -> str:
    """Hash of all documents, kept and dropped, and of the ledger: equal for equal corpora, whatever the speed was."""
    names = [f"{part}/{source}.jsonl.zst" for source in sources for part in ("docs", "heldout", "dropped")] + [
        "ledger.json"
    ]
    return sha256_json({name: sha256_file(folder / name) for name in sorted(names)})
