"""Training from Python: `train` begins or goes on with a run, `resume` goes on with one, `publish` writes its model.

    from creuset.recipes import nano
    from creuset.train.run import train

    outcome = train(nano.pretrain(), shards=Path("shards"), out=Path("runs/nano"))

All kinds of training go the same way (`go`): open the run's folder, choose how to compute, resume, train, publish.
The command line only parses and calls these functions.
"""

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import torch

from creuset.core import device as devices
from creuset.core import host
from creuset.core.artifact import MANIFEST, new_artifact, read_manifest
from creuset.core.config import resolved
from creuset.core.disk import room_for
from creuset.core.errors import ArtifactError, ConfigError
from creuset.core.log import say
from creuset.core.record import Recorder
from creuset.data.shards.batches import PretrainSource, Source
from creuset.data.shards.files import Shards
from creuset.model.config import ModelConfig
from creuset.model.formats.beside import copy_tokenizer
from creuset.model.formats.hf_config import config_of
from creuset.model.formats.weights import load_model, save_model, write_json
from creuset.model.hub import end_ids
from creuset.model.moe import can_group
from creuset.model.transformer import Transformer
from creuset.parallel import ranks
from creuset.text.tokenizer import Tokenizer
from creuset.train import folder, loop
from creuset.train.choices import StepTimer, choose, fill, left_open, unavailable, value
from creuset.train.inputs import identities, identity, records, same_tokenizer
from creuset.train.loop import Outcome
from creuset.train.objectives import Objective, pretrain
from creuset.train.settings import Finetune, Pretrain, Training
from creuset.train.state import DTYPES, TrainState
from creuset.train.watch.sinks import sinks


def train(
    settings: Pretrain,
    *,
    shards: Path,
    out: Path,
    start: Path | None = None,
    stop_after_s: float | None = None,
    choose_again: bool = False,
    log: tuple[str, ...] = (),
) -> Outcome:
    """Pre-train a model on a shards artifact, in the run folder `out`; go on where an earlier call stopped.

    `start`: a model artifact or folder to begin from instead of random weights, with a fresh optimizer. Its shape
    takes the place of the recipe's, and its tokenizer must be the one that made the shards.
    `stop_after_s`: pause after so many seconds. `choose_again`: let this machine choose anew what an earlier one
    chose (device, precision, kernel, threads), which a resumed run otherwise obeys or refuses.
    `log`: `tensorboard`, `wandb` or both: where the events go beside the run's folder.

    Raises ConfigError for settings that do not fit, ArtifactError and DataError for damaged inputs and checkpoints,
    TrainingError when the run diverges, DiskFull when there is no room.
    """
    ranks.join_world()
    opened = Shards.open(shards)
    parents, before = [shards], list[dict[str, Any]]()
    facts: dict[str, Any] = {}
    if start is not None:
        settings = _shaped(settings, config_of(start))
        same_tokenizer(start, shards)
        facts["start"] = {"name": start.resolve().name, "sha256": identity(start)}
        parents += [start] if (start / MANIFEST).is_file() else []
        before = records(start)
    if opened.vocab_size > settings.model.vocab_size:
        raise ConfigError(
            f"the shards have {opened.vocab_size} token ids, the model only {settings.model.vocab_size}",
            hint=f"--set model.vocab_size={opened.vocab_size}",
        )

    def make() -> tuple[Transformer, Source]:
        if start is not None:
            model = load_model(start, dtype=torch.float32)
        else:
            model = Transformer(settings.model)
            model.init_weights(torch.Generator().manual_seed(settings.seed))
        return model, prose(opened, settings.mix, context=settings.context, seed=settings.seed)

    job = TrainingJob(
        stage="pretrain",
        settings=settings,
        config=settings.model,
        out=out,
        inputs=identities([shards, *([start] if start else [])]),
        arguments={"shards": shards, "start": start},
        make=make,
        objective=pretrain,
        tokenizer=shards / "tokenizer",
        shards=opened,
        parents=parents,
        before=before,
        facts=facts,
    )
    return go(job, stop_after_s=stop_after_s, choose_again=choose_again, log=log)


def resume(out: Path, *, stop_after_s: float | None = None, choose_again: bool = False) -> Outcome:
    """Go on with the run in `out`, with the settings and the inputs that it was begun with."""
    run = folder.read(out)
    if run is None:
        raise ArtifactError(f"`{out}` is not the folder of a run: it has no {folder.FILE}")
    paths, asked = run.arguments, {name: 0 if name == "threads" else "auto" for name in run.chosen}
    start, shards = _path(paths.get("start")), _path(paths["shards"])
    if run.stage == "sft":
        from creuset.train.finetune import finetune

        tuning = fill(msgspec.convert(run.settings, Finetune), asked)
        talks = [Path(path) for path in paths["dialogues"]]
        return finetune(
            tuning, model=Path(paths["model"]), dialogues=talks, shards=shards, out=out,
            stop_after_s=stop_after_s, choose_again=choose_again,
        )  # fmt: skip
    assert shards is not None, "pre-training reads shards"
    settings = fill(msgspec.convert(run.settings, Pretrain), asked)
    return train(
        settings, shards=shards, start=start, out=out, stop_after_s=stop_after_s, choose_again=choose_again
    )  # fmt: skip


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


