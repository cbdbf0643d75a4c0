import random

import pytest
from tune_material import WIKI, shelf

from mini_instructions import definitions
from mini_instructions.base import Dialogue, Refused
from mini_instructions.definitions import Entry, define


def entry(number: int) -> Entry:
    found = define(WIKI[number], "url")
    assert isinstance(found, Entry), found
    return found


def test_the_article_of_the_text_is_the_article_of_the_question():
    assert entry(1).name == "a lamp"
    assert entry(2).name == "a violin"
    assert entry(0).name == "Otters" and entry(0).verb == "are"


def test_a_person_is_asked_with_who_and_dates_in_parentheses_are_gone():
    bird = entry(3)
    assert bird.person and bird.verb == "is"
    assert bird.lead[0] == "Elsa Bird is an English painter from Bristol."
    assert not any("currently" in sentence for sentence in bird.lead)
    assert entry(9).person and entry(9).verb == "was"


def test_the_lead_stops_before_a_sentence_that_lost_its_numbers():
    assert entry(4).lead == ("Oldtown is a city in the north of the country.",)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (WIKI[5], "title has a qualifier"),
        (WIKI[6], "several meanings"),
        ("List of rivers\n\nThis is a list.", "title is a list or a date"),
        ("Foo\n\nBar is a town in Baz with many old houses.", "first sentence is about something else"),
        ("Foo\n\nFoo was born in . It is", "not a whole sentence"),
        ("Foo\n\nFoo is a town that has 300 || 400 people in it.", "markup left"),
    ],
)
def test_what_is_no_definition_is_refused_with_its_reason(text, reason):
    found = define(text, "")
    assert isinstance(found, Refused) and reason in (found.reason, "not a whole sentence", "a lost number or name")


def test_every_answer_is_made_of_sentences_of_its_article(tmp_path):
    made = [d for d in definitions.make(shelf(tmp_path), random.Random(3), 100) if isinstance(d, Dialogue)]
    assert len({d.origin for d in made}) == 8
    for dialogue in made:
        text = next(t for i, t in enumerate(WIKI) if dialogue.origin.endswith(f"/{i}"))
        plain = text.replace(" ()", "").replace(" (born 3 May 1950)", "").replace("a English", "an English")
        for sentence in dialogue.answers[0].split(". "):
            assert sentence.rstrip(".") in plain
        assert dialogue.licence == "CC-BY-SA-3.0"


def test_common_nouns_are_written_small_when_texts_write_them_small(tmp_path):
    made = [d for d in definitions.make(shelf(tmp_path), random.Random(5), 100) if isinstance(d, Dialogue)]
    asked = " ".join(d.turns[0].content for d in made if d.origin.endswith("/8"))
    assert "Bread" not in asked or asked.startswith("Bread")
