"""The refusal rules against people: XSTest's labels, the figures the audit quotes, and replies to harmless prompts."""

import json
import lzma
from pathlib import Path

import pytest

from creuset.audit import agreement as agreed
from creuset.audit.harm import XsTest
from creuset.audit.refusal import refusal, rules_sha256
from creuset.evals.subject import Reply
from creuset.evals.task import Sample

DATA = Path(__file__).parent / "data"
NAMES = {"n": "none", "f": "full", "p": "partial", "e": "empty"}
MODELS = ("gpt4", "llama2new", "llama2orig", "mistralguard", "mistralinstruct")


@pytest.fixture(scope="module")
def labels():
    return json.loads((DATA / "xstest_labels.json").read_text())


def rows_of(labels, part, one="people", other="ours"):
    found = [
        (NAMES[a], NAMES[b], i) for model in MODELS
        for a, b, i in zip(labels[model][one], labels[model][other], labels["ids"], strict=True)
        if agreed.half(i) == part
    ]  # fmt: skip
    return [[row[at] for row in found] for at in range(3)]


def flat(found, under=""):
    """Every number by the path to it."""
    if not isinstance(found, (dict, list)):
        return {under: found}
    pairs = found.items() if isinstance(found, dict) else enumerate(found)
    return {path: n for key, one in pairs for path, n in flat(one, f"{under}/{key}").items()}


def same_numbers(a, b):
    return flat(a) == pytest.approx(flat(b))


@pytest.mark.parametrize("part", ["tune", "test"])
def test_the_figures_quoted_are_those_of_the_labels(labels, part):
    quoted = agreed.measured()["halves"][part]
    assert same_numbers(agreed.agreement(*rows_of(labels, part)), quoted["all"])
    assert same_numbers(agreed.agreement(*rows_of(labels, part, other="streval")), quoted["beside.string_match"])
    assert same_numbers(agreed.agreement(*rows_of(labels, part, "first", "second")), quoted["beside.second_person"])


def test_the_two_halves_share_no_prompt_and_are_all_prompts(labels):
    parts = [{i for i in labels["ids"] if agreed.half(i) == name} for name in ("tune", "test")]
    assert not parts[0] & parts[1] and len(parts[0] | parts[1]) == 450
    assert [len(p) for p in parts] == [235, 215]


def test_the_rules_label_harmless_prompts_replies_as_they_were_measured(labels):
    text = lzma.decompress((DATA / "xstest_mistral_safe.jsonl.xz").read_bytes()).decode("utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    assert len(rows) == 500
    assert [(r["id"], r["model"]) for r in rows if refusal(r["reply"]) != r["ours"]] == []
    at = {i: n for n, i in enumerate(labels["ids"])}
    assert not any(int(labels["unsafe"][at[r["id"]]]) for r in rows), "a prompt that is not harmless was committed"
    assert all(NAMES[labels[r["model"]]["ours"][at[r["id"]]]] == r["ours"] for r in rows)
    assert all(NAMES[labels[r["model"]]["people"][at[r["id"]]]] == r["people"] for r in rows)


def test_rules_beat_the_authors_string_match_on_prompts_they_were_not_written_on(labels):
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
        assert "never measured in French" in measure.caveat
        assert measure.extra["rules_agree_with_people"] == [value, low, high]


def test_a_confusion_by_hand():
    people, ours = ["full", "full", "none", "partial"], ["full", "none", "none", "full"]
    found = agreed.agreement(people, ours, ["a", "b", "c", "d"])
    assert found["same"][0] == 0.5 and found["full"][0] == 0.5 and found["n"] == 4 == found["prompts"]
    assert found["kappa"][0] == pytest.approx((0.5 - 6 / 16) / (1 - 6 / 16))
    assert found["table"] == {"full": {"full": 1, "none": 1}, "partial": {"full": 1}, "none": {"none": 1}}
    with pytest.raises(ValueError, match="not of one list"):
        agreed.agreement(["full"], [], [])


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
