"""Training data: recognisers against labels and check digits, counts against a corpus that holds known things."""

import json
import math

import numpy as np
import pytest
import recognisers

from creuset.benchmarks.training_data import corpus
from creuset.core import personal as privacy
from creuset.core.artifact import new_artifact
from creuset.core.errors import ConfigError, DataError
from creuset.core.stats import bootstrap_ratio
from creuset.data.read import training
from creuset.testing import tiny_corpus, tiny_model_folder, tiny_shards
from tests.audit.checks import checked

PLAIN = "The cat sat on the mat and the dog ran to the river, where it was happy with all of its friends that day. "


def test_the_recognisers_find_what_is_labelled_and_nothing_else():
    found = recognisers.agreement()
    assert set(found) == set(privacy.KINDS)
    assert not any(a["labelled_wrong"] or a["labelled_missed"] for a in found.values())
    assert all(a["labelled_right"] for a in found.values())
    assert sum(not has for _, has in recognisers.labelled()) >= 25  # hard negatives


@pytest.mark.parametrize("kind", ["card", "iban", "nir", "siren", "siret", "vat", "rpps", "mrz"])
def test_a_wrong_check_digit_is_no_personal_data(kind):
    seen = 0
    for text, has in recognisers.labelled():
        for name, what in has:
            if name != kind:
                continue
            at = next(i for i in range(len(what) - 1, -1, -1) if what[i].isdigit())
            wrong = what[:at] + str((int(what[at]) + 1) % 10) + what[at + 1 :]
            seen += 1
            assert kind not in [k for k, _ in privacy.find(text.replace(what, wrong))], wrong
    assert seen


def test_what_is_found_is_counted_under_one_kind():
    assert privacy.find("TVA FR40303265045") == [("vat", "FR40303265045")]  # its SIREN is not a second find
    assert privacy.find("") == [] == privacy.find("rien à voir")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model_folder(tmp_path_factory.mktemp("own") / "model")


def audited(path, model, work, part="corpus", **room):
    given = {"corpus": path}
    return {m.metric: m for m in checked(part, model=model, work=work, given=given, **room).measures}


def test_a_corpus_with_known_things_in_it_is_counted(tmp_path, model):
    leaked = "a glass prism splits white light into seven colours because each of them bends by another angle inside"
    texts = [
        PLAIN + "She wrote to claire@acme-demo.com twice.",
        PLAIN + "He is a moron, said the woman.",
        PLAIN + "He is a moron, said the woman.",  # an exact duplicate
        PLAIN + "The French and the Chinese ate with a Christian. [EMAIL] [PHONE]",
        f"{leaked} and {PLAIN}",
        " ".join(str(i * 37 % 991) + " word" for i in range(80)),
    ]
    bench = tmp_path / "bench" / "optics"
    bench.mkdir(parents=True)
    (bench / "test.jsonl").write_text(json.dumps({"question": leaked}) + "\n")
    (tmp_path / "bench" / "other.jsonl").write_text(json.dumps({"question": " ".join(f"absent{i}" for i in range(20))}))
    path = tiny_corpus(tmp_path / "corpus", {"a": texts[:4], "b": texts[4:]})
    found = audited(path, model, tmp_path / "work")
    leaks = audited(path, model, tmp_path / "leaks", "contamination", bench=tmp_path / "bench")

    tables = found["tokens"].extra
    assert found["tokens"].score == sum(s["tokens"] for s in tables["sources"].values()) > 0
    assert {n: s["documents"] for n, s in tables["sources"].items()} == {"a": 4, "b": 2}
    assert tables["licences"]["CC0-1.0"]["documents"] == 6 and tables["languages"]["en"]["documents"] == 6
    email = found["personal.email"]
    assert email.extra["found"] == 1 and email.score == pytest.approx(1e6 / found["tokens"].score)
    assert email.score in email.interval and found["personal.nir"].score == 0.0
    assert found["personal.nir"].interval.high == pytest.approx(3.6889e6 / found["tokens"].score, rel=1e-3)
    assert found["masked"].score == 2
    assert found["toxic_documents.en"].score == pytest.approx(2 / 6) and "toxic.fr" not in found
    known = found["toxic.en"].extra
    assert known["labelled_hits"] == 60 and known["abusive"] == pytest.approx(21 / 60)
    assert known["abusive_interval"][0] < known["abusive"] < known["abusive_interval"][1]
    labels = [json.loads(line) for line in corpus.LABELS.read_text("utf-8").splitlines()]
    assert all(row["word"] in row["context"].lower() for row in labels)
    assert found["gender.en.female"].score == pytest.approx(3 / 5)  # she, woman, woman; he, he
    assert found["origin.europe"].score == found["origin.asia"].score == 0.5
    assert found["religion.christianity"].score == 1.0
    assert found["duplicates.exact"].extra["found"] == 1 and found["duplicates.near"].score == 0.0
    assert leaks["leakage.optics"].extra["found"] == 1 and leaks["leakage.other.jsonl"].extra["found"] == 0
    assert found["tokens"].data == "corpus" and len(found["tokens"].data_sha256) == 64
    assert not (tmp_path / "work" / "corpus" / "signatures.u32").exists()


