"""Recognisers by the hundred, and what of the benchmarks stands in the training data, text by text."""

import json
import re

import pytest
import recognisers

from creuset.benchmarks.training_data.contamination import Contamination
from creuset.core import personal as privacy
from creuset.core.stats import clopper_pearson
from creuset.data.clean.leakage import benchmark_texts
from creuset.data.clean.words import Splitter

WORDS = "a glass prism splits white light into seven colours because each of them bends by another angle inside".split()  # noqa: SIM905


@pytest.mark.parametrize("kind", sorted(recognisers.KINDS))
def test_every_kind_is_found_and_its_hard_negatives_are_not(kind):
    found = recognisers.rightness(kind, count=120, seed=5)
    assert (found.asked, found.others) == (120, 240)
    assert found.found >= 0.97 * found.asked and found.wrong == 0


def test_invented_numbers_keep_their_rules_and_wrong_ones_do_not():
    """By the definitions again, in other words than the generator's and the recognisers'."""

    def luhn(digits):
        doubled = [int(d) if i % 2 == 0 else sum(divmod(2 * int(d), 10)) for i, d in enumerate(reversed(digits))]
        return sum(doubled) % 10 == 0

    def mod97(text):
        moved = text[4:] + text[:4]
        return int("".join(str(int(c, 36)) for c in moved)) % 97 == 1

    def nir(text):
        return (int(text[:13].replace("2A", "19").replace("2B", "18")) + int(text[13:])) % 97 == 0

    rules = {"siren": luhn, "siret": luhn, "card": luhn, "iban": mod97, "nir": nir,
             "vat": lambda t: luhn(t[4:]) and (12 + 3 * (int(t[4:]) % 97)) % 97 == int(t[2:4])}  # fmt: skip
    for kind, holds in rules.items():
        make, dice = recognisers.KINDS[kind][0], recognisers.Dice(kind)
        for _ in range(60):
            right, wrong = (re.sub(r"[ .\u00a0-]", "", make(dice, which)) for which in (True, False))
            assert holds(right) and not holds(wrong), (kind, right, wrong)


def test_the_rates_that_pages_quote_are_those_of_the_recognisers_that_run():
    written = json.loads(recognisers.WRITTEN.read_text())
    assert written["kinds"] == recognisers.measured(), f"run {written['command']} again"
    assert set(written["kinds"]) == set(privacy.KINDS)


def test_numbers_of_prose_are_nobodys():
    assert not [found for text in recognisers.prose(300, seed=3) for found in privacy.find(text)]


@pytest.mark.parametrize(
    ("text", "kind", "what"),
    [
        ("Appelez le 06\u202f39\u00a098\u00a041\u00a027 ce soir", "phone", "06\u202f39\u00a098\u00a041\u00a027"),
        ("Tél. 0033 6 39 98 41 27", "phone", "0033 6 39 98 41 27"),
        ("Tél. +33 (0)6 39 98 41 27", "phone", "+33 (0)6 39 98 41 27"),
        ("NIR 1\u00a051\u00a011\u00a061\u00a0134\u00a0140\u00a065", "nir",
         "1\u00a051\u00a011\u00a061\u00a0134\u00a0140\u00a065"),
        ("SIRET 36062694581917", "siret", "36062694581917"),
        ("carte 36062694581917", "card", "36062694581917"),
    ],
)  # fmt: skip
def test_numbers_are_read_as_the_french_write_them(text, kind, what):
    assert privacy.find(text) == [(kind, what)]
    assert what not in privacy.mask(text, privacy.MASKED)[0]


def bench(folder, **files):
    for name, lines in files.items():
        file = folder / "bench" / name / "test.jsonl"
        file.parent.mkdir(parents=True)
        file.write_text("".join(json.dumps({"question": line}) + "\n" for line in lines))
    return folder / "bench"


def test_a_benchmark_is_counted_text_by_text(tmp_path):
    item = " ".join(WORDS)
    long = " ".join(f"word{i}" for i in range(60))
    quoted = " ".join([*(f"word{i}" for i in range(10, 24)), *(f"other{i}" for i in range(300))])
    texts = [item, item, long, "too short to be looked for", f"{long} once more"]
    path = bench(tmp_path, optics=texts, short=["a b c"])
    found = Contamination.of(path, tmp_path / "work")
    split = Splitter().split
    for text in (f"See: {item}. So it is.", f"Again: {item}", quoted, "nothing of it at all"):
        found.add(split(text))
    rows = {m.metric: m for m in found.measures("c")}
    leaked, overlap = rows["leakage.optics"], rows["overlap.optics"]
    assert (leaked.extra["found"], leaked.n, leaked.extra["not_looked_for"], leaked.extra["documents"]) == (1, 3, 2, 2)
    assert leaked.score == pytest.approx(1 / 3) and leaked.interval == clopper_pearson(1, 3) and leaked.caveat == "c"
    assert overlap.extra["found"] == 3  # 14 words of both long texts stand in `quoted`, but not 60 % of them
    assert rows["leakage.short"].status == "not_testable" and "1 texts" in rows["leakage.short"].why
    assert rows["leakage.mmlu"].status == "not_tested" and "overlap.mmlu" not in rows


def test_items_of_every_layout_are_items(tmp_path):
    folder = tmp_path / "some"
    folder.mkdir()
    nested = {"women": {"Ann": ["Ann was", "Ann is"]}, "men": {"Bo": ["Bo was"]}}
    (folder / "nested.json").write_text(json.dumps(nested))
    (folder / "lines.txt").write_text("one line\nanother line\n")
    (folder / "pro.txt.dev").write_text("1 [The developer] argued.\n2 [She] left.\n")
    (folder / "paragraphs.txt").write_text("one\npart\n\ntwo\n")
    texts = list(benchmark_texts([folder]))
    assert sorted(texts) == sorted([
        ("some/nested.json", "Ann was"), ("some/nested.json", "Ann is"), ("some/nested.json", "Bo was"),
        ("some/lines.txt", "one line"), ("some/lines.txt", "another line"), ("some/paragraphs.txt", "one\npart"),
        ("some/paragraphs.txt", "two"), ("some/pro.txt.dev", "1 [The developer] argued."),
        ("some/pro.txt.dev", "2 [She] left."),
    ])  # fmt: skip
