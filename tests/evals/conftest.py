import json

import pytest
import torch

from creuset.benchmarks.catalogue import about
from creuset.model.config import ModelConfig
from creuset.model.formats.weights import save_model
from creuset.model.transformer import Transformer
from creuset.testing import tiny_tokenizer

torch.set_num_threads(1)  # tiny tensors: more threads only wait for each other


@pytest.fixture(scope="session")
def tokenizer():
    return tiny_tokenizer()


@pytest.fixture(scope="session")
def model(tokenizer):
    model = Transformer(
        ModelConfig(
            family="qwen3_moe",
            vocab_size=tokenizer.vocab_size,
            hidden=32,
            layers=2,
            heads=2,
            kv_heads=1,
            head_dim=16,
            experts=4,
            experts_per_token=2,
            expert_ffn=16,
            context=48,
            init_std=0.3,
        )
    )
    model.init_weights(torch.Generator().manual_seed(0))
    return model.eval()


@pytest.fixture(scope="session")
def folder(tmp_path_factory, model, tokenizer):
    path = tmp_path_factory.mktemp("evals") / "tiny"
    save_model(model, path, dtype="fp32")
    tokenizer.save(path)
    return path


ROWS = {
    "arc_easy": {"query": "Question: What is ice?", "choices": ["water", "stone", "air"], "gold": 0},
    "boolq": {"query": "Passage: Ice melts.\nQuestion: does ice melt?", "choices": ["no", "yes"], "gold": 1},
    "hellaswag": {
        "activity_label": "Cooking",
        "ctx_a": "A man cooks.",
        "ctx_b": "he then",
        "endings": ["eats [step] it.", "flies  away."],
        "label": 0,
    },
    "piqa": {"goal": "Boil an egg.", "sol1": "use hot water", "sol2": "use a bowl of sand"},
}


@pytest.fixture
def bench(tmp_path):
    """A folder of benchmark files with one item each."""
    for name, row in ROWS.items():
        first, *others = about(name).files
        file = tmp_path / "bench" / first
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(row) + "\n")
        for other in others:  # PIQA's answers
            (tmp_path / "bench" / other).write_text("0\n")
    return tmp_path / "bench"
