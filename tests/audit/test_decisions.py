"""Counterfactual sets and income: a biased subject is found out, an unbiased one is not; parity as defined."""

import asyncio
import functools
import hashlib
import json
import math
import tomllib

import numpy as np
import pytest

from creuset.benchmarks.decisions.counterfactual import (
    ANSWER,
    CounterfactualEn,
    CounterfactualEnChat,
    CounterfactualFr,
    CounterfactualFrChat,
    spread,
)
from creuset.benchmarks.decisions.income import Income, IncomeChat
from creuset.benchmarks.decisions.people import DATA, name_facts, origins, pairs, situations
from creuset.benchmarks.decisions.yes_no import yes_no_lenient, yes_no_strict
from creuset.core.errors import DataError
from creuset.core.stats import demographic_parity_difference, equalized_odds_difference
from creuset.evals.model import Failure, Likelihood, Reply

BIASED = {"fr": "maghrebi", "en": "black"}


def noise(text):
    """From -1 to 1, the same for the same text: a model's whims, which have nothing to do with groups."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") / 2**31 - 1


class Clerk:
    """A subject of its own: decides by the file's level and by whim, and against some names by `bias` nats."""

    def __init__(self, language, bias, broken=""):
        self.language, self.bias, self.broken = language, bias, broken

    def lean(self, text):
        levels = {
            line[level]: value
            for line in _templates(self.language)
            for level, value in (("strong", 2.0), ("middle", 0.0), ("weak", -2.0))
        }
        level = next(value for words, value in levels.items() if words in text)
        return level + noise(text) - self.bias * any(f"{name} D." in text for name in _names(self.language))

    async def loglikelihood(self, pairs, done=None):
        yes = ANSWER[self.language][1]
        return [
            Likelihood(total=self.lean(p.context) if p.continuation == yes else 0.0, greedy=False, tokens=1)
            for p in pairs
        ]

    async def generate(self, asks, done=None):
        return [
            Failure(reason="timeout")
            if self.broken and self.broken in ask.messages[0]["content"]
            else Reply(text="Yes." if self.lean(ask.messages[0]["content"]) > 0 else "No, sorry.", finish="stop")
            for ask in asks
        ]


@functools.cache
def _names(language):
    group = tomllib.loads((DATA / "names.toml").read_text())[language][BIASED[language]]
    return [one["name"] for gender in ("female", "male") for one in group[gender]]


@functools.cache
def _templates(language):
    return tomllib.loads((DATA / f"templates_{language}.toml").read_text())["template"]


def examined(task, subject):
    async def go():
        rows = []
        for sample in task.samples(None):
            outcomes = await task.play(sample, subject)
            rows.append({**task.score(sample, outcomes), "cluster": sample.cluster, "id": sample.id})
        return rows

    rows = json.loads(json.dumps(asyncio.run(go())))
    return rows, {m.metric: m for m in task.measures(rows)}


@pytest.mark.parametrize("task, group", [(CounterfactualFr, "maghrebi"), (CounterfactualEn, "black")])
def test_a_biased_subject_is_detected_and_an_unbiased_one_is_not(task, group):
    _, fair = examined(task(), Clerk(task.language, 0.0))
    detected = {name for name, m in fair.items() if m.extra.get("detected")}
    assert not detected, detected
    gap = fair[f"logit_gap.origin.{group}"]
    assert 0.0 in gap.interval
    # Whims move every pair: an absolute gap alone is no bias, and the placebo pairs show as large a one.
    assert fair[f"logit_gap.abs.origin.{group}"].score == pytest.approx(fair["logit_gap.abs.placebo"].score, rel=0.2)

    _, biased = examined(task(), Clerk(task.language, 0.5))
    assert {n for n, m in biased.items() if m.extra.get("detected")} >= {f"logit_gap.origin.{group}"}
    gap = biased[f"logit_gap.origin.{group}"]
    assert -0.5 in gap.interval and gap.interval.high < 0 and gap.extra["p_holm"] < 1e-3
    others = [n for n, m in biased.items() if m.extra.get("detected") and group not in n]
    assert not others, others
    assert gap.denominator == 432 and gap.extra["names"] == 96
    # What was not detected is said with what would have been; at equal rarity, age and length the bias is still there.
    for m in biased.values():
        if m.extra.get("detected") is False:
            assert m.extra["smallest_detectable"] > abs(m.score) and m.extra["tests"] == 4
    assert gap.extra["smallest_detectable"] < 0.2 and abs(gap.extra["adjusted"] + 0.5) < 0.15
    assert biased["parity.origin"].extra["p_names"] < 0.01 < fair["parity.origin"].extra["p_names"]
    assert biased["flip_excess.origin"].score > fair["flip_excess.origin"].score


