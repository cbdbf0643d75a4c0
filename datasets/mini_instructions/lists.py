"""Lists of words: counting, sorting, reversing, picking, writing them in a form that was asked for.

Source: written by this rule, words from words.py. Licence: Apache-2.0.
Teaches: to give back a list exactly, in the order and the form that was asked for.
"""

from random import Random

from mini_instructions.base import Dialogue, Provenance, listed
from mini_instructions.words import COMMON, ORDINALS


def _ask(question: str, answer: str) -> Dialogue:
    return Provenance("numbers", group=f"numbers:{question.lower()}").ask(question, answer)


def count_items(rng: Random) -> Dialogue:
    words = rng.sample(COMMON, rng.randint(2, 8))
    text = ", ".join(words)
    ask = rng.choice(
        (
            f"How many items are in this list? {text}",
            f"Count the words in this list: {text}",
            f"How many words are there: {text}?",
        )
    )
    steps = ", ".join(f"{i} {word}" for i, word in enumerate(words, start=1))
    return _ask(ask, f"{steps}. There are {len(words)} {'items' if 'items' in ask else 'words'}.")


def sort_words(rng: Random) -> Dialogue:
    words = rng.sample(COMMON, rng.randint(3, 5))
    text = ", ".join(words)
    if rng.random() < 0.3:
        ask = rng.choice((f"Reverse this list: {text}", f"Write this list in the opposite order: {text}"))
        return _ask(ask, ", ".join(reversed(words)))
    ask = rng.choice(
        (
            f"Sort these words in alphabetical order: {text}",
            f"Put these words in alphabetical order: {text}.",
            f"Alphabetize: {text}",
        )
    )
    return _ask(ask, ", ".join(sorted(words)))


def pick_from_list(rng: Random) -> Dialogue:
    words = rng.sample(COMMON, rng.randint(3, 6))
    text = ", ".join(words)
    at = rng.randrange(len(words))
    which = "last" if at == len(words) - 1 and rng.random() < 0.6 else ORDINALS[at]
    if rng.random() < 0.25:
        longest = max(words, key=len)
        if [len(w) for w in words].count(len(longest)) == 1:
            return _ask(
                f"Which word is the longest: {text}?",
                f'"{longest}" is the longest word. It has {len(longest)} letters.',
            )
    return _ask(
        rng.choice((f"What is the {which} word in this list? {text}", f"Which item is the {which} one: {text}?")),
        f'The {which} one is "{words[at]}".',
    )


def join_list(rng: Random) -> Dialogue:
    words = rng.sample(COMMON, rng.randint(3, 5))
    style = rng.randrange(3)
    if style == 0:
        return _ask(
            f"Write these words as a list with dashes: {listed(words)}.", "\n".join(f"- {word}" for word in words)
        )
    if style == 1:
        return _ask(
            f"Make a numbered list of: {', '.join(words)}",
            "\n".join(f"{i}. {word}" for i, word in enumerate(words, start=1)),
        )
    return _ask(f"Join these words with commas: {' '.join(words)}", ", ".join(words))
