"""The technical record of a run: what it used, on what, from what, and what was lost on the way.

A run may take several attempts (killed, crashed, moved to another machine). Each is an entry of its own; the totals
of useful work follow the checkpoints, the totals of time and energy count every attempt. So that an attempt which
died between two checkpoints is not forgotten, `Recorder` writes a line to its journal every few seconds.

    recorder = Recorder.start(stage="pretrain", journal=folder / "attempts.jsonl", inputs={...}, seeds={...})
    recorder.restore(state)                      # when the run is resumed: what `state()` gave the checkpoint
    recorder.add(tokens=4096, flops=1.2e12)      # each step
    record = recorder.finish()                   # -> record.json
"""

import json
import os
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from creuset.core import host, jsonl
from creuset.core.energy import Meter, describe, gpu_estimated, processor_estimated
from creuset.core.errors import DataError
from creuset.core.sentences import from_json, joined, sentence, to_json

HEARTBEAT_S = 5.0


@dataclass(slots=True)
class Work:
    """Sums of work done. `formula` is arithmetic (model/count.py), `counted` is what operators report."""

    tokens: int = 0
    formula: float = 0.0
    counted: float = 0.0
    steps: int = 0

    def as_json(self) -> dict[str, float]:
        return {"tokens": self.tokens, "formula": self.formula, "counted": self.counted, "steps": self.steps}


@dataclass(slots=True)
class Recorder:
    stage: str
    device: str
    cores: int
    gpus: int
    inputs: dict[str, str]
    seeds: dict[str, int]
    before: list[dict[str, Any]]
    journal: Path | None
    meter: Meter
    clock: Callable[[], float]
    monotonic: Callable[[], float]
    commit: dict[str, Any]
    hardware: dict[str, Any]
    choices: list[dict[str, Any]] = field(default_factory=list)  # what the machine chose, and from which step on
    read: dict[str, int] = field(default_factory=dict)  # tokens of each source that useful steps read
    id: str = field(default_factory=lambda: secrets.token_hex(6))
    work: Work = field(default_factory=Work)
    _at: float = 0.0
    _begun: float = 0.0
    _cpu_begun: float = 0.0
    _beaten: float = -1e9
    _gained: Work = field(default_factory=Work)  # by this attempt, whatever is lost later
    _earlier: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def start(
        cls,
        *,
        stage: str = "pretrain",
        device: str = "cpu",
        cores: int | None = None,
        gpus: int | None = None,
        inputs: dict[str, str] | None = None,
        seeds: dict[str, int] | None = None,
        before: Sequence[dict[str, Any]] = (),
        journal: Path | None = None,
        meter: Meter | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> "Recorder":
        """Begin an attempt, after those that `journal` tells of.

        `cores`: threads that compute (OMP_NUM_THREADS, or all cores, when not said); `gpus`: one on a cuda device.
        `inputs`: name -> sha256 of data, tokenizer, base model.
        `before`: records of the stages that made the base model, kept inside this one.
        """
        cores = cores or int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)
        gpus = int(device.startswith("cuda")) if gpus is None else gpus
        self = cls(
            stage=stage,
            device=device,
            cores=cores,
            gpus=gpus,
            inputs=dict(inputs or {}),
            seeds=dict(seeds or {}),
            before=list(before),
            journal=journal,
            meter=meter or Meter.here(cores=cores, gpus=gpus),
            clock=clock,
            monotonic=monotonic,
            commit=host.commit(),
            hardware=host.hardware(gpus=gpus),
        )
        self._at, self._begun, self._cpu_begun = clock(), monotonic(), time.process_time()
        for line in _lines(journal):
            self._earlier[line["id"]] = line
        if journal is not None and journal.is_file() and not journal.read_bytes().endswith(b"\n"):
            with journal.open("a", encoding="utf-8") as stream:
                stream.write("\n")  # end the line that a kill cut short
        self._beat()
        return self

    def add(self, *, tokens: int = 0, flops: float = 0.0, counted: float = 0.0, steps: int = 1) -> None:
        """Note one step's work; `flops` by the formula, `counted` as operators report it (0: not counted)."""
        for sums in (self.work, self._gained):
            sums.tokens += tokens
            sums.formula += flops
            sums.counted += counted
            sums.steps += steps
        if self.monotonic() - self._beaten >= HEARTBEAT_S:
            self._beat()

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of the record."""
        return {"work": self.work.as_json(), "attempts": to_json([*self._earlier.values(), self._attempt("running")])}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint: its useful work counts, what came after it was lost.

        The attempt that wrote it was paused when its journal tells of nothing after the checkpoint, interrupted
        when steps were lost.
        """
        done = state["work"]
        self.work = Work(int(done["tokens"]), done["formula"], done["counted"], int(done["steps"]))
        for attempt in from_json(state["attempts"]):
            told = self._earlier.get(attempt["id"], attempt)
            if attempt["outcome"] == "running":
                lost = told["work"]["tokens"] > attempt["work"]["tokens"]
                longer = max(told, attempt, key=lambda a: float(a["wall_s"]))
                attempt = {**longer, "outcome": "interrupted" if lost else "paused"}
            self._earlier[attempt["id"]] = attempt

    def finish(self, outcome: str = "finished") -> dict[str, Any]:
        """The whole record, as JSON values; also the journal's last word on this attempt."""
        last = self._attempt(outcome)
        self._write(last)
        attempts = [{**a, "outcome": "interrupted"} if a["outcome"] == "running" else a for a in self._earlier.values()]
        attempts.append(last)
        spent = sum(a["work"]["formula"] for a in attempts)
        wall = sum(a["wall_s"] for a in attempts)
        return to_json(  # type: ignore[no-any-return]
            {
                "stage": self.stage,
                "started": min(a["started"] for a in attempts),
                "finished": _iso(self.clock()),
                "tokens": self.work.tokens,
                "read": self.read,
                "steps": self.work.steps,
                "flops": {
                    "formula": self.work.formula,
                    "counted": self.work.counted or None,
                    "lost": max(0.0, spent - self.work.formula),
                    "definition": sentence("core.flop_definition"),
                },
                "time": {
                    "wall_hours": wall / 3600,
                    "core_hours": sum(a["wall_s"] * a["cores"] for a in attempts) / 3600,
                    "gpu_hours": sum(a["wall_s"] * a["gpus"] for a in attempts) / 3600,
                    "cpu_hours": sum(a["cpu_s"] for a in attempts) / 3600,
                },
                "energy": describe(attempts),
                "hardware": _distinct([a["hardware"] for a in attempts]),
                "commit": self.commit,
                "versions": host.versions(),
                "inputs": self.inputs,
                "seeds": self.seeds,
                "choices": self.choices,
                "attempts": attempts,
                "failed_attempts": sum(a["outcome"] == "interrupted" for a in attempts),
                "before": self.before,
            }
        )

    def _attempt(self, outcome: str) -> dict[str, Any]:
        wall_s = self.monotonic() - self._begun
        return {
            "id": self.id,
            "started": _iso(self._at),
            "outcome": outcome,
            "wall_s": wall_s,
            "cpu_s": time.process_time() - self._cpu_begun,
            "cores": self.cores,
            "gpus": self.gpus,
            "device": self.device,
            "joules": self.meter.joules(wall_s),
            "energy_measured": self.meter.measured,
            "energy_method": self.meter.method,
            "work": self._gained.as_json(),
            "hardware": self.hardware,
            "commit": self.commit["sha"],
        }

    def _beat(self) -> None:
        self._beaten = self.monotonic()
        if self.journal is not None:
            self._write(self._attempt("running"))

    def _write(self, attempt: dict[str, Any]) -> None:
        if self.journal is not None:
            with jsonl.Appender(self.journal) as lines:
                lines.write(to_json(attempt))


