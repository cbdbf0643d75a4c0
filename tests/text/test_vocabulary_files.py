"""Vocabularies that are no tokenizer.json: GGUF metadata, sentencepiece models, vocab.json with merges.txt."""

import functools
import io
import json
from pathlib import Path
from typing import Any

import pytest
import sentencepiece

from creuset.core.errors import ArtifactError
from creuset.text.tokenizer import Tokenizer
from creuset.text.vocabulary.gguf import PATTERNS, gguf_config, gguf_spec
from creuset.text.vocabulary.gguf_keys import vocabulary_keys
from creuset.text.vocabulary.sentencepiece import read_model_file
from tests.text.foreign import CONTROLS, SOUND, TEXTS, write

# What the GGUF says and what a tokenizer.json may say more: a normaliser besides the pre-tokenizer's name.
AS_GGUF = ("llama3", "qwen3", "smollm2", "gpt_oss", "deepseek", "llama2", "phi")


@functools.cache
def keys(family: str, folder: Path) -> dict[str, Any]:
    tokenizer = Tokenizer.load(write(folder, family))
    return vocabulary_keys(folder, tokenizer.vocab_size, set(tokenizer.end_ids))


def of_gguf(metadata: dict[str, Any]) -> Tokenizer:
    return Tokenizer(gguf_spec(metadata, "m.gguf"), where="m.gguf", config=gguf_config(metadata))


@pytest.mark.parametrize("family", AS_GGUF)
def test_the_vocabulary_of_a_gguf_file_is_that_of_the_folder(family, tmp_path):
    said = keys(family, tmp_path)
    assert not any("huggingface" in key for key in said)
    found, folder = of_gguf(said), Tokenizer.load(tmp_path)
    assert (found.special, found.hidden, found.frame) == (folder.special, folder.hidden, folder.frame)
    assert found.named_tokens["eos_token"] == CONTROLS[family][1] and found.end_ids == folder.end_ids
    for text in SOUND:
        ids = folder.encode(text)
        assert found.encode(text) == ids and found.encode_special(text) == folder.encode_special(text), text
        assert found.decode(ids) == folder.decode(ids)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tokenizer.ggml.model": "rwkv"}, "`tokenizer.ggml.model` is 'rwkv'; read are gpt2, llama, t5 and gemma4"),
        ({"tokenizer.ggml.tokens": None}, "has no vocabulary: `tokenizer.ggml.tokens` is missing"),
        ({"tokenizer.ggml.pre": "mine"}, "`tokenizer.ggml.pre` is 'mine'"),
        ({"tokenizer.ggml.pre": None}, "`tokenizer.ggml.pre` does not say how a text is cut into words"),
        ({"tokenizer.ggml.merges": None}, "has no `tokenizer.ggml.merges`"),
        ({"tokenizer.ggml.token_type": [1, 1]}, "tokens and 2 types"),
        ({"tokenizer.ggml.merges": ["x yz"]}, "is damaged"),
    ],
)
def test_a_vocabulary_that_is_not_known_is_refused_by_its_field(change, words, tmp_path):
    with pytest.raises(ArtifactError, match=words) as refused:
        of_gguf(keys("llama3", tmp_path) | change)
    assert "`m.gguf`" in str(refused.value)


def test_lists_of_a_sentencepiece_vocabulary_must_agree(tmp_path):
    with pytest.raises(ArtifactError, match="tokens, 1 scores and"):
        of_gguf(keys("llama2", tmp_path) | {"tokenizer.ggml.scores": [0.0]})


@pytest.mark.parametrize("pre", PATTERNS)
def test_every_named_pattern_is_one_that_the_library_takes(pre, tmp_path):
    found = of_gguf(keys("smollm2", tmp_path) | {"tokenizer.ggml.pre": pre})
    text = "It's  2024, 12345 ÉTÉ naïve\n\n  def f(x): 你好"
    assert found.decode(found.encode(text)) == text


# sentencepiece


def trained(kind: str, rule: str, *, squeeze: bool) -> bytes:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([text for text in TEXTS if text.strip() and "\0" not in text]), model_writer=model,
        vocab_size=700, model_type=kind, normalization_rule_name=rule, remove_extra_whitespaces=squeeze,
        byte_fallback=True, character_coverage=0.98, user_defined_symbols=["<user>"], control_symbols=["<ctl>"],
        minloglevel=2, hard_vocab_limit=False,
    )  # fmt: skip
    return model.getvalue()


