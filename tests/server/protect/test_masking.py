"""Masking while a text is written gives what masking the whole text gives, however it is cut."""

import random
from pathlib import Path

import pytest

from creuset.core.personal import KINDS, MASKED, mask
from creuset.server.protect.guards.masking import StreamMasker

# Lines of other tests: personal data of every kind, and what looks like them.
LINES = [
    line
    for name in ("test_personal.py", "test_personal_labelled.py", "test_personal_peers.py")
    for line in (Path(__file__).parents[2] / "core" / name).read_text(encoding="utf-8").splitlines()
    if len(line) > 20
]


def written(text: str, kinds: tuple[str, ...], sizes: list[int]) -> tuple[str, list[str]]:
    masker, out, at = StreamMasker(kinds), list[str](), 0
    for size in sizes:
        out.append(masker.push(text[at : at + size]))
        at += size
    return "".join([*out, masker.push(text[at:]), masker.finish()]), out


@pytest.mark.parametrize("kinds", [MASKED, KINDS, ("email",), ("phone", "iban")])
def test_what_is_released_joined_is_the_whole_text_masked(kinds: tuple[str, ...]) -> None:
    drawn = random.Random(7)
    for at in range(60):
        text = ("\n" if at % 2 else " ").join(drawn.sample(LINES, 4))
        sizes = [drawn.choice((1, 2, 3, 5, 8, 13)) for _ in range(len(text) // 4)]
        assert written(text, kinds, sizes)[0] == mask(text, kinds)[0], repr(text)


@pytest.mark.parametrize("said", ["jean.martin@orange.fr", "+33 6 12 34 56 78", "FR76 3000 6000 0112 3456 7890 189"])
def test_no_cut_shows_a_part_of_what_is_masked(said: str) -> None:
    text = f"Write to {said} soon, please, before the end of the week."
    for cut in range(len(text)):
        _, out = written(text, MASKED, [cut])
        assert not any(said[:n] in out[0] for n in range(3, len(said))), out


def test_plain_text_is_held_back_by_a_word() -> None:
    masker, out = StreamMasker(MASKED), ""
    for letter in "The river flows from the mountain to the sea":
        out += masker.push(letter)
    assert out.startswith("The river flows from the mountain to ")
