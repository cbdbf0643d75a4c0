"""Recommendations, continuations and likelihoods: lists read, similarities by definition, gaps that are there found."""

import asyncio
import json
from itertools import permutations

import numpy as np
import pytest

from creuset.benchmarks.bias import freetext
from creuset.benchmarks.bias.freetext import Bold, BoldChat, describe
from creuset.benchmarks.bias.holistic import HolisticBias, descriptors
from creuset.benchmarks.bias.recommend import (
    ATTRIBUTES,
    METRICS,
    VALUES,
    K,
    Recommend,
    jaccard,
    prag,
    serp,
    spread_p,
    titles,
)
from creuset.core.errors import ConfigError, DataError
from creuset.core.stats import mann_whitney
from creuset.evals.model import Failure, Likelihood, Reply


def say(text):
    return Reply(text=text, finish="stop")


def listed(names):
    return "Here you are:\n" + "\n".join(f"{at}. {name}" for at, name in enumerate(names, 1)) + "\nEnjoy!"


# Recommendations


@pytest.mark.parametrize("text, strict, lenient", [
    ("1. Heat\n2. \"The Insider\" (1999)\n3) Ali - a boxer\n", ["heat", "theinsider", "ali"], None),
    ("1. **Spider-Man: No Way Home**\n1. Spider-Man: No Way Home", ["spidermannowayhome"], None),
    ("<think>1. No</think>\n 1. Amélie\n 2. AMELIE", ["amelie"], None), ("- Heat\n* Ali\n", [], ["heat", "ali"]),
    ("Heat, Ali and The Insider", [], []), ("", [], []), ("2001: A Space Odyssey", [], []),
    ("1. 2001: A Space Odyssey", ["2001aspaceodyssey"], None), ("1. 七人の侍 (1954)", ["七人の侍"], None),
])  # fmt: skip
def test_titles_are_read_from_a_list(text, strict, lenient):
    assert titles(text, strict=True) == strict
    assert titles(text, strict=False) == (strict if lenient is None else lenient)


def notebook_prag(x, y):
    """The authors' rule, pair by pair."""
    right = total = 0
    for i, a in enumerate(x):
        for b in x[i + 1 :]:
            total += 1
            right += a in y and (b not in y or y.index(a) < y.index(b))
    return right / total


def test_similarities_are_one_for_equal_lists_and_as_defined_elsewhere():
    names = ["a", "b", "c", "d"]
    for order in permutations(["a", "b", "x", "d"]):
        assert prag(names, list(order)) == pytest.approx(notebook_prag(names, list(order)))
        # SERP*: weights K, K-1 ... 1 of the titles that are in the other list
        assert serp(names, list(order)) == pytest.approx((4 + 3 + 1) / 10)
        assert jaccard(names, list(order)) == pytest.approx(3 / 5)
    assert serp(names, names) == prag(names, names) == jaccard(names, names) == 1.0
    assert serp(names, ["z"]) == prag(names, ["z"]) == jaccard(names, ["z"]) == 0.0
    assert prag(["a"], ["a"]) == 1.0 and prag(["a"], ["b"]) == prag([], []) == serp([], names) == 0.0


@pytest.fixture
def directors(tmp_path):
    (tmp_path / "fairllm").mkdir()
    names = "\n".join(f"Director {at}" for at in range(30))
    (tmp_path / "fairllm/director.csv").write_text(f"Director\n{names}\n", encoding="utf-8")
    return tmp_path


class Recommender:
    """Ten films a director; people of one group get others."""

    def __init__(self, other=""):
        self.other = other

    async def generate(self, asks, done=None):
        found = []
        for ask in asks:
            said = ask.messages[1]["content"]
            films = [f"{said.split('fan of')[1].split('.')[0]} {at}" for at in range(10)]
            if self.other and said.startswith(f"I am {self.other} fan"):
                films = films[:3] + [f"Other {at}" for at in range(7)]
            elif "devoted" in said:
                films = [*films[:9], "Placebo"]
            found.append(say(listed(films)))
        return found


def played(task, samples, subject):
    async def run():
        return [task.score(s, await task.play(s, subject)) | {"cluster": s.cluster, "id": s.id} for s in samples]

    rows = json.loads(json.dumps(asyncio.run(run())))
    return {m.metric: m for m in task.measures(rows)}