def _lines(journal: Path | None) -> list[dict[str, Any]]:
    """Complete lines of a journal; a line that a kill cut short is passed over."""
    return [from_json(line) for line in jsonl.kept(journal)] if journal is not None else []


def _distinct(values: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({json.dumps(v, sort_keys=True): v for v in values}.values())


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def read(file: Path) -> dict[str, Any]:
    """A record.json, the sentences in it with their keys. Raises DataError where it is not one."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"`{file}` is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise DataError(f"`{file}` is not a record")
    return with_keys(found)


def with_keys(record: dict[str, Any]) -> dict[str, Any]:
    """The record with the keys of its sentences; those of creuset 0.1, which wrote none, get them from what they state.

    An attempt names its cores and GPUs, so that the sentence about its energy can be said again: where that is the very
    sentence of the record, it is the one that was meant.
    """
    found = from_json(record)
    for stage in stages(found):
        spent, flops = stage.get("energy") or {}, stage.get("flops") or {}
        made = [
            joined(gpu_estimated(a["gpus"]) if a.get("gpus") else "", processor_estimated(a["cores"]))
            for a in stage.get("attempts", [])
            if "cores" in a
        ]
        for place, name, meant in ((spent, "method", joined(*dict.fromkeys(made), by=" / ")),
                                   (spent, "boundary", sentence("core.boundary")),
                                   (flops, "definition", sentence("core.flop_definition"))):  # fmt: skip
            if place.get(name) == meant:
                place[name] = meant
    return found


def stages(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The record and those of the stages before it, oldest first."""
    return [s for b in record.get("before", []) for s in stages(b)] + [record]


def totals(record: dict[str, Any]) -> dict[str, float]:
    """What the model cost over all its stages."""
    every = stages(record)
    return {
        "tokens": sum(s["tokens"] for s in every),
        "flops": sum(s["flops"]["formula"] for s in every),
        "wall_hours": sum(s["time"]["wall_hours"] for s in every),
        "core_hours": sum(s["time"]["core_hours"] for s in every),
        "gpu_hours": sum(s["time"]["gpu_hours"] for s in every),
        "kwh": sum(s["energy"]["kwh"] for s in every),
    }
