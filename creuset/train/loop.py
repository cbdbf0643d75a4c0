"""The training loop. No hooks: what happens in a step is written here, in order.

Pre-training and fine-tuning call `train` with another batch source and another objective. The same command started
again in the folder of a run goes on from its last checkpoint, bit for bit as if it had never stopped.
"""

import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from creuset.core import device as devices
from creuset.core import jsonl
from creuset.core.errors import TrainingError
from creuset.core.log import Events, Progress, duration, say
from creuset.core.record import Recorder
from creuset.data.shards.batches import Source
from creuset.data.shards.files import Shards
from creuset.model.count import training_flops
from creuset.parallel import ranks
from creuset.report import chart as plot
from creuset.text.tokenizer import Tokenizer
from creuset.train import checkpoint
from creuset.train.evaluate import Score, bits_per_byte
from creuset.train.objectives import Objective
from creuset.train.pages.report import percent, read_events, write_page
from creuset.train.state import TrainState
from creuset.train.step import StepReport, train_step
from creuset.train.watch.divergence import WINDOW
from creuset.train.watch.health import SpikeWatch, largest
from creuset.train.watch.samples import sample
from creuset.train.watch.sinks import Sink, numbers


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call of `train` ended: the run is finished, or paused with a checkpoint."""

    finished: bool
    step: int
    bits_per_byte: dict[str, float]  # by source, of the last evaluation
    model: Path | None = None  # the artifact, once it is published


def resume(state: TrainState, source: Source, recorder: Recorder, folder: Path, *, run: str) -> None:
    """Go on from the newest good checkpoint of `folder`, and forget the events that came after it.

    `run`: identity of the run; checkpoints of others are refused (train/checkpoint.py).
    """
    # The first rank decides: others could look at the folder while a damaged checkpoint is set aside.
    lead = ranks.rank() == 0
    path = ranks.from_lead(checkpoint.newest(folder / "checkpoints", run=run) if lead else None)
    if path is not None:
        recorder.restore(checkpoint.restore(state, path))
        source.seek(state.cursor)
        recorder.read = source.read()
    if lead:
        keep_events(folder / "events.jsonl", until=state.step)
        if path is not None:
            say(f"resumed at step {state.step} from {path.name}")


def keep_events(log: Path, *, until: int) -> None:
    """Forget the events after step `until`: these steps will be done again."""
    if log.exists():
        jsonl.write(log, [e for e in read_events(log) if e.get("step", 0) <= until])


def train(
    state: TrainState,
    source: Source,
    objective: Objective,
    folder: Path,
    recorder: Recorder,
    *,
    run: str,
    shards: Shards | None = None,
    peak_flops: float | None = None,
    stop_after_s: float | None = None,
    clock: Callable[[], float] = time.monotonic,
    tokenizer: Callable[[], Tokenizer] | None = None,
    also: Sequence[Sink] = (),
) -> Outcome:
    """Train until `settings.steps`, or until a signal or `stop_after_s` asks for a pause; then save.

    `run`: identity of the run, kept in its checkpoints. `shards`: where the held-out split is; None: nothing is
    evaluated. `peak_flops`: FLOP/s that a rank can reach; None: not known, and neither is the utilisation.
    `tokenizer`: what gives it, for the samples of the settings. `also`: where else the numbers of each step go.

    Raises TrainingError when the loss diverged or too many steps were not finite.
    """
    s = state.settings
    lead = ranks.rank() == 0
    device, progress = state.load_LE.device, Progress()
    flops = training_flops(state.model.config, context=s.context)
    begun, first = clock(), state.step
    scores: dict[str, Score] = {}
    spikes = SpikeWatch()
    with asked_to_stop() as stop, Events(folder / "events.jsonl" if lead else None) as events:
        while state.step < s.steps:
            tick = clock()
            batches = source.step(
                tokens=s.tokens_per_step, micro=s.tokens_per_microbatch, rank=ranks.rank(), world=ranks.world()
            )
            norms: dict[str, float] = {}
            report = train_step(state, batches, objective, norms=norms)
            state.cursor, recorder.read = source.cursor(), source.read()
            devices.synchronize(device)
            recorder.add(flops=flops * report.tokens, tokens=report.tokens)
            seen, rate = state.step * s.tokens_per_step, report.tokens / (clock() - tick)
            left = (clock() - begun) / (state.step - first) * (s.steps - state.step)
            mfu = flops * rate / (peak_flops * ranks.world()) if peak_flops else None
            if mfu is not None and mfu > 1:
                if lead:
                    say("a step was faster than the peak that was measured at the start: the peak is not known")
                peak_flops = mfu = None
            events.write(
                "step", step=state.step, steps=s.steps, seen=seen, **asdict(report),
                tokens_per_s=rate, mfu=mfu, seconds_left=left,
            )  # fmt: skip
            if (times := spikes.add(report.norm)) is not None:
                events.write("spike", step=state.step, norm=report.norm, times=times, largest=largest(norms))
            for sink in also:
                sink.scalars(state.step, numbers(asdict(report) | {"tokens_per_s": rate}, "train"))
            if lead:
                bpb = f" | bpb {mean_bpb(scores):.3f}" if scores else ""
                progress.show(
                    f"step {state.step}/{s.steps} | loss {report.loss:.3f}{bpb} | {plot.short(rate)} tok/s | "
                    f"MFU {percent(mfu)} | busiest expert {report.busiest:.2f}x | {duration(left)} left",
                    final=state.step == s.steps,
                )
            if report.updated:
                refuse_divergence(state, report)
            else:
                refuse(state, report)
            last = state.step == s.steps
            if shards and (last or (s.evaluate_every and state.step % s.evaluate_every == 0)):
                scores = evaluate(state, shards, full=last)
                events.write("evaluate", step=state.step, seen=seen, **summary(scores))
                for sink in also:
                    sink.scalars(state.step, numbers(summary(scores)["bits_per_byte"], "bits_per_byte"))
            if tokenizer and s.samples and lead and (last or (s.evaluate_every and state.step % s.evaluate_every == 0)):
                written = sample(state.model, tokenizer(), s.samples, tokens=s.sample_tokens)
                events.write("samples", step=state.step, seen=seen, samples=written)
            pausing = agreed(stop.is_set() or (stop_after_s is not None and clock() - begun >= stop_after_s), device)
            if lead and (pausing or last or state.step % s.save_every == 0):
                checkpoint.save(state, folder / "checkpoints", run=run, record=recorder.state(), keep=s.keep)
                write_page(folder, s.name)
            if pausing and not last:
                say(f"paused at step {state.step}: the same command goes on from here")
                break
    finished = state.step >= s.steps
    if finished and shards and not scores:  # the run was killed after its last step, before it was published
        scores = evaluate(state, shards, full=True)
    ranks.barrier()
    return Outcome(finished, state.step, summary(scores)["bits_per_byte"])


def refuse(state: TrainState, report: StepReport) -> None:
    """Say that the step changed nothing; raise TrainingError when too many did."""
    say(f"step {state.step} was refused: loss {report.loss}, gradient norm {report.norm}; weights are unchanged")
    s = state.settings
    hint = "begin a new run with a lower learning rate; the last checkpoint and the events are kept"
    if state.bad_steps >= s.max_bad_steps:
        raise TrainingError(
            f"{state.bad_steps} steps in a row were not finite, the last is step {state.step}", hint=hint
        )
    if state.bad_total >= s.max_bad_total:
        raise TrainingError(
            f"{state.bad_total} of {state.step} steps were not finite, the last is step {state.step}", hint=hint
        )


def refuse_divergence(state: TrainState, report: StepReport) -> None:
    """Raise TrainingError when the loss rose further than `max_rise` (train/watch/divergence.py)."""
    rise, most = state.watch.add(report.loss), state.settings.max_rise
    if most and rise > most:
        raise TrainingError(
            f"the run diverged: at step {state.step} the mean loss of {WINDOW} steps is {rise:.2f} nats above its "
            f"lowest ({state.watch.lowest:.2f}), max_rise is {most}",
            hint="begin a new run with a lower learning rate, or with another max_rise if the loss may rise so far",
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


@torch.no_grad()
def bits_of_the_mean(state: TrainState, shards: Shards) -> dict[str, float]:
    """Held-out bits per byte of the mean of the weights, by source, over what the last evaluation reads."""
    for name, parameter in state.model.named_parameters():
        parameter.copy_(state.mean[name])
    try:
        return summary(evaluate(state, shards, full=True))["bits_per_byte"]
    finally:
        state.refresh_weights()


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
