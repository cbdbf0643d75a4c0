"""Tasks on the committed sample files and on files a user brings: forms, counts, refusals. No model."""

import csv
import json
import sys
from dataclasses import replace

import pytest

from creuset.benchmarks.catalogue import NAMES, about, forms, make
from creuset.benchmarks.choices import ChoiceTask
from creuset.benchmarks.multiple_choice import NAMES as TABLES
from creuset.benchmarks.multiple_choice import TableTask
from creuset.core.errors import ConfigError, DataError
from creuset.evals.model import Failure, Likelihood, Reply
from tests.evals.parity import BENCH

HERE = [
    "arc_easy",
    "arc_challenge",
    "hellaswag",
    "piqa",
    "winogrande",
    "openbookqa",
    "boolq",
    "commonsense_qa",
    "siqa",
    "truthfulqa_mc1",
    "mmlu_anatomy",
    "mmlu_pro_business",
]


def scored(task, outcomes):
    """Measures when the samples got these outcomes, the last one again and again."""
    samples = list(task.samples(BENCH))
    said = [outcomes[min(i, len(outcomes) - 1)] for i in range(len(samples))]
    rows = [{"id": s.id, "cluster": s.cluster, **task.score(s, o)} for s, o in zip(samples, said, strict=True)]
    return samples, {measure.metric: measure for measure in task.measures(rows)}


@pytest.mark.parametrize("name", NAMES)
def test_each_task_says_what_it_is(name):
    task = about(name)
    words = (task.__doc__ or "") + (sys.modules[task.__module__].__doc__ or "")
    assert task.name == name and task.licence and len(words) > 40
    assert make(name).form == forms(name)[0]


def test_every_table_of_the_file_is_in_the_catalogue_under_its_name():
    assert set(TABLES) == {name for name in NAMES if issubclass(about(name), TableTask)}
    assert all(about(name).spec.metric and about(name).spec.data for name in TABLES)


