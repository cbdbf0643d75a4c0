"""One training loop in a process of its own, asked step by step: `training.py WAY SHAPE THREADS MICRO CONTEXT`.

    {"step": [ids]}   ->  {"wall": s, "processor": s, "loss": nats}       one optimizer step on rows of CONTEXT tokens,
                                                                      MICRO of them at a time

WAY is `ours-fp32`, `ours-bf16`, `ours-fp32-adamw`, or `KERNEL-fp32`, `KERNEL-bf16` for a Hugging Face model: KERNEL is
`eager` or `grouped_mm` (its Qwen3-MoE and how it computes experts), or `dense` (its Qwen3 with as many parameters as
the mixture has active). bf16 there is autocast over fp32 weights, as its trainer does it. Both sides clip gradients;
ours adds the two losses on its routers, which the peer leaves out.
"""

import dataclasses
import json
import os
import resource
import sys
import time
import warnings
from typing import Any, Protocol

import torch

from creuset.model.config import ModelConfig, mini

SHAPES: dict[str, ModelConfig] = {
    "mini": mini(),
    "22m": dataclasses.replace(
        mini(), vocab_size=8192, hidden=320, layers=6, heads=10, kv_heads=2, head_dim=32, experts=16,
        experts_per_token=2, expert_ffn=192,
    ),
    "80m": dataclasses.replace(
        mini(), vocab_size=8192, hidden=512, layers=6, heads=8, kv_heads=2, head_dim=64, experts=32,
        experts_per_token=4, expert_ffn=256,
    ),
}  # fmt: skip


class Loop(Protocol):
    def step(self, ids_T1: torch.Tensor, scale: float = 1.0) -> float:
        """One optimizer step on T + 1 tokens with `scale` times the learning rate; the loss."""

    def score(self, shards: Any, context: int, tokens: int) -> float:
        """Held-out bits per byte, the mean of the sources, of the first `tokens` of each."""


def held_out(network: Any, shards: Any, context: int, tokens: int) -> float:
    from creuset.train.evaluate import bits_per_byte

    found = [
        bits_per_byte(network, shards, name, context=context, max_tokens=tokens).bits_per_byte
        for name, stats in shards.sources.items()
        if stats.heldout.documents
    ]
    return sum(found) / len(found)


