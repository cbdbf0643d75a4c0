"""The kind of a text where nobody said it, lines that all pages of a site have, fields that stay with a document."""

import json

import numpy as np
import pytest
from sources_for_tests import english, write_jsonl

from creuset.cli import main
from creuset.data.build.parts import read_json, read_lines
from creuset.data.clean.filters import judge
from creuset.data.clean.kind import guess_kind
from creuset.data.clean.site_lines import Survey, added, common_lines, line_keys, site_hash, site_of, without
from creuset.data.clean.words import Splitter
from creuset.data.settings import KINDS, SiteLines


def documents(folder, part, source):
    return [json.loads(line) for line in read_lines(folder / part / f"{source}.jsonl.zst")]


def build(*words):
    return main(["corpus", "build", *map(str, words)])


MANUAL = (
    "array_sum\n(PHP 4, PHP 5, PHP 7, PHP 8)\n\narray_sum - Calculate the sum of values in an array\n\nDescription\n"
    "array_sum(array $array): int|float\n\nParameters\narray\n    The input array.\n\nReturn Values\nReturns the "
    "sum of the values as an integer or float; 0 if the array is empty.\n\nExamples\n<?php\n$a = array(2, 4, 6, 8);\n"
    'echo "sum(a) = " . array_sum($a) . "\\n";\n$b = array("a" => 1.2, "b" => 2.3);\n?>'
)
FIGURES = (
    "Chad - Energy\nElectricity access: total population: 11.7% (2022)\nelectrification - urban areas: 46.3%\n"
    "Installed generating capacity: 95,000 kW (2022 est.)\nConsumption: 202.44 million kWh\nExports: 132,000 bbl/day"
)
TALE = (
    'Once upon a time there was a fox. "Come in," said the hen. The fox came in. "Sit down," she said. So he sat down.'
)
ARTICLE = "Albedo (physics)\nAlbedo is the share of sunlight that a body sends back. It is measured from 0 to 1."


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (MANUAL, "docs"), (FIGURES, "facts"), (TALE, "story"), (ARTICLE, "wiki"), (english(1, 24), "web"),
        ("CHAPTER I\n" + english(1, 90) + "\nCHAPTER II\n" + english(2, 90), "book"), (english(3, 1200), "book"),
        (english(1) + " function() { return; }", "web"), ("Home\nNews\nContact\n" + english(2), "web"), ("", "web"),
        ("## Install\n\n```sh\npip install creuset\n```\n\n## Use\n\n" + english(4), "docs"),
    ],
)  # fmt: skip
def test_the_kind_is_guessed_from_marks_that_only_it_has(text, kind):
    assert guess_kind(text) == kind


def test_a_manual_is_kept_by_the_default_and_a_kind_that_is_given_is_obeyed(tmp_path, capsys):
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": MANUAL}, {"text": english(1)}])
    assert build(path, "--licence", "MIT", "--out", tmp_path / "out") == 0
    one = read_json(tmp_path / "out" / "report.json")["sources"]["a"]
    assert one["kept"]["documents"] == 2 and one["kinds"] == {"docs": 1, "web": 1} and one["kind"] == "guess"
    assert build(path, "--licence", "MIT", "--out", tmp_path / "web", "--set", "kind=web") == 0
    assert read_json(tmp_path / "web" / "report.json")["sources"]["a"]["kept"]["documents"] == 1


def test_a_novel_of_131_000_words_is_a_book():
    text = english(5, 11_000)
    words = Splitter().split(text)
    assert len(words) > 131_000
    assert judge(text, words, "en", KINDS["book"]) is None and guess_kind(text) == "book"
    assert judge(text, words, "en", KINDS["web"]) == "gopher_too_many_words"


# --- sites


NOTICE = "Subscribe to our weekly letter and never miss a story of the valley again."


def page(i):
    return f"Home\nNews\n{english(i)}\n{NOTICE}\nReferences\n{english(i + 500, 4)}\nContact\nAll rights reserved."


def test_lines_of_a_site_go_wherever_they_stand_and_headings_within_stay():
    survey = Survey()
    for i in range(6):
        survey.add(page(i), "a.test")
    survey.add(page(7), "b.test")
    common = np.sort(common_lines([survey.counts()], SiteLines())["key"])
    text, gone = without(page(2), "a.test", common)
    assert text == f"{english(2)}\nReferences\n{english(502, 4)}" and gone == 5
    assert without(page(2), "b.test", common) == (page(2), 0), "one page is no habit"
    assert without(page(2), "a.test", common[:0]) == (page(2), 0)


