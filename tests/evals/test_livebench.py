"""LiveBench: each rule on replies written for this, the questions of a release, averages, and what is refused."""

import json
import venv

import pytest

from creuset.benchmarks import catalogue
from creuset.benchmarks.livebench import algebra, language, maths, reasoning, tables
from creuset.benchmarks.livebench.marks import bare, boxed, distance, solutions
from creuset.benchmarks.livebench.questions import CATEGORIES, TASKS
from creuset.benchmarks.livebench.score import code, scored
from creuset.benchmarks.livebench.task import LiveBench, LiveBench0831
from creuset.core import stats
from creuset.core.errors import ConfigError, DataError
from creuset.evals import sandbox
from creuset.evals.model import Failure, Reply

OPTIONS = r"$\textbf{(A)} 12 \qquad \textbf{(B) }3\pi \qquad \textbf{(C)} 7$"


@pytest.mark.parametrize(("text", "found"), [
    (r"\boxed{1} then \boxed{\frac{1}{2}}.", r"\frac{1}{2}"), (r"$\boxed 7$ apples", "7"), (r"\fbox{9}", "9"),
    (r"\boxed{never closed", None), (r"\boxed", None), ("none", None), (r"\boxed{$5$}", "5"),
])  # fmt: skip
def test_the_last_box_counts(text, found):
    assert boxed(text) == found


def test_marks_of_an_answer():
    assert bare(r"\text{yes}, \text{no}") == "yes, no"
    assert solutions("<solution>a</solution> <solution>b</solution>") == ["a", "b"]
    assert solutions("</solution>a</solution>") == ["a"]
    assert solutions("<solution>a\nb</solution>") == []
    assert solutions("<solution>a\nb</solution>", across_lines=True) == ["ab"]
    assert [distance("kitten", "sitting"), distance([], [1, 2]), distance([1, 2], [1, 2])] == [3, 2, 0]


@pytest.mark.parametrize(("text", "score"), [
    ("It is BBBB.", 1), ("It is CCCCC.", 0), ("<solution>b</solution>", 1), (r"\boxed{\text{B}}", 1),
    (r"so the area is $3\pi$", 1), ("long\n**B**", 1), ("so it must be (B) at last", 1),
    ("B, surely, or C", 0), ("", 0),
])  # fmt: skip
def test_a_letter_of_a_contest(text, score):
    assert maths.contest("B", text, OPTIONS)[0] == score


def test_three_digits_count_at_the_end_only():
    assert maths.digits("025", "It is 025.", "") == (1.0, "025")
    assert maths.digits("025", "025" + " and so on" * 6, "") == (0.0, None)
    assert maths.digits("025", "The answer is 125", "") == (0.0, "125")


@pytest.mark.parametrize(("text", "found"), [
    ("Answer: 3, 1, 2", [3, 1, 2]), ("**Answer:**\n3,1,2.", [3, 1, 2]), (r"\boxed{3, 1, 2}", [3, 1, 2]),
    ("Answer: 3, one, <2>", [3, None, 2]), ("they are\n3, 1 and 2", [3, 1]), ("Answer: none", []),
    ("Answer: 1, 2\nAnswer: 2, 1", [2, 1]), ("answer: 5, 6, x9\nno more", [5, 6, None]), ("", []),
])  # fmt: skip
def test_the_order_of_formulae(text, found):
    assert maths.order(text) == found


def test_a_proof_scores_by_the_edits_that_are_left():
    assert maths.proof("1,2,3,4", "Answer: 1, 2, 3, 4", "") == (1.0, "1,2,3,4")
    assert maths.proof("1,2,3,4", "Answer: 1, 3, 4", "")[0] == 0.75
    assert maths.proof("1,2", "Answer: 1, 2, 3, 4", "")[0] == 0.5
    assert maths.proof("1,2", "Answer: none", "") == (0.0, None)


