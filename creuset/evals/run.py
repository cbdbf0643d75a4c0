"""One evaluation: a model, some tasks, and what comes out as an artifact with its parents.

Reading order: `Evaluation` (the settings), `evaluate`, `keep` (the artifact). Tasks are made by the caller, from
benchmarks/catalogue.py; `creuset.evaluate` (api/evaluation.py) goes from a model's name to the artifact.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from creuset.core import jsonl
from creuset.core.artifact import MANIFEST, artifact_of, new_artifact
from creuset.core.errors import ConfigError
from creuset.core.host import commit, hardware, versions
from creuset.core.sentences import sentence, to_json
from creuset.evals.journal import read
from creuset.evals.model import Ability, ModelClient, Usage
from creuset.evals.prices import Price
from creuset.evals.report import write_report
from creuset.evals.runner import PlaySettings, play, read_samples
from creuset.evals.task import Form, Task
from creuset.evals.usage import cost_of, total_usage, usage_of

Rows = list[dict[str, Any]]
DEFINITIONS = {"bpb": sentence("evals.bpb_definition"), "intervals": "95 %, by what `interval_by` says"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """What to score and how."""

    tasks: tuple[str, ...] = ("bpb",)
    data: tuple[Path, ...] = ()  # for bpb: shards artifacts, or files of text or jsonl
    bench: Path | None = None  # for the other tasks: a folder of benchmark files, or the one file
    limit: int | None = None  # first documents of a source, first items of a task
    context: int = 0  # tokens; 0: the model's own
    overlap: int = 0  # tokens that a window of a long document sees twice
    dtype: Literal["fp32", "bf16"] = "fp32"
    device: str = "cpu"
    prefix: bool = True  # <|endoftext|> before the context of a question; bpb always has it
    tokens_per_batch: int = 4096
    form: Form | None = None  # of every task; None: each task's own
    fewshot: int | None = None  # worked examples; None: each task's own
    seed: int = 1234
    retry_failed: bool = False
    rescore: bool = False  # ask nobody: score what the journals hold

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit must be positive, got {self.limit}")
        if self.overlap < 0 or self.context < 0 or self.tokens_per_batch < 1:
            raise ValueError("context and overlap must not be negative, tokens_per_batch must be positive")
        if self.fewshot is not None and self.fewshot < 0:
            raise ValueError(f"fewshot must not be negative, got {self.fewshot}")


async def evaluate(
    client: ModelClient,
    tasks: Mapping[str, Task],
    ask: Evaluation,
    *,
    work: Path | None = None,
    price: Price | None = None,
    judge: ModelClient | None = None,
    judge_price: Price | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[dict[str, Any], dict[str, Rows]]:
    """The results of `tasks` (by the names that files get), and what each sample of each got.

    `work`: the folder of the journals. Raises what `play` raises, and ConfigError where a task cannot be asked so.
    """
    begun = clock()
    rows: Rows = []
    samples: dict[str, Rows] = {}
    used: list[Usage] = []
    playing = PlaySettings(
        limit=ask.limit,
        seed=ask.seed,
        retry_failed=ask.retry_failed,
        rescore=ask.rescore,
        price=price,
        judge_price=judge_price,
    )
    if work is not None and not ask.rescore:
        _charge(client, judge, [work / f"{name}.jsonl" for name in tasks], price, judge_price)
    for task in tasks.values():
        task.judge = judge if task.judged else None
        task.check(client)
    for name, task in tasks.items():
        limits = replace(playing, limit=None) if task.limits_itself else playing
        journal = work / f"{name}.jsonl" if work is not None else None
        played = await play(task, client, _folder(task, ask), journal=journal, playing=limits, clock=clock)
        samples[name] = played.rows
        used.append(played.usage)
        rows += [m.row() for m in played.measures]
    model = client.identity()
    code = {name: dict(task.code) for name, task in tasks.items() if task.code}
    results = {
        "model": model,
        "subject": model,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "settings": {
            **asdict(ask),
            "data": [p.name for p in ask.data],
            "bench": ask.bench and ask.bench.name,
            "context": client.context or ask.context,
        }
        | ({"code": code} if code else {}),
        "definitions": DEFINITIONS,
        "results": rows,
        "usage": asdict(total_usage(used)),
        "price": asdict(price) if price else None,
        "judge_price": asdict(judge_price) if judge_price else None,
        "wall_s": clock() - begun,
        "hardware": hardware(gpus=int(ask.device.startswith("cuda"))),
        "versions": versions(),
        "commit": commit(),
    }
    return results, samples


def check_samples(tasks: Mapping[str, Task], ask: Evaluation) -> None:
    """Read every task's samples once, so that what is wrong with its files is said before anybody is asked."""
    for task in tasks.values():
        read_samples(task, _folder(task, ask), 1 if task.limits_itself else ask.limit)


def _folder(task: Task, ask: Evaluation) -> Path:
    return task.folder or ask.bench or Path()


def _charge(
    client: ModelClient,
    judge: ModelClient | None,
    journals: Sequence[Path],
    price: Price | None,
    judge_price: Price | None,
) -> None:
    """What an earlier run spent counts against the cap of this one."""
    budget = client.budget or (judge.budget if judge is not None else None)
    if budget is None:
        return
    for journal in journals:
        if journal.is_file() and (found := read(journal)) is not None:
            outcomes = (o for e in found[1].values() for o in e.outcomes)
            budget.spent += cost_of(usage_of(outcomes, price, judge_price))


@dataclass(slots=True)
class Recorded(ModelClient):
    """Who answered in the journals of a folder: for scoring again, which asks nobody."""

    subject: dict[str, Any]
    seed: int
    abilities: frozenset[Ability] = field(default_factory=lambda: frozenset({"chat", "completion", "loglikelihood"}))

    @classmethod
    def of(cls, work: Path, tasks: Sequence[str]) -> "Recorded":
        for name in tasks:
            file = work / f"{name}.jsonl"
            if file.is_file() and (found := read(file)) is not None:
                return cls(found[0]["subject"], int(found[0]["seed"]))
        raise ConfigError(f"`{work}` has no journal of {', '.join(tasks)}")

    def identity(self) -> dict[str, Any]:
        return self.subject

    async def generate(self, asks: Any, done: Any = None) -> Any:
        raise AssertionError("scoring again asks nobody")

    async def loglikelihood(self, pairs: Any, done: Any = None) -> Any:
        raise AssertionError("scoring again asks nobody")

    async def loglikelihood_rolling(self, texts: Any, done: Any = None) -> Any:
        raise AssertionError("scoring again asks nobody")

    async def close(self) -> None:
        return None


def keep(out: Path, path: Path | None, ask: Evaluation, results: dict[str, Any], samples: dict[str, Rows]) -> None:
    """Write results and samples as an artifact whose parents are the model, where it is a folder, and the shards."""
    named = [artifact_of(p) for p in (path, *ask.data) if p is not None]
    parents = [p for p in named if (p / MANIFEST).is_file()]
    facts = {"model": results["model"], "results": to_json(results["results"])}
    with new_artifact(out, kind="evaluation", settings=results["settings"], parents=parents, facts=facts) as scratch:
        said = json.dumps(to_json(results), indent=2, ensure_ascii=True) + "\n"
        (scratch / "results.json").write_text(said, encoding="utf-8")
        for name, rows in samples.items():
            jsonl.write(scratch / f"{name}.jsonl", rows, ascii_only=True)
        write_report(scratch, scratch / "report.html")  # and report.csv