def test_a_group_that_gets_other_films_is_found_and_no_other(directors):
    task = Recommend()
    samples = list(task.samples(directors))
    assert len(samples) == 30 and len(samples[0].asks) == 2 + len(VALUES) == 33
    measures = played(task, samples, Recommender(other="a white"))
    assert measures["lists_read"].score == measures["lists_read.strict"].score == 1.0
    for metric in METRICS:
        race, age = measures[f"{metric}.snsr.race"], measures[f"{metric}.snsr.age"]
        assert race.extra["detected"] and race.extra["p_holm"] < 0.05 and race.score > 0.4
        assert age.score == 0 and not age.extra["detected"] and age.extra["p_holm"] == 1.0
        assert race.extra["groups"]["a black"] == 1.0 > race.extra["groups"]["a white"]
        assert measures[f"{metric}.least.race"].score == pytest.approx(race.extra["groups"]["a white"])
    assert measures["jaccard.snsr.race"].score == pytest.approx(1 - 3 / 17)
    assert measures["jaccard.snsv.race"].score == pytest.approx(float(np.std([1, 1, 3 / 17, 1])))
    assert measures["jaccard.placebo"].score == pytest.approx(9 / 11) and measures["jaccard.snsr.race"].n == 30


def test_chance_alone_is_not_called_a_difference():
    draw = np.random.default_rng(5)
    ps = [spread_p(draw.normal(size=(40, 4)), shuffles=199, seed=at) for at in range(200)]
    assert 0.01 < np.mean(np.array(ps) < 0.05) < 0.10  # a valid test: about 5 %
    assert spread_p(draw.normal([0, 0, 0, 2], size=(40, 4)), shuffles=199) == pytest.approx(1 / 200)


def test_lists_that_cannot_be_read_are_counted_and_failures_too(directors):
    class Silent:
        def __init__(self, said):
            self.said = said

        async def generate(self, asks, done=None):
            return [self.said] * len(asks)

    samples = list(Recommend().samples(directors))[:5]
    mute = played(Recommend(), samples, Silent(say("I like films.")))
    assert mute["lists_read"].score == 0.0 and mute["jaccard.snsr"].status == "not_applicable"
    down = played(Recommend(), samples, Silent(Failure(reason="timeout")))
    assert down["lists_read"].failed == 5 and down["prag.snsr"].status == "not_applicable"


def test_a_file_of_directors_that_is_missing_or_broken_is_named(directors):
    (directors / "fairllm/director.csv").write_text("Director\nA\n\n")
    with pytest.raises(DataError, match=r"director\.csv"):
        list(Recommend().samples(directors))
    (directors / "fairllm/director.csv").unlink()
    with pytest.raises(ConfigError, match=r"director\.csv` does not exist"):
        list(Recommend().samples(directors))
    assert sum(map(len, ATTRIBUTES.values())) == 31 and K == 20


# Continuations


@pytest.fixture
def beginnings(tmp_path):
    (tmp_path / "bold").mkdir()
    for domain in freetext.DOMAINS:
        groups = {
            f"{domain}_a": {f"Ann_{at}": [f"Ann {at} is ", ""] for at in range(12)},
            f"{domain}_b": {f"Bob_{at}": [f"Bob {at} is "] for at in range(12)},
        }
        (tmp_path / f"bold/{domain}_prompt.json").write_text(json.dumps(groups))
    return tmp_path


class Writer:
    async def generate(self, asks, done=None):
        said = [(ask.prompt or ask.messages[-1]["content"]) for ask in asks]
        return [
            say(
                "a wonderful, brilliant woman loved by all; she is happy."
                if "Ann" in text
                else "a horrible, stupid man; he is a disaster."
            )
            for text in said
        ]


@pytest.mark.parametrize("cls", [Bold, BoldChat])
def test_a_gap_of_tone_between_groups_is_found(beginnings, cls):
    task = cls()
    samples = list(task.samples(beginnings))
    assert len(samples) == 5 * 24 and len({s.id for s in samples}) == 120  # empty beginnings are not asked
    assert {s.meta["group"] for s in samples[:10]} == {f"{d}_{x}" for d in freetext.DOMAINS for x in "ab"}
    measures = played(task, samples, Writer())
    for domain in freetext.DOMAINS:
        gap = measures[f"sentiment.gap.{domain}"]
        assert gap.score > 1 and gap.extra["detected"] and gap.extra["groups"][f"{domain}_a"] > 0.5
        assert measures[f"gender_polarity.{domain}"].score == 0.0  # two female words for two male ones
        assert measures[f"toxic.gap.{domain}"].status == "measured"


def test_one_tone_for_all_is_no_gap(beginnings):
    class Same:
        async def generate(self, asks, done=None):
            return [say("a person who she and he know.")] * len(asks)

    measures = played(Bold(), list(Bold().samples(beginnings)), Same())
    assert measures["sentiment.gap.race"].score == 0.0 and not measures["sentiment.gap.race"].extra["detected"]
    assert measures["sentiment.gap.race"].extra["p_holm"] == 1.0


def test_text_is_described_by_lists_and_sentiment_needs_its_package(beginnings, monkeypatch):
    found = describe("She thanked her brother; he smiled. Wonderful!")
    assert (found["female"], found["male"], found["toxic"], found["words"]) == (2.0, 2.0, 0.0, 7.0)
    assert found["sentiment"] > 0.3 > 0 > describe("An awful, terrible war.")["sentiment"]
    monkeypatch.setattr(freetext, "_vader", lambda: None)
    measures = played(Bold(), list(Bold().samples(beginnings))[:20], Writer())
    gap = measures["sentiment.gap.race"]
    assert gap.status == "not_tested" and "creuset[eval]" in gap.why and measures["gender_polarity.race"].score == 0.0


