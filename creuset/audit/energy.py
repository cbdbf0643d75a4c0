"""Energy: of an answer, measured here; of training, as the training record has it. Arithmetic for FLOPs.

Generation: a batch of requests is decoded by the engine, and joules are read before and after: by the counters of
processor and GPU where the machine shows them, else from rated power and wall time (core/energy.py), and then the
figure is an estimate and says so. Loading is not counted; reading the short prompts is. kWh are scaled to 100,000
generated tokens, the task that the Code of Practice's form names. gCO2e need a grid factor, which only the operator
knows: a TOML file with `grams_per_kwh`, `source` and `year`. None is assumed.
"""

import json
import time
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from creuset.core.energy import Meter, kwh
from creuset.core.errors import DataError
from creuset.evals.measure import Measure
from creuset.evals.stats import mean
from creuset.model.config import ModelConfig
from creuset.model.count import decode_flops, training_flops

if TYPE_CHECKING:
    from creuset.engine.engine import Engine

TASK_TOKENS = 100_000
REQUESTS = 16
PROMPT_TOKENS = 16
ROUNDS = 5              # measured apart: the interval is between them


@dataclass(frozen=True, slots=True)
class Grid:
    grams_per_kwh: float
    source: str
    year: int


def read_grid(path: Path) -> Grid:
    """The operator's grid factor. Raises DataError."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
        grid = Grid(float(found["grams_per_kwh"]), str(found["source"]), int(found["year"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"`{path}` is not a grid factor: {error!r}", hint="it needs grams_per_kwh, source and year"
        ) from error
    if not 0 <= grid.grams_per_kwh < 3000 or not grid.source:
        raise DataError(f"`{path}`: grams_per_kwh must be between 0 and 3000 and have a source, got {grid}")
    return grid


@dataclass(frozen=True, slots=True)
class Spent:
    joules: float
    wall_s: float
    tokens: int         # generated
    context: int        # mean number of tokens that a generated one saw
    measured: bool
    method: str


def generate(
    engine: "Engine", *, tokens: int, requests: int = REQUESTS, clock: Callable[[], float] = time.perf_counter
) -> Spent:
    """Decode about `tokens` tokens, `requests` at a time, greedily."""
    from creuset.engine.request import Request, Sampling
    from creuset.engine.runner import default_threads

    each = max(1, min(tokens // requests, engine.context - PROMPT_TOKENS))
    threads = engine.settings.threads or default_threads(engine.config, engine.settings.max_batch_tokens)
    prompt = [engine.tokenizer.endoftext] * PROMPT_TOKENS
    for number in range(requests):
        sampling = Sampling(max_tokens=each, temperature=0.0, ignore_eos=True)
        engine.add(Request(id=str(number), prompt=prompt, sampling=sampling))
    meter, begun, made = Meter.here(cores=threads, gpus=0), clock(), 0
    while engine.busy:
        for event in engine.step():
            made += event.completion_tokens if event.finish else 0
    wall_s = clock() - begun
    return Spent(meter.joules(wall_s), wall_s, made, PROMPT_TOKENS + each // 2, meter.measured, meter.method)


def generation_measures(rounds: Sequence[Spent], config: ModelConfig, grid: Grid | None) -> list[Measure]:
    """Of rounds of the same work."""
    spent, tokens = rounds[0], sum(r.tokens for r in rounds)
    found = mean([kwh(r.joules) * TASK_TOKENS / r.tokens for r in rounds])
    energy = found.value
    facts = {"method": spent.method, "counter": spent.measured, "wall_s": sum(r.wall_s for r in rounds),
             "tokens": tokens, "boundary": "processor and GPU; no cooling, no PUE applied"}  # fmt: skip
    caveat = "" if spent.measured else "an estimate from rated power and wall time: no counter is readable here"
    flops = float(decode_flops(config, context=spent.context))
    rows = [
        Measure(task="energy", metric="kwh_100k_tokens", score=energy, unit="kWh", better="lower", n=len(rounds),
                interval=found.interval if len(rounds) > 1 else None, interval_by=f"{found.by}, rounds",
                denominator=len(rounds), form="generate", caveat=caveat, extra=facts),
        Measure(task="energy", metric="flop_per_token", score=flops, unit="FLOP", better="lower",
                form="static", extra={"context": spent.context, "method": "model/count.py: decode_flops"}),
        Measure(task="energy", metric="flop_100k_tokens", score=flops * TASK_TOKENS, unit="FLOP", better="lower",
                form="static", extra={"context": spent.context, "method": "model/count.py: decode_flops"}),
    ]  # fmt: skip
    return [*rows, _carbon("gco2e_100k_tokens", energy, grid, caveat)]


def training_measures(record: dict[str, Any], config: ModelConfig, grid: Grid | None) -> list[Measure]:
    """From a model's record.json, which the run that made it wrote."""
    stage, energy = record.get("stage", "training"), record.get("energy") or {}
    if "kwh" not in energy:
        return [Measure(task="energy", metric="training.kwh", status="not_tested", better="lower",
                        why="the model's record.json has no energy")]
    caveat = "" if energy.get("measured") else "an estimate from rated power and wall time: no counter was readable"
    caveat = "; ".join(filter(None, [caveat, f"of the last stage ({stage}); earlier ones have records of their own"]))
    used, tokens = float(energy["kwh"]), int(record.get("tokens") or 0)
    rows = [
        Measure(task="energy", metric="training.kwh", score=used, unit="kWh", better="lower", n=tokens,
                denominator=tokens, form="static", caveat=caveat,
                extra={"stage": stage, "method": energy.get("method", ""), "boundary": energy.get("boundary", ""),
                       "counter": bool(energy.get("measured"))}),
        _carbon("training.gco2e", used, grid, caveat),
    ]  # fmt: skip
    if flops := (record.get("flops") or {}).get("formula"):
        rows.append(Measure(
            task="energy", metric="training.flop", score=float(flops), unit="FLOP", better="lower", form="static",
            n=tokens, denominator=tokens,
            extra={"stage": stage, "flop_per_token": float(flops) / tokens if tokens else None,
                   "by_arithmetic": training_flops(config, context=config.context)},
        ))  # fmt: skip
    return rows


def read_record(model: Path) -> dict[str, Any] | None:
    """The training record beside the weights; None where there is none."""
    file = model / "record.json"
    if not file.is_file():
        return None
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"`{file}` is not JSON: {error}") from error
    return found if isinstance(found, dict) else None


def _carbon(metric: str, energy: float, grid: Grid | None, caveat: str) -> Measure:
    if grid is None:
        return Measure(task="energy", metric=metric, status="not_tested", better="lower", unit="gCO2e",
                       why="no grid factor was given: --given grid=FILE with grams_per_kwh, source and year")
    return Measure(task="energy", metric=metric, score=energy * grid.grams_per_kwh, unit="gCO2e", better="lower",
                   form="static", caveat=caveat, extra={"grams_per_kwh": grid.grams_per_kwh, "grid_source": grid.source,
                                                        "grid_year": grid.year})  # fmt: skip
