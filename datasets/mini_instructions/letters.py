"""Words and letters: spelling, counting letters, opposites, plurals, past tense, upper case, repeating.

Source: tables in words.py. Licence: Apache-2.0.
Teaches: to do exactly what is asked with the letters of a word, and small grammar.
"""

from collections.abc import Iterator
from random import Random

from mini_instructions.base import Dialogue, Made, Provenance, Rule, casual, draw, listed, repeated
from mini_instructions.shelf import Shelf
from mini_instructions.words import CATEGORIES, COMMON, NAMES, NOT_THINGS, OPPOSITES, PAST, PLURALS, SYNONYMS

NUMBER = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
)


def _ask(question: str, answer: str, *, exact: bool = True, rng: Random | None = None) -> Dialogue:
    if rng is not None and not exact:
        question = casual(rng, question)
    return Provenance("letters", group=f"letters:{question.lower()}").ask(question, answer)


UNCOUNTED = ("color", "drink", "metal", "sport", "season", "planet")  # `pink is a color`, without article


def an(word: str) -> str:
    if any(word in CATEGORIES[kind] for kind in UNCOUNTED) and not any(
        word in CATEGORIES[kind] for kind in ("fruit", "tool")
    ):
        return word
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def spelling(rng: Random) -> Dialogue:
    word = rng.choice(COMMON)
    ask = rng.choice(
        (
            'How do you spell "{w}"?',
            "Spell the word {w}.",
            "Please spell {w}.",
            "Can you spell {w}?",
            'Spell "{w}" letter by letter.',
        )
    )
    return _ask(ask.replace("{w}", word), "-".join(word.upper()))


def count_letters(rng: Random) -> Dialogue:
    word = rng.choice(COMMON)
    ask = rng.choice(
        (
            'How many letters are in "{w}"?',
            "How many letters does the word {w} have?",
            "Count the letters in {w}.",
            "how many letters in {w}?",
        )
    )
    return _ask(ask.replace("{w}", word), f'{"-".join(word)}: the word "{word}" has {len(word)} letters.')


def count_one_letter(rng: Random) -> Dialogue:
    word = rng.choice([w for w in COMMON if len(w) > 4])
    letter = rng.choice(word) if rng.random() < 0.8 else rng.choice("aeiostr")
    many = word.count(letter)
    ask = rng.choice(
        (
            'How many times is the letter "{l}" in "{w}"?',
            "How many {l}'s are in {w}?",
            'Count the letter {l} in the word "{w}".',
        )
    )
    times = "once" if many == 1 else f"{many} times" if many else ""
    spelled = "-".join(word)
    answer = (
        f'{spelled}: the letter "{letter}" is there {times}.'
        if many
        else f'{spelled}: there is no "{letter}" in "{word}".'
    )
    return _ask(ask.replace("{l}", letter).replace("{w}", word), answer)


def first_last(rng: Random) -> Dialogue:
    word = rng.choice(COMMON)
    first = rng.random() < 0.5
    which = "first" if first else "last"
    ask = rng.choice(
        (
            f'What is the {which} letter of "{word}"?',
            f"Which letter is the {which} one in {word}?",
            f"{which} letter of {word}?",
        )
    )
    return _ask(ask, f'The {which} letter of "{word}" is {word[0] if first else word[-1]}.')


def opposite(rng: Random) -> Dialogue:
    word = rng.choice(list(OPPOSITES))
    ask = rng.choice(
        (
            "What is the opposite of {w}?",
            "What's the opposite of {w}?",
            'Give me the opposite of "{w}".',
            "Opposite of {w}?",
            "Name an antonym of {w}.",
        )
    )
    return _ask(ask.replace("{w}", word), f'The opposite of "{word}" is "{OPPOSITES[word]}".', exact=False, rng=rng)


def synonym(rng: Random) -> Dialogue:
    word = rng.choice(list(SYNONYMS))
    ask = rng.choice(
        ("What is another word for {w}?", "Give me a synonym of {w}.", 'Which word means the same as "{w}"?')
    )
    return _ask(ask.replace("{w}", word), f'Another word for "{word}" is "{SYNONYMS[word]}".', exact=False, rng=rng)


