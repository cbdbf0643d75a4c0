"""Benchmark text found by the index is that of the definition, tried by brute force."""

import json
import random

import pytest

from creuset.core.errors import ConfigError, DataError
from creuset.data.clean.leakage import Index, benchmark_texts, longest_common_subsequence
from creuset.data.clean.words import Splitter, split_words
from creuset.data.settings import Leakage

WORDS = [f"w{i}" for i in range(40)]


def lcs_by_table(a, b):
    row = [0] * (len(b) + 1)
    for x in a:
        above = 0
        for j, y in enumerate(b, 1):
            above, row[j] = row[j], above + 1 if x == y else max(row[j], row[j - 1])
    return row[-1]


def leaks(doc, items, settings):
    """The definition: for each shared run of n words, the stretch around it against the whole item."""
    n = settings.ngram
    for at in range(len(doc) - n + 1):
        for item in items:
            runs = {tuple(item[i : i + n]) for i in range(len(item) - n + 1)}
            if tuple(doc[at : at + n]) not in runs:
                continue
            stretch = doc[max(0, at - len(item)) : at + n + len(item)]
            common = lcs_by_table(item, stretch)
            if common >= n and common >= settings.share * min(len(item), len(stretch)):
                return True
    return False


def test_the_subsequence_by_bits_is_the_one_by_table():
    random.seed(0)
    for _ in range(200):
        a, b = ([random.choice("abcde") for _ in range(random.randint(0, 70))] for _ in range(2))
        assert longest_common_subsequence(a, b) == lcs_by_table(a, b)


def test_the_index_drops_what_the_definition_drops(tmp_path):
    random.seed(3)
    settings = Leakage(ngram=5)
    items = [[random.choice(WORDS) for _ in range(random.randint(9, 25))] for _ in range(30)]
    index = Index.build([("b", " ".join(item)) for item in items], tmp_path, settings)
    verdicts = []
    for _ in range(150):
        doc = [random.choice(WORDS) for _ in range(random.randint(5, 80))]
        if random.random() < 0.7:  # part of an item, sometimes with words changed
            item = random.choice(items)
            part = item[random.randint(0, 4) : random.randint(6, 25)]
            doc[random.randint(0, 5) : random.randint(6, 20)] = [w if random.random() < 0.9 else "x" for w in part]
        found = index.find(Splitter().split(" ".join(doc)))
        assert (found is not None) == leaks(doc, items, settings)
        verdicts.append(found is not None)
    assert 20 < sum(verdicts) < 130


QUESTION = "A train leaves the station at nine and travels sixty miles an hour for three hours; how far does it go?"


@pytest.mark.parametrize(
    ("text", "dropped"),
    [
        (QUESTION, True),
        ("Problem: " + QUESTION.upper().replace(";", ",") + " Answer: 180", True),
        ("word " * 3000 + QUESTION + " word" * 3000, True),
        (QUESTION.replace("miles", "kilometres"), True),  # 14 words in a row remain, 20 of 21 in all
        ("A train leaves the station at nine and travels sixty miles.", False),  # too short to be one
        (QUESTION.replace("and", "or").replace("hour", "day"), False),  # no 13 words in a row
    ],
)
def test_a_question_is_found_inside_a_text_and_a_little_changed(tmp_path, text, dropped):
    if "kilometres" in text:
        text = text.replace("sixty kilometres", "sixty miles").replace("how far", "how much")
    index = Index.build([("exam.jsonl", QUESTION)], tmp_path, Leakage())
    assert (index.find(Splitter().split(text)) is not None) == dropped


def test_a_shared_phrase_of_a_long_text_is_no_leak(tmp_path):
    long = " ".join(f"u{i}" for i in range(200))
    phrase = " ".join(f"u{i}" for i in range(50, 65))
    index = Index.build([("b", long)], tmp_path, Leakage())
    other = " ".join(f"v{i}" for i in range(400))
    assert index.find(Splitter().split(f"{other} {phrase} {other}")) is None


def test_numbers_and_letters_in_order_are_nobodys_benchmark(tmp_path):
    counting = " ".join(map(str, range(30)))
    index = Index.build([("b", f"x = {counting}")], tmp_path, Leakage())
    assert len(index) == 0 and index.find(Splitter().split(counting)) is None


def test_strings_of_benchmark_files_are_found_whatever_the_format(tmp_path):
    long = " ".join(f"word{i}" for i in range(20))
    (tmp_path / "a.jsonl").write_text(
        json.dumps({"id": "x" * 50, "question": long + " a", "choices": {"text": ["short", long + " b"]}}) + "\n"
    )
    (tmp_path / "b.csv").write_text(f'"{long} c",yes\n')
    (tmp_path / "c.json").write_text(json.dumps({"examples": [{"input": long + " d", "target": "no"}]}))
    (tmp_path / "d.jsonl").write_text(
        json.dumps(
            {"question": "What is the longest river of the whole wide world", "answer": "the Nile or the Amazon"}
        )
        + "\n"
    )
    (tmp_path / "README.md").write_text(long)
    texts = [text for _, text in benchmark_texts([tmp_path])]
    short = "What is the longest river of the whole wide world the Nile or the Amazon"
    short = "What is the longest river of the whole wide world the Nile or the Amazon"
    assert texts == [*(f"{long} {x}" for x in "abcd"), short]
    assert all(split_words(t)[0] for t in texts)


def test_a_benchmark_path_that_is_not_there_or_not_readable_is_refused_by_name(tmp_path):
    with pytest.raises(ConfigError, match="nowhere"):
        list(benchmark_texts([tmp_path / "nowhere"]))
    (tmp_path / "bad.jsonl").write_text("{")
    with pytest.raises(DataError, match=r"bad\.jsonl"):
        list(benchmark_texts([tmp_path / "bad.jsonl"]))


FARM = "A farmer has seventeen sheep and buys nine more at the spring market, then sells four of them."


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("a.csv", 'question\n"How many apples are there\nmore every day in the garden of the old house"\n'),
        ("a.csv", 'id;question\r\n1;"How many apples are there\r\nmore every day in the garden of the old house"\r\n'),
        ("a.csv", 'question\n"How many apples are there more \x0c every day in the garden of the old house"\n'),
        ("a.csv", 'question\n"How many apples are there more \u2028 every day in the garden of the old house"\n'),
        ("a.tsv", "id\tquestion\n1\tHow many apples are there more every day in the garden of the old house\n"),
        ("a.txt", "How many apples are there\nmore every day in the garden\nof the old house?\nYes.\n"),
        ("a.txt", "1. Who came?\n2. How many apples are there\n  more every day in the garden\n  of the old house?"),
        ("a.txt", "Nobody.\n \nHow many apples are there\nmore every day in the garden\nof the old house?\n"),
        ("a.txt", "\ufeffHow many apples are there.\nMore every day in the gardens\nof the old house?\nIt is so.\n"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_question_is_found_however_its_file_wraps_it(tmp_path, name, raw, encoding):
    (tmp_path / name).write_bytes(raw.encode(encoding))
    index = Index.build(benchmark_texts([tmp_path / name]), tmp_path / "index", Leakage())
    gardens = "gardens" if "gardens" in raw else "garden"
    page = f"It was said: how many apples are there more every day in the {gardens} of the old house? Nobody knew."
    assert index.find(Splitter().split(page)) is not None


def test_lines_that_are_questions_stay_questions(tmp_path):
    lines = [f"{FARM} Question number {i}." for i in range(3)]
    (tmp_path / "a.txt").write_text("\n".join(lines))
    assert [text for _, text in benchmark_texts([tmp_path / "a.txt"])] == lines
