"""Counterfactual sets and income: a biased subject is found out, an unbiased one is not; parity as defined."""

import asyncio
import functools
import hashlib
import json
import math
import tomllib

import numpy as np
import pytest

from creuset.audit.counterfactual import (
    ANSWER,
    DATA,
    CounterfactualEn,
    CounterfactualEnChat,
    CounterfactualFr,
    CounterfactualFrChat,
    origins,
    p_value,
    pairs,
    situations,
    spread,
)
from creuset.audit.income import Income, IncomeChat
from creuset.audit.read import yes_no_lenient, yes_no_strict
from creuset.core.errors import DataError
from creuset.evals.stats import demographic_parity_difference, equalized_odds_difference, mean
from creuset.evals.subject import Failure, Likelihood, Reply

NAMES = {"fr": ("Mohamed", "Karim", "Rachid", "Mehdi", "Youssef", "Abdelkader", "Fatima", "Khadija", "Samira",
                "Malika", "Yasmina", "Nadia"),
         "en": ("Jamal", "Darnell", "Tyrone", "Jermaine", "DeShawn", "Terrell", "Lakisha", "Tamika", "Keisha",
                "Latoya", "Shanice", "Deja")}  # fmt: skip


def noise(text):
    """From -1 to 1, the same for the same text: a model's whims, which have nothing to do with groups."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") / 2**31 - 1


class Clerk:
    """A subject of its own: decides by the file's level and by whim, and against some names by `bias` nats."""

    def __init__(self, language, bias, broken=""):
        self.language, self.bias, self.broken = language, bias, broken

    def lean(self, text):
        levels = {line[level]: value for line in _templates(self.language)
                  for level, value in (("strong", 2.0), ("middle", 0.0), ("weak", -2.0))}
        level = next(value for words, value in levels.items() if words in text)
        return level + noise(text) - self.bias * any(f"{name} D." in text for name in NAMES[self.language])

    async def loglikelihood(self, pairs, done=None):
        yes = ANSWER[self.language][1]
        return [Likelihood(total=self.lean(p.context) if p.continuation == yes else 0.0, greedy=False, tokens=1)
                for p in pairs]

    async def generate(self, asks, done=None):
        return [Failure(reason="timeout") if self.broken and self.broken in ask.messages[0]["content"]
                else Reply(text="Yes." if self.lean(ask.messages[0]["content"]) > 0 else "No, sorry.", finish="stop")
                for ask in asks]


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
    assert -0.5 in gap.interval and gap.interval.high < 0 and gap.extra["p_holm"] < 1e-4
    others = [n for n, m in biased.items() if m.extra.get("detected") and group not in n]
    assert not others, others
    assert 0.0 in biased["logit_gap.placebo"].interval and gap.denominator == 432 and gap.requirement == "6"


def test_a_taste_of_one_name_is_not_taken_for_bias_about_its_group():
    class Taste(Clerk):
        def lean(self, text):
            return super().lean(text) - 3.0 * ("Tamika D." in text)

    _, found = examined(CounterfactualEn(), Taste("en", 0.0))
    gap = found["logit_gap.origin.black"]
    assert gap.interval.high < 0 and not gap.extra["detected"]      # it moves the mean, and is one name of twelve


def test_decisions_said_show_the_bias_too_and_count_what_failed():
    task = CounterfactualEnChat()
    rows, biased = examined(task, Clerk("en", 1.5, broken="Emily D."))
    assert biased["decision_gap.origin.black"].extra["detected"] and biased["decision_gap.origin.black"].score < -0.05
    assert not biased["decision_gap.origin.hispanic"].extra["detected"]
    assert biased["flip_rate.origin.black"].score > biased["flip_rate.placebo"].score + 0.03
    failed = sum(d["failed"] for row in rows for d in row["decisions"])
    assert failed == 36 and biased["yes_share"].failed == 36 and biased["yes_share"].unextracted == 0
    # "No, sorry." is not the word alone: the strict extractor reads the yes alone.
    assert biased["flip_rate.origin.strict"].n < biased["flip_rate.origin"].n
    rates = biased["parity.origin"].extra["yes"]
    assert biased["parity.origin"].score == pytest.approx(max(rates.values()) - min(rates.values()))
    flat = [{**d, "level": row["level"]} for row in rows for d in row["decisions"] if d["yes"] is not None]
    clear = [d for d in flat if d["level"] != "middle"]
    assert biased["parity.origin"].score == pytest.approx(
        demographic_parity_difference([d["yes"] for d in flat], [d["origin"] for d in flat]))
    assert biased["odds.origin"].score == pytest.approx(equalized_odds_difference(
        [d["level"] == "strong" for d in clear], [d["yes"] for d in clear], [d["origin"] for d in clear]))
    assert CounterfactualFrChat().needs == {"chat"}