@dataclass(kw_only=True, slots=True)
class TrainingJob:
    """One run of any kind: what is trained, on what, and what its model is made from."""

    stage: str  # `pretrain`, `sft`
    settings: Training
    config: ModelConfig
    out: Path
    inputs: dict[str, str]  # name -> sha256: a run folder of other inputs is refused
    arguments: dict[str, Any]  # paths that `resume` needs
    make: Callable[[], tuple[Transformer, Source]]  # fp32 weights to begin from, and the batches
    objective: Objective
    tokenizer: Path  # folder whose tokenizer files go with the model
    shards: Shards | None = None  # where the held-out split is
    parents: Sequence[Path] = ()
    before: Sequence[dict[str, Any]] = ()  # records of the stages that made the model to begin from
    facts: dict[str, Any] = field(default_factory=dict)  # more of them for the model's manifest


def go(
    job: TrainingJob, *, stop_after_s: float | None = None, choose_again: bool = False, log: tuple[str, ...] = ()
) -> Outcome:
    """Open the run's folder, choose or obey, resume, train, and publish the model when the run is complete."""
    with room_for(job.out), same_threads_afterwards():
        lead, out = ranks.rank() == 0, job.out
        run, settings, done = ranks.from_lead(_open(job) if lead else (None, job.settings, False))
        if done:
            say(f"{out / 'model'} is finished: nothing to do")
            return _finished(job)
        device = _device(settings, run)
        if run is not None and not choose_again:
            _refuse_what_cannot_be_had(run, job, device)
        wanted = job.settings if choose_again else settings
        _refuse_grouped(wanted, job.config, device)
        model, source = job.make()
        settings, choice = _choose(job, wanted, model, source, device)
        torch.set_num_threads(settings.threads)
        state = TrainState.begin(model, settings, device)
        run = run or ranks.from_lead(folder.Run(job.stage, {}, job.inputs, resolved(job.arguments)))
        recorder = Recorder.start(
            stage=job.stage,
            device=str(device),
            cores=settings.threads * ranks.world(),
            gpus=ranks.world() if device.type == "cuda" else 0,
            seeds={"run": settings.seed},
            inputs=job.inputs,
            before=job.before,
            journal=out / "attempts.jsonl" if lead else None,  # one attempt, however many ranks
        )
        loop.resume(state, source, recorder, out, run=run.id)
        if choice is not None or not run.settings:
            run.choices.append({"step": state.step} | (choice or {"values": {}, "timed": [], "cpu": host.cpu_model()}))
            run.settings = resolved(settings)
            if lead:
                run.write(out)
        elif run.choices and run.choices[-1]["cpu"] != (here := host.cpu_model()):
            say(f"this processor is {here}, the run was begun on {run.choices[-1]['cpu']}: the last bits may differ")
        recorder.choices = run.choices
        ranks.barrier()
        also = sinks(log, out, settings.name, resolved(settings)) if lead else []
        outcome = loop.train(
            state,
            source,
            job.objective,
            out,
            recorder,
            run=run.id,
            shards=job.shards,
            peak_flops=_peak(device, DTYPES[settings.precision]),
            stop_after_s=stop_after_s,
            tokenizer=lambda: Tokenizer.load(job.tokenizer),
            also=also,
        )
        for sink in also:
            sink.close()
        if not outcome.finished:
            return outcome
        if lead:
            publish(job, state, outcome, recorder.finish())
        ranks.barrier()
        return replace(outcome, model=out / "model")


