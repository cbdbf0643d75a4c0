"""`creuset tune sft RECIPE`: a model artifact and dialogues in, a model artifact out, by the loop of pre-training."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from creuset.cli.train import add_run_arguments
from creuset.core.config import as_json, recipe, with_overrides
from creuset.core.errors import ConfigError

if TYPE_CHECKING:
    from creuset.data.shards.batches import PretrainSource
    from creuset.data.shards.files import Shards
    from creuset.text.tokenizer import Tokenizer
    from creuset.train.settings import Finetune


def add_sft_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", help="`mini:sft`, `nano:sft`, or `module:function`")
    parser.add_argument("--model", type=Path, help="model artifact to start from")
    parser.add_argument(
        "--dialogues", type=Path, nargs="+", default=[],
        help="dialogues artifacts, or jsonl files of `messages` (plain, .gz, .xz, .zst)",
    )  # fmt: skip
    parser.add_argument(
        "--shards", type=Path, help="shards: their held-out split is scored at the end, rows of `prose` come from them"
    )
    parser.add_argument("--out", type=Path, help="run folder; the finished model is OUT/model")
    add_run_arguments(parser)


def run_sft(args: argparse.Namespace) -> int:
    from creuset.train.settings import Finetune

    settings = with_overrides(recipe(args.recipe), args.set)
    if not isinstance(settings, Finetune):
        raise ConfigError(f"`{args.recipe}` is a {type(settings).__name__} recipe, `tune sft` wants a Finetune one")
    if args.dry_run:
        print(as_json(settings))
        return 0
    for name in ("model", "dialogues", "out"):
        if not getattr(args, name):
            raise ConfigError(f"--{name} is needed to fine-tune", hint="--dry-run prints the settings without it")
    return _run(args, settings)


def _run(args: argparse.Namespace, settings: Any) -> int:
    import json

    import torch

    from creuset.cli.train import already_there, finish, prepare
    from creuset.core.artifact import MANIFEST, read_manifest, sha256_file
    from creuset.core.log import say
    from creuset.data.shards.files import Shards
    from creuset.model.formats.weights import load_model
    from creuset.parallel import ranks
    from creuset.text.tokenizer import Tokenizer
    from creuset.train.dialogue import encode_dialogues
    from creuset.train.loop import open_run
    from creuset.train.sft import Blend, DialogueSource
    from creuset.train.state import TrainState

    device = prepare(args)
    if already_there(args):
        return 0
    tokenizer = Tokenizer.load(args.model)
    inputs = {args.model.name: read_manifest(args.model)["sha256"]}
    for path in args.dialogues:
        inputs[path.name] = read_manifest(path)["sha256"] if (path / MANIFEST).is_file() else sha256_file(path)
    if ranks.rank() == 0:
        open_run(args.out, settings, inputs)
    ranks.barrier()
    model = load_model(args.model, dtype=torch.float32)
    if settings.context > model.config.context:
        raise ConfigError(f"context ({settings.context}) is longer than the model's ({model.config.context})")
    files = [file for path in args.dialogues for file in dialogue_files(path)]
    dialogues = encode_dialogues(files, tokenizer, settings.context, cache=args.out / "encoded.npz")
    source = DialogueSource(dialogues, context=settings.context, seed=settings.seed, pad=tokenizer.endoftext)
    say(f"{len(source.dialogues)} dialogues in {len(source.rows)} rows of {settings.context} tokens")
    shards = Shards.open(args.shards) if args.shards else None
    rows: DialogueSource | Blend = source
    if settings.prose:
        rows = Blend(source, prose_source(shards, settings, tokenizer), share_of_prose=settings.prose)
    state = TrainState.begin(model, settings, device)
    record = args.model / "record.json"
    before = [json.loads(record.read_text())] if record.is_file() else []
    parents = [args.model, *(p for p in args.dialogues if (p / MANIFEST).is_file())]
    if settings.prose:
        parents.append(args.shards)
    return finish(
        args, settings, state, rows, shards, parents=parents, tokenizer=args.model, stage="sft", before=before
    )  # fmt: skip


def prose_source(shards: "Shards | None", settings: "Finetune", tokenizer: "Tokenizer") -> "PretrainSource":
    """The pre-training rows of a fine-tuning run, from shards cut by the model's own tokenizer."""
    from creuset.data.shards.batches import PretrainSource

    if shards is None:
        raise ConfigError(f"prose is {settings.prose} and there is no text", hint="give --shards, or --set prose=0")
    if (shards.vocab_size, shards.eot) != (tokenizer.vocab_size, tokenizer.endoftext):
        raise ConfigError(
            f"the shards were cut by another tokenizer: {shards.vocab_size} ids, the model's has {tokenizer.vocab_size}"
        )
    weights = settings.mix or {
        n: float(s.train.tokens) for n, s in shards.sources.items() if s.train.tokens > settings.context
    }
    return PretrainSource(shards, weights=weights, context=settings.context, seed=settings.seed + 1)


def dialogue_files(path: Path) -> Sequence[Path]:
    """The training files of a dialogues artifact, or the file itself."""
    if path.is_dir():
        return [path / "dialogues.jsonl.zst"]
    return [path]