@pytest.mark.parametrize(("text", "found"), [
    (r"so $\boxed{x^2 + C}$", "x^2 "), (r"$$y = \dfrac12$$", r"\frac{1}{2}"), (r"\boxed{1,000}", "1000"),
    (r"\boxed{\left(x+1\right)\cdot 2}", "(x+1)* 2"), ("no formula", None), (r"\boxed{x = \text{7}}", " 7"),
])  # fmt: skip
def test_the_formula_of_a_reply(text, found):
    assert maths.formula(maths.cleaned(text)) == found


@pytest.mark.parametrize(("text", "score"), [
    ("<solution>yes, no, unknown</solution>", 1), ("**yes**, **no** and **unknown.**", 1), ("**yes, no, yes**", 0),
    ("**no** **no** **no** so **yes, no, unknown**", 1),
    (r"\boxed{yes, no, unknown}", 1), ("I say yes, no, unknown", 1), ("yes and no", 0), ("**so** yes, no, unknown", 1),
])  # fmt: skip
def test_who_lies(text, score):
    assert reasoning.lies("yes, no, unknown", text, "")[0] == score


def test_who_lies_in_a_longer_answer_is_counted_but_for_unknown():
    assert reasoning.lies("yes, no, yes", "<solution>it is yes, no, yes</solution>", "")[0] == 1
    assert reasoning.lies("yes, no, unknown", "<solution>it is yes, no, unknown</solution>", "")[0] == 0


@pytest.mark.parametrize(("text", "score"), [
    ("<solution>2, jazz, The Cat</solution>", 1), ("<solution>2, rock, cat</solution>", 1 / 3),
    ("<solution>2</solution><solution>jazz</solution><solution>cat</solution>", 1), ("so\n2, jazz, cat", 1),
    (r"\boxed{\text{2, jazz, cat}}", 1), ("so\n2, jazz", 0), ("<solution>position 2, jazz</solution>", 1 / 3),
])  # fmt: skip
def test_a_puzzle_of_several_answers(text, score):
    assert reasoning.zebra("2, jazz, cat", text, "")[0] == pytest.approx(score)


@pytest.mark.parametrize(("truth", "text", "score"), [
    ("three", "***one*** no, ***3***", 1), ("drama movies", "She likes ***drama***", 1),
    ("fish", "a ***cat***\nfish", 0), ("fish", "I say fish.", 1), ("fish", "", 0),
])  # fmt: skip
def test_a_puzzle_of_one_answer(truth, text, score):
    assert reasoning.zebra_before(truth, text, "")[0] == score


@pytest.mark.parametrize(("truth", "text", "score"), [
    ("4", "**4** **a** **b**", 1), ("4", "**4** **a** **b** **c**", 0), ("4", "**Four**", 1), (r"4", r"\boxed{4}", 1),
    ("tetrahedra", "**two tetrahedra**", 1), ("triangle", "**circle square triangle shape**", 0), ("4", "4", 1),
])  # fmt: skip
def test_a_question_of_space(truth, text, score):
    assert reasoning.spatial(truth, text, "")[0] == score


def test_groups_of_four():
    truth = "a,b,c,d,e,f,g,h"
    assert language.connections(truth, "<solution>d, c, b, A, h, g, f, e</solution>", "")[0] == 1
    assert language.connections(truth, "<solution>a, b, c, e, d,\nf, g, h</solution>", "")[0] == 0
    assert language.connections(truth, "<solution>x,y,z,w</solution> <solution>a,b,c,d,e,f,g,h</solution>", "")[0] == 1
    assert language.connections(truth, "**a,b,c,d,e,f,g,h**", "") == (0.0, None)
    assert language.connections_before(truth, "**a, b, c, x, e,\nf, g, h**, or **y**", "")[0] == 0.5
    assert language.connections_before(truth, "a,b,c,d", "") == (0.0, None)


def test_sentences_put_in_order():
    truth = "The dog barks. A cat sleeps. Rain falls."
    assert language.plot(truth, f"Sure!\n<PLOT_SUMMARY>{truth}</PLOT_SUMMARY>", "")[0] == 1
    assert language.plot(truth, "<PLOT_SUMMARY>A cat sleeps. The dog barks. Rain falls.", "")[0] == pytest.approx(1 / 3)
    assert language.plot(truth, "", "")[0] == 0


