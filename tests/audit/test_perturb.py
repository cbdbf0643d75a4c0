"""Ten perturbations: the same for the same seed, each does something, none touches what would change the question."""

import json
import re

import pytest

from creuset.benchmarks.robustness.perturb import dialect, draw_for, gender, load_misspellings, ten
from creuset.core.errors import DataError

TEXT = (
    "A man told her that it is likely that DNA is going to mutate in 1998 because they don't believe the doctor. "
    "Which of the following statements about her large sister is correct during the morning?"
)
WRONG = {"believe": ["beleive"], "which": ["wich"], "likely": ["likly"], "because": ["becuase"], "doctor": ["docter"]}


@pytest.mark.parametrize("name", sorted(ten({})))
def test_each_changes_the_text_and_the_same_seed_gives_the_same(name):
    perturb = ten(WRONG)[name]
    once = perturb(TEXT, draw_for(1, name, "q1"))
    assert once == perturb(TEXT, draw_for(1, name, "q1"))
    assert once != TEXT
    assert "1998" in once


def test_capitals_and_numbers_stay_in_all_but_small_letters():
    for name, perturb in ten(WRONG).items():
        if name != "case":
            assert "DNA" in perturb(TEXT, draw_for(7, name)), name


def test_contraction_and_expansion_undo_each_other():
    both = ten({})
    short = both["contraction"]("It is not so, and they are late.", draw_for(0))
    assert short == "It's not so, and they're late." or short == "It isn't so, and they're late."
    assert both["expansion"](short, draw_for(0)) in ("It is not so, and they are late.",)


def test_gender_swapped_twice_is_the_text_again():
    text = "The man saw her brother and gave him his wife."
    assert gender(text, draw_for(0)) == "The woman saw his sister and gave her her husband."
    plain = "A boy, his father and a queen."
    assert gender(gender(plain, draw_for(0)), draw_for(0)) == plain


def test_spaces_change_blanks_only():
    spaced = ten({})["spaces"](TEXT, draw_for(3))
    assert re.sub(r" +", " ", spaced) == TEXT and spaced != TEXT


def test_nouns_in_ing_are_no_participles():
    assert dialect("The king is thinking of spring.", draw_for(0)) == "The king is thinkin' of spring."


def test_a_damaged_list_of_misspellings_is_named(tmp_path):
    (tmp_path / "perturbations").mkdir()
    file = tmp_path / "perturbations/correct_to_misspelling.json"
    for broken in ("{", json.dumps({"a": []}), "[]"):
        file.write_text(broken)
        with pytest.raises(DataError, match="correct_to_misspelling"):
            load_misspellings(tmp_path)
