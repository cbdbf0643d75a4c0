"""The shipped model. Two settings of the same shape: two CPU cores in the background, or one GPU for minutes."""

from dataclasses import replace

from creuset.model.config import mini
from creuset.train.settings import Finetune, Optim, Pretrain

# Simple prose first: a model of this size learns to write plainly before it learns anything else.
MIX = {
    "en_simplewiki": 0.46,
    "en_wikipedia_core": 0.10,
    "en_classic_books": 0.08,
    "en_tinystories_sample": 0.05,
    "en_african_storybook": 0.03,
    "en_onestop_news_3levels": 0.06,
    "en_world_factbook": 0.05,
    "fr_novels_eltec": 0.14,
    "fr_african_storybook": 0.03,
}


def pretrain() -> Pretrain:
    """Two CPU cores: 1,600 steps of 16,384 tokens, about 26 M tokens."""
    return Pretrain(
        name="mini",
        model=mini(),
        mix=MIX,
        steps=1600,
        tokens_per_step=16_384,
        tokens_per_microbatch=8192,
        context=512,
        evaluate_every=200,
        evaluate_tokens=12_288,
        save_every=50,
        optim=Optim(lr=4e-3, matrix_lr=4e-3, warmup_steps=60, decay_share=0.4),
    )


def pretrain_gpu() -> Pretrain:
    """One H100 or H200: 6,000 steps of 262,144 tokens, 1.6 G tokens, in parts of ten minutes (`--minutes 9`)."""
    return replace(
        pretrain(),
        steps=6000,
        tokens_per_step=262_144,
        tokens_per_microbatch=131_072,
        context=1024,
        evaluate_every=1000,
        save_every=500,
    )


def sft() -> Finetune:
    """Two CPU cores: dialogues after `pretrain`, with the weights rounded as they ship."""
    return Finetune(
        name="mini-sft",
        steps=700,
        tokens_per_step=8192,
        tokens_per_microbatch=8192,
        context=1024,
        quantize="q8",
        evaluate_every=0,
        save_every=50,
        optim=Optim(lr=1.5e-3, matrix_lr=1.5e-3, warmup_steps=30, decay_share=0.6),
    )


def sft_gpu() -> Finetune:
    """One GPU: the same dialogues, three times as long, in larger steps."""
    return replace(sft(), steps=1000, tokens_per_step=65_536, tokens_per_microbatch=65_536)
