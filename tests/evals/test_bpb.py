import asyncio
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from creuset.benchmarks import bpb
from creuset.core.errors import ConfigError, DataError
from creuset.data.shards.files import Counts, ShardWriter, SourceStats, write_index
from creuset.evals.clients.local import LocalClient
from creuset.evals.runner import play
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


def loglikelihood_rolling(folder, paths, **how):
    """What `Bpb` says of a folder's model: rows and measures."""
    context = how.get("context", 0)

    async def run():
        subject = LocalClient(folder, context=context)
        try:
            return await play(bpb.Bpb(paths, **how), subject, Path())
        finally:
            await subject.close()

    played = asyncio.run(run())
    return played.rows, played.measures


def test_bits_of_a_document_count_its_end(folder, model, tokenizer, tmp_path):
    (tmp_path / "a.txt").write_text(TEXTS[0])
    ids = [tokenizer.endoftext, *tokenizer.encode(TEXTS[0]), tokenizer.endoftext]
    (row,), (measure,) = loglikelihood_rolling(folder, [tmp_path / "a.txt"])
    want = -sum(one_by_one(model, ids)) / math.log(2)
    assert row["bits"] == pytest.approx(want, rel=1e-5) and row["tokens"] == len(ids) - 1
    assert measure.score == pytest.approx(want / len(TEXTS[0])) and measure.caveat == "" and "prompt" not in row


def test_long_documents_are_cut_and_an_overlap_gives_them_context(folder, model, tokenizer, tmp_path):
    (tmp_path / "a.txt").write_text(TEXTS[1])
    whole = [tokenizer.endoftext, *tokenizer.encode(TEXTS[1]), tokenizer.endoftext]
    assert len(whole) > 41

    def score(**more):
        return loglikelihood_rolling(folder, [tmp_path / "a.txt"], context=20, **more)[0][0]["bits"] * math.log(2)

    plain = sum(sum(one_by_one(model, whole[start : start + 21])) for start in range(0, len(whole) - 1, 20))
    assert score() == pytest.approx(-plain, rel=1e-5)
    lapped = sum(one_by_one(model, whole[:21])) + sum(
        sum(one_by_one(model, whole[done - 8 : done + 13])[8:]) for done in range(20, len(whole) - 1, 12)
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


def test_shards_and_training_agree_on_the_figure(folder, model, shards):
    from creuset.data.shards.files import Shards

    rows = [measure.row() for measure in loglikelihood_rolling(folder, [shards], context=24)[1]]
    assert [r["source"] for r in rows] == ["en", "fr", "mean over sources"]
    for row in rows[:2]:
        theirs = bits_per_byte(model, Shards.open(shards), row["source"], context=24)
        assert row["score"] == pytest.approx(theirs.bits_per_byte, rel=1e-5)
        assert (row["bytes"], row["tokens"], row["n"]) == (theirs.bytes, theirs.tokens, theirs.documents)
        assert row["interval"][0] <= row["score"] <= row["interval"][1]
    assert rows[2]["score"] == pytest.approx((rows[0]["score"] + rows[1]["score"]) / 2)


def test_held_out_documents_come_back_as_they_were(shards):
    found = [t for t in bpb.read_texts(shards) if t.source == "en"]
    assert [(t.text, t.bytes) for t in found] == [(t, len(t.encode())) for t in TEXTS]


def test_files_of_text_and_jsonl_are_documents(tmp_path):
    (tmp_path / "book.txt").write_text("A river.\n")
    (tmp_path / "rows.jsonl").write_text('{"text": "One."}\n\n{"text": ""}\n{"text": "Deux."}\n{"text": "Three."}\n')
    (book,) = bpb.read_texts(tmp_path / "book.txt")
    assert (book.source, book.bytes, book.text) == ("book", 9, "A river.\n")
    rows = list(bpb.read_texts(tmp_path / "rows.jsonl", limit=2))
    assert [r.text for r in rows] == ["One.", "Deux."]


def test_what_is_no_document_is_refused_by_name(tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"text": "One."}\n{"txt": 1}\n')
    (tmp_path / "x.bin").write_bytes(b"1")
    with pytest.raises(DataError, match=r"rows.jsonl:2.*no `text`"):
        list(bpb.read_texts(tmp_path / "rows.jsonl"))
    for name, words in (("x.bin", "is not a text"), ("none", "does not exist"), ("", "holds no shards")):
        with pytest.raises(ConfigError, match=words):
            list(bpb.read_texts(tmp_path / name))