def test_typos_are_all_corrected_or_not():
    truth = "We saw the sea."
    assert language.typos(truth, "<solution>x</solution> <solution>We saw the sea.</solution>", "")[0] == 1
    assert language.typos(truth, "Here: --- We saw the sea. --- done", "")[0] == 1
    assert language.typos(truth, "We saw\nthe sea.", "")[0] == 1
    assert language.typos(truth, "<solution>We saw teh sea.</solution> We saw the sea.", "")[0] == 0


def test_the_kind_of_a_column():
    assert tables.column_kind("Post Code", "The kind is: **post-code**", "")[0] == 1
    assert tables.column_kind("City", r"\boxed{\text{City}} it is", "")[0] == 1
    assert tables.column_kind("City", "City or town", "") == (0.0, "cityortown")


@pytest.mark.parametrize(("text", "score"), [
    ("{'a': 'x', 'b': 'y'}", 1), ("```python\n{'a': 'x',\n'b': 'z'}\n```", 0.5),
    ('```json\n{"a": "x", "b": null}\n```', 0.67),
    ("<solution>{'a': 'x', 'b': 'y', 'c': 'w'}</solution>", 0.8), (r"\boxed{{\text{'a'}: \text{'x'}}}", 0.67),
    ("nothing", 0), ("[1]", 0), ("{'a': " + "(" * 500, 0),
])  # fmt: skip
def test_columns_joined(text, score):
    assert tables.join("{'a': 'x', 'b': 'y'}", text, "")[0] == score


TRUTHS = {
    "csv": "name,n\nEve ,1\n,2.5\n", "tsv": "name\tn\nEve\t1\n\t2.5\n",
    "json": '{"7": {"name": "Eve", "n": 1}, "8": {"name": null, "n": 2.5}}',
    "jsonl": '{"name": "Eve", "n": 1}\n{"name": null, "n": 2.5}',
    "html": "<table><tr><th></th><th>name</th><th>n</th></tr><tr><th>0</th><td>Eve</td><td>1</td></tr>"
            "<tr><th>1</th><td></td><td>2.5</td></tr></table>",
}  # fmt: skip


def asked(kind):
    return f"Please convert the Input Table from XML format to {kind.upper()} format."


@pytest.mark.parametrize("kind", TRUTHS)
def test_a_table_is_the_same_in_its_own_writing_only(kind):
    truth = TRUTHS[kind]
    assert tables.reformat(truth, truth, asked(kind))[0] == 1
    assert tables.reformat(truth, f"```{kind}\n{truth}\n```", asked(kind))[0] == 1
    assert tables.reformat(truth, truth.replace("2.5", "2.4"), asked(kind))[0] == 0
    assert tables.reformat(truth, truth.replace("name", "nom"), asked(kind))[0] == 0
    assert tables.reformat(truth, "", asked(kind))[0] == 0
    other = "jsonl" if kind != "jsonl" else "csv"
    assert tables.reformat(truth, TRUTHS[other], asked(kind))[0] == 0


def test_a_table_may_have_its_columns_in_any_order_and_text_around():
    assert tables.reformat(TRUTHS["csv"], "n,name\n1.0,Eve\n2.50,\n", asked("csv"))[0] == 1
    assert tables.reformat("a,b\n1,x\n,y\n", "a,b\n1.0,x\nNaN,y\n", asked("csv"))[0] == 1, "numbers, one cell empty"
    around = "The table, as asked:\nname,n\nEve,1\n,2.5\n\nDone, (a, b)"
    assert tables.reformat(TRUTHS["csv"], around, asked("csv"))[0] == 1
    around = f"Here it is, in the format:\n{TRUTHS['jsonl']}\nBye"
    assert tables.reformat(TRUTHS["jsonl"], around, asked("jsonl"))[0] == 1
    records = '[{"n": 1, "name": "Eve"}, {"n": "2.5", "name": null}]'
    assert tables.reformat(TRUTHS["json"], records, asked("json"))[0] == 1
    assert tables.reformat(TRUTHS["json"], records.replace("null", '""'), asked("json"))[0] == 0, '"" is no empty cell'


