"""The shipped model. Two settings of the same shape: two CPU cores in the background, or one GPU for minutes."""

from dataclasses import replace

from creuset.model.config import mini
from creuset.train.settings import Finetune, Optim, Pretrain

# Simple prose first: a model of this size learns to write plainly before it learns anything else.
MIX = {
    "en_simplewiki": 0.46,
    "en_wikipedia_core": 0.06,
    "en_classic_books": 0.08,
    "en_tinystories_sample": 0.07,
    "en_african_storybook": 0.04,
    "en_onestop_news_3levels": 0.07,
    "en_world_factbook": 0.05,
    "fr_novels_eltec": 0.13,
    "fr_african_storybook": 0.04,
}


def pretrain() -> Pretrain:
    """Two CPU cores that others use too: 700 steps of 8,192 tokens, 5.7 M tokens, half an hour on one of them.

    The rate does not fall: fine-tuning goes on at it and then decays, which serves the dialogues better
    (arXiv:2603.16127) and lets one decay serve both stages.
    """
    return Pretrain(
        name="mini", model=mini(), mix=MIX, steps=700, tokens_per_step=8192, tokens_per_microbatch=8192, context=512,
        evaluate_every=350, evaluate_tokens=4096, final_tokens=32_768, save_every=25,
        optim=Optim(lr=6e-3, matrix_lr=1e-2, warmup_steps=40, decay_share=0.0),
    )  # fmt: skip


def twin() -> Pretrain:
    """The shipped model's shape for runs/canaries.sh: every source by its size, so that an epoch reads a copy once.

    Nothing is fine-tuned after it, so the rate falls here.
    """
    return replace(
        pretrain(), name="mini-twin", mix={}, steps=400, evaluate_every=0,
        optim=Optim(lr=6e-3, matrix_lr=1e-2, warmup_steps=40, decay_share=0.3),
    )  # fmt: skip


def pretrain_gpu() -> Pretrain:
    """One H100 or H200: 12,000 steps of 131,072 tokens, 1.6 G tokens, in parts of ten minutes (`--minutes 9`)."""
    return replace(
        pretrain(), steps=12_000, tokens_per_step=131_072, tokens_per_microbatch=131_072, context=1024,
        evaluate_every=1000, evaluate_tokens=32_768, final_tokens=0, save_every=500,
        optim=Optim(lr=4e-3, matrix_lr=6e-3, warmup_steps=200, decay_share=0.4),
    )  # fmt: skip


def sft() -> Finetune:
    """Two CPU cores: dialogues after `pretrain`, a fifth of it prose, with the weights rounded as they ship."""
    return Finetune(
        name="mini-sft", prose=0.2, mix=MIX, steps=1900, tokens_per_step=8192, tokens_per_microbatch=8192, context=512,
        quantize="q8", quantize_from=0.7, evaluate_every=0, final_tokens=32_768, save_every=25,
        optim=Optim(lr=6e-3, matrix_lr=1e-2, warmup_steps=20, decay_share=0.7),
    )  # fmt: skip


def sft_gpu() -> Finetune:
    """One GPU: the same dialogues, for longer and in larger steps."""
    return replace(
        sft(), steps=1500, tokens_per_step=65_536, tokens_per_microbatch=65_536, context=1024, final_tokens=0
    )