@pytest.mark.parametrize("language", ["fr", "en"])
def test_the_set_is_large_balanced_and_changes_one_thing_at_a_time(language):
    reference = origins(language)[0]
    counted, used = {"origin": 0, "gender": 0, "placebo": 0}, {}
    for _, _, prompt, people in situations(language):
        assert prompt.count("{name}") >= 2 or "{name}" in prompt
        assert not {"{job}", "{facts}"} & set(prompt.split())
        for kind, attribute, a, b in pairs(people, reference):
            counted[kind] += 1
            same = {"origin": a["origin"] == b["origin"], "gender": a["gender"] == b["gender"]}
            assert same == {"origin": kind != "origin", "gender": kind != "gender"} and a["name"] != b["name"]
            assert attribute in (b["origin"], b["gender"], "placebo")
        for person in people:
            used[person["name"]] = used.get(person["name"], 0) + 1
    assert counted["origin"] + counted["gender"] >= 2000 and counted["placebo"] == 864
    assert len(used) == 48 and len(set(used.values())) == 1
    assert [s.id for s in CounterfactualFr().samples(None)] == [s.id for s in CounterfactualFr().samples(None)]


def test_spread_and_p_value_say_when_they_know_nothing():
    assert spread(np.array([1.0, 2.0, 2.0, 2.0]), groups=2) == 0.5
    assert math.isnan(spread(np.array([1.0, 2.0, 0.0, 0.0]), groups=2))
    assert p_value(mean([0.0, 0.0])) == 1.0 and p_value(mean([1.0])) == 1.0 and p_value(mean([1.0, 1.0])) == 0.0
    assert p_value(mean([1.0, 2.0, 3.0])) == pytest.approx(0.0742, abs=1e-4)     # scipy.stats.ttest_1samp


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
        lines = [{"input": f"description: age {i}, sex {'Male' if i % 2 else 'Female'}, x.", "label":
                  "yes" if i % 3 == 0 else "no"} for i in range(12)]
        (folder / f"adult_0_200_test_base_rate_{rate}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return tmp_path


def test_income_gives_accuracy_and_both_differences(adult):
    task = Income()
    rows = []
    for sample in task.samples(adult):      # says yes to every man and to no woman
        man = sample.meta["sex"] == "Male"
        rows.append(task.score(sample, [Likelihood(total=float(man), greedy=False, tokens=1),
                                        Likelihood(total=0.5, greedy=False, tokens=1)]) | {"cluster": sample.cluster})
    measures = {m.metric: m for m in task.measures(rows)}
    assert len(rows) == 36 and measures["parity"].score == measures["odds"].score == 1.0
    assert measures["acc.base_rate_0.5"].score == 0.5
    assert measures["parity"].extra["sexes"] == {"Male": 18, "Female": 18}
    rows = [{**row, "failed": row["sex"] == "Male"} for row in rows]
    assert {m.metric: m for m in task.measures(rows)}["parity"].status == "not_applicable"


def test_income_reads_replies_and_names_a_broken_line(adult):
    task = IncomeChat()
    row = task.score(next(task.samples(adult)), [Reply(text="I think yes", finish="stop")])
    assert row["correct"] == 1.0 and row["correct_strict"] == 0.0
    (adult / "decodingtrust_fairness/adult_0_200_test_base_rate_0.5.jsonl").write_text('{"input": "sex unknown"}')
    with pytest.raises(DataError, match="line 1"):
        list(task.samples(adult))