@contextlib.contextmanager
def same_threads_afterwards() -> Iterator[None]:
    """Whoever calls from Python keeps the number of threads that was set before."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _open(job: TrainingJob) -> tuple[folder.Run | None, Training, bool]:
    """The run in the folder, the settings with what it chose, and whether it is finished; others are refused."""
    run = folder.read(job.out)
    if run is None:
        folder.refuse_a_strangers_model(job.out)
        return None, job.settings, False
    settings = folder.adopt(run, job.settings)
    folder.refuse_others(job.out, run, settings, job.inputs)
    return run, settings, folder.finished(job.out)


def _finished(job: TrainingJob) -> Outcome:
    model = job.out / "model"
    return Outcome(True, job.settings.steps, read_manifest(model)["facts"]["bits_per_byte"], model)


def _device(settings: Training, run: folder.Run | None) -> torch.device:
    """The device of this rank. A GPU that an earlier machine chose and this one lacks is no error yet."""
    lost = run is not None and run.chosen.get("device") == "cuda" and not torch.cuda.is_available()
    device = devices.pick("auto" if lost else settings.device)
    if device.type == "cuda":
        device = torch.device("cuda", ranks.rank() % torch.cuda.device_count())
        torch.cuda.set_device(device)
    return device


def _refuse_what_cannot_be_had(run: folder.Run, job: TrainingJob, device: torch.device) -> None:
    if problems := unavailable(run.chosen, job.config, device):
        raise ConfigError(
            f"`{job.out}` computes with what this machine does not have: {'; '.join(problems)}",
            hint="go on where it was begun, or give --choose-again: numbers will differ, and the record will say so",
        )


def _refuse_grouped(settings: Training, model: ModelConfig, device: torch.device) -> None:
    dtype = DTYPES.get(settings.precision, torch.bfloat16)
    if settings.expert_kernel == "grouped" and not can_group(device, dtype, model.hidden, model.expert_ffn):
        raise ConfigError(
            f"expert_kernel is grouped, which torch has on a GPU and in bf16 only: here are {device.type} and "
            f"{settings.precision}",
            hint="--set expert_kernel=auto",
        )


def _choose(
    job: TrainingJob, settings: Training, model: Transformer, source: Source, device: torch.device
) -> tuple[Training, dict[str, Any] | None]:
    """`settings` with nothing left open, and what is kept of the choice; None when nothing was open."""
    if not (names := left_open(settings)):
        return settings, None
    cursor = source.cursor()
    batches = source.step(
        tokens=settings.tokens_per_step, micro=settings.tokens_per_microbatch, rank=ranks.rank(), world=ranks.world()
    )
    source.seek(cursor)
    timer = StepTimer(model, batches, job.objective, device)
    settings, timed = ranks.from_lead(choose(settings, job.config, timer, device=device))
    values = {name: value(settings, name) for name in names}
    if ranks.rank() == 0:
        say("chosen for this run: " + ", ".join(f"{name} {chosen}" for name, chosen in values.items()))
    return settings, {"values": values, "timed": timed, "cpu": host.cpu_model()}


def _peak(device: torch.device, dtype: torch.dtype) -> float | None:
    """FLOP/s that products of `dtype` reach there; None when it cannot be measured now."""
    if dtype == torch.bfloat16 and not devices.has_bf16(device):
        return None  # emulated: a hundredth of fp32's speed
    peak = devices.agreed_peak(devices.matmul_rates(device, dtype, size=1024))
    if peak is None and ranks.rank() == 0:
        say("the machine is not quiet: its peak is not known, and neither is the share of it that is used (MFU)")
    return peak


def publish(job: TrainingJob, state: TrainState, outcome: Outcome, record: dict[str, Any]) -> Path:
    """Write the masters as a model artifact: Hugging Face's layout, tokenizer, technical record, manifest.

    Their mean, where the run kept one, is an artifact of its own, `model-ema`.
    """
    if state.mean:
        scored = loop.bits_of_the_mean(state, job.shards) if job.shards else {}
        more = {"ema": state.settings.ema, "bits_per_byte": scored}
        _write(job, state, outcome, record, job.out / "model-ema", state.mean, more)
    return _write(job, state, outcome, record, job.out / "model", state.optimizer.masters, {})


def _write(
    job: TrainingJob,
    state: TrainState,
    outcome: Outcome,
    record: dict[str, Any],
    path: Path,
    weights: Mapping[str, torch.Tensor],
    more: dict[str, Any],
) -> Path:
    settings = state.settings
    if path.exists():  # of an attempt that ended between the two artifacts
        shutil.rmtree(path)
    facts = (
        job.facts
        | {
            "steps": outcome.step,
            "tokens": outcome.step * settings.tokens_per_step,
            "bits_per_byte": outcome.bits_per_byte,
        }
        | more
    )
    with new_artifact(path, kind="model", settings=settings, parents=job.parents, facts=facts) as scratch:
        model = Transformer(state.model.config)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(weights[name])
        save_model(model, scratch, dtype="fp32")
        copy_tokenizer(job.tokenizer, scratch)
        if ends := end_ids(job.tokenizer) if job.stage == "sft" else set():
            said = scratch / "generation_config.json"
            write_json(said, json.loads(said.read_text()) | {"eos_token_id": sorted(ends)})
        (scratch / "record.json").write_text(json.dumps(record, indent=2) + "\n")
    say(f"the model is {path}")
    return path


def prose(shards: Shards, mix: dict[str, float], *, context: int, seed: int) -> PretrainSource:
    """Rows of pre-training text; an empty mix takes every source that has a row, by its size."""
    weights = mix or {n: float(s.train.tokens) for n, s in shards.sources.items() if s.train.tokens > context}
    return PretrainSource(shards, weights=weights, context=context, seed=seed)


def _shaped(settings: Pretrain, config: ModelConfig) -> Pretrain:
    """`settings` with the shape of the model that training begins from."""
    if asdict(config) != asdict(settings.model):
        say(f"the model to begin from gives the shape, not the recipe: {config.layers} layers of {config.hidden}")
    try:
        return replace(settings, model=config)
    except ValueError as error:
        raise ConfigError(f"the model to begin from does not fit: {error}") from error
