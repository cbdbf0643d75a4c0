import pytest

from mini_instructions.prose import flaw, good_lead, sentences, tidy, without_parentheses


def test_initials_and_titles_do_not_end_a_sentence():
    assert sentences("Dr. J. Smith met Mrs. Lee. They talked. It was 5 p.m. on Monday!") == [
        "Dr. J. Smith met Mrs. Lee.", "They talked.", "It was 5 p.m. on Monday!"]  # fmt: skip


def test_empty_parentheses_and_spaces_before_marks_go():
    assert tidy("Scania (), Sweden ( ; ) is  a region .") == "Scania, Sweden is a region."
    assert without_parentheses("A b (c (d) e) f.") == "A b f."


@pytest.mark.parametrize(
    "sentence",
    [
        "It has a population of and lies on a river.",
        "The tower is about in height.",
        "The lake covers an area of .",
        "He was born in , the son of a baker.",
        'The word "dog is old and not closed.',
        "lower case start is not a sentence.",
        "This one never ends",
        "See https://example.org for more about it.",
        "The name 東京 is written so in that place.",
    ],
)
def test_a_broken_sentence_has_a_flaw(sentence):
    assert flaw(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "It is about two meters long.",
        "The city is in the north of Italy.",
        "He was born in 1850, the son of a baker.",
        "The river is 1,200 kilometers long.",
    ],
)
def test_a_good_sentence_has_none(sentence):
    assert flaw(sentence) is None


def test_a_lead_stops_at_the_first_broken_sentence():
    kept, wrong = good_lead("The river is long and wide. It is about in length. It ends in the sea.", most=3, words=60)
    assert kept == ["The river is long and wide."] and wrong is None
