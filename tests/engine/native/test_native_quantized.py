"""The shipped model in its codes, beside the numbers that they stand for."""

import numpy as np
import pytest
import torch

from creuset.core.native.library import FILE
from creuset.engine.backend.base import BatchSpan, ForwardBatch
from creuset.model.attention import Packed
from creuset.model.formats.weights import FolderWeights, load_model
from creuset.model.hub import find_model
from creuset.text.tokenizer import Tokenizer

if not FILE.is_file():
    pytest.skip("there is no native library: apt-get install g++", allow_module_level=True)

TEXT = (
    "A river is a large stream of water that flows from the mountains to the sea. Rivers carry sand and stones, and "
    "they give water to fields and towns. The longest rivers of Europe are the Volga and the Danube. Le Rhône naît en "
    "Suisse et se jette dans la Méditerranée. In winter some freeze; in spring they rise when the snow melts.\n\n"
    "Question: What is 12 + 7? Answer: 19. Question: Which day comes after Monday? Answer: Tuesday."
)


@pytest.fixture(scope="module")
def shipped():
    """(folder, token ids, logits of the model in fp32)."""
    folder = find_model("mini")
    ids = Tokenizer.load(folder).encode(TEXT)
    model = load_model(folder)
    with torch.inference_mode():
        hidden_TC = model(torch.tensor(ids), torch.arange(len(ids)), Packed([len(ids)]))
        return folder, ids, model.logits(hidden_TC).numpy()


def of_core(folder, ids, **words):
    from creuset.engine.backend.native.runner import NativeRunner

    runner = NativeRunner(FolderWeights(folder), threads=1, **words)
    runner.allocate(max(20, -(-len(ids) // 16)), 16)
    runner.forward(ForwardBatch(ids, [BatchSpan(0, len(ids), range(-(-len(ids) // 16)))]))
    return runner, runner.logits(range(len(ids)))


def test_in_fp32_the_shipped_model_is_the_definition(shipped):
    folder, ids, expected = shipped
    _, found = of_core(folder, ids, dtype="fp32")
    assert np.abs(ln_p(found) - ln_p(expected)).max() < 1e-4


def test_in_its_own_codes_it_chooses_nearly_the_same_tokens(shipped):
    """Activations are rounded to 8 bits, keys and values to bf16: the root mean square error stays below 5 % of the
    logits' standard deviation, and at most one best token in twenty is another."""
    folder, ids, expected = shipped
    runner, found = of_core(folder, ids)
    assert set(runner.choices["kernels"]["weights"]) == {"f32", "q8"} and runner.choices["dtype"] == "q8"
    assert np.sqrt(((found - expected) ** 2).mean()) < 0.05 * expected.std()
    assert (found.argmax(1) == expected.argmax(1)).mean() >= 0.95
    # The same numbers come in chunks and step by step.
    runner.forward(ForwardBatch(ids[:50], [BatchSpan(0, 50, range(20))]))
    for at in range(50, 60):
        runner.forward(ForwardBatch(ids[at : at + 1], [BatchSpan(at, 1, range(20))]))
        assert np.array_equal(runner.logits([0])[0], found[at])


def ln_p(logits_TV):
    return torch.from_numpy(logits_TV).log_softmax(-1).numpy()