@pytest.mark.parametrize(("row", "words"), [
    ({"query": "q"}, "'choices' is undefined"), ({"query": "q", "choices": "ab", "gold": 0}, "they must be texts"),
    ({"query": "q", "choices": ["a", 2], "gold": 0}, "they must be texts"),
    ({"query": "q", "choices": ["a", "b"], "gold": None}, "line 1 is not an item of openbookqa"),
    ({"query": "q", "choices": ["a", "b"], "gold": -1}, "the answer is -1, there are 2 choices"),
])  # fmt: skip
def test_a_row_that_the_table_cannot_read_is_named(tmp_path, row, words):
    (tmp_path / "openbookqa").mkdir()
    (tmp_path / "openbookqa/openbook_qa.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(DataError, match=words):
        list(make("openbookqa").samples(tmp_path))


@pytest.mark.parametrize("name", HERE)
def test_the_three_forms_ask_the_same_items(name):
    asked = {}
    for form in ("loglikelihood", "generate", "chat"):
        task = make(name, form=form)
        assert task.needs == {{"generate": "completion"}.get(form, form)}
        asked[form] = list(task.samples(BENCH))
    assert [s.id for s in asked["loglikelihood"]] == [s.id for s in asked["generate"]] == [s.id for s in asked["chat"]]
    for likely, written, chat in zip(*asked.values(), strict=True):
        assert likely.gold["gold"] == written.gold["gold"] == chat.gold["gold"] < len(likely.pairs)
        assert len(likely.pairs) == len(written.gold["options"])
        for option in written.gold["options"]:
            assert option in written.asks[0].prompt and option in chat.asks[0].messages[-1]["content"]


def test_the_same_item_in_three_forms_to_the_character():
    first = {form: next(iter(make("arc_easy", form=form).samples(BENCH))) for form in forms("arc_easy")}
    stem = "Which piece of safety equipment is used to keep mold spores from entering the respiratory system?"
    samples = list(make("arc_easy").samples(BENCH))
    assert samples[1].pairs[1].context == f"Question: {stem}\nAnswer:"
    assert samples[1].pairs[1].continuation == " breathing mask" and samples[1].gold["gold"] == 1
    listed = "\n".join(f"{x}. {o}" for x, o in zip("ABCD", first["chat"].gold["options"], strict=True))
    assert first["generate"].asks[0].prompt.endswith(f"\n{listed}\nAnswer:")
    (message,) = first["chat"].asks[0].messages
    assert message["role"] == "user" and message["content"].endswith(listed) and "A, B, C, D." in message["content"]


def test_worked_examples_come_from_the_training_file_or_are_not_asked():
    samples = list(make("commonsense_qa", form="generate", fewshot=2).samples(BENCH))
    assert len(samples) == 10 and samples[0].asks[0].prompt.count("Answer: ") == 2
    samples = list(make("piqa", fewshot=3).samples(BENCH))
    assert len(samples) == 7 and samples[0].pairs[0].context.count("Question: ") == 4
    chat = next(iter(make("mmlu_anatomy", form="chat", fewshot=1).samples(BENCH)))
    assert [m["role"] for m in chat.asks[0].messages] == ["user", "assistant", "user"]
    assert chat.asks[0].messages[1]["content"].startswith("Answer: ")
    with pytest.raises(ConfigError, match="has 5 worked examples, 9 are asked for"):
        list(make("mmlu_anatomy", fewshot=9).samples(BENCH))
    for name in ("lambada_openai", "mgsm"):
        with pytest.raises(ConfigError, match="no worked examples"):
            make(name, fewshot=2)


def test_reasoned_examples_of_mmlu_pro_are_shown_as_published(tmp_path):
    rows = [
        {
            "question_id": i,
            "question": f"Why {i}?",
            "options": ["x", "y"],
            "answer": "B",
            "category": "law",
            "cot_content": "A: Let's think step by step. It is y. The answer is (B).",
        }
        for i in range(2)
    ]
    (tmp_path / "mmlu_pro").mkdir()
    for name, part in (("test", rows[:1]), ("validation", rows[1:])):
        (tmp_path / "mmlu_pro" / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    (sample,) = make("mmlu_pro_law", fewshot=1).samples(tmp_path)
    assert sample.asks[0].prompt.endswith(
        "is the correct letter choice.\nQuestion:\nWhy 1?\nOptions:\nA. x\nB. y\nAnswer: Let's think step by step. "
        "It is y. The answer is (B).\n\nQuestion:\nWhy 0?\nOptions:\nA. x\nB. y\nAnswer: Let's think step by step."
    )
    (tmp_path / "mmlu_pro/validation.jsonl").unlink()
    with pytest.raises(ConfigError, match=r"validation\.jsonl` does not exist"):
        list(make("mmlu_pro_law", fewshot=1).samples(tmp_path))


def test_failed_calls_and_unread_replies_are_wrong_answers():
    task = make("arc_easy", form="chat")
    letters = [s.gold["gold"] for s in task.samples(BENCH)]
    right = [[Reply(text=f"Answer: {'ABCD'[g]}", finish="stop")] for g in letters]
    outcomes = [
        *right[:6],
        [Failure(reason="timeout")],
        [Reply(text="Hm.", finish="length")],
        [Reply(text=f"The answer is {'ABCD'[letters[8]]}!", finish="stop")],
        right[9],
    ]
    _, found = scored(task, outcomes)
    strict, lenient = found["acc_strict"], found["acc_lenient"]
    assert (strict.score, strict.denominator, strict.n, strict.failed, strict.unextracted) == (0.7, 10, 9, 1, 2)
    assert (lenient.score, lenient.unextracted, lenient.extra["cut"]) == (0.8, 1, 1)
    assert strict.extractor == "letter_strict" and lenient.extractor == "letter_lenient"
    assert strict.interval_by == "Wilson" and 0.39 < strict.interval.low < 0.4
    assert strict.extra["chance"] == pytest.approx(sum(1 / len(s.gold["options"]) for s in task.samples(BENCH)) / 10)


def test_chance_is_said_to_be_chance():
    def like(totals):
        return [Likelihood(total=t, greedy=False, tokens=1) for t in totals]

    _, found = scored(make("piqa"), [like((-1.0, -2.0))])
    acc = found["acc"]
    assert acc.extra["verdict"] == "at chance level" and acc.extra["chance"] == 0.5
    assert acc.extra["majority"] == max(acc.score, 1 - acc.score), "always the first"
    task = make("piqa")
    samples = list(task.samples(BENCH))
    rows = [task.score(s, like([-2.0, -1.0] if s.gold["gold"] else [-1.0, -2.0])) for s in samples]
    assert task.measures(rows)[0].extra["verdict"] == "above chance"
    broken = task.score(samples[0], [Failure(reason="http_500"), *like([-1.0])])
    assert broken["failed"] and broken["correct"] == broken["correct_norm"] == 0


def test_length_decides_where_it_should():
    task = make("openbookqa")
    sample = next(iter(task.samples(BENCH)))
    longest = max(range(4), key=lambda i: sample.gold["lengths"][i])
    shortest = min(range(4), key=lambda i: sample.gold["lengths"][i])
    totals = [-30.0] * 4
    totals[longest], totals[shortest] = -20.0, -19.0
    row = task.score(sample, [Likelihood(total=t, greedy=False, tokens=3) for t in totals])
    assert row["answer"] == "ABCD"[shortest] and row["answer_norm"] == "ABCD"[longest]


def test_intervals_are_clustered_where_samples_share_a_subject(tmp_path):
    rows = [
        {
            "id": str(i),
            "cluster": "one" if i < 10 else "two",
            "correct": int(i < 10),
            "correct_norm": 0,
            "extracted": True,
            "failed": False,
            "gold": "A",
            "chance": 0.25,
        }
        for i in range(20)
    ]
    (acc,) = make("mmlu").measures(rows)
    assert acc.interval_by == "Student t, 2 clusters" and (acc.interval.low, acc.interval.high) == (0.0, 1.0)
    assert acc.extra["groups"] == {"one": {"score": 1.0, "n": 10}, "two": {"score": 0.0, "n": 10}}
    (alone,) = make("mmlu").measures([replace_cluster(row, "one") for row in rows])
    assert alone.interval_by == "Wilson"
    assert make("mmlu").measures([])[0].status == "not_tested"


def replace_cluster(row, cluster):
    return {**row, "cluster": cluster}


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(rows)


def test_files_a_user_brings(tmp_path):
    head = ["Record ID", "Question", "Correct Answer", "Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3"]
    nine = [[f"rec{i}", "Why?\nSay.", "r", "x", "y", "z"] for i in range(9)]
    write(tmp_path / "gpqa/gpqa_diamond.csv", [head, *nine])
    samples = list(make("gpqa_diamond").samples(tmp_path))
    assert len(samples) == 9 and all(s.gold["options"][s.gold["gold"]] == "r" for s in samples)
    assert len({s.gold["gold"] for s in samples}) > 1, "the right answer is not always at one place"
    assert [s.gold for s in samples] == [s.gold for s in make("gpqa_diamond").samples(tmp_path)]
    for i in range(6):
        row = [[str(i), f"问题{i}", "甲", "乙", "丙", "丁", "B"]]
        head = [["id", "question", "A", "B", "C", "D", "answer"], ["", "Question", "A", "B", "C", "D", "Answer"]]
        for file, first in (
            ("ceval/val/law_val", 0),
            ("ceval/dev/law_dev", 0),
            ("cmmlu/test/arts", 1),
            ("cmmlu/dev/arts", 1),
        ):
            write(tmp_path / f"{file}.csv", [head[first], *row * 5])
    for name in ("ceval_law", "cmmlu_arts"):
        sample = next(iter(make(name).samples(tmp_path)))
        assert sample.gold["gold"] == 1 and sample.pairs[0].context.endswith("D. 丁\n答案：")
        assert sample.pairs[0].context.count("答案： B") == 5
    with pytest.raises(ConfigError, match=r"accountant_val\.csv` does not exist"):
        list(make("ceval").samples(tmp_path))


def test_a_broken_file_names_its_line(tmp_path):
    file = tmp_path / "arc" / "arc_easy.jsonl"
    file.parent.mkdir()
    good = (BENCH / "arc/arc_easy.jsonl").read_text().splitlines()[0]
    for line, words in (
        ("{", "line 2 is not JSON"),
        ("[1]", "line 2 is a JSON list"),
        ("{}", "line 2 is not an item"),
        (good.replace('"gold": 0', '"gold": 4'), "the answer is 4, there are 4 choices"),
    ):
        file.write_text(f"{good}\n{line}\n")
        with pytest.raises(DataError, match=words):
            list(make("arc_easy").samples(tmp_path))
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="is not UTF-8"):
        list(make("arc_easy").samples(tmp_path))
    write(tmp_path / "mmlu/test/anatomy_test.csv", [["q", "a", "b", "c", "d", "A"], ["q", "a"]])
    write(tmp_path / "mmlu/dev/anatomy_dev.csv", [["q", "a", "b", "c", "d", "A"]])
    with pytest.raises(DataError, match="line 2 has 2 fields, not 6"):
        list(make("mmlu_anatomy").samples(tmp_path))
    with pytest.raises(ConfigError, match="no form `static`"):
        make("arc_easy", form="static")
    with pytest.raises(ConfigError, match="`mmlu_alchemy` is not a task"):
        make("mmlu_alchemy")


def test_generated_answers_are_read_strictly_and_leniently():
    task = make("bbh_navigate", form="chat")
    sample = next(iter(task.samples(BENCH)))
    gold = sample.gold["gold"]
    for text, strict, lenient in (
        (f"So the answer is {gold}.", 1, 1),
        (f"**Answer:** ({gold.upper()})", 0, 1),
        ("<think>the answer is x.</think>", 0, 0),
    ):
        row = task.score(sample, [Reply(text=text, finish="stop")])
        assert (row["correct"], row["correct_lenient"]) == (strict, lenient), text
    crux = make("cruxeval_o")
    sample = next(iter(crux.samples(BENCH)))
    gold = sample.gold["gold"]
    for text, strict, lenient in ((f" {gold}", 1, 1), (f"It is\n```python\n{gold}\n```", 0, 1), (" f(1)", 0, 0)):
        row = crux.score(sample, [Reply(text=text, finish="stop")])
        assert (row["correct"], row["correct_lenient"]) == (strict, lenient), text
    one = replace(sample, gold={"gold": "1", "language": ""})
    assert [crux.score(one, [Reply(text=t, finish="stop")])["correct"] for t in ("1", "1.0", "True")] == [1, 0, 0]


def test_each_language_has_its_own_score():
    task = make("mgsm_direct")
    task.part = ("fr", "en")
    samples = list(task.samples(BENCH))
    assert [s.id for s in samples[:2]] == ["fr/1", "en/1"] and samples[0].cluster == samples[1].cluster
    assert samples[0].asks[0].prompt.startswith("Question : ") and "Réponse :" in samples[0].asks[0].prompt
    rows = [
        {
            "id": s.id,
            "cluster": s.cluster,
            **task.score(s, [Reply(text=s.gold["gold"] if s.id[:2] == "fr" else "x", finish="stop")]),
        }
        for s in samples
    ]
    found = {m.metric: m.score for m in task.measures(rows)}
    assert found["em_strict.fr"] == 1.0 and found["em_strict.en"] == 0.0 and found["em_strict"] == 0.5


def test_words_of_lambada_in_a_chat():
    task = make("lambada_openai", form="chat")
    sample = next(iter(task.samples(BENCH)))
    assert task.score(sample, [Reply(text=f'"{sample.gold.title()}."', finish="stop")])["correct"] == 1
    assert task.score(sample, [Failure(reason="timeout")])["failed"]


def test_every_choice_task_gives_its_header():
    assert issubclass(about("arc_easy"), ChoiceTask) and about("mmlu_anatomy").name == "mmlu_anatomy"
    assert about("mmlu_pro_computer_science").part == ("computer science",)
