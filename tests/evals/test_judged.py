"""MT-Bench and Arena-Hard with a judge that follows a rule: turns, swapped positions, unread verdicts."""

import asyncio
import json

import pytest

from creuset.benchmarks.judged.arena_hard import ArenaHard
from creuset.benchmarks.judged.judged import rating, verdict
from creuset.benchmarks.judged.mt_bench import PROMPTS, MtBench
from creuset.core.errors import ConfigError, DataError
from creuset.evals.model import Failure, ModelClient, Reply
from creuset.evals.prices import Price
from creuset.evals.runner import PlaySettings, play


class Says(ModelClient):
    """Somebody else's model: answers by a rule; what it was asked is kept."""

    abilities = frozenset({"chat"})

    def __init__(self, rule):
        self.rule, self.asked = rule, []

    def identity(self):
        return {"name": "says"}

    async def generate(self, asks, done=None):
        self.asked += asks
        said = [self.rule(ask.messages[-1]["content"]) for ask in asks]
        return [s if isinstance(s, Failure) else Reply(text=s, finish="stop", model="judge-1") for s in said]


@pytest.fixture
def bench(tmp_path):
    mt, arena = tmp_path / "mt_bench", tmp_path / "arena_hard"
    mt.mkdir()
    arena.mkdir()

    def write(file, rows):
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))

    write(mt / "question.jsonl", [
        {"question_id": 1, "category": "writing", "turns": ["Write {it}.", "Again."]},
        {"question_id": 2, "category": "math", "turns": ["1 + 1?", "And 2 + 2?"]},
    ])  # fmt: skip
    one = "Q {question} A {answer}"
    two = "Q1 {question_1} A1 {answer_1} Q2 {question_2} A2 {answer_2}"
    texts = (one, one + " R {ref_answer_1}", two, two + " R2 {ref_answer_2}")
    write(
        mt / "judge_prompts.jsonl",
        [{"name": n, "system_prompt": "Judge.", "prompt_template": t} for n, t in zip(PROMPTS, texts, strict=True)],
    )
    write(mt / "gpt-4.jsonl", [{"question_id": 2, "choices": [{"turns": ["two", "four"]}]}])
    write(arena / "question.jsonl", [{"uid": u, "prompt": f"ask {u}"} for u in ("a", "b", "c")])
    write(arena / "baseline.jsonl", [
        {"uid": "a", "answer": "BASE"}, {"uid": "b", "answer": "BASE"},
        {"uid": "c", "messages": [{"role": "assistant", "content": {"answer": "BASE"}}]},
    ])  # fmt: skip
    return tmp_path


def played(task, folder, subject):
    rows = []
    for sample in list(task.samples(folder)):
        outcomes = asyncio.run(task.play(sample, subject))
        rows.append({**task.score(sample, outcomes), "id": sample.id, "cluster": ""})
    return rows, {m.metric: m for m in task.measures(rows)}


@pytest.mark.parametrize(("text", "value"), [
    ("Good. Rating: [[7]]", 7), ("[[5]] no, [[6.5]]", 6.5), ("Rating: 7", None), ("[[11]]", None), ("[[0]]", None),
    ("<think>[[3]]</think> [[4]]", 4),
])  # fmt: skip
def test_a_rating_is_read(text, value):
    assert rating(text) == value


@pytest.mark.parametrize(("text", "value"), [
    ("so [[A>>B]]", "A>>B"), ("[[A<<B]]", "B>>A"), ("[[B<A]]", "A>B"), ("[[B>A]], that is [[A<B]]", "B>A"),
    ("[[ A=B ]]", "A=B"), ("[[B=A]]", "A=B"), ("[[A>B]] or [[B>A]]", None), ("A>B", None),
])  # fmt: skip
def test_a_verdict_is_read(text, value):
    assert verdict(text) == value


def test_two_turns_are_asked_and_rated(bench):
    judge = Says(lambda q: "[[9]]" if "A2" in q else "[[5]]")
    subject = Says(lambda q: f"reply to {q}")
    rows, found = played(MtBench(judge), bench, subject)
    assert [row["ratings"] for row in rows] == [[5, 9], [5, 9]]
    assert (found["rating"].score, found["rating_turn_1"].score, found["rating_turn_2"].score) == (7, 5, 9)
    second = subject.asked[1].messages
    assert [m["role"] for m in second] == ["user", "assistant", "user"]
    assert second[1]["content"] == "reply to Write {it}."
    questions = [a.messages[-1]["content"] for a in judge.asked]
    assert questions[0] == "Q Write {it}. A reply to Write {it}." and "R2 four" in questions[3]
    assert found["rating"].extra["groups"]["math"] == {"score": 7, "n": 2} and found["rating"].extra["judge"] == "says"


def test_an_unread_rating_is_left_out_of_the_mean_and_counted(bench):
    judge = Says(lambda q: "no idea" if "A2" in q else "[[5]]")
    _, found = played(MtBench(judge), bench, Says(lambda q: "x"))
    assert found["rating"].score == 5 and (found["rating"].n, found["rating"].denominator) == (2, 4)
    assert found["rating"].unextracted == 2 and found["rating_turn_2"].status == "not_tested"


