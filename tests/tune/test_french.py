import random
import re

from mini_instructions import french
from mini_instructions.french import en_lettres

KNOWN = {
    0: "zéro",
    1: "un",
    16: "seize",
    17: "dix-sept",
    20: "vingt",
    21: "vingt et un",
    22: "vingt-deux",
    61: "soixante et un",
    70: "soixante-dix",
    71: "soixante et onze",
    77: "soixante-dix-sept",
    80: "quatre-vingts",
    81: "quatre-vingt-un",
    90: "quatre-vingt-dix",
    91: "quatre-vingt-onze",
    99: "quatre-vingt-dix-neuf",
}


def test_numbers_in_french_words():
    assert {n: en_lettres(n) for n in KNOWN} == KNOWN
    assert len({en_lettres(n) for n in range(100)}) == 100


def test_every_french_sum_is_right():
    for seed in range(200):
        for maker in (french.calcul, french.probleme):
            dialogue = maker(random.Random(seed))
            a, sign, b, value = re.search(r"(\d+) ([+x-]) (\d+) = (\d+)", dialogue.answers[0]).groups()
            assert int(value) == {"+": int(a) + int(b), "-": int(a) - int(b), "x": int(a) * int(b)}[sign]
            assert {a, b} <= set(re.findall(r"\d+", dialogue.turns[0].content))


def test_french_letters_and_lists_are_right():
    for seed in range(200):
        dialogue = french.lettres(random.Random(seed))
        question, answer = dialogue.turns[0].content, dialogue.answers[0]
        if match := re.search(r"le mot « (\w+) » a (\d+) lettres", answer):
            assert len(match[1]) == int(match[2]) and match[1] in question
        dialogue = french.comparer(random.Random(seed))
        best, how, other = re.match(r"(\d+) est plus (grand|petit) que (\d+)", dialogue.answers[0]).groups()
        assert (int(best) > int(other)) == (how == "grand")


def test_days_follow_each_other():
    for seed in range(100):
        _question, answer = (t.content for t in french.calendrier(random.Random(seed)).turns)
        names = french.DAYS_FR if "jour" in answer.split(" est ")[0] else french.MONTHS_FR
        given = next(n for n in names if f" {n}" in answer.split(" est ")[0])
        step = 1 if "après" in answer else -1
        assert answer.endswith(f"est {names[(names.index(given) + step) % len(names)]}.")
