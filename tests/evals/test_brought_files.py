"""Files that users bring (C-Eval, CMMLU, GPQA): layouts, the authors' own figures, orders of options. Rows are ours."""

import csv
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from creuset.benchmarks.catalogue import about, make
from creuset.benchmarks.files import csv_rows
from creuset.benchmarks.multiple_choice import task_class
from creuset.core.errors import DataError
from creuset.evals.extract import letter_simple_evals
from creuset.evals.model import Likelihood
from creuset.evals.runner import data_hash

HEADS = {"ceval": ["id", "question", *"ABCD", "answer"], "cmmlu": ["", "Question", *"ABCD", "Answer"]}


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(rows)


def chinese(folder, home, subject, right="B"):
    family = home.partition("/")[0]
    rows = [[str(i), f' 第{i}题，\n"甲"与乙？', "甲", "乙 ", "丙", "甲", right] for i in range(5)]
    parts = ("val", "dev") if family == "ceval" else ("test", "dev")
    for part in parts:
        end = f"_{part}" if family == "ceval" else ""
        extra = [["explanation"], [""]] if (family, part) == ("ceval", "dev") else [[], []]
        write(
            folder / home / part / f"{subject}{end}.csv",
            [HEADS[family] + extra[0], *[[*row, *extra[1]] for row in rows]],
        )


@pytest.mark.parametrize(("home", "name", "subject"), [
    ("ceval", "ceval_law", "law"), ("ceval/formal_ceval", "ceval_law", "law"),
    ("cmmlu", "cmmlu_arts", "arts"), ("cmmlu/data", "cmmlu_arts", "arts"),
])  # fmt: skip
def test_every_layout_gives_the_same_questions_and_its_files_are_hashed(tmp_path, home, name, subject):
    chinese(tmp_path / "here", home, subject)
    chinese(tmp_path / "plain", home.partition("/")[0], subject)
    task = make(name)
    samples = list(task.samples(tmp_path / "here"))
    assert samples == list(task.samples(tmp_path / "plain")) and len(samples) == 5
    assert samples[0].pairs[0].context.count("\n答案： B\n\n") == 5
    assert samples[0].pairs[0].context.endswith('第0题，\n"甲"与乙？\nA. 甲\nB. 乙 \nC. 丙\nD. 甲\n答案：')
    before = data_hash(task, tmp_path / "here", samples)
    chinese(tmp_path / "here", home, subject, right="C")
    assert data_hash(task, tmp_path / "here", samples) != before


def test_parquet_of_the_hub_gives_the_same_questions(tmp_path):
    chinese(tmp_path / "plain", "ceval", "law")
    for part in ("val", "dev"):
        _, rows = zip(*csv_rows(tmp_path / f"plain/ceval/{part}/law_{part}.csv"), strict=True)
        to = tmp_path / f"hub/ceval/law/{part}-00000-of-00001.parquet"
        to.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(list(rows)), to)
    task = make("ceval_law")
    samples, plain = (list(task.samples(tmp_path / folder)) for folder in ("hub", "plain"))
    assert [s.pairs for s in samples] == [s.pairs for s in plain] and len(samples) == 5
    before = data_hash(task, tmp_path / "hub", samples)
    pq.write_table(pa.Table.from_pylist(list(rows)), to, compression="none")
    assert data_hash(task, tmp_path / "hub", samples) != before, "it is the files that are hashed"
    (tmp_path / "hub/ceval/law/val-00000-of-00001.parquet").write_bytes(b"no")
    with pytest.raises(DataError, match="is not parquet"):
        list(task.samples(tmp_path / "hub"))


@pytest.mark.parametrize(("name", "subjects", "areas"), [
    ("ceval", 52, {"stem": 20, "humanities": 11, "social_science": 10, "other": 11, "hard": 8}),
    ("cmmlu", 67, {"stem": 17, "humanities": 13, "social_science": 22, "other": 15, "china_specific": 15}),
])  # fmt: skip
def test_subjects_and_areas_are_those_of_the_authors(name, subjects, areas):
    known = task_class(name).spec.parts
    assert len(known) == subjects
    assert {a: sum(a in of_it for _, *of_it in known.values()) for a in areas} == areas


def test_the_authors_mean_is_over_subjects_and_not_over_questions():
    task = make("cmmlu")
    rows = [
        {"correct": right, "extracted": True, "failed": False, "gold": "A", "chance": 0.25, "cluster": subject}
        for subject, rights in (("anatomy", (1, 1, 1, 0)), ("virology", (0,)), ("arts", (1,))) for right in rights
    ]  # fmt: skip
    (measure,) = task.measures(rows)
    assert measure.score == pytest.approx(4 / 6)
    assert measure.extra["mean_of_subjects"] == pytest.approx((0.75 + 0 + 1) / 3)
    assert measure.extra["areas"] == {"stem": 0.375, "humanities": 1.0}
    assert "areas" not in task.measures(rows[:4])[0].extra, "one subject is no mean of several"


ANSWERS = ["Correct Answer", "Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3"]


@pytest.fixture
def gpqa(tmp_path):
    rows = [[f"rec{i}", f" Why {i}?\nSay.", f"r{i} ", "x  1", "y", "z"] for i in range(9)]
    write(tmp_path / "gpqa/gpqa_diamond.csv", [["Record ID", "Question", *ANSWERS], *rows])
    return tmp_path


def test_simple_evals_order_is_that_of_its_seed(gpqa):
    """Four passes over the file, permutations drawn one after the other from seed 0: worked out here again."""
    samples = list(make("gpqa_diamond_simple_evals").samples(gpqa))
    draw = random.Random(0)
    assert len(samples) == 36 and len({s.id for s in samples}) == 36 and len({s.cluster for s in samples}) == 9
    for number, sample in enumerate(samples):
        order = draw.sample(range(4), 4)
        answers = [f"r{number % 9} ", "x  1", "y", "z"]
        listed = "\n".join(f"{letter}) {answers[i]}" for letter, i in zip("ABCD", order, strict=True))
        said = sample.asks[0].messages[0]["content"]
        assert said.endswith(f"before answering.\n\n Why {number % 9}?\nSay.\n\n{listed}")
        assert sample.gold["gold"] == order.index(0) and sample.cluster == f"rec{number % 9}"


def test_the_usual_order_is_the_same_in_every_run_and_not_the_file_s(gpqa):
    task = make("gpqa_diamond", form="loglikelihood")
    samples = list(task.samples(gpqa))
    assert samples == list(task.samples(gpqa)) and len({s.gold["gold"] for s in samples}) > 1
    for i, sample in enumerate(samples):
        assert sample.gold["options"][sample.gold["gold"]] == f"r{i}" and "x 1" in sample.gold["options"]
        said = [Likelihood(total=-1.0 - (n != sample.gold["gold"]), greedy=False, tokens=1) for n in range(4)]
        assert task.score(sample, said)["correct"] == 1


@pytest.mark.parametrize(("text", "letter"), [
    ("So.\nAnswer: $B$", "B"), ("Answer:D\nAnswer: A", "D"), ("answer : c", "c"), ("Answer: (B)", None),
    ("**Answer:** B", None), ("", None),
])  # fmt: skip
def test_simple_evals_reads_letters_so(text, letter):
    assert letter_simple_evals(text) == letter
    assert about("gpqa_diamond_simple_evals").forms == ("chat",)
