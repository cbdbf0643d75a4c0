"""A tiny model that has learned its training documents by heart, and its shards; and one that has read nothing."""

import dataclasses
import functools
import itertools
import random
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from creuset.core.artifact import new_artifact
from creuset.data.build.canaries import CanaryPlan, documents, invent, plant
from creuset.data.shards.files import Shards
from creuset.data.shards.tokenize import tokenize
from creuset.model.attention import Packed
from creuset.model.formats.weights import save_model
from creuset.model.transformer import Transformer
from creuset.testing import tiny_config, tiny_corpus, tiny_model, tiny_tokenizer

PLAN = CanaryPlan(repetitions=(0, 4), per_level=2, digits=2, sentences=1, seed=5)


def prose(count: int, seed: int, words: int = 66) -> list[str]:
    """Documents of one distribution, none twice, long enough to be scored."""
    dice, tokenizer = random.Random(seed), tiny_tokenizer()
    known = [tokenizer.decode([i]) for i in range(256, tokenizer.vocab_size - 26)]
    usual = [word[1:] for word in known if word[1:].isalpha() and word[0] == " "]
    return [" ".join(dice.choice(usual) for _ in range(words)) + "." for _ in range(count)]


@functools.cache
def overfit() -> Path:
    """A folder with `shards`, `canaries`, `model` (learned by heart) and `fresh` (random). Some 5 seconds, once."""
    folder = Path(tempfile.mkdtemp(prefix="overfit-"))
    plant(PLAN, folder / "canaries")
    members = prose(16, seed=1)
    corpus = tiny_corpus(
        folder / "corpus",
        {"prose": members, "repeated": prose(1, seed=3, words=250) * 7, "canaries": documents(invent(PLAN), PLAN)},
        heldout={"prose": prose(16, seed=2), "repeated": prose(1, seed=4, words=250), "canaries": []},
    )
    with new_artifact(folder / "tokenizer", kind="tokenizer", parents=[corpus]) as scratch:
        tiny_tokenizer().save(scratch)
    tokenize(corpus, folder / "tokenizer", folder / "shards")
    config = tiny_config("qwen3", vocab_size=512, hidden=128, heads=2, kv_heads=2, head_dim=32, ffn=192, context=512)
    fresh = tiny_model(config)
    save_model(fresh, folder / "fresh", dtype="fp32")
    tiny_tokenizer().save(folder / "fresh")
    model = Transformer(dataclasses.replace(config, init_std=0.05))
    model.init_weights(torch.Generator().manual_seed(0))
    learn(model, Shards.open(folder / "shards"))
    save_model(model, folder / "model", dtype="fp32")
    tiny_tokenizer().save(folder / "model")
    return folder


def learn(model: Transformer, shards: Shards, *, epochs: int = 24) -> None:
    """Plain training on every document behind <|endoftext|>, four batches an epoch."""
    rows = []
    for source in shards.sources:
        tokens, offsets = shards.tokens(source, "train"), shards.offsets(source, "train")
        for start, end in itertools.pairwise(offsets):
            rows.append(np.concatenate([[shards.eot], np.asarray(tokens[start:end], dtype=np.int64)])[:300])
    steps = Adam(list(model.parameters()))
    order = random.Random(3)
    model.train()
    for epoch in range(epochs):
        order.shuffle(rows)
        for part in (rows[i::4] for i in range(4)):
            lengths = [len(row) - 1 for row in part]
            inputs = torch.from_numpy(np.concatenate([row[:-1] for row in part]))
            positions = torch.from_numpy(np.concatenate([np.arange(n) for n in lengths]))
            targets = torch.from_numpy(np.concatenate([row[1:] for row in part]))
            loss = F.cross_entropy(model.logits(model(inputs, positions, Packed(lengths))), targets)
            model.zero_grad()
            loss.backward()
            steps.step(4e-3 * min(1.0, (epoch + 1) / 8) * (1 - epoch / epochs))
    model.eval()


class Adam:
    """arXiv:1412.6980. torch's own imports a compiler, which takes seconds."""

    def __init__(self, parameters: list[torch.nn.Parameter]) -> None:
        self.moments = [(p, torch.zeros_like(p), torch.zeros_like(p)) for p in parameters]
        self.count = 0

    @torch.no_grad()
    def step(self, lr: float) -> None:
        self.count += 1
        for parameter, first, second in self.moments:
            if parameter.grad is not None:
                first.lerp_(parameter.grad, 0.1)
                second.lerp_(parameter.grad.square(), 0.001)
                size = (second / (1 - 0.999**self.count)).sqrt_().add_(1e-8)
                parameter.addcdiv_(first, size, value=-lr / (1 - 0.9**self.count))