def test_a_failed_turn_keeps_its_place_and_is_not_judged(bench):
    judge = Says(lambda q: "[[5]]")
    rows, found = played(MtBench(judge), bench, Says(lambda q: Failure(reason="timeout")))
    assert judge.asked == [] and all(row["failed"] and row["ratings"] == [None, None] for row in rows)
    assert found["rating"].status == "not_tested"


def test_no_verdict_is_no_score_and_a_sample_without_one_is_neither_right_nor_wrong(bench):
    for task, judge in ((MtBench, "a good reply"), (ArenaHard, "[[A>B]] or [[B>A]]")):
        rows, found = played(task(Says(lambda q, said=judge: said)), bench, Says(lambda q: "x"))
        assert all(row["correct"] is None and not row["extracted"] and not row["failed"] for row in rows)
        assert {m.status for m in found.values()} == {"not_tested"}
        measure = next(iter(found.values()))
        assert measure.score is None and measure.extra["unread"] == measure.extra["judge_calls"] == 2 * len(rows)
        assert measure.n == 0 and measure.denominator == measure.unextracted > 0


def test_who_judged_stands_beside_each_judged_figure(bench):
    for task, judge in ((MtBench, "[[5]]"), (ArenaHard, "[[A=B]]")):
        rows, found = played(task(Says(lambda q, said=judge: said)), bench, Says(lambda q: "x"))
        for measure in found.values():
            extra = measure.extra
            assert (extra["judge"], extra["judge_models"], extra["judge_temperature"]) == ("says", ["judge-1"], 0.0)
            assert len(extra["judge_prompt_sha256"]) == 64 and extra["judge_calls"] == 2 * len(rows)
            assert extra["judge_tokens"] == {"prompt": 0, "completion": 0}


def test_a_journal_knows_who_judged(bench, tmp_path):
    """Another judge is another run; scored again, the first judge's name is still there."""
    journal = tmp_path / "arena.jsonl"

    class Another(Says):
        def identity(self):
            return {"name": "another", "url": "http://elsewhere"}

    def run(judge, **how):
        subject = Says(lambda q: "mine")
        return asyncio.run(play(ArenaHard(judge), subject, bench, journal=journal, playing=PlaySettings(**how)))

    first = run(Another(lambda q: "[[A>>B]]"))
    with pytest.raises(ConfigError, match="its judge is"):
        run(Says(lambda q: "[[A>>B]]"))
    again = run(None, rescore=True)
    assert [m.row() | {"date": ""} for m in again.measures] == [m.row() | {"date": ""} for m in first.measures]
    assert again.measures[0].extra["judge"] == "another" and again.measures[0].extra["judge_at"] == "http://elsewhere"
    assert {m.extra["judge_cost"] for m in first.measures} == {"no price is known"}
    price = Price(id="x", name="x", names=(), provider="us", input=1.0, output=2.0, currency="EUR")
    priced = run(None, rescore=True, judge_price=price)
    assert {m.extra["judge_cost"] for m in priced.measures} == {"0.0000 EUR"}, "its replies counted no token"


def test_without_a_judge_nothing_is_scored(bench):
    with pytest.raises(ConfigError, match="needs a judge"):
        played(MtBench(), bench, Says(lambda q: "x"))


def test_a_judge_that_loves_the_first_place_gives_half_and_agrees_with_itself_never(bench):
    rows, found = played(ArenaHard(Says(lambda q: "[[A>>B]]")), bench, Says(lambda q: "mine"))
    assert found["win_rate"].score == 0.5 and found["judge_agreement"].score == 0
    assert all(row["weight"] == 6 and row["points"] == 3 for row in rows)


def test_a_judge_that_prefers_the_model_gives_it_all(bench):
    judge = Says(lambda q: "[[A>B]]" if "<reply_A>\nmine" in q else "[[B>>A]]")
    rows, found = played(ArenaHard(judge), bench, Says(lambda q: "mine"))
    assert found["win_rate"].score == 1 and found["judge_agreement"].score == 1
    assert rows[0]["weight"] == 4 and len(judge.asked) == 6


def test_ties_agree_and_unread_verdicts_are_counted(bench):
    judge = Says(lambda q: "[[A=B]]" if "ask a" in q else "hm" if "ask b" in q else Failure(reason="http_500"))
    _, found = played(ArenaHard(judge), bench, Says(lambda q: "mine"))
    assert found["win_rate"].score == 0.5 and (found["win_rate"].n, found["win_rate"].denominator) == (1, 3)
    assert found["win_rate"].extra["unread"] == 2 and found["win_rate"].extra["judge_failed"] == 2
    assert found["judge_agreement"].score == 1 and found["judge_agreement"].n == 1


def test_a_question_without_the_baselines_reply_is_named(bench):
    (bench / "arena_hard/baseline.jsonl").write_text('{"uid": "a", "answer": "x"}\n')
    with pytest.raises(DataError, match="has no reply to b"):
        list(ArenaHard().samples(bench))
