"""Attacks change what they say and no more; false alarms come as often as the p-value says; the cost is a cost."""

import asyncio
import dataclasses
import itertools
import json
import math
import random
import unicodedata

import numpy as np
import pytest

from creuset.benchmarks.watermark import attacks, cost, false_alarms, rewrite
from creuset.benchmarks.watermark.check import LENGTHS, MarkFacts, rewritten_measures, stealing
from creuset.cli import main
from creuset.core.stats import clopper_pearson
from creuset.engine.sampler import Sampler
from creuset.evals.clients.open import ClientSettings, open_client
from creuset.evals.clients.weights import Continuation
from creuset.governance.audit.items import PARTS
from creuset.testing import tiny_shards, tiny_tokenizer
from creuset.text.watermark import DECISION_P, MIN_SCORED, TooShort, Watermark, binomial_tail, detect
from creuset.types.generation import Sampling
from tests.evals.scripted import Scripted, chat, only_chat

MARK = Watermark(key=bytes(range(32)))
FACTS = MarkFacts(MARK, 1)
HUMAN = [f"human{i}" for i in range(500)]
TEXT = " ".join(f"own{i}." if i % 10 == 9 else f"own{i}" for i in range(200))


def dice():
    return random.Random(2)


@pytest.mark.parametrize("percent", [25, 50])
def test_substitution_and_deletion_change_so_many_words(percent):
    for by, total, human in ((attacks.substitute, 200, 2 * percent), (attacks.delete, 200 - 2 * percent, 0)):
        words = by(TEXT, percent, HUMAN, dice()).split()
        assert (len(words), sum(w.startswith("human") for w in words)) == (total, human)
        rest = [w for w in words if w.startswith("own")]
        assert rest == [w for w in TEXT.split() if w in set(rest)]  # what stays is in its order


@pytest.mark.parametrize(("percent", "human"), [(50, 200), (75, 600), (90, 1800)])
def test_a_text_is_pasted_whole_into_human_text(percent, human):
    words = attacks.paste(TEXT, percent, [f"human{i}" for i in range(4000)], dice()).split()
    assert sum(w.startswith("human") for w in words) == human and TEXT in " ".join(words)
    assert words[0].startswith("human") and words[-1].startswith("human")


def test_letters_that_look_alike_and_spaces_that_do_not_show():
    looks = attacks.homoglyph(TEXT, 50, HUMAN, dice())
    assert len(looks) == len(TEXT) and looks != TEXT
    changed = [(a, b) for a, b in zip(TEXT, looks, strict=True) if a != b]
    assert {unicodedata.name(b).split()[0] for _, b in changed} == {"CYRILLIC"} and {a for a, _ in changed} == {"o"}
    assert len(attacks.HOMOGLYPHS) == 18
    hidden = attacks.invisible(TEXT, 25, HUMAN, dice())
    assert hidden.count("\u200b") == 50 and hidden.replace("\u200b", "") == TEXT


def test_parts_and_mixtures_keep_their_sentences():
    assert attacks.middle_third(TEXT).split() == TEXT.split()[67:133]
    other = TEXT.replace("own", "her")
    mixed = attacks.SENTENCE.split(attacks.mixed(TEXT, other))
    assert [s.startswith("own") for s in mixed] == [True, False] * 10
    assert attacks.mixed(TEXT, "short.") == TEXT


def test_every_attack_is_there_once_and_draws_for_itself():
    texts, plain = [TEXT, TEXT.replace("own", "her")], ["Some other text. And more. Of it."]
    found = attacks.every(texts, plain, HUMAN, seed=3)
    assert next(iter(found)) == "none" and found["none"] == texts and all(len(v) == 2 for v in found.values())
    assert {"mix_unmarked", "spaces", "paste_90", "substitute_25"} <= set(found) and len(found) == 11
    assert "mix_unmarked" not in attacks.every(texts, [], HUMAN, seed=3)
    assert attacks.every(texts, [], HUMAN, seed=3)["spaces"] == found["spaces"]  # whatever else is tried
    assert attacks.every(texts, plain, HUMAN, seed=4)["delete_25"] != found["delete_25"]


def pieces(count, length=80, vocab=4096, seed=1):
    return list(np.random.default_rng(seed).integers(0, vocab, size=(count, length)))


@pytest.mark.parametrize("width", [1, 3])
def test_what_is_examined_by_the_thousands_is_what_the_detector_says(width):
    mark = dataclasses.replace(MARK, width=width)
    some = [*pieces(150, vocab=40), *pieces(20, length=20), np.tile([3, 4, 5], 40)]
    alarms, refused = 0, 0
    for ids in some:
        try:
            alarms += detect(ids.tolist(), mark).marked
        except TooShort:
            refused += 1
    found = false_alarms.examine(some, itertools.repeat(mark))
    assert (found.pieces, found.alarms, found.refused) == (171, alarms, refused) and refused == 21