def test_near_duplicates_are_counted_apart_from_exact_ones(tmp_path, model):
    words = [f"w{i}" for i in range(200)]
    path = tiny_corpus(tmp_path / "corpus", {"a": [" ".join(words), " ".join([*words, "more"]), " ".join(words)]})
    found = audited(path, model, tmp_path / "work")
    assert (found["duplicates.exact"].extra["found"], found["duplicates.near"].extra["found"]) == (1, 1)


def test_shards_and_dialogues_are_read_too_and_held_out_documents_are_not(tmp_path, model):
    shards = tiny_shards(tmp_path / "shards", {"en": [f"{PLAIN} Number {i}." for i in range(8)]})
    found = audited(shards, model, tmp_path / "one")
    assert found["tokens"].n == 8 and found["tokens"].extra["languages"]["en"]["documents"] == 8
    import zstandard

    with new_artifact(tmp_path / "talks", kind="dialogues") as folder:
        said = [{"role": "user", "content": PLAIN}, {"role": "assistant", "content": "Call +33 6 39 98 00 11"}]
        row = {"messages": said, "source": "talk", "licence": "CC0-1.0", "lang": "en"}
        (folder / "dialogues.jsonl.zst").write_bytes(zstandard.compress((json.dumps(row) + "\n").encode()))
    assert audited(tmp_path / "talks", model, tmp_path / "two")["personal.phone"].extra["found"] == 1
    limited = audited(shards, model, tmp_path / "three", limit=3)
    assert limited["tokens"].n == 3 and limited["tokens"].caveat == "3 documents drawn evenly over the whole"
    assert "among these alone" in limited["duplicates.near"].caveat
    drawn = [text.text.split()[-1] for text in training.sampled(shards, 4)]
    assert drawn == ["0.", "2.", "4.", "6."] and len(list(training.sampled(shards, 99))) == 8 == training.size(shards)
    with pytest.raises(ConfigError, match="--bench FOLDER"):
        audited(shards, model, tmp_path / "four", "contamination")


def test_what_is_no_training_data_is_refused(tmp_path, model):
    with new_artifact(tmp_path / "thing", kind="evaluation"):
        pass
    with pytest.raises(ConfigError, match="is no training data but of kind evaluation"):
        audited(tmp_path / "thing", model, tmp_path / "work")
    empty = tiny_corpus(tmp_path / "empty", {"a": []})
    with pytest.raises(DataError, match="has no training document"):
        audited(empty, model, tmp_path / "work")
    with new_artifact(tmp_path / "torn", kind="dialogues") as folder:
        import zstandard

        (folder / "dialogues.jsonl.zst").write_bytes(zstandard.compress(b'{"messages": []}\n{"mess\n'))
    with pytest.raises(DataError, match="line 2 is not JSON"):
        audited(tmp_path / "torn", model, tmp_path / "work")


def test_the_interval_of_a_ratio_agrees_with_the_bootstrap():
    draw = np.random.default_rng(4)
    wholes = draw.integers(50, 500, 400).astype(float)
    parts = draw.poisson(wholes * draw.gamma(2, 0.01, 400)).astype(float)
    ratio = corpus.Ratio()
    for part, whole in zip(parts, wholes, strict=True):
        ratio.add(part, whole)
    ours, theirs = ratio.interval(), bootstrap_ratio(parts, wholes)
    assert ours is not None
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=0.05)
    assert corpus.Ratio().interval() is None
    assert math.exp(-corpus.POISSON_0) == pytest.approx(0.025)
