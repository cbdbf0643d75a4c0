"""llama.cpp runs the files that we write: the shipped model as GGUF, token for token.

Needs `pip install llama-cpp-python==0.3.36`; without it the test is skipped, and says so.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from creuset.cli import main
from creuset.model.attention import Packed
from creuset.model.formats.weights import load_model
from creuset.model.hub import find_model
from creuset.text.template import ChatTemplate
from creuset.text.tokenizer import Tokenizer

pytestmark = pytest.mark.slow

F32 = 0  # ggml's number: keys and values are kept as they are computed, not in fp16
QUESTIONS = ("What is a river?", "Who are you?", "Quelle est la capitale de la France ?")


@pytest.fixture(scope="module", params=["fp32", "bf16", "q8_0", "q4_0"])
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out: Path = tmp_path_factory.mktemp("gguf") / f"mini-{request.param}.gguf"
    light = request.param.startswith("q")
    verb = ["quantize", "mini", str(out), "--to"] if light else ["export", "mini", "--gguf", str(out), "--dtype"]
    assert main([*verb, request.param]) == 0
    return out


@pytest.fixture(scope="module")
def peer(file: Path) -> Iterator[Any]:
    llama_cpp = pytest.importorskip("llama_cpp", reason="needs pip install llama-cpp-python==0.3.36")
    model = llama_cpp.Llama(str(file), n_ctx=256, logits_all=True, type_k=F32, type_v=F32, verbose=False)
    yield model
    model.close()


def test_llama_cpp_reads_our_file_as_we_do(file: Path, peer: Any) -> None:
    model, tokenizer = load_model(file), Tokenizer.load(find_model("mini"))
    template = ChatTemplate.load(find_model("mini"), tokenizer)
    # In fp32 both compute alike, within 2.2e-5. What goes into a product with other weights is rounded there, to
    # bf16 or 8 bits: a router may then choose other experts, but none of these answers becomes another.
    exact = file.stem == "mini-fp32"
    assert peer.token_eos() == tokenizer.im_end
    for question in QUESTIONS:
        messages = [{"role": "user", "content": question}]
        ids = template.encode(messages, add_generation_prompt=True).ids
        text = template.render(messages, add_generation_prompt=True)
        assert peer.tokenize(text.encode(), add_bos=False, special=True) == ids
        peer.reset()
        peer.eval(ids)
        for _ in range(40):
            with torch.inference_mode():
                hidden = model(torch.tensor(ids), torch.arange(len(ids)), Packed([len(ids)]))[-1:]
                ours = model.logits(hidden)[0].log_softmax(-1)
            theirs = torch.from_numpy(np.array(peer.scores[len(ids) - 1])).log_softmax(-1)
            top = ours.topk(10)
            assert not exact or (theirs[top.indices] - top.values).abs().max() <= 1e-3
            best = int(top.indices[0])
            if top.values[0] - top.values[1] > (0.002 if exact else 0.1):
                assert int(theirs.argmax()) == best
            if best == tokenizer.im_end:
                break
            ids.append(best)
            peer.eval([best])
