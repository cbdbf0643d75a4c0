"""Supervised fine-tuning: a model and dialogues in, a model out, by the loop of pre-training."""

from collections.abc import Sequence
from pathlib import Path

import torch

from creuset.core.artifact import MANIFEST
from creuset.core.errors import ConfigError
from creuset.core.log import say
from creuset.data.shards.batches import Source
from creuset.data.shards.files import Shards
from creuset.model.formats.hf_config import config_of
from creuset.model.formats.weights import load_model
from creuset.model.hub import end_ids
from creuset.model.transformer import Transformer
from creuset.parallel import ranks
from creuset.text.template import ChatTemplate
from creuset.text.tokenizer import Tokenizer
from creuset.train.dialogues.encode import encode_dialogues
from creuset.train.dialogues.source import Blend, DialogueSource
from creuset.train.inputs import identities, records, same_tokenizer
from creuset.train.loop import Outcome
from creuset.train.objectives import sft
from creuset.train.run import TrainingJob, go, prose
from creuset.train.settings import Finetune


def finetune(
    settings: Finetune,
    *,
    model: Path,
    dialogues: Sequence[Path],
    out: Path,
    shards: Path | None = None,
    stop_after_s: float | None = None,
    choose_again: bool = False,
    log: tuple[str, ...] = (),
) -> Outcome:
    """Fine-tune `model` on dialogues in the run folder `out`; go on where an earlier call stopped.

    `dialogues`: artifacts or jsonl files of `messages`. `shards`: their held-out split is scored, and the rows of
    `settings.prose` come from them. The other arguments, and what is raised, are those of `train.run.train`.
    """
    ranks.join_world()
    if model.is_file():
        raise ConfigError(
            f"`{model}` is a GGUF file, which is read to be served", hint="write it as a folder: creuset export"
        )
    config = config_of(model)
    if settings.context > config.context:
        raise ConfigError(f"context ({settings.context}) is longer than the model's ({config.context})")
    if settings.prose and shards is None:
        raise ConfigError(f"prose is {settings.prose} and there is no text", hint="give --shards, or --set prose=0")
    read = [model, *dialogues]
    if shards is not None and settings.prose:
        same_tokenizer(model, shards)
        read.append(shards)
    text = Shards.open(shards) if shards else None

    def make() -> tuple[Transformer, Source]:
        tokenizer = Tokenizer.load(model)
        files = [dialogue_file(path) for path in dialogues]
        template = ChatTemplate.load(model, tokenizer)
        if not template.source:
            raise ConfigError(f"`{model}` has no chat template: what it would learn from dialogues is not known")
        encoded = encode_dialogues(
            files, tokenizer, settings.context, template=template, ends=frozenset(end_ids(model)),
            cache=out / "encoded.npz",
        )  # fmt: skip
        source = DialogueSource(encoded, context=settings.context, seed=settings.seed, pad=tokenizer.endoftext)
        say(f"{len(source.dialogues)} dialogues in {len(source.rows)} rows of {settings.context} tokens")
        weights = load_model(model, dtype=torch.float32)
        if not settings.prose or text is None:
            return weights, source
        rows = prose(text, settings.mix, context=settings.context, seed=settings.seed + 1)
        return weights, Blend(source, rows, share_of_prose=settings.prose)

    job = TrainingJob(
        stage="sft",
        settings=settings,
        config=config,
        out=out,
        inputs=identities(read),
        arguments={"model": model, "dialogues": list(dialogues), "shards": shards},
        make=make,
        objective=sft,
        tokenizer=model,
        shards=text,
        parents=[path for path in read if (path / MANIFEST).is_file()],
        before=records(model),
    )
    return go(job, stop_after_s=stop_after_s, choose_again=choose_again, log=log)


def dialogue_file(path: Path) -> Path:
    """The training file of a dialogues artifact, or the file itself."""
    return path / "dialogues.jsonl.zst" if path.is_dir() else path
