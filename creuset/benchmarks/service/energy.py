"""Energy: of an answer, measured here; of training, as the training record has it. Arithmetic for FLOPs.

The engine runs two batches: one writes behind short prompts, the other reads long ones. The kWh of each are scaled to
100,000 tokens; writing so many is the task that the Code of Practice's form names. Loading is not counted.

Joules come from the counters of processor and GPU where the machine shows them. A counter sees the whole package, other
processes and idle power too. The idle power is measured before, printed beside the figure, and not subtracted. Without
a counter the figure is an estimate, rated power a core times wall time, and says why. Beside it stands the range
of rated powers (core/energy.py), which is no confidence interval and never stands in the place of
one. On a machine that others use, wall time is too long; `kwh_by_cpu_time` is the same estimate by the time that the
process had a processor.

For gCO2e the operator gives a grid factor: a TOML file with `grams_per_kwh`, `source` and `year`. None is assumed.
"""

import math
import time
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from creuset.benchmarks.figures import finite
from creuset.benchmarks.part import Found, Room
from creuset.core import record as record_file
from creuset.core.energy import WATTS_PER_CORE_RANGE, Meter, Rapl, kwh
from creuset.core.errors import DataError
from creuset.core.sentences import Sentence, joined, sentence
from creuset.core.stats import Interval, mean
from creuset.evals.clients.weights import Weights
from creuset.types.measure import Measure

Clock = Callable[[], float]
TASK_TOKENS = 100_000
ENERGY_TOKENS = 4096  # written, and read, where no limit was given
REQUESTS = 16
PROMPT_TOKENS = 16
READ_TOKENS = 200  # of a prompt, where reading is measured
ROUNDS = 5  # measured apart: the interval is between them
IDLE_S = 2.0  # of watching the counter while nothing is done; only where there is one