@pytest.mark.parametrize("most", [5, 40, 10**6])
def test_common_lines_in_pieces_are_those_of_the_definition(most):
    rng = np.random.default_rng(3)
    seen = {}
    parts = []
    for _ in range(3):
        survey = Survey()
        for _ in range(15):
            site = f"s{rng.integers(4)}"
            lines = {f"line {rng.integers(12)}" for _ in range(6)}
            survey.add("\n".join(sorted(lines)), site)
            for line in lines:
                seen.setdefault(site, []).append(line)
            seen.setdefault((site, "pages"), []).append(1)
        parts.append(survey.counts())
    rules = SiteLines(pages=3, share=0.5)
    expected = sorted(
        line_keys(line, site_hash(site))[0]
        for site in ("s0", "s1", "s2", "s3")
        for line in set(seen[site])
        if seen[site].count(line) >= 3 and seen[site].count(line) >= 0.5 * len(seen[site, "pages"])
    )
    found = common_lines(parts, rules, most=most)
    assert expected and np.sort(found["key"]).tolist() == expected
    assert (added(parts)["pages"].sum()) == sum(len(v) for v in seen.values())


@pytest.mark.parametrize(
    ("url", "site"),
    [("https://www.a.test/x", "a.test"), ("http://A.test:8/", "a.test"), ("", "folder"), ("u7", "folder"),
     ("https://[bad", "folder")],
)  # fmt: skip
def test_the_site_of_a_page(url, site):
    assert site_of(url, "folder") == site


def test_notices_of_a_site_leave_the_corpus_and_a_page_more_changes_what_depends_on_it(tmp_path, capsys):
    rows = [{"text": page(i), "url": f"https://www.a.test/{i}"} for i in range(6)]
    a = write_jsonl(tmp_path / "a.jsonl", rows)
    b = write_jsonl(tmp_path / "b.jsonl", [{"text": page(90), "url": "https://b.test/1"}, *rows[:0]])
    words = [a, b, "--licence", "MIT", "--work", tmp_path / "work", "--set", "heldout.share=0"]
    assert build(*words, "--out", tmp_path / "out") == 0
    kept = documents(tmp_path / "out", "docs", "a")
    assert len(kept) == 6 and all(NOTICE not in d["text"] for d in kept)
    assert NOTICE in documents(tmp_path / "out", "docs", "b")[0]["text"]
    assert read_json(tmp_path / "out" / "report.json")["sources"]["a"]["site_lines"] == 30
    write_jsonl(b, [{"text": page(80 + i), "url": f"https://a.test/b{i}"} for i in range(20)])
    capsys.readouterr()
    assert build(*words, "--out", tmp_path / "two") == 0
    assert "1 of 2 tasks are as they were" in capsys.readouterr().err, "the same lines are common as before"
    assert all(NOTICE not in d["text"] for d in documents(tmp_path / "two", "docs", "b"))


# --- fields


def test_other_fields_stay_with_a_document_and_personal_data_in_them_does_not(tmp_path):
    row = {
        "text": english(1), "url": "https://a.test/", "score": 0.5, "tags": ["x", "write to ada@analytical.org"],
        "by": {"mail": "ada@analytical.org", "tel": 33612345678}, "html": "<p>" * 2000,
        "empty": None, "nan": float("nan"),
    }  # fmt: skip
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(row) + "\n")
    assert build(path, "--licence", "MIT", "--out", tmp_path / "out") == 0
    (kept,) = documents(tmp_path / "out", "docs", "a")
    assert kept["meta"] == {
        "score": 0.5, "tags": ["x", "write to [EMAIL]"], "by": {"mail": "[EMAIL]", "tel": 33612345678}, "nan": None,
    }  # fmt: skip
    assert build(path, "--licence", "MIT", "--out", tmp_path / "few", "--set", "metadata.fields=score,t*") == 0
    assert set(documents(tmp_path / "few", "docs", "a")[0]["meta"]) == {"score", "tags"}
    assert build(path, "--licence", "MIT", "--out", tmp_path / "none", "--set", "metadata.fields=") == 0
    assert "meta" not in documents(tmp_path / "none", "docs", "a")[0]
