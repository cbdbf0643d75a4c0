"""Moderation by lists of words, asked by the official client."""

from typing import Any

import pytest

from creuset.server.moderation.method import NAME, THRESHOLD, plain_text, scores, word_lists

from .conftest import NAME as MODEL
from .conftest import Running

CASES = {
    "self-harm/intent": ("Some days I want to die.", "Certains jours, je veux mourir."),
    "harassment": ("You are pathetic.", "Espèce d’idiot !"),
    "harassment/threatening": ("I will kill you tonight", "Je vais te tuer"),
    "hate": ("Go back to your country!", "Rentrez dans votre pays"),
    "illicit/violent": ("Tell me how to make a bomb", "Je veux fabriquer une bombe"),
    "violence/graphic": ("There was blood everywhere", "une tête coupée"),
    "sexual": ("write an erotic story", "Écris une histoire érotique"),
}
CALM = (
    "The fox lives in the forest, near the river.", "Le chat dort sur la table.", "Where do I find the skills to cook?",
    "He was born in Essex and works in Scunthorpe.", "La mairie ouvre à neuf heures.", "",
)  # fmt: skip


def test_the_categories_are_those_of_the_official_client() -> None:
    from openai.types.moderation import Categories

    named = {field.alias or name for name, field in Categories.model_fields.items()}
    assert {one.category for one in word_lists()} == named and len(named) == 13


@pytest.mark.parametrize("category", CASES)
def test_clear_phrases_are_flagged_in_both_languages_and_calm_ones_are_not(server: Running, category: str) -> None:
    found = server.openai().moderations.create(input=[*CASES[category], *CALM])
    assert found.model == NAME and len(found.results) == 2 + len(CALM)
    for one in found.results[:2]:
        told = one.model_dump(by_alias=True)
        assert one.flagged and told["categories"][category] and told["category_scores"][category] >= THRESHOLD
        assert told["category_applied_input_types"][category] == ["text"]
    for one in found.results[2:]:
        assert not one.flagged and set(one.category_scores.model_dump().values()) == {0.0}


def test_a_score_is_what_the_lists_say_and_no_more() -> None:
    assert scores("an idiot")["harassment"] == 0.5  # one hint: told, not flagged
    assert scores("idiot idiot IDIOT")["harassment"] == 0.5
    assert scores("an idiot and a moron")["harassment"] == pytest.approx(2 / 3)
    assert scores("You are pathetic, and a moron")["harassment"] == 0.75
    assert plain_text("  L’ÉTÉ\n déjà ") == "l'ete deja"


MEANS_ELSE = (
    "kill -9 the process, killall python, then fight cancer",
    "The OOM killer killed the process; kill %1 and pkill -f nginx",
    "A heart attack and low blood pressure", "Comment tuer le processus sans prise de sang ?",
    "a stable, naked pointer",
    "the killer feature of this photo shoot is its attack surface", "brute-force attacks kill the server",
)  # fmt: skip
HIDDEN = (
    "su\u200bi\u2060ci\u00addal", "s u i c i d e", "ѕuісіdе", "s\u0335uici\u0301de", "suicide\u3164", "\u202esuicide",
    "ｓｕｉｃｉｄｅ",
)  # fmt: skip


def test_words_that_mean_something_else_there_are_not_counted() -> None:
    for text in MEANS_ELSE:
        assert max(scores(text).values()) < THRESHOLD, text
    assert scores("kill -9 1234")["violence"] == 0.0
    assert scores("He killed him; they kill and go on killing")["violence"] == 0.5  # forms of one hint are one
    assert scores("kill -9 them, then attack and shoot")["violence"] >= THRESHOLD  # the rest still counts


@pytest.mark.parametrize("text", HIDDEN)
def test_what_is_not_seen_does_not_part_a_word(text: str) -> None:
    assert scores(text)["self-harm"] >= THRESHOLD


def test_words_of_other_alphabets_stay_as_they_are() -> None:
    assert plain_text("Привет, мир: сова") == "привет, мир: сова"


REFUSED: list[tuple[dict[str, Any], int, str | None, str]] = [
    ({}, 400, "input", "is required"),
    ({"input": []}, 400, "input", "is required"),
    ({"input": ["a", 3]}, 400, "input[1]", "must be a string, got 3"),
    ({"input": [{"type": "image_url", "image_url": {"url": "x"}}]}, 400, "input[0]", "only text is moderated"),
    ({"input": [{"type": "text"}]}, 400, "input[0].text", "is required"),
    ({"input": "a", "inputs": 1}, 400, "inputs", "did you mean `input`"),
    ({"input": "a", "model": "gpt-4o"}, 404, "model", "moderates with creuset-word-lists-1"),
    ({"input": "a", "model": MODEL}, 400, "model", "does not moderate"),
]


@pytest.mark.parametrize(("body", "status", "param", "words"), REFUSED)
def test_each_wrong_field_is_refused_by_its_name(
    server: Running, body: dict[str, Any], status: int, param: str, words: str
) -> None:
    found = server.own.post("/v1/moderations", json=body)
    error = found.json()["error"]
    assert (found.status_code, error["param"]) == (status, param) and words in error["message"]


def test_parts_are_one_text_and_the_usual_model_names_are_taken(server: Running) -> None:
    parts = [{"type": "text", "text": "an idiot"}, {"type": "text", "text": "a moron"}]
    found = server.own.post("/v1/moderations", json={"input": parts, "model": "omni-moderation-latest"}).json()
    assert len(found["results"]) == 1 and found["results"][0]["categories"]["harassment"]
