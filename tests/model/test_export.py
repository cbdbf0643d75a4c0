import json
from pathlib import Path
from typing import Any

import pytest
import torch

from creuset.cli import main
from creuset.model.formats.gguf import QWEN_PATTERN, check_pattern
from creuset.model.formats.weights import load_model
from creuset.model.quant import QuantPlan, quantize_folder
from creuset.testing import tiny_model_folder, tiny_tokenizer
from creuset.text.chat import render
from creuset.text.tokenizer import PATTERN


def exported(folder: Path, out: Path, capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, Any]:
    assert main(["export", str(folder), str(out), "--json", *more]) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report


def test_transformers_loads_an_exported_quantized_model_and_talks_our_template(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = tiny_model_folder(tmp_path / "model")
    quantize_folder(folder, tmp_path / "light", QuantPlan(group=16))
    tiny_tokenizer().save(tmp_path / "light")
    (tmp_path / "light" / "card.md").write_text("# Card\n")
    report = exported(tmp_path / "light", tmp_path / "out", capsys, "--dtype", "fp32")
    assert report["family"] == "qwen3_moe" and report["dtype"] == "fp32"
    assert set(report["files"]) == {f.name for f in (tmp_path / "out").iterdir()}
    assert (tmp_path / "out" / "README.md").read_text() == "# Card\n"

    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=torch.float32)
    ours = dict(load_model(tmp_path / "light").named_parameters())
    assert torch.equal(theirs.state_dict()["model.embed_tokens.weight"], ours["model.embed_tokens.weight"])
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    messages = [{"role": "user", "content": "What is a river? <|im_end|>"}]
    assert tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True) == render(
        messages, add_generation_prompt=True
    )
    special = tiny_tokenizer().special
    assert theirs.config.eos_token_id == special["<|im_end|>"]
    assert theirs.generation_config.eos_token_id == [special["<|im_end|>"], special["<|endoftext|>"]]


def test_an_export_never_overwrites_and_leaves_nothing_half_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tiny_model_folder(tmp_path / "model")
    (tmp_path / "taken").mkdir()
    assert main(["export", str(folder), str(tmp_path / "taken")]) == 3
    assert "already exists" in capsys.readouterr().err
    (folder / "tokenizer.json").unlink()
    assert main(["export", str(folder), str(tmp_path / "out")]) == 3
    assert "has no tokenizer.json" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_bf16_is_the_default_and_results_are_on_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tiny_model_folder(tmp_path / "model", "qwen2")
    assert main(["export", str(folder), str(tmp_path / "out")]) == 0
    printed = capsys.readouterr()
    assert "qwen2" in printed.out and "bf16" in printed.out and "model.safetensors" in printed.out
    assert json.loads((tmp_path / "out" / "config.json").read_text())["torch_dtype"] == "bfloat16"


def test_gguf_needs_llama_cpp_before_any_work_is_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tiny_model_folder(tmp_path / "model")
    gguf = ["--gguf", str(tmp_path / "m.gguf")]
    assert main(["export", str(folder), str(tmp_path / "out"), *gguf]) == 2
    assert main(["export", str(folder), str(tmp_path / "out"), *gguf, "--llama-cpp", str(tmp_path)]) == 2
    assert "has no convert_hf_to_gguf.py" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_only_a_tokenizer_that_cuts_text_as_qwen2_does_is_announced_as_such(tmp_path: Path) -> None:
    assert PATTERN == QWEN_PATTERN
    tiny_tokenizer().save(tmp_path)
    check_pattern(tmp_path)
    file = tmp_path / "tokenizer.json"
    spec = json.loads(file.read_text())
    spec["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = r"\w+|\W+"
    file.write_text(json.dumps(spec))
    with pytest.raises(Exception, match="is not Qwen2's"):
        check_pattern(tmp_path)