@pytest.mark.parametrize(("text", "program"), [
    ("```python\na\n```\nor\n```python\nb\n```", "b"), ("`c`", "c"), ("d\n```", "d"), ("  e \n", "  e"),
])  # fmt: skip
def test_the_program_of_a_reply(text, program):
    assert code(text) == program


def questions():
    """One question of each task, and some that are not of the release."""
    common = {"turns": ["?"], "livebench_release_date": "2024-06-24", "livebench_removal_date": "", "ground_truth": "1"}
    tests = json.dumps([{"input": "2", "output": "4", "testtype": "functional"}])
    program = {"question_title": "twice", "original_json": {"metadata": '{"func_name": "twice"}'},
               "public_test_cases": tests, "private_test_cases": tests}  # fmt: skip
    special = {
        "math_comp": {"subtask": "aime_i_2024"}, "LCB_generation": program,
        "coding_completion": program | {"partial_solution": "class Solution:\n    def twice(self, x: List[int]):"},
        "tablereformat": {"turns": [asked("csv")], "ground_truth": "a\n1"},
        "olympiad": {"turns": ["The question is:\nProve it.\nThe solution is: ..."]},
    }  # fmt: skip
    instructed = {"ground_truth": None, "kwargs": "[{'num_words': 3, 'relation': 'less than'}, {}]",
                  "instruction_id_list": ["length_constraints:number_words", "startend:quotation"]}  # fmt: skip
    rows = []
    for task, category in TASKS.items():
        extra = instructed if category == "instruction_following" else special.get(task, {})
        rows.append({"question_id": task, "task": task, "category": category} | common | extra)
    return rows


@pytest.fixture
def bench(tmp_path):
    def write(rows):
        for row in rows:
            file = tmp_path / f"livebench/{row['category']}/question.jsonl"
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("a") as stream:
                stream.write(json.dumps(row) + "\n")
        return tmp_path

    return write


@pytest.fixture
def run():
    try:
        sandbox.run("")
    except sandbox.SandboxRefused as refused:
        pytest.skip(str(refused))


def test_each_task_is_scored_and_the_averages_are_those_of_livebench(bench, run):
    task = LiveBench()
    samples = {s.id: s for s in task.samples(bench(questions()))}
    assert list(samples) == [t for c in sorted(CATEGORIES) for t in CATEGORIES[c]]
    solved = "class Solution:\n    def twice(self, x: List[int]):\n        return [*x, *x][0] * 2\n"
    right = {
        "LCB_generation": "class Solution:\n    def twice(self, x: int):\n        return x * 2", "math_comp": "1",
        "tablereformat": "a\n1", "AMPS_Hard": r"\boxed{1}", "typos": "1", "connections": "**1**",
        "plot_unscrambling": "1", "spatial": "1", "cta": "1", "zebra_puzzle": "***1***", "olympiad": "1",
        "web_of_lies_v2": "<solution>1</solution>", "paraphrase": '"Two words"', "simplify": "Two words",
        "story_generation": '"More than three words"',
    }  # fmt: skip
    samples["tablejoin"].gold["truth"], right["tablejoin"] = "{'a': 'b'}", "{'a': 'b'}"
    rows = [task.score(s, [Reply(text=right[i], finish="stop") if i in right else Failure(reason="timeout")])
            | {"id": i, "cluster": s.cluster} for i, s in samples.items()]  # fmt: skip
    found = {m.metric: m for m in task.measures(rows)}
    assert list(found) == ["average", *CATEGORIES, *TASKS]
    assert {name: m.score for name, m in found.items() if name in TASKS} == {t: 1.0 for t in TASKS} | {
        "coding_completion": 0.0,
        "simplify": 0.25,
        "story_generation": 0.25,
        "summarize": 0.0,
    }
    assert found["instruction_following"].score == pytest.approx((1 + 0.25 + 0.25 + 0) / 4)
    assert found["average"].score == pytest.approx((0.5 + 1 + 1 + 1 + 1 + 0.375) / 6)
    assert (found["average"].failed, found["average"].denominator, found["summarize"].failed) == (2, 18, 1)
    assert found["coding"].extra["ends"] == {"passed": 1, "failed": 1}
    assert found["AMPS_Hard"].extra["ends"] == {"passed": 1}
    completed = scored(samples["coding_completion"].gold, f"```python\n{solved}```")
    assert completed["end"] == "failed", "the beginning is written twice where it is not kept to the letter"
    again = samples["coding_completion"].gold["begun"] + "\n        return x * 2"
    assert scored(samples["coding_completion"].gold, again)["correct"] == 1, "List needs no import"
    assert scored(samples["coding_completion"].gold, "        return x * 2")["correct"] == 1


