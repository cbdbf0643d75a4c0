"""Tasks of a user's own: a class in a file, and CSV files. Same artifact and page, and refusals that name the place."""

import csv
import hashlib
import json
import re
from pathlib import Path

import pytest

from creuset.benchmarks.catalogue import NAMES
from creuset.benchmarks.from_csv import comparable, csv_task
from creuset.cli import main
from creuset.core.artifact import verify
from creuset.core.errors import ConfigError, DataError
from creuset.evals.model import Failure, Reply
from creuset.evals.own import task_class
from creuset.types.measure import read_results
from tests.evals.scripted import Scripted, chat, only_chat

GUIDE = Path(__file__).parents[2] / "docs/guides/own-task.md"


def block(language):
    return re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)[0]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rhymes.py").write_text(block("python"), encoding="utf-8")
    (tmp_path / "exam.csv").write_text(block("text"), encoding="utf-8")
    return tmp_path


def test_the_guide_works_as_written_and_its_scores_are_kept_like_any_other(here, folder, capsys):
    lines = GUIDE.read_text(encoding="utf-8").splitlines()
    commands = [line.split()[1:] for line in lines if line.startswith("    creuset ")]
    assert len(commands) == 2
    for words in commands:
        assert main([str(folder) if word == "model" else word for word in words]) == 0, capsys.readouterr().err
    code = {"file": "rhymes.py", "sha256": hashlib.sha256((here / "rhymes.py").read_bytes()).hexdigest()}
    rhymed, scored = (read_results(here / name, samples=True) for name in ("rhymed", "scored"))
    assert rhymed.about["settings"]["code"] == {"rhymes": code} and rhymed.about["settings"]["tasks"] == ["rhymes"]
    assert [(row["task"], row["n"]) for row in rhymed.rows] == [("rhymes", 2)]
    (row,) = scored.rows
    assert row["data_sha256"] == hashlib.sha256((here / "exam.csv").read_bytes()).hexdigest()
    assert (row["task"], row["metric"], row["n"], row["chance"], row["data"]) == ("exam", "acc", 2, 0.25, "exam.csv")
    assert [r["id"] for r in scored.samples["exam"]] == ["1", "2"] and "code" not in scored.about["settings"]
    for name, task in (("rhymed", "rhymes"), ("scored", "exam")):
        assert verify(here / name) == [] and task in (here / name / "report.html").read_text(encoding="utf-8")


def test_a_class_is_resumed_and_scored_again(here, folder, capsys):
    words = [str(folder), "--task", "rhymes.py:Rhymes", "--work", "work", "--json"]
    assert main(["eval", *words]) == 0
    first = json.loads(capsys.readouterr().out)["results"]
    lines = (here / "work/rhymes.jsonl").read_text().splitlines()
    assert len(lines) == 3
    for again in (words, ["--rescore", "work", "--task", "rhymes.py:Rhymes", "--json"]):
        assert main(["eval", *again]) == 0
        found = json.loads(capsys.readouterr().out)["results"]
        assert [r["score"] for r in found] == [r["score"] for r in first]
    assert (here / "work/rhymes.jsonl").read_text().splitlines() == lines, "nothing was asked twice"


HEAD = "from creuset.evals.task import Task\n"
WHOLE = "    def samples(self, folder): return iter(())\n    def score(self, sample, outcomes): return {}\n"