MODELS = {
    "Llama's": ("bpe", "identity", False), "normalised": ("bpe", "nmt_nfkc", True),
    "T5's": ("unigram", "nmt_nfkc", True), "plain unigram": ("unigram", "identity", False),
}  # fmt: skip
# A Unigram of the library finds the names of byte tokens in a text, and takes another of two cuts with one sum.
OTHERWISE = ("<0x0A>", "9" * 40)


@pytest.mark.parametrize("name", MODELS)
def test_a_sentencepiece_model_is_read_as_sentencepiece_reads_it(name, tmp_path):
    kind, rule, squeeze = MODELS[name]
    data = trained(kind, rule, squeeze=squeeze)
    (tmp_path / "tokenizer.model").write_bytes(data)
    said = {"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(said))
    peer, found = sentencepiece.SentencePieceProcessor(model_proto=data), Tokenizer.load(tmp_path)
    for text in SOUND:
        if kind == "bpe" or text not in OTHERWISE:
            ids = peer.encode(text)
            assert found.encode(text) == ids and found.decode(ids) == peer.decode(ids), text
    assert found.frame == ([1], []) and found.end_ids == {2}
    assert set(found.special) == {"<unk>", "<s>", "</s>", "<ctl>"}  # <user> is a piece of text
    assert found.encode("a<user>b").count(peer.piece_to_id("<user>")) == 1

    pieces = read_model_file(tmp_path / "tokenizer.model", whole_text_prefix=False)
    metadata = {
        "tokenizer.ggml.model": "llama" if kind == "bpe" else "t5", "tokenizer.ggml.tokens": list(pieces.pieces),
        "tokenizer.ggml.scores": list(pieces.scores), "tokenizer.ggml.token_type": list(pieces.kinds),
        "tokenizer.ggml.remove_extra_whitespaces": squeeze, "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.precompiled_charsmap": list(pieces.charsmap), "tokenizer.ggml.eos_token_id": 2,
    }  # fmt: skip
    of_file = of_gguf(metadata)
    assert [of_file.encode(text) for text in SOUND] == [found.encode(text) for text in SOUND]
    assert of_file.frame == (([1], []) if kind == "bpe" else ([], [2]))


@pytest.mark.parametrize("data", [b"", b"not a model at all", b"\x0a\xff"])
def test_a_file_that_is_no_sentencepiece_model_is_refused(data, tmp_path):
    (tmp_path / "tokenizer.model").write_bytes(data)
    with pytest.raises(ArtifactError, match=r"tokenizer\.model` is (damaged: it is )?not a sentencepiece"):
        Tokenizer.load(tmp_path)


def test_words_and_merges_are_read_for_the_classes_that_say_how_they_cut(tmp_path):
    whole = Tokenizer.load(write(tmp_path / "whole", "qwen3"))
    spec = json.loads((tmp_path / "whole" / "tokenizer.json").read_text())
    folder = tmp_path / "parts"
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps(spec["model"]["vocab"]))
    lines = [" ".join(merge) for merge in spec["model"]["merges"]]
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(lines) + "\n", encoding="utf-8")
    listed = {str(t.pop("id")): t for t in spec["added_tokens"]}
    config = {"tokenizer_class": "Qwen2Tokenizer", "added_tokens_decoder": listed, "eos_token": "<|im_end|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    found = Tokenizer.load(folder)
    assert found.special == whole.special and found.hidden == whole.hidden
    assert [found.encode(text) for text in SOUND] == [whole.encode(text) for text in SOUND]
    assert [found.encode_special(text) for text in SOUND] == [whole.encode_special(text) for text in SOUND]

    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"tokenizer_class": "RobertaTokenizerFast"}))
    with pytest.raises(ArtifactError, match="its class `RobertaTokenizer` does is not known here") as refused:
        Tokenizer.load(folder)
    assert "AutoTokenizer" in refused.value.hint and f"save_pretrained('{folder}')" in refused.value.hint
