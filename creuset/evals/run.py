"""One evaluation: a model, some tasks, and what comes out as an artifact with its parents."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from creuset.core import device as devices
from creuset.core.artifact import MANIFEST, new_artifact, read_manifest, sha256_file
from creuset.core.errors import ArtifactError, ConfigError, DataError
from creuset.core.host import commit, hardware, versions
from creuset.core.log import Progress, duration
from creuset.evals import bpb, choice, documents, tasks
from creuset.model.transformer import Transformer
from creuset.model.weights import load_model
from creuset.text.tokenizer import Tokenizer


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """What to score and how."""

    tasks: tuple[str, ...] = ("bpb",)
    data: tuple[Path, ...] = ()         # for bpb: shards artifacts, or files of text or jsonl
    bench: Path | None = None           # for the other tasks: a folder of benchmark files, or the one file
    limit: int | None = None            # first documents of a source, first items of a task
    context: int = 0                    # tokens; 0: the model's own
    overlap: int = 0                    # tokens that a window of a long document sees twice
    dtype: Literal["fp32", "bf16"] = "fp32"
    device: str = "cpu"
    prefix: bool = True                 # <|endoftext|> before the context of a question; bpb always has it
    tokens_per_batch: int = 4096

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit must be positive, got {self.limit}")
        if self.overlap < 0 or self.context < 0 or self.tokens_per_batch < 1:
            raise ValueError("context and overlap must not be negative, tokens_per_batch must be positive")


def evaluate(
    path: Path, ask: Evaluation, *, clock: Callable[[], float] = time.monotonic
) -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]:
    """The results of `ask` on the model at `path`, and per task what each document or item got."""
    for name in ask.tasks:
        if name != "bpb" and name not in tasks.TASKS:
            raise ConfigError(f"`{name}` is not a task", hint=f"there are bpb, {', '.join(tasks.TASKS)}")
    if "bpb" in ask.tasks and not ask.data:
        raise ConfigError("bits per byte needs text", hint="give --data: a shards artifact, or files of text or jsonl")
    if ask.bench is None and set(ask.tasks) - {"bpb"}:
        raise ConfigError("these tasks need their files", hint="give --bench: a folder of them, or the one file")
    begun = clock()
    tokenizer = Tokenizer.load(path)
    dtype = torch.bfloat16 if ask.dtype == "bf16" else torch.float32
    model = load_model(path, device=devices.pick(ask.device), dtype=dtype)
    if tokenizer.vocab_size > model.config.vocab_size:
        raise ArtifactError(
            f"`{path}`: the tokenizer has {tokenizer.vocab_size} ids, the model only {model.config.vocab_size}"
        )
    context = ask.context or model.config.context
    if ask.overlap >= context:
        raise ConfigError(f"overlap ({ask.overlap}) must be below the context ({context})")
    rows: list[dict[str, Any]] = []
    samples: dict[str, list[dict[str, Any]]] = {}
    for name in ask.tasks:
        if name == "bpb":
            found, samples[name] = _bits(model, tokenizer, ask, context, clock)
        else:
            found, samples[name] = _choices(model, tokenizer, tasks.TASKS[name], ask, context, clock)
        rows += found
    results = {
        "model": identity(path),
        "settings": {**asdict(ask), "data": [p.name for p in ask.data], "bench": ask.bench and ask.bench.name,
                     "context": context},
        "definitions": {"bpb": bpb.DEFINITION, "intervals": "95 %: Wilson for shares, bootstrap for bpb"},
        "results": rows,
        "wall_s": clock() - begun,
        "hardware": hardware(gpus=int(ask.device.startswith("cuda"))),
        "versions": versions(),
        "commit": commit(),
    }
    return results, samples


def _bits(
    model: Transformer, tokenizer: Tokenizer, ask: Evaluation, context: int, clock: Callable[[], float]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    show = _progress("bpb", "tokens", clock)
    texts = (text for path in ask.data for text in documents.read(path, tokenizer, limit=ask.limit))
    scored = bpb.score_documents(
        model, texts, eot=tokenizer.endoftext, context=context, overlap=ask.overlap,
        tokens_per_batch=ask.tokens_per_batch, progress=show,
    )
    if not scored:
        raise DataError(f"{', '.join(p.name for p in ask.data)}: there is no document to score")
    return bpb.summarise(scored), [asdict(s) for s in scored]


def _choices(
    model: Transformer,
    tokenizer: Tokenizer,
    task: tasks.Task,
    ask: Evaluation,
    context: int,
    clock: Callable[[], float],
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    assert ask.bench is not None
    file = tasks.find(task, ask.bench)
    items = list(tasks.read(task, file))
    if not items:
        raise DataError(f"`{file}` has no item")
    answers = choice.answer(
        model, tokenizer, items[: ask.limit], context=context, prefix=ask.prefix, tokens_per_batch=ask.tokens_per_batch,
        progress=_progress(task.name, "items", clock, total=len(items[: ask.limit])),
    )
    rows = choice.summarise(task.name, answers)
    of = {"file": file.name, "file_sha256": sha256_file(file), "licence": task.licence, "items_in_file": len(items)}
    return [row | of for row in rows], [asdict(a) for a in answers]


def _progress(what: str, unit: str, clock: Callable[[], float], *, total: int = 0) -> Callable[[int], None]:
    line, begun, done = Progress(), clock(), 0

    def show(count: int) -> None:
        nonlocal done
        done += count
        rate = done / max(1e-9, clock() - begun)
        left = f", {duration((total - done) / rate)} left" if total and rate else ""
        line.show(f"{what}: {done:,}{f'/{total:,}' if total else ''} {unit}, {rate:,.0f}/s{left}", final=done == total)

    return show


def identity(path: Path) -> dict[str, Any]:
    """Name and hash of a model: an artifact's own, or that of a foreign folder's weight files."""
    if (path / MANIFEST).is_file():
        return {"name": path.resolve().name, "sha256": read_manifest(path)["sha256"], "artifact": True}
    weights = sorted([*path.glob("*.safetensors"), *path.glob("config.json")])
    return {"name": path.resolve().name, "files": {f.name: sha256_file(f) for f in weights}, "artifact": False}


def keep(
    out: Path, path: Path, ask: Evaluation, results: dict[str, Any], samples: dict[str, list[dict[str, Any]]]
) -> None:
    """Write results and samples as an artifact whose parents are the model and the shards."""
    parents = [p for p in (path, *ask.data) if (p / MANIFEST).is_file()]
    facts = {"model": results["model"], "results": results["results"]}
    with new_artifact(out, kind="evaluation", settings=results["settings"], parents=parents, facts=facts) as scratch:
        said = json.dumps(results, indent=2, ensure_ascii=False) + "\n"
        (scratch / "results.json").write_text(said, encoding="utf-8")
        for name, rows in samples.items():
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            (scratch / f"{name}.jsonl").write_text(text, encoding="utf-8")
