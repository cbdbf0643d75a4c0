"""Recipes for two CPU cores and a few minutes: they prove the path, not the model."""

from creuset.model.config import nano
from creuset.train.settings import Finetune, Optim, Pretrain


def pretrain() -> Pretrain:
    """200 steps of a 4-layer MoE on 0.8 M tokens."""
    return Pretrain(
        name="nano",
        model=nano(),
        steps=200,
        tokens_per_step=4096,
        tokens_per_microbatch=4096,
        context=512,
        evaluate_every=100,
        evaluate_tokens=8192,
        save_every=50,
        optim=Optim(warmup_steps=20),
    )


def sft() -> Finetune:
    """100 steps on dialogues."""
    return Finetune(
        name="nano-sft",
        steps=100,
        tokens_per_step=4096,
        tokens_per_microbatch=4096,
        context=512,
        evaluate_every=0,
        save_every=50,
        optim=Optim(lr=1e-3, matrix_lr=1e-3, warmup_steps=10),
    )