async def check(room: Room) -> Found:
    grid, weights = read_grid(room.given["grid"]) if "grid" in room.given else None, room.weights()
    each = max(1, (room.limit or ENERGY_TOKENS) // ROUNDS)
    idle = idle_watts(Meter.here(cores=1, gpus=0))
    written = [generate(weights, tokens=each) for _ in range(ROUNDS)]
    taken_in = [read(weights, tokens=each, seed=number) for number in range(ROUNDS)]
    flops = weights.decode_flops(written[0].context)
    measures = [m for rounds in (written, taken_in) for m in generation_measures(rounds, flops, grid, idle=idle)]
    if (record := read_record(room.folder)) is None:
        measures.append(Measure(task="energy", metric="training.kwh", status="not_tested", better="lower",
                                why=sentence("benchmarks.no_record")))  # fmt: skip
    else:
        measures += training_measures(record, weights.training_flops(), grid)
    return Found(room.sealed(measures))


@dataclass(frozen=True, slots=True)
class GridFactor:
    grams_per_kwh: float
    source: str
    year: int


def read_grid(path: Path) -> GridFactor:
    """The operator's grid factor. Raises DataError."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
        grid = GridFactor(float(found["grams_per_kwh"]), str(found["source"]), int(found["year"]))
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
    tokens: int  # written, or read where `reads`
    context: int  # mean number of tokens that a written one saw
    measured: bool
    method: str
    cpu_s: float = 0.0  # of this process, all threads
    cores: int = 1
    reads: bool = False


def generate(weights: Weights, *, tokens: int, clock: Clock = time.perf_counter) -> Spent:
    """Write about `tokens` tokens, `REQUESTS` texts at a time, greedily."""
    each = max(1, min(tokens // REQUESTS, weights.context - PROMPT_TOKENS))
    prompts = [[weights.tokenizer.start] * PROMPT_TOKENS] * REQUESTS
    return _run(weights, prompts, each, clock, reads=False)


def read(weights: Weights, *, tokens: int, seed: int = 0, clock: Clock = time.perf_counter) -> Spent:
    """Read about `tokens` tokens in prompts that share nothing, and write one behind each."""
    each = min(READ_TOKENS, weights.context - 1)
    dice = np.random.default_rng(seed)  # the same prompts again would come out of the prefix cache
    count = max(1, tokens // each)
    prompts = [[int(i) for i in dice.integers(0, weights.tokenizer.vocab_size, each)] for _ in range(count)]
    return _run(weights, prompts, 1, clock, reads=True)


def _run(weights: Weights, prompts: Sequence[list[int]], each: int, clock: Clock, *, reads: bool) -> Spent:
    threads, write = weights.threads, weights.prepared(prompts, each)
    meter, begun, used = Meter.here(cores=threads, gpus=0), clock(), time.process_time()
    made = write()
    wall_s = clock() - begun
    count = sum(map(len, prompts)) if reads else made
    return Spent(
        meter.joules(wall_s), wall_s, count, PROMPT_TOKENS + each // 2, meter.measured, meter.method,
        time.process_time() - used, threads, reads,
    )  # fmt: skip


def idle_watts(meter: Meter, *, wait: Callable[[float], None] = time.sleep) -> float | None:
    """What the counter of the processor says while this process does nothing; None without a counter."""
    if meter.cpu is None:
        return None
    begun, before = time.perf_counter(), meter.cpu.joules()
    wait(IDLE_S)
    return (meter.cpu.joules() - before) / max(1e-9, time.perf_counter() - begun)


def generation_measures(
    rounds: Sequence[Spent], flop_per_token: float, grid: GridFactor | None, *, idle: float | None = None
) -> list[Measure]:
    """Of rounds of the same work: writing, with its FLOPs and carbon; or reading."""
    what = "prompt_tokens" if rounds[0].reads else "tokens"
    row = _per_100k(rounds, f"kwh_100k_{what}", idle)
    if rounds[0].reads:
        return [row]
    facts = {"context": rounds[0].context, "method": "model/count.py: decode_flops"}
    flops = (
        Measure(
            task="energy",
            metric=metric,
            score=flop_per_token * times,
            unit="FLOP",
            better="lower",
            form="static",
            extra=facts,
        )
        for metric, times in (("flop_per_token", 1), ("flop_100k_tokens", TASK_TOKENS))
    )
    return [row, *flops, _carbon("gco2e_100k_tokens", row, grid)]


def _per_100k(rounds: Sequence[Spent], metric: str, idle: float | None) -> Measure:
    spent, wall, cpu = rounds[0], sum(r.wall_s for r in rounds), sum(r.cpu_s for r in rounds)
    tokens = sum(r.tokens for r in rounds)
    found = mean([kwh(r.joules) * TASK_TOKENS / r.tokens for r in rounds])
    facts = {"method": spent.method, "counter": spent.measured, "wall_s": wall, "cpu_s": cpu, "tokens": tokens,
             "boundary": sentence("core.boundary")}  # fmt: skip
    interval: Interval | None = found.interval if len(rounds) > 1 else None
    if spent.measured:
        facts |= {"idle_watts": idle, "idle": "in the figure, not subtracted"}
        by, caveat = f"{found.by}, rounds", str(sentence("benchmarks.whole_package"))
    else:
        facts["kwh_by_cpu_time"] = kwh(rated(spent.method) * cpu) * TASK_TOKENS / tokens
        span, interval, by = _range(finite(interval) or Interval(found.value, found.value), spent.method), None, ""
        facts |= _ranged(span)
        caveats = [sentence("benchmarks.estimate"), Rapl.why_not() or sentence("benchmarks.no_gpu_counter"),
                   _range_said(span, "kWh")]  # fmt: skip
        if wall and (held := cpu / (wall * spent.cores)) < 0.8:
            caveats.append(sentence("benchmarks.processor_share", share=held))
        caveat = joined(*caveats)
    return Measure(task="energy", metric=metric, score=found.value, unit="kWh", better="lower", n=len(rounds),
                   interval=interval, interval_by=by, denominator=len(rounds), form="generate", caveat=caveat,
                   extra=facts)  # fmt: skip


def _ranged(span: Interval | None) -> dict[str, Any]:
    return {"range": [span.low, span.high]} if span else {}


def _range_said(span: Interval | None, unit: str) -> str:
    """What the estimate would be at the ends of the range of rated powers, in words."""
    if span is None:
        return ""
    least, most = WATTS_PER_CORE_RANGE
    return sentence("benchmarks.rated_range", low=span.low, high=span.high, unit=unit, least=least, most=most)


def _parts(method: str) -> list[Sentence]:
    """The sentences that a method is put together from; none where it has no key."""
    if not isinstance(method, Sentence):
        return []
    return [leaf for part in method.values["parts"] for leaf in _parts(part)] if "parts" in method.values else [method]


def rated(method: str) -> float:
    """Watts a core that an estimate's method states (core/energy.py: Meter.method); nan where it states none."""
    found = [part.values["watts"] for part in _parts(method) if part.key == "core.processor_estimated"]
    return float(found[-1]) if found else math.nan


def _range(interval: Interval, method: str) -> Interval | None:
    """What an estimate of one rated power would be at the ends of the range."""
    watts = rated(method)
    if not watts > 0 or any(part.key in ("core.gpu_estimated", "core.nvml") for part in _parts(method)):
        return None
    low, high = WATTS_PER_CORE_RANGE
    return Interval(max(0.0, interval.low) * low / watts, interval.high * high / watts)


def training_measures(record: dict[str, Any], flop_per_token: float, grid: GridFactor | None) -> list[Measure]:
    """From a model's record.json, which the run that made it wrote; FLOPs by arithmetic beside the recorded ones."""
    stage, energy = record.get("stage", "training"), record.get("energy") or {}
    if "kwh" not in energy:
        return [
            Measure(
                task="energy",
                metric="training.kwh",
                status="not_tested",
                better="lower",
                why=sentence("benchmarks.no_energy"),
            )
        ]
    measured, method = bool(energy.get("measured")), str(energy.get("method", ""))
    caveat = "" if measured else sentence("benchmarks.estimate_no_counter")
    caveat = joined(caveat, sentence("benchmarks.last_stage", stage=stage))
    used, tokens = float(energy["kwh"]), int(record.get("tokens") or 0)
    span = None if measured else _range(Interval(used, used), method)
    row = Measure(
        task="energy", metric="training.kwh", score=used, unit="kWh", better="lower", n=tokens, denominator=tokens,
        form="static", caveat=joined(caveat, _range_said(span, "kWh")),
        extra={"stage": stage, "method": method, "boundary": energy.get("boundary", ""), "counter": measured}
        | _ranged(span),
    )  # fmt: skip
    rows = [row, _carbon("training.gco2e", row, grid)]
    if flops := (record.get("flops") or {}).get("formula"):
        rows.append(Measure(
            task="energy", metric="training.flop", score=float(flops), unit="FLOP", better="lower", form="static",
            n=tokens, denominator=tokens,
            extra={"stage": stage, "flop_per_token": float(flops) / tokens if tokens else None,
                   "by_arithmetic": flop_per_token},
        ))  # fmt: skip
    return rows


def read_record(model: Path) -> dict[str, Any] | None:
    """The training record beside the weights; None where there is none."""
    file = model / "record.json"
    return record_file.read(file) if file.is_file() else None


def _carbon(metric: str, energy: Measure, grid: GridFactor | None) -> Measure:
    if grid is None or energy.score is None:
        return Measure(
            task="energy",
            metric=metric,
            status="not_tested",
            better="lower",
            unit="gCO2e",
            why=sentence("benchmarks.no_grid"),
        )
    factor, between = grid.grams_per_kwh, finite(energy.interval)
    ends = [factor * end for end in energy.extra.get("range", ())]
    more = {"range": ends} if ends else {}
    return Measure(
        task="energy", metric=metric, score=energy.score * factor, unit="gCO2e", better="lower", form="static",
        interval=Interval(between.low * factor, between.high * factor) if between else None,
        interval_by=energy.interval_by, caveat=energy.caveat,
        extra={"grams_per_kwh": factor, "grid_source": grid.source, "grid_year": grid.year} | more,
    )  # fmt: skip
