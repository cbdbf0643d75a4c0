import math

import numpy as np
import pytest
import torch

from creuset.core.errors import ConfigError, DataError
from creuset.data.shards import Counts, ShardWriter, SourceStats, write_index
from creuset.evals import bpb, documents
from creuset.model.attention import Packed
from creuset.model.score import Reading, log_likelihoods
from creuset.train.evaluate import bits_per_byte

TEXTS = ["The cat sat on the mat.", "A river is water that flows to the sea. " * 6, "Où est l'école ?", "It is Paris."]


def one_by_one(model, ids):
    """The definition: the probability of each next token, one pass a token."""
    found = []
    with torch.inference_mode():
        for end in range(1, len(ids)):
            hidden = model(torch.tensor(ids[:end]), torch.arange(end), Packed([end]))
            found.append(float(model.logits(hidden[-1:])[0].double().log_softmax(-1)[ids[end]]))
    return found


def test_likelihoods_are_those_of_one_token_at_a_time(model, tokenizer):
    whole = [np.array([tokenizer.endoftext, *tokenizer.encode(text)])[:40] for text in TEXTS]
    readings = [Reading(ids, skip) for ids, skip in zip(whole, (0, 3, 1, 0), strict=True)]
    for size in (30, 4096):
        found = dict((i, v) for i, v, _ in log_likelihoods(model, readings, tokens_per_batch=size))
        for i, reading in enumerate(readings):
            want = one_by_one(model, reading.ids.tolist())[reading.scored :]
            assert found[i].tolist() == pytest.approx(want, abs=1e-4)


def test_bits_of_a_document_count_its_end(model, tokenizer):
    ids = np.array([*tokenizer.encode(TEXTS[0]), tokenizer.endoftext])
    text = documents.Text("a", 0, ids, len(TEXTS[0].encode()))
    (scored,) = bpb.score_documents(model, [text], eot=tokenizer.endoftext, context=48)
    want = -sum(one_by_one(model, [tokenizer.endoftext, *ids.tolist()])) / math.log(2)
    assert scored.bits == pytest.approx(want, rel=1e-5) and scored.tokens == len(ids)


def test_long_documents_are_cut_and_an_overlap_gives_them_context(model, tokenizer):
    ids = np.array([*tokenizer.encode(TEXTS[1]), tokenizer.endoftext])
    text = documents.Text("a", 0, ids, len(TEXTS[1].encode()))
    whole = [tokenizer.endoftext, *ids.tolist()]
    assert len(ids) > 40

    def score(**more):
        return bpb.score_documents(model, [text], eot=tokenizer.endoftext, context=20, **more)[0].bits * math.log(2)

    plain = sum(sum(one_by_one(model, whole[start : start + 21])) for start in range(0, len(ids), 20))
    assert score() == pytest.approx(-plain, rel=1e-5)
    lapped = sum(one_by_one(model, whole[:21])) + sum(
        sum(one_by_one(model, whole[done - 8 : done + 13])[8:]) for done in range(20, len(ids), 12)
    )
    assert score(overlap=8) == pytest.approx(-lapped, rel=1e-5)


@pytest.fixture(scope="module")
def shards(tmp_path_factory, tokenizer):
    path = tmp_path_factory.mktemp("shards") / "s"
    stats = {}
    for source, texts in (("en", TEXTS), ("fr", TEXTS[2:])):
        counts = []
        for split in ("train", "heldout"):
            writer = ShardWriter(path, split, source, vocab_size=tokenizer.vocab_size, eot=tokenizer.endoftext)
            for text in texts:
                writer.add(tokenizer.encode(text), text_bytes=len(text.encode()))
            counts.append(writer.finish())
        stats[source] = SourceStats("CC0", *counts)
    write_index(path, stats, vocab_size=tokenizer.vocab_size, eot=tokenizer.endoftext)
    tokenizer.save(path / "tokenizer")
    assert isinstance(stats["en"].train, Counts)
    return path


def test_shards_and_training_agree_on_the_figure(model, tokenizer, shards):
    from creuset.data.shards import Shards

    scored = bpb.score_documents(model, documents.read(shards, tokenizer), eot=tokenizer.endoftext, context=24)
    rows = bpb.summarise(scored)
    assert [r["source"] for r in rows] == ["en", "fr", "mean over sources"]
    for row in rows[:2]:
        theirs = bits_per_byte(model, Shards.open(shards), row["source"], context=24)
        assert row["score"] == pytest.approx(theirs.bits_per_byte, rel=1e-5)
        assert (row["bytes"], row["tokens"], row["n"]) == (theirs.bytes, theirs.tokens, theirs.documents)
        assert row["interval"][0] <= row["score"] <= row["interval"][1]
    assert rows[2]["score"] == pytest.approx((rows[0]["score"] + rows[1]["score"]) / 2)


def test_shards_of_another_tokenizer_are_cut_anew(shards):
    from creuset.testing import tiny_tokenizer

    other = tiny_tokenizer(400)
    found = [t for t in documents.read(shards, other) if t.source == "en"]
    assert [other.decode(t.ids[:-1].tolist()) for t in found] == TEXTS and found[0].ids[-1] == other.endoftext
    assert [t.bytes for t in found] == [len(t.encode()) for t in TEXTS]


def test_files_of_text_and_jsonl_are_documents(tmp_path, tokenizer):
    (tmp_path / "book.txt").write_text("A river.\n")
    (tmp_path / "rows.jsonl").write_text('{"text": "One."}\n\n{"text": ""}\n{"text": "Deux."}\n{"text": "Three."}\n')
    (book,) = documents.read(tmp_path / "book.txt", tokenizer)
    assert (book.source, book.bytes) == ("book", 9) and book.ids[-1] == tokenizer.endoftext
    rows = list(documents.read(tmp_path / "rows.jsonl", tokenizer, limit=2))
    assert [tokenizer.decode(r.ids[:-1].tolist()) for r in rows] == ["One.", "Deux."]


def test_what_is_no_document_is_refused_by_name(tmp_path, tokenizer):
    (tmp_path / "rows.jsonl").write_text('{"text": "One."}\n{"txt": 1}\n')
    (tmp_path / "x.bin").write_bytes(b"1")
    with pytest.raises(DataError, match=r"rows.jsonl:2.*no `text`"):
        list(documents.read(tmp_path / "rows.jsonl", tokenizer))
    for name, words in (("x.bin", "is not a text"), ("none", "does not exist"), ("", "holds no shards")):
        with pytest.raises(ConfigError, match=words):
            list(documents.read(tmp_path / name, tokenizer))