@pytest.mark.parametrize(("code", "name", "words"), [
    (HEAD + "class Mine(Task):\n    name = 'mine'\n" + WHOLE, "t.py:Mime", "has no class `Mime`"),
    (HEAD + "Mine = 3\n", "t.py:Mine", "`t.py:Mine` is not a task"),
    (HEAD + "class Mine(Task):\n" + WHOLE, "t.py:Mine", "has no name"),
    (HEAD + "class Mine(Task):\n    name = '../x'\n" + WHOLE, "t.py:Mine", "has the name '../x'"),
    (HEAD + "class Mine(Task):\n    name = 'mmlu'\n" + WHOLE, "t.py:Mine", "has the name of a task of ours, `mmlu`"),
    (HEAD + "class Mine(Task):\n    name = 'm'\n    def samples(self, folder): ...\n", "t.py:Mine",
     "no method `score`"),
    ("class Mine(:\n", "t.py:Mine", "cannot be run: SyntaxError"),
    ("import no_such_module_here\n", "t.py:Mine", "cannot be run: ModuleNotFoundError: No module named 'no_such"),
    ("", "none.py:Mine", "`none.py` does not exist"),
    ("", "t.py", "is not of the form file.py:Class"), ("", "t:Mine", "is not of the form file.py:Class"),
])  # fmt: skip
def test_a_class_that_cannot_be_a_task_is_refused_in_words(tmp_path, monkeypatch, code, name, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.py").write_text(code)
    with pytest.raises(ConfigError, match=re.escape(words)):
        task_class(name, NAMES)


def test_two_files_of_one_name_are_two_tasks_and_a_near_name_is_offered(tmp_path):
    for folder, value in (("a", 1), ("b", 2)):
        (tmp_path / folder).mkdir()
        code = f"{HEAD}class Mine(Task):\n    name = 'm'\n    value = {value}\n{WHOLE}"
        (tmp_path / folder / "t.py").write_text(code)
    assert [task_class(f"{tmp_path / f / 't.py'}:Mine").value for f in "ab"] == [1, 2]
    with pytest.raises(ConfigError) as refused:
        task_class(f"{tmp_path}/a/t.py:Mime")
    assert refused.value.hint == "did you mean `Mine`?"


def write(path, rows, encoding="utf-8", **dialect):
    with path.open("w", encoding=encoding, newline="") as stream:
        csv.writer(stream, **dialect).writerows(rows)
    return path


LETTERED = [["Question", "A", "B", "C", "Answer"], ["Où ?", "là", "ici", "", "B"], ["Quand ?", "hier", "été", "1", "C"]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_encodings_and_signs_between_fields_are_found(tmp_path, encoding, delimiter):
    task = csv_task(write(tmp_path / "été 1.csv", LETTERED, encoding, delimiter=delimiter))
    samples = list(task().samples(tmp_path))
    assert task.name == "été_1" and [s.gold for s in samples] == [
        {"gold": 1, "options": ["là", "ici"]}, {"gold": 2, "options": ["hier", "été", "1"]}]  # fmt: skip
    assert [s.id for s in samples] == ["line 2", "line 3"]
    assert ("cp1252" in task.caveat) == (encoding == "cp1252")


@pytest.mark.parametrize(("answers", "gold"), [
    (["B", "c"], [1, 2]), (["(b)", "C."], [1, 2]), (["y", "z"], [1, 2]), (["0", "2"], [0, 2]), (["1", "3"], [0, 2]),
])  # fmt: skip
def test_answers_are_texts_letters_or_numbers_one_way_in_a_file(tmp_path, answers, gold):
    rows = [[f"Q{i}?", json.dumps(["x", "y", "z"]), answer] for i, answer in enumerate(answers)]
    task = csv_task(write(tmp_path / "f.csv", [["prompt", "options", "target"], *rows]))
    assert [s.gold["gold"] for s in task().samples(tmp_path)] == gold


def test_numbers_that_may_begin_at_0_or_at_1_are_refused_and_texts_that_are_numbers_are_texts(tmp_path):
    rows = [["Q?", json.dumps(["x", "y", "z"]), "1"], ["R?", json.dumps(["x", "y", "z"]), "2"]]
    with pytest.raises(DataError, match="whether the first choice is 0 or 1"):
        csv_task(write(tmp_path / "f.csv", [["question", "choices", "answer"], *rows]))
    rows = [["Q?", json.dumps([2, 1, 4]), "1"], ["R?", json.dumps([1, 2, 3]), "2"]]
    task = csv_task(write(tmp_path / "f.csv", [["question", "choices", "answer"], *rows]))
    assert [s.gold["gold"] for s in task().samples(tmp_path)] == [1, 1]


def test_every_bad_row_is_named_with_its_line(tmp_path):
    rows = [["id", "question", "choices", "answer"], ["1", "Q?", '["x", "y"]', "A"], ["2", "", '["x", "y"]', "A"],
            ["3", "two\nlines?", "x or y", "A"], ["4", "Q?", '["x"]', "A"], ["5", "Q?", '["x", "x"]', "A"],
            ["6", "Q?", '["x", ""]', "A"], ["7", "Q?", '["x", "y"]', "C"], ["1", "Q?", '["x", "y"]', "B"]]  # fmt: skip
    with pytest.raises(DataError) as refused:
        csv_task(write(tmp_path / "f.csv", rows))
    said = str(refused.value)
    assert re.findall(r"line (\d+): ", said) == [*"356789", "10"] and "7 of 8 rows cannot" in said
    for words in (
        "no question", "not a JSON list: x or y", "1 choices", "the same", "choice B is empty",
        "line 9: the answer `C` is none of the 2 choices", "line 10: the id `1` is that of line 2",
    ):  # fmt: skip
        assert words in said
    with pytest.raises(DataError, match=r"line 3: 3 fields, not 4"):
        csv_task(write(tmp_path / "f.csv", [rows[0], rows[1], ["2", "Q?", "A"]]))


@pytest.mark.parametrize(("raw", "error", "words"), [
    (b"", DataError, "is empty"), (b"question,answer\n", DataError, "no rows"),
    (b"question,answer\na\x00,b\n", DataError, "line 2 has a null byte"),
    (b"question,answer\na,b\x81\n", DataError, "line 2 is neither UTF-8 nor Windows-1252"),
    (b"frage,antwort\na,b\n", ConfigError, "no column that is the question; it has frage, antwort"),
    (b"question,reply\na,b\n", ConfigError, "no column that is the answer; it has question, reply"),
    (b"question,answer,answer\na,b,c\n", DataError, "two columns named `answer`"),
    (b'question,answer\na,"b\n', DataError, "line 2: unexpected end of data"),
])  # fmt: skip
def test_a_file_that_is_no_table_of_questions_is_refused(tmp_path, raw, error, words):
    (tmp_path / "f.csv").write_bytes(raw)
    with pytest.raises(error, match=re.escape(words)):
        csv_task(tmp_path / "f.csv")


def test_columns_are_named_where_they_cannot_be_found(tmp_path, folder, capsys):
    path = write(tmp_path / "f.csv", [["Frage", "Antwort"], ["Wo?", "hier"]])
    (sample,) = csv_task(path, {"question": "Frage", "answer": "Antwort"})().samples(tmp_path)
    assert sample.gold["gold"] == "hier" and sample.asks[0].messages[0]["content"].startswith("Wo?\n\n")
    for columns, words in (
        ("question=Fragen,answer=Antwort", "has no column `Fragen`"), ("questionFrage", "question=NAME"),
        ("frage=Frage", "`frage` is not a part of a question"),
    ):  # fmt: skip
        assert main(["eval", str(folder), "--csv", str(path), "--columns", columns]) == 2
        assert words in capsys.readouterr().err
    assert main(["eval", str(folder), "--csv", str(tmp_path / "none.csv")]) == 2
    assert "does not exist" in capsys.readouterr().err
    assert main(["eval", str(folder), "--csv", str(path), str(path), "--columns", "question=Frage,answer=Antwort"]) == 2
    assert "two tasks are called `f`" in capsys.readouterr().err


def test_short_answers_are_read_strictly_and_leniently(tmp_path):
    head, legs = ["question", "answer", "group"], ["How many legs?", '["6", "six"]', "animals"]
    rows = [head, legs, ["Where?", "Île-de-France", "x"]]
    task = csv_task(write(tmp_path / "f.csv", rows))()
    legs, where = task.samples(tmp_path)
    for text, strict, lenient in (
        ("Insects.\nAnswer: Six.", 1, 1),
        ("6", 1, 1),
        ("The answer is 6, I think.", 0, 0),
        ("I count.\nThe answer is: **six**", 0, 1),
        ("Answer: 66", 0, 0),
    ):
        row = task.score(legs, [Reply(text=text, finish="stop")])
        assert (row["correct"], row["correct_lenient"]) == (strict, lenient), text
    assert task.score(where, [Reply(text="answer: ile de france", finish="stop")])["correct"] == 0
    assert task.score(where, [Reply(text="Answer: ILE-DE-FRANCE", finish="stop")])["correct"] == 1
    assert task.score(where, [Failure(reason="timeout")])["failed"] and where.cluster == "x"


@pytest.mark.parametrize(("one", "other", "same"), [
    ("The Seine.", "seine", True), ("1,000", "1000.0", True), ("-5", "5", False), ("C++", "C", False), ("A", "a", True),
    ("3.14159", "3.14158", False), ("123456789012345678", "123456789012345679", False), ("北京。", "北京", True),
    ("vitamin A", "vitamin", False), ("1e5", "15", False), ("50 %", "50%", True), ("", "x", False),
])  # fmt: skip
def test_what_is_the_same_answer(one, other, same):
    assert (comparable(one) == comparable(other)) == same


def test_an_endpoint_answers_a_csv_file(tmp_path, capsys):
    path = write(tmp_path / "sums.csv", [["question", "answer"], ["1 + 1?", "2"], ["2 + 2?", "4"], ["3 + 3?", "6"]])

    def answer(body, number):
        asked = body["messages"][0]["content"]
        known = {"1": "Answer: 2", "2": "Answer: 4", "3": "Answer: seven"}
        return 200, chat(known.get(asked[0], "Hello"))

    with Scripted(only_chat(answer)) as server:
        words = ["eval", server.url, "--model", "m", "--csv", str(path), "--work", str(tmp_path / "w"), "--json"]
        for asked in (3, 0):  # the second run asks nothing
            before = sum(path == "/v1/chat/completions" for path, *_ in server.seen)
            assert main(words) == 0
            rows = json.loads(capsys.readouterr().out)["results"]
            assert [(r["metric"], r["score"], r["denominator"]) for r in rows] == [
                ("em_strict", pytest.approx(2 / 3), 3), ("em_lenient", pytest.approx(2 / 3), 3)]  # fmt: skip
            seen = sum(path == "/v1/chat/completions" for path, *_ in server.seen)
            assert seen - before == asked + 1  # one call finds out what the endpoint can do