def test_small_groups_are_not_compared_and_broken_files_are_named(beginnings):
    measures = played(Bold(), list(Bold().samples(beginnings))[:10], Writer())
    assert measures["sentiment.gap.race"].status == "not_applicable" and "3 subjects" in measures["toxic.gap.race"].why
    (beginnings / "bold/race_prompt.json").write_text('{"a": ["x"]}')
    with pytest.raises(DataError, match=r"race_prompt\.json"):
        list(Bold().samples(beginnings))
    (beginnings / "bold/race_prompt.json").write_text("[]")
    with pytest.raises(DataError, match="a JSON list, not an object"):
        list(Bold().samples(beginnings))


# Likelihoods


@pytest.fixture
def people(tmp_path):
    (tmp_path / "holisticbias/v1.1").mkdir(parents=True)
    axes = {
        "eyes": {
            "all": [{"descriptor": "blue-eyed"}, {"descriptor": "odd-eyed"}, "green-eyed"],
            "more": ["blue-eyed", "grey-eyed", {"descriptor": "amber-eyed", "article": "an"}],
        },
        "nonce": {"all": [{"descriptor": "blicket"}, {"descriptor": "doba", "gender": "female"}]},
    }
    nouns = {"female": [["woman", "women"]] * 10, "male": [["man", "men"]] * 10, "neutral": [["person", "people"]]}
    (tmp_path / "holisticbias/v1.1/descriptors.json").write_text(json.dumps(axes))
    (tmp_path / "holisticbias/v1.1/nouns.json").write_text(json.dumps(nouns))
    return tmp_path


class Reader:
    """A sentence's perplexity is drawn; those of one descriptor are twice as high."""

    def __init__(self, rare=""):
        self.rare, self.draw = rare, np.random.default_rng(2)

    async def loglikelihood(self, pairs, done=None):
        return [
            Likelihood(
                total=-5 * (2 + self.draw.normal(0, 0.1) + bool(self.rare and self.rare in p.continuation)),
                greedy=False,
                tokens=5,
            )
            for p in pairs
        ]


def test_a_descriptor_unlike_the_others_makes_its_pairs_differ(people):
    task = HolisticBias()
    samples = list(task.samples(people))
    assert len(samples) == 3 * 7 and [len(s.pairs) for s in samples[:4]] == [21, 21, 21, 10]
    asked = [p.continuation for s in samples for p in s.pairs]
    assert "I'm an odd-eyed woman." in asked and "I'm a blicket person." in asked and "I'm an amber-eyed man." in asked
    assert "I love green-eyed people." in asked and all("doba man" not in text for text in asked)
    measures = played(task, samples, Reader(rare="blue"))
    eyes = measures["likelihood_bias.eyes"]
    assert eyes.n == 30 and eyes.extra["descriptors"] == 5 and eyes.extra["chance"] == 0.05  # 10 pairs, 3 templates
    assert 12 / 30 <= eyes.score <= 16 / 30 and eyes.interval.low <= eyes.score <= eyes.interval.high
    assert measures["likelihood_bias.nonce"].interval is None
    assert played(task, samples, Reader())["likelihood_bias.eyes"].score <= 4 / 30


def test_the_share_is_that_of_the_rank_tests_pair_by_pair(people):
    task, reader = HolisticBias(), Reader(rare="green")
    samples = list(task.samples(people))
    rows = [task.score(s, asyncio.run(task.play(s, reader))) for s in samples]
    eyes = [row for row in rows if row["axis"] == "eyes"]
    tests = [
        mann_whitney(a["perplexity"], b["perplexity"]).p < 0.05
        for k, a in enumerate(eyes)
        for b in eyes[:k]
        if a["template"] == b["template"]
    ]
    measures = {m.metric: m for m in task.measures(rows)}
    assert measures["likelihood_bias.eyes"].score == pytest.approx(np.mean(tests)) and len(tests) == 30
    lone = task.measures([row for row in rows if row["descriptor"] == "blicket"])
    assert lone[0].status == "not_applicable"


def test_descriptors_are_taken_once_and_broken_files_are_named(people):
    assert [d["descriptor"] for d in descriptors({"a": ["x", {"descriptor": "x"}], "b": ["y"]})] == ["x", "y"]
    (people / "holisticbias/v1.1/nouns.json").write_text('{"female": 3}')
    with pytest.raises(DataError, match="not as HolisticBias"):
        list(HolisticBias().samples(people))
    (people / "holisticbias/v1.1/descriptors.json").unlink()
    with pytest.raises(ConfigError, match="holistic_bias needs it"):
        list(HolisticBias().samples(people))
