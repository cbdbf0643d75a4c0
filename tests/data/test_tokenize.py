import json
import shutil
from itertools import pairwise

import pytest

from creuset.core.artifact import ancestors, new_artifact, read_manifest, verify
from creuset.core.errors import ArtifactError, ConfigError
from creuset.data.shards import tokenize as module
from creuset.data.shards.files import Shards
from creuset.data.shards.tokenize import tokenize
from creuset.testing import tiny_corpus, tiny_shards, tiny_tokenizer
from creuset.text.bulk import BulkEncoder
from creuset.text.tokenizer import Tokenizer

TEXTS = {
    "wiki": ["The cat sat.", "", "Le chat <|endoftext|> dort.", "x" * 5000, "é" * 300] * 7,
    "books": ["A river is water that flows."] * 3,
}
HELDOUT = {"wiki": ["The dog ran.", "Où ?"]}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    corpus = tiny_corpus(folder / "corpus", TEXTS, heldout=HELDOUT)
    with new_artifact(folder / "tokenizer", kind="tokenizer", parents=[corpus]) as scratch:
        tiny_tokenizer().save(scratch)
    return corpus, folder / "tokenizer"


def documents(shards, source, split):
    tokens, offsets = shards.tokens(source, split), shards.offsets(source, split)
    return [tokens[a:b].tolist() for a, b in pairwise(offsets)]


def test_every_document_is_there_once_in_order_and_ended(tmp_path, inputs):
    stats = tokenize(*inputs, tmp_path / "shards")
    shards = Shards.open(tmp_path / "shards")
    words = Tokenizer.load(shards.tokenizer)
    for split, parts in (("train", TEXTS), ("heldout", HELDOUT)):
        for source, texts in parts.items():
            found = documents(shards, source, split)
            assert found == [[*words.encode(text), words.endoftext] for text in texts]
            assert shards.bytes(source, split).tolist() == [len(text.encode()) for text in texts]
    assert shards.sources == stats and stats["books"].heldout.documents == 0
    assert stats["wiki"].licence == "CC0-1.0" and shards.eot == words.endoftext


def test_the_artifact_is_whole_and_knows_corpus_and_tokenizer(tmp_path, inputs):
    tokenize(*inputs, tmp_path / "shards")
    assert verify(tmp_path / "shards") == []
    assert [m["kind"] for m in ancestors(tmp_path / "shards")] == ["shards", "corpus", "tokenizer"]
    facts = read_manifest(tmp_path / "shards")["facts"]
    assert facts["vocab_size"] == 512 and set(facts["bytes_per_token"]) == {"wiki", "books"}


def test_a_control_token_inside_a_document_stays_text(tmp_path, inputs):
    tokenize(*inputs, tmp_path / "shards")
    shards = Shards.open(tmp_path / "shards")
    tokens = shards.tokens("wiki", "train")
    assert (tokens == shards.eot).sum() == len(TEXTS["wiki"])
    assert not (tokens > shards.eot).any()


@pytest.mark.parametrize("stop_after", range(4))
def test_killed_it_goes_on_and_the_shards_are_the_same(tmp_path, inputs, monkeypatch, stop_after):
    monkeypatch.setattr(module, "BATCH_BYTES", 4000)
    tokenize(*inputs, tmp_path / "whole")
    written = []

    def kill_after(words, texts, encode=BulkEncoder.encode_batch):
        if len(written) == stop_after:
            raise KeyboardInterrupt
        written.append(texts)
        return encode(words, texts)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(BulkEncoder, "encode_batch", kill_after)
        tokenize(*inputs, tmp_path / "cut")
    again = []

    def count(words, texts, encode=BulkEncoder.encode_batch):
        again.extend(texts)
        return encode(words, texts)

    with monkeypatch.context() as patch:
        patch.setattr(BulkEncoder, "encode_batch", count)
        tokenize(*inputs, tmp_path / "cut")
    whole, cut = read_manifest(tmp_path / "whole"), read_manifest(tmp_path / "cut")
    assert whole["files"] == cut["files"]
    assert len(again) == 40 - sum(map(len, written))  # nothing was encoded twice


def test_several_processes_write_what_one_writes(tmp_path, inputs, monkeypatch):
    monkeypatch.setattr(module, "BATCH_BYTES", 1000)
    tokenize(*inputs, tmp_path / "one", workers=1)
    tokenize(*inputs, tmp_path / "two", workers=2)
    assert read_manifest(tmp_path / "one")["files"] == read_manifest(tmp_path / "two")["files"]


def test_the_scratch_of_another_corpus_is_not_continued(tmp_path, inputs):
    scratch = tmp_path / "shards.partial"
    (scratch / "train").mkdir(parents=True)
    (scratch / "train" / "wiki.bin").write_bytes(b"old")
    (scratch / "resume.json").write_text(json.dumps({"corpus": "another"}))
    tokenize(*inputs, tmp_path / "shards")
    assert verify(tmp_path / "shards") == [] and Shards.open(tmp_path / "shards").sources["wiki"].train.documents == 35


def test_chosen_sources_only(tmp_path, inputs):
    assert list(tokenize(*inputs, tmp_path / "shards", sources=["books"])) == ["books"]
    with pytest.raises(ConfigError, match="has no source `boks`"):
        tokenize(*inputs, tmp_path / "more", sources=["boks"])


def test_a_source_without_a_licence_is_refused(tmp_path, inputs):
    corpus = tmp_path / "corpus"
    shutil.copytree(inputs[0], corpus)
    (corpus / "ledger.json").write_text('[{"name": "wiki", "licence": "CC0-1.0"}, {"name": "books"}]')
    with pytest.raises(ConfigError, match="gives no licence for `books`"):
        tokenize(corpus, inputs[1], tmp_path / "shards")


def test_what_is_not_a_tokenizer_artifact_is_refused(tmp_path, inputs):
    with pytest.raises(ArtifactError, match="is not a tokenizer artifact"):
        tokenize(inputs[0], inputs[0], tmp_path / "shards")


def test_tiny_shards_for_other_tests(tmp_path):
    shards = Shards.open(tiny_shards(tmp_path / "shards"))
    assert set(shards.sources) == {"en", "fr"} and shards.vocab_size == 512
