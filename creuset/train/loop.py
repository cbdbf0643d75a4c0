"""The training loop. No hooks: what happens in a step is written here, in order.

Pre-training and fine-tuning call `train` with another batch source; the loss is the same.
A run folder holds settings.json, events.jsonl, loss.html and checkpoints/; the same command started
again in it goes on from the last checkpoint, bit for bit as if it had never stopped.
"""

import json
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from creuset.core import device as devices
from creuset.core.config import resolved
from creuset.core.errors import ConfigError, TrainingError
from creuset.core.log import Events, Progress, duration, say
from creuset.core.record import Recorder
from creuset.data.shards.batches import Source
from creuset.data.shards.files import Shards
from creuset.model.count import training_flops
from creuset.parallel import ranks
from creuset.report import chart as plot
from creuset.train import checkpoint
from creuset.train.evaluate import Score, bits_per_byte
from creuset.train.report import read_events, write_page
from creuset.train.settings import Training
from creuset.train.state import TrainState
from creuset.train.step import StepReport, train_step


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call of `train` ended: the run is finished, or paused with a checkpoint."""

    finished: bool
    step: int
    record: dict[str, Any]
    bits_per_byte: dict[str, float]


def open_run(folder: Path, settings: Training, inputs: dict[str, str]) -> None:
    """Make `folder` the run of `settings` on `inputs` (name -> sha256); refuse it when it is the run of others."""
    wanted = {"settings": resolved(settings), "inputs": inputs}
    file = folder / "settings.json"
    if file.exists():
        known = json.loads(file.read_text())
        if different := first_difference(known, json.loads(json.dumps(wanted))):
            path, old, new = different
            raise ConfigError(
                f"`{folder}` is a run with other settings: {path} was {old!r}, now {new!r}",
                hint="choose another --out, or give the settings it was begun with",
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(wanted, indent=2) + "\n")


def first_difference(a: Any, b: Any, path: str = "") -> tuple[str, Any, Any] | None:
    """Path and both values of the first place where two JSON values differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted({*a, *b}):
            if found := first_difference(a.get(key), b.get(key), f"{path}.{key}" if path else key):
                return found
        return None
    return None if a == b else (path, a, b)


def resume(state: TrainState, source: Source, recorder: Recorder, folder: Path) -> None:
    """Go on from the newest checkpoint of `folder`, and forget the events that came after it."""
    saved = checkpoint.saved(folder / "checkpoints")
    if not saved:
        return
    recorder.restore(checkpoint.restore(state, saved[-1]))
    source.seek(state.cursor)
    if ranks.rank() == 0:
        log = folder / "events.jsonl"
        kept = [e for e in read_events(log) if e.get("step", 0) <= state.step]
        log.write_text("".join(json.dumps(e, ensure_ascii=False) + "\n" for e in kept))
        say(f"resumed at step {state.step} from {saved[-1].name}")


def train(
    state: TrainState,
    source: Source,
    shards: Shards | None,
    folder: Path,
    recorder: Recorder,
    *,
    peak_flops: float,
    stop_after_s: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Train until `settings.steps`, or until a signal or `stop_after_s` asks for a pause; then save.

    `shards`: where the held-out split is; None: nothing is evaluated.
    """
    s = state.settings
    lead = ranks.rank() == 0
    device, progress = state.load_LE.device, Progress()
    flops = training_flops(state.model.config, context=s.context)
    begun, first = clock(), state.step
    scores: dict[str, Score] = {}
    with asked_to_stop() as stop, Events(folder / "events.jsonl" if lead else None) as events:
        while state.step < s.steps:
            tick = clock()
            batches = source.step(
                tokens=s.tokens_per_step, micro=s.tokens_per_microbatch, rank=ranks.rank(), world=ranks.world()
            )
            report = train_step(state, batches)
            state.cursor = source.cursor()
            devices.synchronize(device)
            recorder.add(flops=flops * report.tokens, tokens=report.tokens)
            seen, rate = state.step * s.tokens_per_step, report.tokens / (clock() - tick)
            left = (clock() - begun) / (state.step - first) * (s.steps - state.step)
            mfu = flops * rate / (peak_flops * ranks.world())
            events.write(
                "step", step=state.step, steps=s.steps, seen=seen, **asdict(report),
                tokens_per_s=rate, mfu=mfu, seconds_left=left,
            )  # fmt: skip
            if lead:
                bpb = f" | bpb {mean_bpb(scores):.3f}" if scores else ""
                progress.show(
                    f"step {state.step}/{s.steps} | loss {report.loss:.3f}{bpb} | {plot.short(rate)} tok/s | "
                    f"MFU {100 * mfu:.0f} % | busiest expert {report.busiest:.2f}x | {duration(left)} left",
                    final=state.step == s.steps,
                )
            if not report.updated:
                refuse(state, report)
            last = state.step == s.steps
            if shards and (last or (s.evaluate_every and state.step % s.evaluate_every == 0)):
                scores = evaluate(state, shards, full=last)
                events.write("evaluate", step=state.step, seen=seen, **summary(scores))
            pausing = agreed(stop.is_set() or (stop_after_s is not None and clock() - begun >= stop_after_s), device)
            if lead and (pausing or last or state.step % s.save_every == 0):
                checkpoint.save(state, folder / "checkpoints", record=recorder.state(), keep=s.keep)
                write_page(folder, s.name)
            if pausing and not last:
                say(f"paused at step {state.step}: the same command goes on from here")
                break
    finished = state.step >= s.steps
    if finished and shards and not scores:  # the run was killed after its last step, before it was published
        scores = evaluate(state, shards, full=True)
    ranks.barrier()
    return Outcome(finished, state.step, recorder.state(), summary(scores)["bits_per_byte"])


def refuse(state: TrainState, report: StepReport) -> None:
    """Say that the step changed nothing; stop the run when too many in a row did."""
    say(f"step {state.step} was refused: loss {report.loss}, gradient norm {report.norm}; weights are unchanged")
    if state.bad_steps >= state.settings.max_bad_steps:
        raise TrainingError(
            f"{state.bad_steps} steps in a row were not finite, the last is step {state.step}",
            hint="resume from the last checkpoint with a lower learning rate",
        )


def agreed(wish: bool, device: torch.device) -> bool:
    """Whether any rank wishes it: ranks that disagree about stopping would wait for each other for ever."""
    return bool(ranks.sum_over_ranks(torch.tensor(float(wish), device=device)) > 0)


def summary(scores: dict[str, Score]) -> dict[str, dict[str, float]]:
    return {
        "bits_per_byte": {name: score.bits_per_byte for name, score in scores.items()},
        "documents": {name: score.documents for name, score in scores.items()},
    }


def evaluate(state: TrainState, shards: Shards, *, full: bool) -> dict[str, Score]:
    """Held-out scores per source: the first `evaluate_tokens`, or what the last evaluation is to read."""
    s = state.settings
    most = (s.final_tokens or None) if full else s.evaluate_tokens
    with torch.inference_mode():
        return {
            name: bits_per_byte(state.model, shards, name, context=s.context, max_tokens=most)
            for name, stats in shards.sources.items()
            if stats.heldout.documents
        }


def mean_bpb(scores: dict[str, Score]) -> float:
    """Mean over sources, each counted once."""
    return sum(score.bits_per_byte for score in scores.values()) / len(scores)


class asked_to_stop:
    """While open, SIGINT and SIGTERM set the event instead of killing the run in the middle of a step."""

    def __enter__(self) -> threading.Event:
        self.event = threading.Event()
        self.before: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self.before[number] = signal.signal(number, lambda *_: self.event.set())
        return self.event

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)