def test_a_taste_of_few_names_is_not_taken_for_bias_about_their_group():
    class Taste(Clerk):
        def lean(self, text):
            return super().lean(text) - 4.0 * any(f"{name} D." in text for name in ("Tamika", "Tyrone", "Keisha"))

    _, found = examined(CounterfactualEn(), Taste("en", 0.0))
    gap = found["logit_gap.origin.black"]
    # Pairs as samples would be sure of it; three names of forty-eight are not the group.
    assert gap.score < -0.15 and gap.extra["p_situations"] < 0.05 and not gap.extra["detected"]


def test_a_model_that_always_says_yes_is_examined_by_its_ranking():
    class Yes(Clerk):
        def lean(self, text):
            return super().lean(text) + 9.0

    _, found = examined(CounterfactualEn(), Yes("en", 0.5))
    for name in ("decision_gap.origin.black", "flip_rate.origin", "flip_excess.gender", "parity.origin", "odds.gender"):
        assert found[name].status == "not_applicable" and "every decision was yes" in found[name].why
        assert found[name].score is None and found[name].interval is None
    assert found["yes_share"].score == 1.0 and found["logit_gap.origin.black"].extra["detected"]
    top = found["top_half_gap.origin.black"]
    assert top.extra["detected"] and top.interval.high < 0 and found["parity.top_half.origin"].extra["p_names"] < 0.01


def test_decisions_said_show_the_bias_too_and_count_what_failed():
    task = CounterfactualEnChat()
    rows, biased = examined(task, Clerk("en", 1.5, broken="Hunter D."))
    assert biased["decision_gap.origin.black"].extra["detected"] and biased["decision_gap.origin.black"].score < -0.05
    assert not biased["decision_gap.origin.hispanic"].extra["detected"]
    assert biased["flip_rate.origin.black"].score > biased["flip_rate.placebo"].score + 0.03
    failed = sum(d["failed"] for row in rows for d in row["decisions"])
    assert failed == 9 and biased["yes_share"].failed == 9 and biased["yes_share"].unextracted == 0
    # "No, sorry." is not the word alone: the strict extractor reads the yes alone.
    assert biased["flip_rate.origin.strict"].n < biased["flip_rate.origin"].n
    rates = biased["parity.origin"].extra["yes"]
    assert biased["parity.origin"].score == pytest.approx(max(rates.values()) - min(rates.values()))
    flat = [{**d, "level": row["level"]} for row in rows for d in row["decisions"] if d["yes"] is not None]
    clear = [d for d in flat if d["level"] != "middle"]
    assert biased["parity.origin"].score == pytest.approx(
        demographic_parity_difference([d["yes"] for d in flat], [d["origin"] for d in flat])
    )
    assert biased["odds.origin"].score == pytest.approx(
        equalized_odds_difference(
            [d["level"] == "strong" for d in clear], [d["yes"] for d in clear], [d["origin"] for d in clear]
        )
    )
    assert CounterfactualFrChat().needs == {"chat"}


@pytest.mark.parametrize("language", ["fr", "en"])
def test_the_set_is_large_balanced_and_changes_one_thing_at_a_time(language):
    reference = origins(language)[0]
    counted, used, by_level = {"origin": 0, "gender": 0, "placebo": 0}, {}, {}
    for _, level, prompt, people in situations(language):
        assert prompt.count("{name}") >= 2 or "{name}" in prompt
        assert not {"{job}", "{facts}"} & set(prompt.split())
        for kind, attribute, a, b in pairs(people, reference):
            counted[kind] += 1
            same = {"origin": a["origin"] == b["origin"], "gender": a["gender"] == b["gender"]}
            assert same == {"origin": kind != "origin", "gender": kind != "gender"} and a["name"] != b["name"]
            assert attribute in (b["origin"], b["gender"], "placebo")
        for person in people:
            who = person["origin"], person["gender"], person["name"]
            used[who] = used.get(who, 0) + 1
            by_level[who, level] = by_level.get((who, level), 0) + 1
    assert counted["origin"] + counted["gender"] >= 2000 and counted["placebo"] == 864
    assert len(used) == 192 and set(used.values()) == {9} and set(by_level.values()) == {3}
    assert [s.id for s in CounterfactualFr().samples(None)] == [s.id for s in CounterfactualFr().samples(None)]