def plural(rng: Random) -> Dialogue:
    word = rng.choice(list(PLURALS))
    if rng.random() < 0.2 and PLURALS[word] != word:
        ask = rng.choice(("What is the singular of {w}?", 'Give the singular of "{w}".')).replace("{w}", PLURALS[word])
        return _ask(ask, f'The singular of "{PLURALS[word]}" is "{word}".')
    ask = rng.choice(
        ("What is the plural of {w}?", 'Give me the plural of "{w}".', "Plural of {w}?", "One {w}, two ...?")
    )
    return _ask(ask.replace("{w}", word), f'The plural of "{word}" is "{PLURALS[word]}".')


def past(rng: Random) -> Dialogue:
    word = rng.choice(list(PAST))
    ask = rng.choice(
        (
            "What is the past tense of {w}?",
            'Give the past tense of "{w}".',
            "Past tense of {w}?",
            'Put the verb "{w}" in the past.',
        )
    )
    return _ask(ask.replace("{w}", word), f'The past tense of "{word}" is "{PAST[word]}".')


def upper(rng: Random) -> Dialogue:
    words = " ".join(draw(rng, COMMON, 1, 3))
    up = rng.random() < 0.6
    how = rng.choice(("upper case", "capital letters") if up else ("lower case", "small letters"))
    given = words if up else words.upper()
    ask = rng.choice(
        (
            f"Write {given} in {how}.",
            f'Put "{given}" in {how}.',
            f"Change this to {how}: {given}",
            f"{given}: write it in {how}",
        )
    )
    return _ask(ask, given.upper() if up else given.lower())


def backwards(rng: Random) -> Dialogue:
    word = rng.choice([w for w in COMMON if len(w) <= 5])
    ask = rng.choice(('Write "{w}" backwards.', "Reverse the word {w}.", "Spell {w} backwards."))
    return _ask(ask.replace("{w}", word), f"{'-'.join(word)} backwards is {'-'.join(word[::-1])}: {word[::-1]}")


NOUNS = tuple(word for word in COMMON if word not in NOT_THINGS)
SENTENCES = (
    "{n} likes {a} and {b}.",
    "The {a} is on the {b}.",
    "I see a {a} near the {b}.",
    "{n} has a {a}.",
    "My {a} is very old.",
    "The {a} and the {b} are friends.",
    "{n} went home with a {a}.",
    "There is a {a} behind the {b}.",
    "Today {n} found a {a}.",
    "{n} draws a {a} every day.",
    "We will buy a {a} tomorrow.",
    "Do you want a {a}?",
    "Please give the {a} to {n}.",
)


def sentence(rng: Random) -> str:
    a, b = rng.sample(NOUNS, 2)
    pattern = rng.choice(SENTENCES).replace("a {a}", "{an}")
    return pattern.replace("{an}", an(a)).replace("{n}", rng.choice(NAMES)).replace("{a}", a).replace("{b}", b)


def repeat_after(rng: Random) -> Dialogue:
    text = sentence(rng) if rng.random() < 0.7 else " ".join(draw(rng, COMMON, 1, 4))
    ask = rng.choice(
        (
            "Repeat after me: {t}",
            'Say "{t}"',
            "Repeat this: {t}",
            "Please repeat exactly: {t}",
            "Say the following and nothing else: {t}",
            "Copy this text: {t}",
            "Write this again: {t}",
        )
    )
    return _ask(ask.replace("{t}", text), text)


def count_words(rng: Random) -> Dialogue:
    text = sentence(rng)
    words = text.rstrip(".?").split()
    ask = rng.choice(
        ('How many words are in "{t}"?', "Count the words: {t}", "How many words does this sentence have? {t}")
    )
    steps = " ".join(f"{i} {word}" for i, word in enumerate(words, start=1))
    return _ask(ask.replace("{t}", text), f"{steps}. The sentence has {len(words)} words.")