def test_the_threshold_is_the_first_count_below_the_decision():
    for scored in (MIN_SCORED, 60, 199, 1000):
        least = false_alarms.threshold(scored, 0.25)
        assert binomial_tail(least, scored, 0.25) < DECISION_P <= binomial_tail(least - 1, scored, 0.25)
    assert 0 < false_alarms.threshold(25, 0.25) <= 25


def test_alarms_under_fresh_keys_come_as_often_as_expected_whatever_the_text():
    """Repetitive text too."""
    for some in (pieces(1500), pieces(1500, length=300, vocab=12)):
        found = false_alarms.examine(some, false_alarms.fresh(MARK, 1))
        assert 0 < found.expected <= DECISION_P
        assert found.expected in clopper_pearson(found.alarms, found.pieces) and found.alarms <= 6


def test_keys_are_fresh_and_pieces_do_not_overlap():
    keys = [m.key for m in itertools.islice(false_alarms.fresh(MARK, 7), 50)]
    assert len(set(keys)) == 50 and keys == [m.key for m in itertools.islice(false_alarms.fresh(MARK, 7), 50)]
    cut = false_alarms.of_documents([np.arange(25), np.arange(9), np.arange(100, 120)], 10, 99)
    assert [p.tolist()[0] for p in cut] == [0, 10, 100, 110] and all(len(p) == 10 for p in cut)
    assert len(false_alarms.of_documents([np.arange(25)], 10, 1)) == 1
    lists = list(false_alarms.lists(8, 1))
    assert len(set(lists)) == 8 and all(len(text) > 500 for text in lists)
    assert any("def " in text for text in itertools.islice(false_alarms.code(), 20))


def test_other_languages_are_read_from_the_benchmarks_folder(tmp_path):
    (tmp_path / "mgsm").mkdir()
    (tmp_path / "mgsm" / "mgsm_sw.tsv").write_text("Swali moja\t4\nSwali mbili\t5\n")
    assert list(false_alarms.mgsm(tmp_path)) == [("sw", "Swali moja\nSwali mbili")]


def test_the_expected_cost_is_that_of_the_definition():
    draw = np.random.default_rng(4)
    logits, bias = draw.normal(size=(7, 30)), 2.0 * (draw.random((7, 30)) < 0.25)
    logp = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    for temperature in (1.0, 0.3):
        p, q = (np.exp((logp + b) / temperature) for b in (0 * bias, bias))
        p, q = p / p.sum(1, keepdims=True), q / q.sum(1, keepdims=True)
        assert cost.expected(logits, bias, temperature) == pytest.approx((p * logp - q * logp).sum(1))
    greedy = cost.expected(logits, bias, 0)
    assert greedy == pytest.approx(logp.max(1) - logp[range(7), (logp + bias).argmax(1)]) and (greedy >= 0).all()
    assert cost.expected(logits, 0 * bias, 0.3) == pytest.approx(np.zeros(7))
    sure = np.array([[0.0, -np.inf, -np.inf]])
    assert cost.expected(sure, np.array([[0.0, 2.0, 2.0]]), 1.0) == pytest.approx([0.0])
    row = FACTS.cost([0.1, 0.3], 0.3)
    assert row.metric == "perplexity_ratio.expected.t0.3" and row.score == pytest.approx(math.exp(0.2))


def said(mark, count, seed, vocab=60):
    """Tokens drawn from flat logits, with or without the mark."""
    rows = np.zeros((count, vocab), dtype=np.float32)
    one = Sampler(Sampling(max_tokens=count), prompt=[1], vocab_size=vocab, end_ids=frozenset(), seed=seed,
                  watermark=mark)  # fmt: skip
    return Continuation([one.choose(row) for row in rows], [1.0] * count)


def test_counting_pairs_betrays_the_lists_of_a_mark_that_looks_back_once():
    many = stealing([said(MARK, 20_000, 1)], [said(None, 20_000, 2)], FACTS)
    few = stealing([said(MARK, 2_000, 1)], [said(None, 2_000, 2)], FACTS)
    assert many.score > 0.95 > few.score > 0.55 and many.extra["tokens_read"] > many.extra["pairs_seen"]
    other = stealing([said(None, 5_000, 1)], [said(None, 5_000, 2)], FACTS)
    assert other.score == pytest.approx(0.5, abs=0.05)
    wide = MarkFacts(dataclasses.replace(MARK, width=2), 1)
    assert "width is 2" in stealing([], [], wide).why
    assert "so little text" in stealing([], [], FACTS).why


def test_a_mark_of_no_weight_draws_the_same_tokens_bit_for_bit():
    """Turned on it changes logits alone; off, which is the default, nothing at all."""
    nothing = dataclasses.replace(MARK, delta=1e-30)
    rows = np.random.default_rng(3).normal(size=(80, 300)).astype(np.float32)

    def draws(**mark):
        sampling = Sampling(max_tokens=80, top_p=0.9)
        one = Sampler(sampling, prompt=[1], vocab_size=300, end_ids=frozenset(), seed=5, **mark)
        return [one.choose(row) for row in rows]

    assert draws() == draws(watermark=None) == draws(watermark=nothing) != draws(watermark=MARK)


