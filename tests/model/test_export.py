import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from creuset.cli import main
from creuset.core.artifact import new_artifact
from creuset.core.errors import ArtifactError
from creuset.core.gguf import GgufFile
from creuset.model.formats.weights import load_model
from creuset.model.hub import end_ids, recommended_sampling, stated_sampling
from creuset.model.quant import QuantPlan, quantize_folder
from creuset.testing import tiny_model_folder, tiny_tokenizer
from creuset.text.chat import chat_template, render
from creuset.text.sources import read_templates
from creuset.text.tokenizer import Tokenizer
from creuset.text.vocabulary.gguf_keys import vocabulary_keys
from creuset.text.vocabulary.sentencepiece import BYTE, CONTROL_PIECE, NORMAL, UNKNOWN, UNUSED, USER_DEFINED


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


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ({"do_sample": True, "temperature": 0.3, "top_p": 0.9, "top_k": 7, "repetition_penalty": 1.05}, None),
        ({"do_sample": False}, None),
        ({"do_sample": True, "min_p": 0.1}, None),
        ({}, {}),
    ],
)
def test_sampling_travels_with_an_exported_model_and_none_is_invented(
    stated: dict[str, Any], expected: dict[str, Any] | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tiny_model_folder(tmp_path / "model")
    (folder / "generation_config.json").write_text(json.dumps(stated))
    exported(folder, tmp_path / "out", capsys, "--gguf", str(tmp_path / "m.gguf"))
    for made in (tmp_path / "out", tmp_path / "m.gguf"):
        told = {k: v for k, v in stated_sampling(made).items() if not k.endswith("_token_id")}
        wanted = stated if expected is None else expected
        if made.is_file():  # a GGUF file has no word for the rest
            wanted = {"temperature": 0.0} if wanted == {"do_sample": False} else wanted
            wanted = {k: v for k, v in wanted.items() if k in ("temperature", "top_p", "top_k", "min_p")}
        assert told == pytest.approx(wanted), made
    assert recommended_sampling(tmp_path / "out") == recommended_sampling(folder)


def test_what_the_card_said_of_sampling_travels_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sampling = {"temperature": 0.2, "top_p": 0.9}
    with new_artifact(tmp_path / "pulled", kind="model", facts={"origin": {"name": "x", "sampling": sampling}}) as made:
        tiny_model_folder(made / "inner")
        for file in (made / "inner").iterdir():
            file.rename(made / file.name)
        (made / "inner").rmdir()
        (made / "generation_config.json").write_text("{}")
    exported(tmp_path / "pulled", tmp_path / "out", capsys)
    told = json.loads((tmp_path / "out" / "generation_config.json").read_text())
    assert {name: told[name] for name in ("do_sample", *sampling)} == sampling | {"do_sample": True}


def test_gguf_is_written_with_vocabulary_ends_and_template(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, file = tiny_model_folder(tmp_path / "model"), tmp_path / "m.gguf"
    assert main(["export", str(folder), "--gguf", str(file), "--dtype", "fp32", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)["gguf"]
    assert report == {"file": str(file), "bytes": file.stat().st_size, "tensors": {"F32": 26}}
    tokenizer, metadata = tiny_tokenizer(), GgufFile(file).metadata
    assert recommended_sampling(file) == recommended_sampling(folder)
    assert metadata["general.name"] == "model" and metadata["tokenizer.ggml.pre"] == "qwen2"
    tokens, types = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"]
    assert len(tokens) == tokenizer.vocab_size == len(types)
    assert tokens[tokenizer.im_end] == "<|im_end|>" and types[tokenizer.im_end] == CONTROL_PIECE
    assert types[tokenizer.special["<tool_call>"]] == USER_DEFINED and types[0] == NORMAL
    assert metadata["tokenizer.ggml.eos_token_id"] == tokenizer.im_end
    assert end_ids(file) == {tokenizer.im_end, tokenizer.endoftext}
    assert metadata["tokenizer.chat_template"] == chat_template()
    assert not metadata["tokenizer.ggml.add_bos_token"] and "tokenizer.ggml.bos_token_id" not in metadata


def test_a_gguf_file_goes_back_to_a_folder_with_the_same_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, file, again = tiny_model_folder(tmp_path / "model"), tmp_path / "m.gguf", tmp_path / "again"
    assert main(["export", str(folder), "--gguf", str(file), "--dtype", "fp32"]) == 0
    capsys.readouterr()
    exported(file, again, capsys, "--dtype", "fp32")
    for name, value in load_model(folder).state_dict().items():
        assert torch.equal(value, load_model(again).state_dict()[name]), name
    first, last = Tokenizer.load(folder), Tokenizer.load(again)
    text = "The river, l'e\u0301cole <|im_end|> 123\n\n  x"
    assert first.encode(text) == last.encode(text) == Tokenizer.load(file).encode(text)
    assert first.special == last.special and first.hidden == last.hidden and end_ids(again) == end_ids(file)
    assert read_templates(again) == read_templates(file) == {"default": chat_template()}
    config = json.loads((again / "config.json").read_text())
    assert config["eos_token_id"] == first.im_end and config["torch_dtype"] == "float32"


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        ([], 2, "nothing to write"),
        (["{tmp}/out", "--dtype", "fp16"], 2, "--dtype fp16 is for --gguf"),
        (["--gguf", "{tmp}/model/config.json"], 3, "config.json` already exists"),
    ],
)
def test_what_cannot_be_exported_is_refused(
    more: list[str], code: int, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tiny_model_folder(tmp_path / "model")
    assert main(["export", str(folder), *(word.format(tmp=tmp_path) for word in more)]) == code
    assert words in capsys.readouterr().err and not (tmp_path / "out").exists()


def changed(folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    spec = json.loads((folder / "tokenizer.json").read_text())
    change(spec)
    (folder / "tokenizer.json").write_text(json.dumps(spec))
    return folder


def cut_otherwise(spec: dict[str, Any]) -> None:
    spec["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = r"\w+|\W+"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (cut_otherwise, "llama.cpp has no name for a tokenizer that cuts text by"),
        (lambda spec: spec["model"].update(type="WordPiece"), "holds a WordPiece model: only BPE can be written"),
        (lambda spec: spec["added_tokens"][0].update(id=9999), "token 9999 has no row in the embedding, which has 512"),
    ],
)
def test_a_tokenizer_that_llama_cpp_has_not_is_refused(
    change: Callable[[dict[str, Any]], None], words: str, tmp_path: Path
) -> None:
    tiny_tokenizer().save(tmp_path)
    with pytest.raises(ArtifactError, match=words):
        vocabulary_keys(changed(tmp_path, change), 512, set())


def metaspace(spec: dict[str, Any]) -> None:
    """A tokenizer in Llama 2's way: `▁` for spaces, and a byte token for what has no other."""
    vocab = {"<unk>": 0, "<s>": 1, "</s>": 2, **{f"<0x{byte:02X}>": 3 + byte for byte in range(256)}}
    merges = ["▁ a", "b c", "▁a bc"]
    for text in ("▁", "a", "b", "c", "▁a", "bc", "▁abc"):
        vocab[text] = len(vocab)
    spec["model"] = {
        "type": "BPE", "vocab": vocab, "merges": merges, "byte_fallback": True, "unk_token": "<unk>", "fuse_unk": True,
    }  # fmt: skip
    spec["normalizer"] = {"type": "Prepend", "prepend": "▁"}
    spec["pre_tokenizer"], spec["decoder"] = None, {"type": "ByteFallback"}
    spec["added_tokens"] = [
        {"id": at, "content": text, "special": True} for at, text in enumerate(("<unk>", "<s>", "</s>"))
    ]
    spec["post_processor"] = {
        "type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}],
    }  # fmt: skip


def test_a_vocabulary_of_characters_gets_scores_by_the_order_of_its_merges(tmp_path: Path) -> None:
    tiny_tokenizer().save(tmp_path)
    config = {"bos_token": "<s>", "eos_token": {"content": "</s>"}, "unk_token": "<unk>"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    found = vocabulary_keys(changed(tmp_path, metaspace), 270, {2})
    assert found["tokenizer.ggml.model"] == "llama" and found["tokenizer.ggml.add_space_prefix"]
    tokens, scores, types = (found[f"tokenizer.ggml.{name}"] for name in ("tokens", "scores", "token_type"))
    assert len(tokens) == len(scores) == len(types) == 270 and tokens[266:] == [f"[PAD{n}]" for n in range(266, 270)]
    by_score = sorted(("▁a", "bc", "▁abc"), key=lambda text: -scores[tokens.index(text)])
    assert by_score == ["▁a", "bc", "▁abc"] and all(scores[tokens.index(text)] < -1e5 for text in "abc▁")
    kinds = [types[0], types[1], types[3], types[tokens.index("a")], types[-1]]
    assert kinds == [UNKNOWN, CONTROL_PIECE, BYTE, NORMAL, UNUSED]
    ids = {key: found[f"tokenizer.ggml.{key}_token_id"] for key in ("bos", "eos", "unknown")}
    assert ids == {"bos": 1, "eos": 2, "unknown": 0} and found["tokenizer.ggml.add_bos_token"]