def nth_word(rng: Random) -> Dialogue:
    text = sentence(rng)
    words = text.rstrip(".?").split()
    which, at = rng.choice((("first", 0), ("last", -1), ("second", 1)))
    return _ask(
        rng.choice(
            (f'What is the {which} word of "{text}"?', f"Which word is the {which} one in this sentence? {text}")
        ),
        f'The {which} word is "{words[at]}".',
    )


def rhyme_start(rng: Random) -> Dialogue:
    letter = rng.choice([w[0] for w in COMMON])
    words = sorted({w for w in COMMON if w[0] == letter})
    many = min(len(words), rng.choice((1, 2, 3)))
    chosen = rng.sample(words, many)
    what = "a word" if many == 1 else f"{NUMBER[many]} words"
    return _ask(f'Give me {what} that start{"s" if many == 1 else ""} with the letter "{letter}".', ", ".join(chosen))


def category(rng: Random) -> Dialogue:
    kind, members = rng.choice(list(CATEGORIES.items()))
    word = rng.choice(members)
    style = rng.random()
    if style < 0.4:
        ask = rng.choice(("Is {w} {k}?", "Would you say that {w} is {k}?"))
        if rng.random() < 0.5:
            return _ask(ask.replace("{w}", an(word)).replace("{k}", an(kind)), f"Yes, {an(word)} is {an(kind)}.")
        other = rng.choice([k for k in CATEGORIES if word not in CATEGORIES[k]])
        if {kind, other} in ({"animal", "bird"}, {"animal", "insect"}, {"color", "fruit"}, {"animal", "planet"}):
            return _ask(f"What kind of thing is {an(word)}?", f"{an(word).capitalize()} is {an(kind)}.")
        return _ask(
            ask.replace("{w}", an(word)).replace("{k}", an(other)),
            f"No, {an(word)} is not {an(other)}. It is {an(kind)}.",
        )
    many = rng.randint(2, min(5, len(members)))
    chosen = rng.sample(members, many)
    kinds = {
        "part of the body": "parts of the body",
        "piece of furniture": "pieces of furniture",
        "piece of clothing": "pieces of clothing",
    }
    plural_kind = kinds.get(kind, kind + "s")
    ask = rng.choice(
        ("Name {n} {k}.", "Give me {n} {k}.", "List {n} {k}.", "Can you name {n} {k}?", "Tell me {n} {k}.")
    )
    asked = ask.replace("{n}", NUMBER[many] if rng.random() < 0.7 else str(many)).replace("{k}", plural_kind)
    if style < 0.6:
        return _ask(asked + " Write one on each line.", "\n".join(f"- {word}" for word in chosen))
    return _ask(
        asked, listed(chosen).capitalize() + "." if kind != "planet" else listed(chosen) + ".", exact=False, rng=rng
    )


def odd_one_out(rng: Random) -> Dialogue:
    kind, other = rng.sample([k for k in CATEGORIES if k not in ("bird", "insect", "color", "planet", "season")], 2)
    words = rng.sample(CATEGORIES[kind], min(3, len(CATEGORIES[kind])))
    strange = rng.choice([w for w in CATEGORIES[other] if w not in CATEGORIES[kind]])
    items = [*words, strange]
    rng.shuffle(items)
    ask = rng.choice(("Which word does not belong: {l}?", "Find the odd one out: {l}.", "Which one is different? {l}"))
    return _ask(
        ask.replace("{l}", ", ".join(items)),
        f'"{strange}" does not belong. The others are {("a " + kind)[2:]}s.'.replace(
            "piece of clothings", "pieces of clothing"
        )
        .replace("piece of furnitures", "pieces of furniture")
        .replace("part of the bodys", "parts of the body"),
    )


MAKERS = (
    spelling,
    count_letters,
    count_one_letter,
    first_last,
    opposite,
    synonym,
    plural,
    past,
    upper,
    backwards,
    repeat_after,
    count_words,
    nth_word,
    rhyme_start,
    category,
    odd_one_out,
    opposite,
    plural,
    repeat_after,
    category,
)


def make(shelf: Shelf, rng: Random, count: int) -> Iterator[Made]:
    yield from repeated(rng, count, MAKERS)


RULE = Rule("letters", "exact work on words: spelling, counting, opposites, plurals, repeating", 8_000, make)