def through(answer, texts, languages):
    async def ask(url):
        subject = await open_client(url, ClientSettings(model="m-1", retries=0))
        try:
            return await rewrite.rewrite(subject, texts, languages)
        finally:
            await subject.close()

    with Scripted(only_chat(answer)) as server:
        found = asyncio.run(ask(server.url))
        asked = [body for path, body, _ in server.seen if path.endswith("chat/completions")]
    return found, [body["messages"][0]["content"] for body in asked]


def test_a_paraphraser_is_asked_to_rewrite_and_to_translate_there_and_back():
    def answer(body, number):
        asked = body["messages"][0]["content"]
        if "lost" in asked:
            return 400, {"error": {"message": "no"}}
        text = "<think>hm</think> Der Text" if "German" in asked else "back" if "Translate" in asked else "new"
        return 200, chat(text)

    found, prompts = through(answer, ["one", "lost", "trois"], ["English", "English", "French"])
    assert found == {"paraphrase": ["new", None, "new"], "translation": ["back", None, "back"]}
    assert sum("into French" in p and "Der Text" in p for p in prompts) == 1
    assert not any("<think>" in p for p in prompts)
    rows = rewritten_measures(["one", "lost", "trois"], found, tiny_tokenizer(), 200, FACTS, "m-1")
    assert [(m.score, m.n, m.failed) for m in rows] == [(0.0, 3, 1)] * 2 and rows[0].extra["rewritten_by"] == "m-1"
    assert rewrite.kept(["a b c d"], ["A b x"]) == 0.5 and rewrite.kept(["a"], [None]) == 0.0


def test_the_whole_part_with_a_paraphraser_that_does_nothing(tmp_path, capsys):
    """A rewriting that changes nothing is found as often as the text itself."""
    from creuset.testing import tiny_model_folder

    tiny_model_folder(tmp_path / "model", context=512)
    draw = random.Random(1)
    words = "the cat sat on mat dog ran river water flows from mountain to sea what is it where".split()  # noqa: SIM905
    tiny_shards(tmp_path / "shards", {"en": [" ".join(draw.choice(words) for _ in range(420)) for _ in range(6)]})
    command = ["audit", str(tmp_path / "model"), "--items", "watermark", "--given", f"shards={tmp_path / 'shards'}",
               "--limit", "2", "--json"]  # fmt: skip

    def audited(*more):
        assert main([*command, *more]) == 0
        return {r["metric"]: r for r in json.loads(capsys.readouterr().out)["results"]}

    echo = only_chat(lambda body, n: (200, chat(body["messages"][-1]["content"].partition("\n\n")[2])))
    with Scripted(echo) as server:
        found = audited("--paraphraser", server.url, "--paraphraser-model", "m-1")
    for attack in rewrite.ATTACKS:
        assert found[f"tpr_1e-3.len200.{attack}"]["score"] == found["tpr_1e-3.len200.none"]["score"]
        assert found[f"tpr_1e-3.len200.{attack}"]["failed"] == 0 < found[f"tpr_1e-3.len200.{attack}"]["words_kept"]
    assert found["tpr_1e-3.len400.none"]["score"] == 1.0 >= found["tpr_1e-3.len50.none"]["score"]
    assert found["tpr_1e-3.len400.none"]["score"] >= found["tpr_1e-3.len400.substitute_50"]["score"]
    assert found["unmarked_1e-3.len400"]["score"] == 0.0
    wanted = ("substitute_25", "paste_75", "middle_third", "homoglyph_50", "mix_unmarked")
    assert {f"tpr_1e-3.len{n}.{a}" for n in (50, 100, 200, 400) for a in wanted} <= set(found)
    assert found["tpr_1e-3.len128.emoji"]["n"] == 2
    assert found["perplexity_ratio.expected"]["score"] > 1 and "perplexity_ratio.expected.t0.3" in found
    for length in LENGTHS:
        assert found[f"fpr_1e-3.len{length}"]["score"] <= 0.15 and found[f"own_key_1e-3.len{length}"]["n"] > 0
    assert found["fpr_1e-3.code"]["n"] == 40
    assert found["fpr_1e-3.lists"]["score"] <= 0.15


def test_material_that_can_be_given_is_not_refused(tmp_path, capsys):
    (tmp_path / "grid.toml").write_text("no = 1")
    for name in ("grid", "watermark"):
        assert name in {n for part in PARTS for n in part.optional}
    assert main(["audit", str(tmp_path / "none"), "--given", f"grid={tmp_path / 'grid.toml'}"]) != 0
    assert "is not material" not in capsys.readouterr().err
    assert main(["audit", "--list"]) == 0 and "[--given grid=PATH]" in capsys.readouterr().out