@pytest.mark.parametrize("language, statistic", [("fr", "Insee"), ("en", "Social Security")])
def test_names_have_their_figures_and_groups_are_alike_in_age_and_length(language, statistic):
    table, facts = tomllib.loads((DATA / "names.toml").read_text())[language], name_facts(language)
    assert statistic in table["statistic"] and len(facts) == 192
    for origin in origins(language):
        assert len(table[origin]["signal"]) > 40  # what the figure is a figure of, and whose
        for gender in ("female", "male"):
            some = table[origin][gender]
            assert len({one["name"] for one in some}) == 24 and all(one["births"] >= 200 for one in some)
            assert all(1960 <= one["year"] <= 2005 and one["signal"] >= 3 for one in some)
    for a, b in ((a, b) for a in origins(language) for b in origins(language)):
        ends = [np.mean([f for (o, _, _), f in facts.items() if o == group], axis=0) for group in (a, b)]
        assert abs(ends[0] - ends[1])[1] < 13 and abs(ends[0] - ends[1])[2] < 1.2


def test_spread_says_when_it_knows_nothing():
    assert spread(np.array([1.0, 2.0, 2.0, 2.0]), groups=2) == 0.5
    assert math.isnan(spread(np.array([1.0, 2.0, 0.0, 0.0]), groups=2))


@pytest.mark.parametrize("text, lenient, strict", [
    ("Oui", True, True), ("**No.**", False, False), ("Yes, because yes.", True, None), ("Answer: no", False, None),
    ("I would say no.", False, None), ("Yes or no? Hard.", True, None), ("maybe yes, maybe no", None, None),
    ("Nonsense", None, None), ("<think>yes</think>no", False, False), ("", None, None),
])  # fmt: skip
def test_yes_and_no(text, lenient, strict):
    assert yes_no_lenient(text) is lenient and yes_no_strict(text) is strict


@pytest.fixture
def adult(tmp_path):
    folder = tmp_path / "decodingtrust_fairness"
    folder.mkdir()
    for rate in ("0.0", "0.5", "1.0"):
        lines = [
            {
                "input": f"description: age {i}, sex {'Male' if i % 2 else 'Female'}, x.",
                "label": "yes" if i % 3 == 0 else "no",
            }
            for i in range(12)
        ]
        (folder / f"adult_0_200_test_base_rate_{rate}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return tmp_path


def test_income_gives_accuracy_and_both_differences(adult):
    task = Income()
    rows = []
    for sample in task.samples(adult):  # says yes to every man and to no woman
        man = sample.meta["sex"] == "Male"
        rows.append(
            task.score(
                sample,
                [Likelihood(total=float(man), greedy=False, tokens=1), Likelihood(total=0.5, greedy=False, tokens=1)],
            )
            | {"cluster": sample.cluster}
        )
    measures = {m.metric: m for m in task.measures(rows)}
    assert len(rows) == 36 and measures["parity"].score == measures["odds"].score == 1.0
    assert measures["acc.base_rate_0.5"].score == 0.5
    assert measures["parity"].extra["sexes"] == {"Male": 18, "Female": 18}
    rows = [{**row, "failed": row["sex"] == "Male"} for row in rows]
    assert {m.metric: m for m in task.measures(rows)}["parity"].status == "not_applicable"
    rows = [{**row, "failed": False, "answer": False} for row in rows]
    parity = {m.metric: m for m in task.measures(rows)}["parity"]
    assert parity.status == "not_applicable" and parity.why.startswith("every answer was no")


def test_income_reads_replies_and_names_a_broken_line(adult):
    task = IncomeChat()
    row = task.score(next(task.samples(adult)), [Reply(text="I think yes", finish="stop")])
    assert row["correct"] == 1.0 and row["correct_strict"] == 0.0
    (adult / "decodingtrust_fairness/adult_0_200_test_base_rate_0.5.jsonl").write_text('{"input": "sex unknown"}')
    with pytest.raises(DataError, match="line 1"):
        list(task.samples(adult))
