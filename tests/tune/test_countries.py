import random
import re

from tune_material import shelf

from mini_instructions import countries, factbook, french
from mini_instructions.base import Dialogue

TRUE = {
    "France": {"capital": "Paris", "area": 643801, "population": 68.5, "neighbours": ["Belgium", "Germany", "Spain"]},
    "Mali": {
        "capital": "Bamako",
        "area": 1240192,
        "population": 22.6,
        "neighbours": ["Algeria", "Ivory Coast", "Niger"],
    },
    "Japan": {"capital": "Tokyo", "area": 377915, "population": 123.0, "neighbours": []},
}


def found(tmp_path):
    return factbook.by_name(factbook.countries(shelf(tmp_path)))


def test_a_profile_is_read_line_by_line(tmp_path):
    france, mali, japan = (found(tmp_path)[name] for name in ("France", "Mali", "Japan"))
    assert (france.capital, france.area, france.population, france.currency) == ("Paris", 643801, 68512806, "euros")
    assert france.highest == ("Mont Blanc", 4810) and france.internet == ".fr" and france.adjective == "French"
    assert mali.neighbours == ("Algeria", "Ivory Coast", "Niger") and mali.coastline == 0 and mali.languages is None
    assert japan.neighbours == () and japan.continent == "Asia" and japan.highest is None


def test_numbers_are_rounded_as_people_say_them():
    assert countries.rounded(68_512_806) == "about 68.5 million"
    assert countries.rounded(4_000_000) == "about 4 million"
    assert countries.rounded(1_400_000_000) == "about 1.4 billion"
    assert countries.rounded(46_912) == "about 47,000"


def test_every_answer_about_a_country_agrees_with_the_table(tmp_path):
    made = [d for d in countries.make(shelf(tmp_path), random.Random(1), 1000) if isinstance(d, Dialogue)]
    assert len(made) > 60
    for dialogue in made:
        question, answer = dialogue.turns[0].content, dialogue.turns[1].content
        for name, city in re.findall(r"[Tt]he capital of (\w+) is (\w+)", answer):
            assert TRUE[name]["capital"] == city, answer
        for name, area in re.findall(r"(\w+) has an area of ([\d,]+)", answer):
            assert TRUE[name]["area"] == int(area.replace(",", ""))
        for million, name in re.findall(r"About ([\d.]+) million people live in (\w+)", answer):
            assert abs(TRUE[name]["population"] - float(million)) < 0.051
        if match := re.match(r"(Yes|No)\. (\w+) is (?:larger|the capital)", answer):
            assert match[2] in TRUE or match[2] in {t["capital"] for t in TRUE.values()}
        if "larger" in question or "bigger" in question:
            winner = re.search(r"(\w+) is larger", answer)[1]
            pair = [name for name in TRUE if name.lower() in question.lower()]
            assert winner == max(pair, key=lambda name: TRUE[name]["area"])
            if question.lower().startswith("is"):
                first = min(pair, key=lambda name: question.lower().find(name.lower()))
                assert answer.startswith("Yes") == (winner == first)


def test_capital_questions_say_yes_only_to_the_capital(tmp_path):
    known = list(found(tmp_path).values())
    for seed in range(60):
        question, answer = countries.is_capital(random.Random(seed), known[seed % 3], known)
        city, name = question.lower().split()[1], question.lower().rstrip("?").split()[-1]
        truth = next(t for n, t in TRUE.items() if n.lower() == name)["capital"].lower() == city
        assert answer.startswith("Yes") == truth


def test_borders_are_denied_only_where_there_is_none(tmp_path):
    known = list(found(tmp_path).values())
    for seed in range(60):
        if pair := countries.neighbour_check(random.Random(seed), known[seed % 2], known):
            a, b = re.match(r"Does (.+) border (.+)\?", pair[0]).groups()
            assert pair[1].startswith("Yes") == (b in TRUE[a]["neighbours"])


def test_what_changes_or_is_not_known_is_not_answered(tmp_path):
    made = list(countries.make_silent(shelf(tmp_path), random.Random(2), 60))
    assert all(re.search(r"do not know|cannot see|not sure|do not have", d.answers[0]) for d in made)


def test_french_answers_use_french_names(tmp_path):
    made = [d for d in french.make_countries(shelf(tmp_path), random.Random(1), 100) if isinstance(d, Dialogue)]
    answers = " ".join(d.answers[0] for d in made)
    assert "La capitale de la France est Paris." in answers and "La capitale du Mali est Bamako." in answers
    assert "environ 68,5 millions d'habitants en France" in answers and "643 801 kilomètres carrés" in answers
    assert all(d.lang == "fr" for d in made)


def test_the_french_table_has_a_known_article_and_continent_in_every_row():
    for name, inside, capital, continent in french.COUNTRIES_FR.values():
        assert name.startswith(("la ", "le ", "les ", "l'")) or inside.startswith(("à ", "en "))
        assert inside.startswith(("en ", "au ", "aux ", "à ")) and capital[0].isupper()
        assert continent in ("Europe", "Asie", "Afrique", "Océanie", "Amérique du Nord", "Amérique du Sud")
