"""A judge is paid at its own price; a cap holds for the model and its judge together."""

import json

import pytest

from creuset.benchmarks.judged.judged import not_asked
from creuset.cli import main
from creuset.evals.model import Failure, Reply
from creuset.evals.usage import cost_of, total_usage, usage_of
from tests.evals.scripted import Scripted, chat, only_chat

PRICES = """
as_of = "today"
[[price]]
id = "cheap"
name = "cheap"
provider = "us"
input = 1.0
output = 10.0
[[price]]
id = "dear"
name = "dear"
provider = "them"
input = 100.0
output = 1000.0
[[price]]
id = "francs"
name = "francs"
provider = "them"
input = 1.0
output = 1.0
currency = "CHF"
"""


@pytest.fixture
def bench(tmp_path):
    folder = tmp_path / "bench" / "arena_hard"
    folder.mkdir(parents=True)
    rows = [{"uid": f"u{i}", "prompt": f"Question {i}?"} for i in range(8)]
    (folder / "question.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    (folder / "baseline.jsonl").write_text("".join(json.dumps({"uid": r["uid"], "answer": "b"}) + "\n" for r in rows))
    (tmp_path / "prices.toml").write_text(PRICES)
    return tmp_path


@pytest.fixture
def servers():
    with (
        Scripted(only_chat(lambda body, n: (200, chat("mine", prompt=100, completion=20)))) as model,
        Scripted(only_chat(lambda body, n: (200, chat("[[A=B]]", prompt=1000, completion=30)))) as judge,
    ):
        yield model, judge


def verdicts(servers):
    return sum(path.endswith("chat/completions") and body["max_tokens"] > 1 for path, body, _ in servers[1].seen)


def words(bench, servers, *more, judge="dear", model="cheap"):
    return ["eval", servers[0].url, "--model", model, "--task", "arena_hard", "--bench", str(bench / "bench"),
            "--judge", servers[1].url, "--judge-model", judge, "--prices", str(bench / "prices.toml"), "--json",
            "--concurrency", "1", *more]  # fmt: skip


def test_both_are_counted_and_paid_apart(bench, servers, capsys):
    assert main(words(bench, servers)) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    mine, theirs = found["usage"], found["usage"]["judge"]
    assert (mine["calls"], mine["prompt_tokens"], mine["completion_tokens"]) == (8, 800, 160)
    assert (theirs["calls"], theirs["prompt_tokens"], theirs["completion_tokens"]) == (16, 16_000, 480)
    assert mine["cost"] == pytest.approx((800 * 1 + 160 * 10) / 1e6)
    assert theirs["cost"] == pytest.approx((16_000 * 100 + 480 * 1000) / 1e6)
    assert (found["price"]["id"], found["judge_price"]["id"]) == ("cheap", "dear")
    assert "judge: 16 calls, 0 failed, 0 retried; 16,000 + 480 tokens, 2.0800 USD" in said.err
    assert "\n8 calls, 0 failed, 0 retried; 800 + 160 tokens, 0.0024 USD" in said.err


def test_the_cap_counts_both_and_what_both_spent_before(bench, servers, capsys):
    # A sample costs 0.0003 for the model and 0.26 for its judge.
    asked = words(bench, servers, "--work", str(bench / "w"), "--price-cap")
    assert main([*asked, "1.0"]) == 5
    assert "of 1.0000 USD are spent" in capsys.readouterr().err
    assert verdicts(servers) == 8, "of 0.13 each"
    assert main([*asked, "1.0"]) == 5 and verdicts(servers) == 8
    assert main([*asked, "3.0"]) == 0
    assert json.loads(capsys.readouterr().out)["usage"]["judge"]["calls"] == 16


def test_what_has_no_price_or_another_currency_is_refused_with_a_cap(bench, servers, capsys):
    assert main([*words(bench, servers, judge="unknown"), "--price-cap", "1"]) == 2
    assert "`unknown` is in no price file" in capsys.readouterr().err
    assert main([*words(bench, servers, judge="francs"), "--price-cap", "1"]) == 2
    assert "one price cap for prices in CHF and USD" in capsys.readouterr().err
    assert main(words(bench, servers, judge="francs")) == 0


def test_a_call_that_was_not_made_is_no_call():
    said = Reply(text="a", finish="stop", prompt_tokens=1, completion_tokens=1)
    failed = Failure(reason="timeout", attempts=3)
    usage = usage_of([failed, not_asked("x"), said])
    assert (usage.calls, usage.failed, usage.retried, usage.judge.calls) == (2, 1, 2, 0)
    both = total_usage([usage, usage_of([said])])
    assert both.calls == 3 and both.judge is not None and cost_of(both) == 0