def test_questions_of_a_release(bench):
    rows = [row for row in questions() if row["task"] in ("cta", "zebra_puzzle")]
    rows += [rows[0] | {"question_id": "new", "livebench_release_date": "2024-11-25"},
             rows[0] | {"question_id": "gone", "livebench_removal_date": "2024-11-25"},
             rows[0] | {"question_id": "later", "livebench_release_date": "2025-04-02"}]  # fmt: skip
    folder = bench(rows)
    assert {s.id for s in LiveBench().samples(folder)} == {"cta", "zebra_puzzle", "new"}
    assert {s.id for s in LiveBench0831().samples(folder)} == {"cta", "zebra_puzzle", "gone"}
    by_name = catalogue.make("livebench_2025-04-02")
    assert {s.id for s in by_name.samples(folder)} == {"cta", "zebra_puzzle", "new", "later"} and not by_name.caveat
    assert "more strictly" in catalogue.make("livebench_2024-07-26").caveat
    rules = {s.id: s.gold["rule"] for s in LiveBench().samples(folder)}
    assert (rules["zebra_puzzle"], rules["new"]) == ("zebra_puzzle_before", "zebra_puzzle")


def test_parquet_is_read_as_jsonl_is(bench, tmp_path):
    import datetime

    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [row for row in questions() if row["category"] == "reasoning"]
    (tmp_path / "livebench").mkdir(exist_ok=True)
    moments = [row | {"livebench_release_date": datetime.datetime(2024, 6, 24)} for row in rows]
    pq.write_table(pa.Table.from_pylist(moments), tmp_path / "livebench/test-00000-of-00001.parquet")
    by_parquet = [(s.id, s.gold) for s in LiveBench().samples(tmp_path)]
    assert len(by_parquet) == 3
    (tmp_path / "livebench/test-00000-of-00001.parquet").unlink()
    assert [(s.id, s.gold) for s in LiveBench().samples(bench(rows))] == by_parquet
    (tmp_path / "livebench/x.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="is not parquet"):
        list(LiveBench().samples(tmp_path))


def test_a_part_is_a_category_or_a_task_and_never_called_the_whole(bench):
    two = [row for row in questions() if row["category"] in ("reasoning", "language")][:-1]
    folder = bench([*two, two[0] | {"question_id": "other", "task": "theory_of_mind"}])

    def rows_of(task, said):
        return [
            task.score(s, [Reply(text=said, finish="stop")]) | {"id": s.id, "cluster": ""} for s in task.samples(folder)
        ]

    task = catalogue.make("livebench_reasoning")
    assert [(m.metric, m.score) for m in task.measures(rows_of(task, "no"))] == [
        ("reasoning", 0.0),
        ("web_of_lies_v2", 0.0),
        ("zebra_puzzle", 0.0),
        ("spatial", 0.0),
    ]
    assert [s.id for s in catalogue.make("livebench_spatial").samples(folder)] == ["spatial"]
    whole = catalogue.make("livebench")
    found = {m.metric: m for m in whole.measures(rows_of(whole, "1"))}
    assert found["average"].status == found["language"].status == "not_tested" and "typos" in found["language"].why
    assert found["reasoning"].status == "measured" and found["average"].extra["left_out"] == {"theory_of_mind": 1}


@pytest.mark.parametrize(("task", "change", "said"), [
    ("cta", {"livebench_release_date": None}, "its release is ``"), ("cta", {"ground_truth": ""}, "no ground truth"),
    ("cta", {"turns": ["a", "b"]}, "2 turns"),
    ("math_comp", {"subtask": "smc"}, "a letter from A to E"), ("olympiad", {"ground_truth": "1,x"}, "invalid literal"),
    ("tablereformat", {"turns": [asked("markdown")]}, "tables in markdown are not read"),
    ("simplify", {"instruction_id_list": ["a:b", "c:d"]}, "`a:b` is not known"),
    ("simplify", {"kwargs": [{}]}, "2 instructions and 1 sets"),
    ("LCB_generation", {"original_json": {"metadata": "{}"}}, "no name of a function"),
])  # fmt: skip
def test_a_line_that_is_no_question_is_named(bench, task, change, said):
    folder = bench([row | change for row in questions() if row["task"] == task])
    with pytest.raises(DataError, match=rf"line 1 is not an item of livebench.*{said}"):
        list(LiveBench().samples(folder))


def test_what_is_missing_or_there_twice_is_named(bench, tmp_path):
    with pytest.raises(ConfigError, match="has no livebench"):
        list(LiveBench().samples(tmp_path))
    one = [row for row in questions() if row["task"] == "cta"]
    bench(one)
    with pytest.raises(DataError, match="question cta is there twice"):
        list(LiveBench().samples(bench(one)))


def test_formulae_are_refused_where_the_python_of_the_sandbox_cannot_compare_them(bench, tmp_path, monkeypatch, run):
    venv.create(tmp_path / "bare")
    monkeypatch.setenv(sandbox.PYTHON, str(tmp_path / "bare/bin/python"))
    algebra.check.cache_clear()
    folder = bench([row for row in questions() if row["task"] == "AMPS_Hard"])
    with pytest.raises(ConfigError, match=r"compares formulae .* No module named 'sympy'"):
        list(LiveBench().samples(folder))


def test_the_interval_of_a_mean_of_means():
    flat = stats.nested_share([0, 1, 1, 0.5, 1], [("a", "b")] * 5, ["x", "x", "y", "", "z"])
    plain = stats.mean([0, 1, 1, 0.5, 1], ["x", "x", "y", "", "z"])
    assert (flat.value, flat.se, flat.df) == pytest.approx((plain.value, plain.se, plain.df)), "one leaf is a mean"
    x = [0, 1, 1, 1, 0, 0, 0, 1, 1, 0]
    paths = [("m", "p")] * 4 + [("m", "q")] * 4 + [("n", "r")] * 2
    found = stats.nested_share(x, paths)
    assert found.value == pytest.approx(((0.75 + 0.25) / 2 + 0.5) / 2)
    # Neyman's stratified variance has n/(n-1) a stratum; here one factor serves all: 10/7 for 4/3, 4/3 and 2.
    by_hand = (0.25**2 * 0.1875 / 4 + 0.25**2 * 0.1875 / 4 + 0.5**2 * 0.25 / 2) * 10 / 7
    assert found.se**2 == pytest.approx(by_hand) and found.df == 7
    together = stats.nested_share(x, paths, ["k"] * 2 + [str(i) for i in range(8)])
    assert together.clusters == 9 and together.se != found.se
    assert stats.nested_share([1, 1, 1], [("a",), ("b",), ("b",)]).interval == stats.wilson(3, 3)
    assert stats.nested_share([1, 0], [("a",), ("b",)]).interval == stats.Interval(0.0, 1.0), "nothing is known"
    with pytest.raises(ValueError, match="of one depth"):
        stats.nested_share([1, 0], [("a",), ("b", "c")])
