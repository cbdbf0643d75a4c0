"""`creuset train RECIPE`: from token shards to a model artifact, resumable at any moment."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from creuset.core.config import as_json, recipe, with_overrides
from creuset.core.errors import ConfigError

if TYPE_CHECKING:
    from creuset.train.loop import Outcome
    from creuset.train.settings import Training
    from creuset.train.state import TrainState


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", help="`mini`, `nano`, or `module:function`")
    parser.add_argument("--shards", type=Path, help="shards artifact (`creuset corpus tokenize`)")
    parser.add_argument("--out", type=Path, help="run folder; the finished model is OUT/model")
    add_run_arguments(parser)


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--set", action="append", default=[], metavar="path=value", help="replace one setting")
    parser.add_argument("--dry-run", action="store_true", help="print the settings and stop")
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto")
    parser.add_argument("--threads", type=int, help="CPU threads (default: torch's choice)")
    parser.add_argument("--minutes", type=float, help="pause after so many minutes; the same command goes on")
    parser.add_argument("--json", action="store_true", help="print one JSON document at the end")


def main(args: argparse.Namespace) -> int:
    from creuset.train.settings import Pretrain

    settings = with_overrides(recipe(args.recipe), args.set)
    if not isinstance(settings, Pretrain):
        raise ConfigError(
            f"`{args.recipe}` is a {type(settings).__name__} recipe, `creuset train` wants a Pretrain one"
        )
    if args.dry_run:
        print(as_json(settings))
        return 0
    for name in ("shards", "out"):
        if getattr(args, name) is None:
            raise ConfigError(f"--{name} is needed to train", hint="--dry-run prints the settings without it")
    return run_pretrain(args, settings)


def run_pretrain(args: argparse.Namespace, settings: Any) -> int:
    import torch

    from creuset.core.artifact import read_manifest
    from creuset.data.shards.batches import PretrainSource
    from creuset.data.shards.files import Shards
    from creuset.model.transformer import Transformer
    from creuset.parallel import ranks
    from creuset.train.loop import open_run
    from creuset.train.state import TrainState

    device = prepare(args)
    shards = Shards.open(args.shards)
    if shards.vocab_size > settings.model.vocab_size:
        raise ConfigError(
            f"the shards have {shards.vocab_size} token ids, the model only {settings.model.vocab_size}",
            hint=f"--set model.vocab_size={shards.vocab_size}",
        )
    if already_there(args):
        return 0
    if ranks.rank() == 0:
        open_run(args.out, settings, {"shards": read_manifest(args.shards)["sha256"]})
    ranks.barrier()
    model = Transformer(settings.model)
    model.init_weights(torch.Generator().manual_seed(settings.seed))
    weights = settings.mix or {
        n: float(s.train.tokens) for n, s in shards.sources.items() if s.train.tokens > settings.context
    }
    source = PretrainSource(shards, weights=weights, context=settings.context, seed=settings.seed)
    state = TrainState.begin(model, settings, device)
    return finish(args, settings, state, source, shards, parents=[args.shards], tokenizer=args.shards / "tokenizer")


def prepare(args: argparse.Namespace) -> Any:
    """Threads, ranks and device of this process."""
    import torch

    from creuset.core import device as devices
    from creuset.parallel import ranks

    if args.threads:
        torch.set_num_threads(args.threads)
    ranks.join_world()
    device = devices.pick(args.device)
    if device.type == "cuda":
        device = torch.device("cuda", ranks.rank() % torch.cuda.device_count())
        torch.cuda.set_device(device)
    return device


def already_there(args: argparse.Namespace) -> bool:
    """Whether the run's model exists: then there is nothing to do, and that is said."""
    from creuset.core.artifact import MANIFEST
    from creuset.core.log import say

    if (args.out / "model" / MANIFEST).is_file():
        say(f"{args.out / 'model'} is finished: nothing to do")
        if args.json:
            print(json.dumps({"finished": True, "model": str(args.out / "model")}))
        return True
    return False


def finish(
    args: argparse.Namespace,
    settings: "Training",
    state: "TrainState",
    source: Any,
    shards: Any,
    *,
    parents: list[Path],
    tokenizer: Path,
    stage: str = "pretrain",
    before: Sequence[dict[str, Any]] = (),
) -> int:
    """Resume, train, and publish the model when the run is complete."""
    import torch

    from creuset.core import device as devices
    from creuset.core.record import Recorder
    from creuset.parallel import ranks
    from creuset.train.loop import resume, train

    device = state.load_LE.device
    lead = ranks.rank() == 0
    recorder = Recorder.start(
        stage=stage,
        device=str(device),
        cores=torch.get_num_threads() * ranks.world(),
        gpus=ranks.world() if device.type == "cuda" else 0,
        seeds={"run": settings.seed},
        inputs={p.name: _sha(p) for p in parents},
        before=before,
        journal=args.out / "attempts.jsonl" if lead else None,  # one attempt, however many ranks
    )
    resume(state, source, recorder, args.out)
    ranks.barrier()
    peak = devices.matmul_peak(device, devices.precision(settings.precision, device))
    outcome = train(
        state,
        source,
        shards,
        args.out,
        recorder,
        peak_flops=peak,
        stop_after_s=args.minutes * 60 if args.minutes else None,
    )
    if outcome.finished and ranks.rank() == 0:
        publish_model(args.out / "model", settings, state, outcome, recorder, parents=parents, tokenizer=tokenizer)
    if args.json and ranks.rank() == 0:
        json.dump(
            {
                "finished": outcome.finished,
                "step": outcome.step,
                "bits_per_byte": outcome.bits_per_byte,
                "model": str(args.out / "model") if outcome.finished else None,
            },
            sys.stdout,
        )
        print()
    return 0


def _sha(path: Path) -> str:
    from creuset.core.artifact import read_manifest

    return str(read_manifest(path)["sha256"])


def publish_model(
    path: Path,
    settings: "Training",
    state: "TrainState",
    outcome: "Outcome",
    recorder: Any,
    *,
    parents: list[Path],
    tokenizer: Path,
) -> None:
    """Write the masters as a model artifact: Hugging Face's layout, tokenizer, technical record, manifest."""
    import shutil

    import torch

    from creuset.core.artifact import new_artifact
    from creuset.core.log import say
    from creuset.model.formats.weights import save_model
    from creuset.model.transformer import Transformer

    facts = {
        "steps": outcome.step,
        "tokens": outcome.step * settings.tokens_per_step,
        "bits_per_byte": outcome.bits_per_byte,
    }
    with new_artifact(path, kind="model", settings=settings, parents=parents, facts=facts) as scratch:
        whole = Transformer(state.model.config)
        with torch.no_grad():
            for name, parameter in whole.named_parameters():
                parameter.copy_(state.optimizer.masters[name])
        save_model(whole, scratch, dtype="fp32")
        for file in sorted(tokenizer.glob("tokenizer*.json")):
            shutil.copyfile(file, scratch / file.name)
        (scratch / "record.json").write_text(json.dumps(recorder.finish(), indent=2) + "\n")
    say(f"the model is {path}")
