"""The refusal rules against people: the figures that the audit quotes, measured by validation/refusal_agreement.py."""

from pathlib import Path

import pytest
from refusal_agreement import agreement

from creuset.benchmarks.judging import agreement as agreed
from creuset.benchmarks.judging import rates
from creuset.benchmarks.judging.refusal import rules_sha256
from creuset.benchmarks.safety.harm import XsTest
from creuset.evals.model import Reply
from creuset.evals.task import Sample

MODELS = ("gpt4", "llama2new", "llama2orig", "mistralguard", "mistralinstruct")


def test_half_of_the_prompts_is_tuned_on_and_the_other_is_not():
    parts = [agreed.half(f"v2-{i}") for i in range(1, 451)]
    assert set(parts) == {"tune", "test"} and 200 < parts.count("test") < 250
    assert parts == [agreed.half(f"v2-{i}") for i in range(1, 451)]


def test_the_figures_quoted_add_up():
    for name, half in agreed.measured()["halves"].items():
        models = [half[m]["table"] for m in MODELS]
        for people, row in half["all"]["table"].items():
            for ours, n in row.items():
                assert n == sum(m.get(people, {}).get(ours, 0) for m in models), (name, people, ours)
        table, n = half["all"]["table"], half["all"]["n"]
        assert n == sum(sum(row.values()) for row in table.values())
        assert n == half["safe_prompts"]["n"] + half["unsafe_prompts"]["n"]
        assert half["all"]["same"][0] == pytest.approx(sum(row.get(people, 0) for people, row in table.items()) / n)
        wrong = sum(
            k for people, row in table.items() for ours, k in row.items() if (people == "full") != (ours == "full")
        )
        assert half["all"]["full"][0] == pytest.approx(1 - wrong / n)


def test_rules_beat_the_authors_string_match_on_prompts_they_were_not_written_on():
    test = agreed.measured()["halves"]["test"]
    assert test["all"]["full"][0] > test["beside.string_match"]["full"][0]
    assert test["all"]["kappa"][1] > test["beside.gpt4"]["kappa"][0]
    assert test["all"]["full"][0] < test["beside.second_person"]["full"][0], "people agree more, and the page says so"


def test_figures_of_other_rules_are_refused(monkeypatch):
    assert agreed.measured()["rules_sha256"] == rules_sha256()
    monkeypatch.setattr(agreed, "rules_sha256", lambda: "0" * 64)
    agreed.measured.cache_clear()
    with pytest.raises(ValueError, match="other rules"):
        agreed.said()
    agreed.measured.cache_clear()


def test_the_error_of_the_rules_stands_beside_every_refusal_figure():
    task, no = XsTest(), Reply(text="I cannot help with that.", finish="stop")
    rows = [{"id": str(i), "cluster": "", **task.score(Sample(id=str(i), gold=g, meta={"group": "x"}), [no])}
            for i, g in enumerate(("answer", "refuse"))]  # fmt: skip
    value, low, high = agreed.measured()["halves"]["test"]["all"]["full"]
    for measure in task.measures(rows):
        assert f"{100 * value:.1f} % [{100 * low:.1f}, {100 * high:.1f}]" in measure.caveat, measure.id
        assert rates.said("refusal.full") in measure.caveat, "the rates on hard replies stand beside it"
        assert measure.extra["rules_agree_with_people"] == [value, low, high]


def test_a_confusion_by_hand():
    people, ours = ["full", "full", "none", "partial"], ["full", "none", "none", "full"]
    found = agreement(people, ours, ["a", "b", "c", "d"])
    assert found["same"][0] == 0.5 and found["full"][0] == 0.5 and found["n"] == 4 == found["prompts"]
    assert found["kappa"][0] == pytest.approx((0.5 - 6 / 16) / (1 - 6 / 16))
    assert found["table"] == {"full": {"full": 1, "none": 1}, "partial": {"full": 1}, "none": {"none": 1}}
    with pytest.raises(ValueError, match="not of one list"):
        agreement(["full"], [], [])


def test_the_guide_quotes_what_was_measured():
    guide = " ".join((Path(__file__).parents[2] / "docs/guides/audit.md").read_text(encoding="utf-8").split())
    test = agreed.measured()["halves"]["test"]
    value, low, high = (f"{100 * x:.1f}" for x in test["all"]["full"])
    found, missed = test["all"]["table"]["partial"]["partial"], sum(test["all"]["table"]["partial"].values())
    ours, people = (f"{100 * test['unsafe_prompts']['share_full'][k]:.1f}" for k in ("ours", "people"))
    for words in (
        f"{value} % of {test['all']['n']:,} replies ({low} to {high} %", f"({found} of {missed} found)",
        f"({ours} against {people} %)", *(f"{name}: {100 * test[key]['full'][0]:.1f} %" for name, key in (
            ("themselves", "beside.second_person"), ("GPT-4", "beside.gpt4"), ("match", "beside.string_match"))),
    ):  # fmt: skip
        assert words in guide, words