class Ours:
    def __init__(
        self, way: str, shape: ModelConfig, tokens: int, context: int, threads: int, *, seed: int, rate: float
    ) -> None:
        from creuset.model.transformer import Transformer
        from creuset.train.settings import Optim, Pretrain
        from creuset.train.state import TrainState

        _, precision, *rest = way.split("-")
        matrices = "adamw" if "adamw" in rest else "muon"
        settings = Pretrain(
            name=way, model=shape, steps=10**6, tokens_per_step=tokens, tokens_per_microbatch=tokens, context=context,
            precision=precision, expert_kernel="padded" if precision == "bf16" else "exact", threads=threads,
            optim=Optim(
                lr=rate, matrix_lr=rate * 1.7, matrices=matrices, muon_precision=precision, warmup_steps=0,
                decay_share=0.0,
            ),
        )  # type: ignore[arg-type]  # fmt: skip
        model = Transformer(shape)
        model.init_weights(torch.Generator().manual_seed(seed))
        self.state, self.context = TrainState.begin(model, settings, torch.device("cpu")), context
        self.optim, self.micro = settings.optim, tokens

    def step(self, ids_T1: torch.Tensor, scale: float = 1.0) -> float:
        from creuset.data.shards.batches import Batch
        from creuset.train.objectives import pretrain
        from creuset.train.step import train_step

        length = self.context
        batches = [
            Batch(inputs, targets, torch.ones(len(inputs)), torch.arange(length).repeat(rows), [length] * rows)
            for inputs, targets in zip(ids_T1[:-1].split(self.micro), ids_T1[1:].split(self.micro), strict=True)
            for rows in [len(inputs) // length]
        ]
        rates = {"lr": self.optim.lr * scale, "matrix_lr": self.optim.matrix_lr * scale}
        self.state.optimizer.settings = dataclasses.replace(self.optim, **rates)
        return train_step(self.state, batches, pretrain).loss

    def score(self, shards: Any, context: int, tokens: int) -> float:
        return held_out(self.state.model, shards, context, tokens)


class HuggingFace:
    def __init__(self, way: str, shape: ModelConfig, micro: int, context: int, *, rate: float) -> None:
        import transformers

        kernel, precision = way.split("-")
        self.autocast, self.micro, self.context = precision == "bf16", micro, context
        transformers.logging.set_verbosity_error()
        same = {
            "vocab_size": shape.vocab_size, "hidden_size": shape.hidden, "num_hidden_layers": shape.layers,
            "num_attention_heads": shape.heads, "num_key_value_heads": shape.kv_heads, "head_dim": shape.head_dim,
            "tie_word_embeddings": shape.tie_embeddings, "max_position_embeddings": shape.context, "use_cache": False,
        }  # fmt: skip
        if kernel == "dense":
            inner = shape.experts_per_token * shape.expert_ffn
            config: Any = transformers.Qwen3Config(**same, intermediate_size=inner)
            self.model: Any = transformers.Qwen3ForCausalLM(config)
        else:
            config = transformers.Qwen3MoeConfig(
                **same, intermediate_size=shape.expert_ffn, moe_intermediate_size=shape.expert_ffn,
                num_experts=shape.experts, num_experts_per_tok=shape.experts_per_token, norm_topk_prob=shape.norm_topk,
                experts_implementation=kernel,
            )  # fmt: skip
            self.model = transformers.Qwen3MoeForCausalLM(config)
        self.model.train()
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=rate, betas=(0.9, 0.95), weight_decay=0.1, fused=True
        )

        self.rate = rate

    def step(self, ids_T1: torch.Tensor, scale: float = 1.0) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * scale
        self.optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for inputs, targets in zip(ids_T1[:-1].split(self.micro), ids_T1[1:].split(self.micro), strict=True):
            with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
                logits = self.model(input_ids=inputs.view(-1, self.context)).logits
            loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), targets)
            loss = loss * (len(inputs) / (len(ids_T1) - 1))
            del logits
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        return total

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    def __call__(self, tokens_T: torch.Tensor, positions_T: torch.Tensor, attend: Any) -> torch.Tensor:
        """Last hidden states of sequences side by side, as creuset/model/score.py asks for them: one by one."""
        parts = tokens_T.split([length for length, _ in attend.lengths])
        return torch.cat([self.model.model(input_ids=part[None]).last_hidden_state[0] for part in parts])

    def logits(self, hidden_TC: torch.Tensor) -> torch.Tensor:
        logits_TV: torch.Tensor = self.model.lm_head(hidden_TC)
        return logits_TV

    def score(self, shards: Any, context: int, tokens: int) -> float:
        return held_out(self, shards, context, tokens)


def make(
    way: str, shape: ModelConfig, tokens: int, context: int, threads: int, *, seed: int = 0, rate: float = 3e-3
) -> Loop:
    torch.manual_seed(seed)
    if way.startswith("ours"):
        return Ours(way, shape, tokens, context, threads, seed=seed, rate=rate)
    return HuggingFace(way, shape, tokens, context, rate=rate)


def main() -> None:
    way, name, threads, micro, context = sys.argv[1:]
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    torch.set_num_threads(int(threads))
    warnings.simplefilter("ignore")
    loop = make(way, SHAPES[name], int(micro), int(context), int(threads))
    print(json.dumps({"parameters": parameters(loop)}), file=out, flush=True)
    for line in sys.stdin:
        ids_T1 = torch.tensor(json.loads(line)["step"])
        wall, processor = time.perf_counter(), time.process_time()
        loss = loop.step(ids_T1)
        taken = {"wall": time.perf_counter() - wall, "processor": time.process_time() - processor, "loss": loss}
        taken["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(taken), file=out, flush=True)


def parameters(loop: Loop) -> int:
    model: Any = loop.model if isinstance(loop, HuggingFace) else loop.state.model  # type: ignore[attr-defined]
    return sum(p.numel() for p in model.parameters())


if __name__ == "__main__":
    main()
