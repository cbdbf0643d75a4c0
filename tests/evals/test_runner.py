import asyncio
import json

import pytest

from creuset.core.errors import ConfigError, DataError, DiskFull
from creuset.core.stats import wilson
from creuset.evals.clients.local import LocalClient
from creuset.evals.journal import outcome_json, outcome_of
from creuset.evals.model import Failure, GenerateRequest, Likelihood, LoglikelihoodRequest, ModelClient, Reply
from creuset.evals.prices import load
from creuset.evals.runner import PlaySettings, Stopped, play
from creuset.evals.task import Sample, Task
from creuset.evals.usage import total_usage, usage_of
from creuset.types.measure import Measure


class Capitals(Task):
    """A likelihood and a generation a sample, from a file of lines."""

    name = "capitals"
    needs = frozenset({"loglikelihood"})
    files = ("lines.txt",)
    licence = "CC0-1.0"

    def samples(self, folder):
        for number, line in enumerate((folder / "lines.txt").read_text().splitlines()):
            pairs = (LoglikelihoodRequest(line, " water"), LoglikelihoodRequest(line, " stone"))
            yield Sample(id=f"line{number}", pairs=pairs, gold=number % 2, cluster=str(number // 2))

    def score(self, sample, outcomes):
        if failed := any(isinstance(o, Failure) for o in outcomes):
            return {"correct": 0.0, "failed": failed}
        answer = int(outcomes[1].total > outcomes[0].total)
        return {"correct": float(answer == sample.gold), "answer": answer, "failed": False}

    def measures(self, rows):
        right = sum(r["correct"] for r in rows)
        return [Measure(task=self.name, metric="acc", score=right / len(rows), interval=wilson(int(right), len(rows)),
                        n=len(rows), denominator=len(rows), failed=sum(r["failed"] for r in rows),
                        extra={"chance": 0.5})]  # fmt: skip


class Chat(Capitals):
    name = "chat"
    form = "chat"
    needs = frozenset({"chat"})

    def samples(self, folder):
        for number, line in enumerate((folder / "lines.txt").read_text().splitlines()):
            yield Sample(
                id=str(number), asks=(GenerateRequest(messages=({"role": "user", "content": line},), max_tokens=4),)
            )

    def score(self, sample, outcomes):
        if isinstance(outcomes[0], Failure):
            return {"correct": 0.0, "failed": True}
        return {"correct": float("a" in outcomes[0].text), "failed": False}


class Other(ModelClient):
    """A subject that is no model: says what a test tells it to, and counts how often it was asked."""

    width = 2

    def __init__(self, answer, name="other"):
        self.answer, self.name, self.asked = answer, name, 0

    abilities = frozenset({"chat"})

    @property
    def why_not(self):
        return {"loglikelihood": "this one gives no log-probabilities"}

    def identity(self):
        return {"name": self.name, "kind": "endpoint"}

    async def generate(self, asks, done=None):
        self.asked += len(asks)
        return [self.answer(ask.messages[0]["content"]) for ask in asks]

    async def close(self):
        pass


@pytest.fixture
def lines(tmp_path):
    (tmp_path / "lines.txt").write_text("".join(f"What is in river {i}?\n" for i in range(12)))
    return tmp_path


def replying(text="a", **more):
    return lambda question: Reply(text=text, finish="stop", prompt_tokens=5, completion_tokens=2, **more)


def test_a_run_that_is_cut_anywhere_and_resumed_is_the_whole_run(folder, lines):
    subject = LocalClient(folder)
    journal = lines / "work" / "capitals.jsonl"
    whole = asyncio.run(play(Capitals(), subject, lines, journal=journal))
    raw = journal.read_bytes()
    ends = [i + 1 for i, byte in enumerate(raw) if byte == 10]
    for cut in (0, 7, ends[0], ends[3], ends[5] + 11, len(raw) - 1):  # mid-head, whole lines, torn lines
        journal.write_bytes(raw[:cut])
        again = asyncio.run(play(Capitals(), subject, lines, journal=journal))
        assert [(m.score, m.n, m.prompt_sha256) for m in again.measures] == [
            (m.score, m.n, m.prompt_sha256) for m in whole.measures
        ]
        assert [r["answer"] for r in again.rows] == [r["answer"] for r in whole.rows]
        assert len({json.loads(line).get("id") for line in journal.read_text().splitlines()}) == 13
    asyncio.run(subject.close())


def test_what_was_answered_is_not_asked_again(lines):
    subject = Other(replying())
    journal = lines / "chat.jsonl"
    for _ in range(2):
        played = asyncio.run(play(Chat(), subject, lines, journal=journal, playing=PlaySettings(limit=5)))
    assert subject.asked == 5 and played.asked == played.samples == 5
    asyncio.run(play(Chat(), subject, lines, journal=journal))
    assert subject.asked == 12
    silent = Other(lambda question: pytest.fail("asked"))
    again = asyncio.run(play(Chat(), silent, lines, journal=journal, playing=PlaySettings(rescore=True)))
    assert again.measures[0].score == 1.0 and again.measures[0].n == 12


def test_the_measures_say_where_they_come_from(lines):
    now = 1764115200.0
    played = asyncio.run(play(Chat(), Other(replying()), lines, playing=PlaySettings(seed=7), now=lambda: now))
    row = played.measures[0].row()
    assert row["date"] == "2025-11-26T00:00:00+00:00" and row["seed"] == 7 and row["form"] == "chat"
    assert len(row["data_sha256"]) == len(row["prompt_sha256"]) == 64
    assert row["licence"] == "CC0-1.0" and row["data"] == "lines.txt" and row["chance"] == 0.5
    first = played.rows[0]
    assert first["prompt"] == [{"role": "user", "content": "What is in river 0?"}] and first["answer"] == "a"
    assert outcome_of(first["outcomes"][0]) == replying()("")


@pytest.mark.parametrize("what", ["subject", "seed", "data_sha256", "version"])
def test_the_journal_of_another_run_is_refused_by_name(lines, what, monkeypatch):
    journal = lines / "chat.jsonl"
    asyncio.run(play(Chat(), Other(replying()), lines, journal=journal))
    subject, playing = Other(replying(), name="another" if what == "subject" else "other"), PlaySettings()
    if what == "seed":
        playing = PlaySettings(seed=99)
    elif what == "version":
        monkeypatch.setattr(Chat, "version", 2)
    elif what == "data_sha256":
        (lines / "lines.txt").write_text("One line.\n")
    with pytest.raises(ConfigError, match=f"chat.jsonl` is the journal of another run: its {what} is"):
        asyncio.run(play(Chat(), subject, lines, journal=journal, playing=playing))
    assert subject.asked == 0


def test_failures_stay_in_the_denominator_and_are_asked_again_only_on_demand(lines):
    journal = lines / "chat.jsonl"
    some = Other(lambda q: Failure(reason="http_500", attempts=3) if "1" in q else replying()(q))
    played = asyncio.run(play(Chat(), some, lines, journal=journal))
    failed = [r for r in played.rows if r["failed"]]
    assert len(failed) == 3 and played.measures[0].n == 12 and played.measures[0].score == 0.75
    assert played.usage.failed == 3 and played.usage.retried == 6 and played.usage.prompt_tokens == 45
    good = Other(replying())
    assert asyncio.run(play(Chat(), good, lines, journal=journal)).measures[0].failed == 3
    assert good.asked == 0
    again = asyncio.run(play(Chat(), good, lines, journal=journal, playing=PlaySettings(retry_failed=True)))
    assert good.asked == 3 and again.measures[0].failed == 0 and again.measures[0].score == 1.0


def test_an_endpoint_that_is_gone_stops_the_run_and_the_next_run_goes_on(lines):
    journal = lines / "chat.jsonl"
    alive = 4

    def dying(question):
        nonlocal alive
        alive -= 1
        return replying()(question) if alive >= 0 else Failure(reason="connection", detail="refused")

    with pytest.raises(Stopped, match="failures for 8 samples: connection: no connection") as stopped:
        asyncio.run(play(Chat(), Other(dying), lines, journal=journal))
    assert "run the same command again" in stopped.value.hint
    back = Other(replying())
    played = asyncio.run(play(Chat(), back, lines, journal=journal))
    assert back.asked == 8 and played.measures[0].failed == 0 and played.measures[0].n == 12


def test_a_few_timeouts_are_counted_and_do_not_stop(lines):
    slow = Other(lambda q: Failure(reason="timeout") if "1" in q else replying()(q))
    assert asyncio.run(play(Chat(), slow, lines)).measures[0].failed == 3
    (lines / "lines.txt").write_text("".join(f"River {i}, {'even' if i % 2 else 'odd'}\n" for i in range(30)))
    half = Other(lambda q: Failure(reason="timeout") if "odd" in q else replying()(q))
    assert asyncio.run(play(Chat(), half, lines)).measures[0].failed == 15  # more than would stop it in a row
    only = Other(lambda q: Failure(reason="timeout"))
    assert asyncio.run(play(Chat(), only, lines, playing=PlaySettings(limit=2))).measures[0].failed == 2


def test_the_price_cap_stops_the_run(lines):
    capped = Other(lambda q: Failure(reason="price_cap", detail="0.02 of 0.02 USD are spent"))
    with pytest.raises(Stopped, match=r"0\.02 of 0.02 USD are spent"):
        asyncio.run(play(Chat(), capped, lines))


def test_a_full_disk_is_one_clear_error(lines):
    (lines / "full.jsonl").symlink_to("/dev/full")
    with pytest.raises(DiskFull, match=r"full.jsonl` cannot be written: No space left"):
        asyncio.run(play(Chat(), Other(replying()), lines, journal=lines / "full.jsonl"))


def test_two_runs_cannot_write_one_journal(lines):
    journal = lines / "chat.jsonl"

    class Inner(Chat):
        async def play(self, sample, subject):
            await play(Chat(), subject, lines, journal=journal)

    with pytest.raises(ConfigError, match="is being written by another run"):
        asyncio.run(play(Inner(), Other(replying()), lines, journal=journal))


def test_a_journal_that_was_edited_is_refused(lines):
    journal = lines / "chat.jsonl"
    asyncio.run(play(Chat(), Other(replying()), lines, journal=journal))
    journal.write_text(journal.read_text().replace('"kind": "reply"', '"kind": "rumour"', 1))
    with pytest.raises(DataError, match=r"chat.jsonl` line 2 is not a line of a journal"):
        asyncio.run(play(Chat(), Other(replying()), lines, journal=journal))


def test_what_cannot_be_asked_is_a_row_that_says_why(lines):
    (measure,) = asyncio.run(play(Capitals(), Other(replying()), lines)).measures
    assert measure.status == "not_testable" and measure.why == "this one gives no log-probabilities"

    class Harmful(Chat):
        harmful = True

    subject = Other(replying(text="secret"))
    (measure,) = asyncio.run(play(Harmful(), subject, lines)).measures
    assert measure.status == "not_tested" and subject.asked == 0
    played = asyncio.run(play(Harmful(), subject, lines, playing=PlaySettings(harmful=True)))
    assert subject.asked == 12 and "secret" not in json.dumps(played.rows) and "river" not in json.dumps(played.rows)


def test_a_file_without_samples_and_a_sample_twice_are_data_errors(lines):
    class Twice(Chat):
        def samples(self, folder):
            yield from [Sample(id="x"), Sample(id="x")]

    with pytest.raises(DataError, match="chat has the sample `x` twice"):
        asyncio.run(play(Twice(), Other(replying()), lines))
    (lines / "lines.txt").write_text("")
    with pytest.raises(DataError, match="has no sample of chat"):
        asyncio.run(play(Chat(), Other(replying()), lines))


OUTCOMES = [
    Reply(text="é\n\ud83d", finish="stop", warnings=("empty: x",), first_token_s=0.1 + 0.2),
    Likelihood(total=-1 / 3, greedy=True, tokens=2, token_logprobs=(-0.1, -0.23333333333333334)),
    Failure(reason="timeout", detail="60 s", attempts=4),
]


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_an_outcome_comes_back_from_json_to_the_last_bit(outcome):
    assert outcome_of(json.loads(json.dumps(outcome_json(outcome)))) == outcome


def test_usage_counts_tokens_money_and_warnings():
    price = load().find("gpt-4o")
    usage = usage_of([replying(attempts=3, warnings=("usage_zero: 1", "usage_zero: 2"))(""), *OUTCOMES], price)
    assert (usage.calls, usage.failed, usage.retried) == (4, 1, 5)
    assert usage.cost == pytest.approx((5 * 2.5 + 2 * 10) / 1e6) and usage.currency == "USD"
    assert usage.warnings == {"empty": 1, "usage_zero": 2}
    twice = total_usage([usage, usage])
    assert twice.calls == 8 and twice.cost == pytest.approx(2 * usage.cost) and twice.warnings["usage_zero"] == 4


@pytest.fixture
def many(tmp_path):
    (tmp_path / "lines.txt").write_text("".join(f"What is in river {i}?\n" for i in range(30)))
    return tmp_path


def bad(reason):
    return Failure(reason=reason, detail=f"first {reason}", attempts=2)


@pytest.mark.parametrize("reason", ["broken_json", "http_500", "truncated"])
def test_an_endpoint_that_never_answers_rightly_stops_the_run(many, reason):
    with pytest.raises(Stopped, match=f"nothing but failures for 10 samples: {reason}"):
        asyncio.run(play(Chat(), Other(lambda q: bad(reason)), many, playing=PlaySettings(width=2)))
    asked = []

    def once(q):
        asked.append(q)
        return Reply(text="A", finish="stop") if len(asked) == 3 else bad(reason)

    # One right answer: the others are about their samples, and counted.
    played = asyncio.run(play(Chat(), Other(once), many, playing=PlaySettings(width=1)))
    assert played.usage.reasons == {reason: 29} and played.usage.examples == {reason: f"first {reason}"}
    assert played.measures[0].status == "measured" and played.measures[0].failed == 29


def test_where_every_call_failed_there_is_no_score(lines):
    played = asyncio.run(play(Chat(), Other(lambda q: bad("http_500")), lines, playing=PlaySettings(limit=9)))
    assert len(played.measures) == 1 and played.asked == 9
    for measure in played.measures:
        assert (measure.status, measure.score, measure.interval) == ("not_tested", None, None)
        assert "every call failed: " in measure.why and "http_500" in measure.why


def test_connections_closed_at_the_end_are_not_the_end(many):
    def dead_from(number):
        seen = []

        def answer(q):
            seen.append(q)
            return bad("disconnected") if len(seen) > number else Reply(text="A", finish="stop")

        return answer

    with pytest.raises(Stopped, match="nothing but failures for 3 samples: disconnected"):
        asyncio.run(play(Chat(), Other(dead_from(27)), many, playing=PlaySettings(width=1)))
    played = asyncio.run(play(Chat(), Other(dead_from(28)), many, playing=PlaySettings(width=1)))
    assert played.usage.reasons == {"disconnected": 2}, "two may be about their samples"


@pytest.mark.parametrize(("limit", "said"), [(5, "only 5 of its samples were asked (--limit), not all"), (12, ""),
                                             (99, ""), (None, "")])  # fmt: skip
def test_a_limit_that_left_samples_out_travels_with_the_measure(lines, limit, said):
    played = asyncio.run(play(Chat(), Other(replying()), lines, playing=PlaySettings(limit=limit)))
    assert [m.caveat for m in played.measures] == [said]


def test_scoring_again_what_was_limited_says_so(lines):
    journal = lines / "chat.jsonl"
    asyncio.run(play(Chat(), Other(replying()), lines, journal=journal, playing=PlaySettings(limit=3)))
    again = asyncio.run(play(Chat(), Other(replying()), lines, journal=journal, playing=PlaySettings(rescore=True)))
    assert again.measures[0].caveat == "only 3 of its samples were asked (--limit), not all"
