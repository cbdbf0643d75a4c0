import io
import json
import random
import sys

import pytest
import zstandard

from creuset.cli import main
from creuset.core.artifact import read_manifest, verify
from creuset.data.build.documents import sample
from creuset.testing import TINY_TEXTS, tiny_corpus
from creuset.text.tokenizer import Tokenizer
from tests.text.foreign import write


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    corpus = tiny_corpus(folder / "corpus", {"en_wiki": TINY_TEXTS[:3] * 5, "fr_wiki": TINY_TEXTS[3:4] * 5})
    out = folder / "tokenizer"
    assert main(["tokenizer", "train", "--corpus", str(corpus), "--vocab-size", "400", "--out", str(out)]) == 0
    return out


def test_a_trained_tokenizer_is_an_artifact_that_knows_its_corpus_and_its_bytes_a_token(trained):
    manifest = read_manifest(trained)
    assert verify(trained) == [] and manifest["parents"][0]["kind"] == "corpus"
    assert manifest["settings"]["limits_mb"] == {"en_wiki": 12.0, "fr_wiki": 12.0}
    assert manifest["facts"]["trained_on_texts"] == 20
    ratios = manifest["facts"]["bytes_per_token"]
    assert set(ratios) == {"en_wiki", "fr_wiki"} and all(ratio > 2 for ratio in ratios.values())
    assert Tokenizer.load(trained).vocab_size == 400


def test_plain_text_files_are_enough(tmp_path, capsys):
    (tmp_path / "a.txt").write_text("the cat sat on the mat\n" * 30)
    origin, out = ["--text", str(tmp_path / "a.txt")], ["--out", str(tmp_path / "t")]
    command = ["tokenizer", "train", *origin, *out, "--vocab-size=300"]
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["trained_on_bytes"] == 30 * 23
    assert verify(tmp_path / "t") == []
    assert main(command) == 3 and "already exists" in capsys.readouterr().err


def test_sources_can_be_chosen_and_limited_one_by_one(tmp_path, capsys):
    corpus = tiny_corpus(tmp_path / "c", {name: ["the cat sat\n" * 100] * 100 for name in ("a", "b", "c")})
    command = ["tokenizer", "train", "--corpus", str(corpus), "--out", str(tmp_path / "t"), "--vocab-size=300"]
    assert main([*command, "--sources", "a=0.03,b", "--json"]) == 0
    assert 130_000 < json.loads(capsys.readouterr().out)["trained_on_bytes"] < 170_000
    assert read_manifest(tmp_path / "t")["settings"]["limits_mb"] == {"a": 0.03, "b": 12.0}
    assert main([*command, "--sources", "a=many"]) == 2 and "a=many: expected a number" in capsys.readouterr().err


def test_what_cannot_be_is_refused_with_its_name(tmp_path, trained, capsys):
    out = ["--out", str(tmp_path / "t")]
    assert main(["tokenizer", "train", "--corpus", str(trained), *out]) == 3
    assert "is a tokenizer artifact, not a corpus" in capsys.readouterr().err
    corpus = tiny_corpus(tmp_path / "c", {"wiki": ["a"]})
    assert main(["tokenizer", "train", "--corpus", str(corpus), "--sources", "wikki", *out]) == 2
    assert "no source `wikki`" in capsys.readouterr().err
    assert main(["tokenizer", "train", "--text", str(tmp_path / "none.txt"), *out]) == 2
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    assert main(["tokenizer", "train", "--text", str(tmp_path / "latin.txt"), *out]) == 3
    assert "is not UTF-8" in capsys.readouterr().err
    assert not (tmp_path / "t").exists()


def test_encode_and_decode_are_inverse(trained, capsys):
    text = "Où est le chat ? <|im_end|>"
    assert main(["tokenizer", "encode", "--tokenizer", str(trained), text]) == 0
    ids = capsys.readouterr().out.split()
    assert main(["tokenizer", "decode", "--tokenizer", str(trained), *ids]) == 0
    assert capsys.readouterr().out == text
    flags = ["--special", "--json", "--pieces"]
    assert main(["tokenizer", "encode", "--tokenizer", str(trained), *flags, "a<|im_end|>"]) == 0
    assert json.loads(capsys.readouterr().out)["pieces"] == ["a", "<|im_end|>"]


def test_any_bytes_pass_through_stdin(trained, capsysbinary, monkeypatch):
    data = b"caf\xe9 \xff\x00 \xf0\x9f\x98\x80"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert main(["tokenizer", "encode", "--tokenizer", str(trained)]) == 0
    ids = capsysbinary.readouterr().out
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(ids)))
    assert main(["tokenizer", "decode", "--tokenizer", str(trained)]) == 0
    assert capsysbinary.readouterr().out == data


def test_a_sample_is_spread_over_the_file_and_always_the_same(tmp_path):
    corpus = tiny_corpus(tmp_path / "c", {"wiki": [f"{i:04d}" * 10 for i in range(1000)]})
    file = corpus / "docs" / "wiki.jsonl.zst"
    part = list(sample(file, limit_bytes=10_000))
    assert part == list(sample(file, limit_bytes=10_000))
    assert 8_000 < sum(map(len, part)) < 12_000 and part[0] < "0050" and part[-1] > "0950"
    assert len(list(sample(file, limit_bytes=0))) == len(list(sample(file, limit_bytes=10**9))) == 1000


def test_a_damaged_document_is_named_by_line(tmp_path, capsys):
    corpus = tiny_corpus(tmp_path / "c", {"wiki": ["a", "b"]})
    file = corpus / "docs" / "wiki.jsonl.zst"
    file.write_bytes(zstandard.compress(b'{"text": "a"}\n{"text": 3\n'))
    command = ["tokenizer", "train", "--corpus", str(corpus), "--out", str(tmp_path / "t")]
    assert main(command) == 3
    assert "wiki.jsonl.zst` is damaged at line 2" in capsys.readouterr().err
    noise = random.Random(0).randbytes(10**6).hex()
    file.write_bytes(zstandard.compress(json.dumps({"text": noise}).encode() + b"\n")[:-1000])
    assert main(command) == 3 and "wiki.jsonl.zst` is cut off at line 1" in capsys.readouterr().err


@pytest.mark.parametrize("family", ["llama2", "gemma", "eurollm", "llama3"])
def test_the_verbs_take_the_tokenizers_of_other_models(family, tmp_path, capfdbinary):
    path = ["--tokenizer", str(write(tmp_path / family, family))]
    said = "a river of water</s> <|eot_id|>"
    assert main(["tokenizer", "encode", said, "--json", "--pieces", *path]) == 0
    found = json.loads(capfdbinary.readouterr().out)
    tokenizer = Tokenizer.load(tmp_path / family)
    assert found["ids"] == tokenizer.encode(said) and not set(found["ids"]) & set(tokenizer.special.values())
    assert "".join(found["pieces"]).strip() == said
    assert main(["tokenizer", "decode", *map(str, found["ids"]), *path]) == 0
    assert capfdbinary.readouterr().out.decode() == said
