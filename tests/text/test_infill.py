"""A text in two parts becomes the prompt that the model's family was trained on."""

import pytest

from creuset.text.infill import infill


class Letters:
    """A token a letter, besides its marks."""

    def __init__(self, *marks: str) -> None:
        self.special = {mark: 1000 + at for at, mark in enumerate(marks)}

    def encode(self, text: str) -> list[int]:
        return [ord(letter) for letter in text]


A, B = ord("a"), ord("b")


@pytest.mark.parametrize(
    "marks",
    [
        ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
        ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
        ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),
        ("▁<PRE>", "▁<SUF>", "▁<MID>"),
    ],
)
def test_prefix_suffix_middle(marks: tuple[str, ...]) -> None:
    assert infill(Letters(*marks), "a", "b") == [1000, A, 1001, B, 1002]
    assert infill(Letters(*marks[:2]), "a", "b") is None


def test_the_suffix_comes_first_where_the_model_learned_it_so() -> None:
    assert infill(Letters("[PREFIX]", "[SUFFIX]"), "a", "b") == [1001, B, 1000, A]


def test_a_mark_in_a_text_is_text() -> None:
    ids = infill(Letters("<fim_prefix>", "<fim_suffix>", "<fim_middle>"), "<fim_suffix>", "")
    assert ids is not None and ids.count(1001) == 1


def test_a_tokenizer_without_marks_has_no_such_prompt() -> None:
    assert infill(Letters("<|im_start|>"), "a", "b") is None
