import json
from pathlib import Path

import pytest

from creuset.evals import extract
from creuset.evals.extract import letter_lenient, letter_strict, without_thinking

OUTPUTS = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "mmlu_pro_outputs.jsonl").read_text(encoding="utf-8").splitlines()
]
OPTIONS = ["water", "stone", "cold water", "air"]


def test_published_replies_of_twelve_models_are_read_as_their_authors_read_them():
    """`single` and `three_stage` were written by the authors' and the referee's own code."""
    for row in OUTPUTS:
        assert extract.mmlu_pro_single(row["reply"]) == row["single"], row
        assert extract.mmlu_pro_three_stage(row["reply"]) == row["three_stage"], row


def test_the_figures_of_the_sample():
    said = [(row, extract.mmlu_pro_single(row["reply"]), extract.mmlu_pro_three_stage(row["reply"])) for row in OUTPUTS]
    assert len(OUTPUTS) == 108 and len({row["model"] for row in OUTPUTS}) == 12
    assert sum(single == row["answer"] for row, single, _ in said) == 24
    assert sum(three == row["answer"] for row, _, three in said) == 32
    assert sum(single is None for _, single, _ in said) == 60 and sum(three is None for *_, three in said) == 24


@pytest.mark.parametrize(
    ("text", "strict", "lenient"),
    [
        ("B", "B", "B"),
        (" (C).", "C", "C"),
        ("D)", "D", "D"),
        ("Ice is cold.\nAnswer: B", "B", "B"),
        ("Answer:C\n", "C", "C"),
        ("Answer: B\nBut who knows.", None, "B"),
        ("The answer is (C), not A.", None, "C"),
        ("The correct answer is: **D**", None, "D"),
        ("the answer is A. Wait, the answer is B", None, "B"),
        (r"So \boxed{C}.", None, "C"),
        ("It is **B**.", None, "B"),
        ("La réponse est B.", None, "B"),
        ("答案是 D", None, "D"),
        ("B. stone", None, "B"),
        ("A man walks in. I think it is D", None, "D"),
        ("A man walks in.", None, None),
        ("It must be cold water.", None, "C"),
        ("It is water or air.", None, None),
        ("E", None, None),
        ("", None, None),
        ("I do not know.", None, None),
    ],
)
def test_letters(text, strict, lenient):
    assert (letter_strict(text, OPTIONS), letter_lenient(text, OPTIONS)) == (strict, lenient)


def test_thinking_is_no_answer():
    assert without_thinking("<think>A? B?</think>\nAnswer: C") == "Answer: C"
    assert without_thinking("A? B?</think> C") == "C", "templates that open the thinking leave no opening tag"
    assert without_thinking("<think>the answer is A and") == "", "an unfinished thought"
    assert without_thinking(" plain ") == " plain "


@pytest.mark.parametrize(
    ("text", "hashed", "said", "last"),
    [
        ("3 + 4 = 7\n#### 7", "7", None, "7"),
        ("The answer is $1,234.", None, None, "1234"),
        ("The answer is 1,234. Q 5", None, "1234", "5"),
        ("It costs $18.00", None, None, "18.00"),
        ("#### -3.5.", "-3.5", None, "-3.5"),
        ("The answer is 18", None, "1", "18"),
        ("none", None, None, None),
    ],
)
def test_numbers(text, hashed, said, last):
    assert (extract.number_hash(text), extract.number_said(text), extract.number_last(text)) == (hashed, said, last)


def test_words():
    assert extract.answer_said("So the answer is Yes.\nQ") == "Yes" and extract.answer_said("Yes.") is None
    assert extract.answer_lenient("Answer: **Yes**.") == "Yes" and extract.answer_lenient("Hm.\n(B)") == "(B)"
    assert extract.answer_lenient(" \n") is None
    assert extract.answer_lenient(r"The answer is \boxed{\text{No}}.") == "No"


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("The answer is b.", "B"), ("answer: c", "C"), ("(b)", "B"), ("La réponse est d", "D"), ("Answer: (a)", "A"),
        ("Answer: A and C", None), ("Answer: B or C", None), ("Réponse : A ou B", None), ("Answer: A, B", None),
        ("Answer: **A** / **B**", None), ("the answer is a good one", None), ("Answer: B, because A is wrong", "B"),
        ("b)", "B"), ("a", "A"), ("**c**", "C"), (r"\boxed{b}", "B"), ("answer is $b$", "B"), ("I think it's b", "B"),
        ("La bonne réponse est la c", "C"), ("je dirais a", "A"), ("It is either A or B", None), ("Both A and B", None),
        ("La réponse est soit A soit B", None), ("Neither A nor B", None), ("Answer: A or maybe C", None),
        ("Option A is wrong, so B", "B"), ("A is wrong; B is right", "B"), ("Option B can't be right, so D", "D"),
        ("La réponse A n'est pas correcte ; la réponse est D.", "D"), ("The answer is B. A is wrong.", "B"),
        ("L'option C est fausse, donc B", "B"), ("Answer: A is correct", "A"),
        ("The answer is not A", None), ("C, not B", "C"), ("It's not B, it's C", "C"), ("Answer: B (not C)", "B"),
        ("La réponse n'est pas A mais B", "B"), ("A, B and C are wrong. D", "D"), ("A, B fail; the answer is C", "C"),
    ],
)  # fmt: skip
def test_small_letters_count_and_two_letters_are_no_choice(text: str, letter: str | None) -> None:
    assert letter_lenient(text, ("red", "green", "blue", "white")) == letter


@pytest.mark.parametrize(
    ("text", "language", "number"),
    [
        (r"\boxed{$9{,}500}", "en", "9500"), ("Le total est 1 234 euros.", "fr", "1234"), ("£1 000", "en", "1000"),
        ("La réponse est 70 000.", "fr", "70000"), ("2\u202f000\u202f000", "fr", "2000000"), ("3,5 km", "fr", "3.5"),
        ("1.234,50 Euro", "de", "1234.50"), ("1,234.5", "en", "1234.5"), ("12, 13 and 14", "en", "14"),
        ("1'000", "fr", "1000"), ("9~500", "fr", "9500"), (r"9\;500", "fr", "9500"), ("10-5", "fr", "5"),
        ("1,234,567", "fr", "1234567"), ("1.2345", "fr", "1.2345"), ("1.000", "fr", "1000"), ("7 mille", "fr", "7000"),
        ("1,2 million", "fr", "1200000"),
        ("１２３", "ja", "123"), ("১২", "bn", "12"), ("007", "en", "7"), (".5", "en", "0.5"),
        ("$1,234.50", "fr", "1234.50"), ("50 à 60", "fr", "60"), ("la réponse est -5", "fr", "-5"), ("2 m", "fr", "2"),
        ("18.00", "en", "18"), ("-7", "en", "-7"), ("−7", "fr", "-7"), ("rien", "fr", None), ("", "en", None),
    ],
)  # fmt: skip
def test_a_number_is_read_as_its_language_writes_it(text: str, language: str, number: str | None) -> None:
    assert extract.number_read(text, language) == number
