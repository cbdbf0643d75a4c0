"""Reading a short text: find a name, a place, a number; say yes or no; say when the text is silent; keep a format.

Source: scenes written by this rule; openings of simple-wiki articles (CC-BY-SA-3.0) for titles and summaries.
Teaches: to copy the answer from the text, and not to invent what the text does not say.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from mini_instructions import definitions
from mini_instructions.base import Dialogue, Made, Provenance, Refused, Rule
from mini_instructions.numbers import in_words
from mini_instructions.prose import without_parentheses
from mini_instructions.shelf import Shelf
from mini_instructions.words import CITIES, DAYS, MONTHS, NAMES, PLACES, THINGS

JOBS = ("teacher", "doctor", "baker", "farmer", "driver", "cook", "painter", "gardener", "nurse", "pilot")
ANIMALS = ("dog", "cat", "rabbit", "horse", "parrot", "turtle")
COLORS = ("black", "white", "brown", "gray", "red", "yellow")
FOODS = ("soup", "pizza", "rice", "pasta", "salad", "pancakes", "fish", "apple pie", "bread")


@dataclass(frozen=True, slots=True)
class Fact:
    """One sentence of a scene and the questions it answers: (question, short answer, full answer)."""

    key: str
    sentence: str
    questions: tuple[tuple[str, str, str], ...]


def scene(rng: Random) -> list[Fact]:
    """Facts about one person, of which a text shows some."""
    name, friend, pet_name = rng.sample(NAMES, 3)
    job, city, place, day, food = (rng.choice(t) for t in (JOBS, CITIES, PLACES, DAYS, FOODS))
    age, hour, many = rng.randint(20, 70), rng.randint(1, 12), rng.randint(2, 12)
    animal, color = rng.choice(ANIMALS), rng.choice(COLORS)
    things = rng.choice(THINGS).split("/")[1]
    date = f"{rng.randint(1, 28)} {rng.choice(MONTHS)}"
    article = "an" if job[0] in "aeiou" else "a"
    facts = [
        Fact("age", f"{name} is {age} years old.", ((f"How old is {name}?", str(age), f"{name} is {age} years old."),)),
        Fact(
            "job",
            f"{name} works as {article} {job}.",
            (
                (f"What is {name}'s job?", job, f"{name} is {article} {job}."),
                (f"What does {name} do for work?", job, f"{name} works as {article} {job}."),
            ),
        ),
        Fact(
            "city",
            f"{name} lives in {city}.",
            (
                (f"Where does {name} live?", city, f"{name} lives in {city}."),
                (f"In which city does {name} live?", city, f"{name} lives in {city}."),
            ),
        ),
        Fact(
            "trip",
            f"On {day}, {name} went to {place}.",
            (
                (f"Where did {name} go on {day}?", place, f"{name} went to {place}."),
                (f"On which day did {name} go to {place}?", day, f"{name} went there on {day}."),
            ),
        ),
        Fact(
            "hour",
            f"They met at {hour} o'clock.",
            (("At what time did they meet?", f"{hour} o'clock", f"They met at {hour} o'clock."),),
        ),
        Fact(
            "friend",
            f"{name} came with a friend called {friend}.",
            (
                (f"Who came with {name}?", friend, f"{friend} came with {name}."),
                (f"What is the name of {name}'s friend?", friend, f"The friend is called {friend}."),
            ),
        ),
        Fact(
            "buy",
            f"{name} bought {in_words(many)} {things}.",
            (
                (f"What did {name} buy?", f"{in_words(many)} {things}", f"{name} bought {in_words(many)} {things}."),
                (f"How many {things} did {name} buy?", in_words(many), f"{name} bought {in_words(many)} {things}."),
            ),
        ),
        Fact(
            "pet",
            f"{name} has a {color} {animal} called {pet_name}.",
            (
                (f"What animal does {name} have?", animal, f"{name} has a {animal}."),
                (f"What is the name of the {animal}?", pet_name, f"The {animal} is called {pet_name}."),
                (f"What color is the {animal}?", color, f"The {animal} is {color}."),
            ),
        ),
        Fact(
            "eat",
            f"In the evening they ate {food}.",
            (("What did they eat in the evening?", food, f"They ate {food}."),),
        ),
        Fact("born", f"{name} was born on {date}.", ((f"When was {name} born?", date, f"{name} was born on {date}."),)),
    ]
    return facts


INTRO = (
    "Read this text and answer the question.\n\n{t}\n\n{q}",
    "{t}\n\n{q}",
    "Text: {t}\nQuestion: {q}",
    "{q}\n\n{t}",
    "Here is a text: {t}\n{q}",
    "Answer from the text.\nText: {t}\nQuestion: {q}",
)
SHORT = (" Answer in a few words.", " Give only the answer.", " One or two words, please.")


def shown(rng: Random, facts: list[Fact]) -> list[Fact]:
    """Three to five facts in their natural order."""
    chosen = sorted(rng.sample(range(len(facts)), rng.randint(3, 5)))
    return [facts[i] for i in chosen]


def _prompt(rng: Random, text: str, question: str) -> str:
    return rng.choice(INTRO).replace("{t}", text).replace("{q}", question)


def _ask(question: str, answer: str) -> Dialogue:
    return Provenance("reading", group=f"reading:{question[:80]}").ask(question, answer)


def find(rng: Random) -> Dialogue:
    """A question that the text answers, or, one time in five, one that it does not."""
    facts = scene(rng)
    seen = shown(rng, facts)
    text = " ".join(fact.sentence for fact in seen)
    if rng.random() < 0.2:
        unseen = [fact for fact in facts if fact not in seen and fact.key not in ("hour", "eat", "pet")]
        question = rng.choice(unseen).questions[0][0]
        return _ask(
            _prompt(rng, text, question),
            rng.choice(("The text does not say.", "I do not know. The text does not say that.")),
        )
    question, short, full = rng.choice(rng.choice(seen).questions)
    if rng.random() < 0.35:
        return _ask(_prompt(rng, text, question + rng.choice(SHORT)), short)
    return _ask(_prompt(rng, text, question), full)


def several(rng: Random) -> Dialogue:
    """Two or three questions about one text, one after the other; the last one may be silent."""
    facts = scene(rng)
    seen = shown(rng, facts)
    text = " ".join(fact.sentence for fact in seen)
    turns: list[str] = []
    for i, fact in enumerate(rng.sample(seen, rng.randint(2, 3))):
        question, _, full = rng.choice(fact.questions)
        turns += [_prompt(rng, text, question) if not i else question, full]
    if rng.random() < 0.4:
        unseen = [fact for fact in facts if fact not in seen and fact.key in ("age", "job", "city", "born", "friend")]
        if unseen:
            turns += [rng.choice(unseen).questions[0][0], "The text does not say."]
    return Provenance("reading", group=f"reading:{turns[0][:80]}").talk(turns)


def yes_no(rng: Random) -> Dialogue:
    """Is it true? A statement taken from the text, or one with another value."""
    truth, other = scene(rng), scene(rng)
    seen = shown(rng, truth)
    text = " ".join(fact.sentence for fact in seen)
    fact = rng.choice([f for f in seen if f.key in ("age", "job", "city", "hour", "eat", "born")] or seen)
    name = truth[0].sentence.split(" is ")[0]
    wrong = next(f for f in other if f.key == fact.key).sentence.replace(other[0].sentence.split(" is ")[0], name)
    true = rng.random() < 0.5 or wrong == fact.sentence or fact.key in ("trip", "friend", "buy", "pet")
    said = fact.sentence if true else wrong
    ask = rng.choice(("Is this true? {s}", "True or false: {s}", "Does the text say this? {s}")).replace("{s}", said)
    if ask.startswith("True"):
        return _ask(_prompt(rng, text, ask), "True." if true else f"False. {fact.sentence}")
    return _ask(_prompt(rng, text, ask), f"Yes. {fact.sentence}" if true else f"No. {fact.sentence}")


def as_json(rng: Random) -> Dialogue:
    """Two or three facts of the text as a JSON object, or as lines."""
    facts = [fact for fact in scene(rng) if fact.key in ("age", "job", "city", "born")]
    rng.shuffle(facts)
    facts = facts[: rng.randint(2, 3)]
    name = next(n for n in NAMES if facts[0].sentence.startswith(n + " "))
    text = " ".join(fact.sentence for fact in facts)
    keys = ["name", *("birthday" if fact.key == "born" else fact.key for fact in facts)]
    values = [name, *(int(fact.questions[0][1]) if fact.key == "age" else fact.questions[0][1] for fact in facts)]
    listing = f"{', '.join(keys[:-1])} and {keys[-1]}"
    if rng.random() < 0.6:
        ask = rng.choice(
            (
                f"Extract the {listing} as JSON.\n\n{text}",
                f"{text}\n\nGive me the {listing} in JSON.",
                f"Write the {listing} as a JSON object: {text}",
            )
        )
        return _ask(ask, json.dumps(dict(zip(keys, values, strict=True))))
    ask = rng.choice((f"List the {listing}, one on each line.\n\n{text}", f"{text}\n\nList the {listing}."))
    return _ask(ask, "\n".join(f"{key.capitalize()}: {value}" for key, value in zip(keys, values, strict=True)))


def all_of_kind(rng: Random) -> Dialogue:
    """List every name (or city, or day) in a text."""
    names = rng.sample(NAMES, rng.randint(2, 4))
    kind, values = rng.choice(
        (("names", names), ("cities", rng.sample(CITIES, len(names))), ("days", rng.sample(DAYS, len(names))))
    )
    places = rng.sample(CITIES, len(names)) if kind != "cities" else values
    days = rng.sample(DAYS, len(names)) if kind != "days" else values
    text = " ".join(f"{n} goes to {p} on {d}." for n, p, d in zip(names, places, days, strict=True))
    ask = rng.choice(
        (
            f"List all the {kind} in this text: {text}",
            f"Which {kind} are in the text?\n\n{text}",
            f"{text}\n\nFind all the {kind}.",
        )
    )
    return _ask(ask, ", ".join(values))


MAKERS = (find, find, find, several, yes_no, yes_no, as_json, all_of_kind)


def make(shelf: Shelf, rng: Random, count: int) -> Iterator[Made]:
    for number in range(count):
        yield MAKERS[number % len(MAKERS)](rng)


def make_wiki(shelf: Shelf, rng: Random, count: int) -> Iterator[Made]:
    """What is this text about? Give it a title. Say it in one sentence. Which year does it name?"""
    about: list[definitions.Entry] = []
    for document in shelf.read("pretrain", definitions.FILE):
        if rng.random() > 0.06:  # a small part of the articles is enough
            continue
        entry = definitions.define(str(document.get("text", "")), str(document.get("url", "")))
        if isinstance(entry, Refused):
            yield entry
        elif len(entry.lead) < 2:
            yield Refused("the opening is one sentence")
        else:
            about.append(entry)
    rng.shuffle(about)
    for number, entry in enumerate(about):
        yield _wiki_task(rng, entry) if number < count else Refused("over the cap")


def _wiki_task(rng: Random, entry: definitions.Entry) -> Made:
    text = without_parentheses(" ".join(entry.lead))
    about = Provenance("titles", definitions.SOURCE, definitions.LICENCE, entry.url, group=entry.url)
    years = list(dict.fromkeys(re.findall(r"\b(1[0-9]\d\d|20[012]\d)\b", text)))
    style = rng.random()
    if years and style < 0.4:
        ask = rng.choice(
            (
                "Which year is named in this text? {t}",
                "Find the year in this text: {t}",
                "{t}\n\nWhich years are in the text?",
            )
        )
        return about.ask(ask.replace("{t}", text), ", ".join(years))
    if style < 0.6 and entry.bare.lower() in text.lower():
        ask = rng.choice(
            (
                "What is this text about?\n\n{t}",
                "{t}\n\nWhat is the subject of this text?",
                "In a few words, what is this about? {t}",
            )
        )
        return about.ask(ask.replace("{t}", text), f"The text is about {entry.name}.")
    if style < 0.8:
        ask = rng.choice(
            ("Give this text a title:\n\n{t}", "Write a title for this text: {t}", "{t}\n\nSuggest a title.")
        )
        return about.ask(ask.replace("{t}", text), entry.bare[:1].upper() + entry.bare[1:])
    if entry.lead[0] == text:
        return Refused("the opening is one sentence")
    ask = rng.choice(
        (
            "Summarize in one sentence: {t}",
            "Make this shorter:\n\n{t}",
            "{t}\n\nGive me the main point in one sentence.",
            "Shorten this text: {t}",
        )
    )
    return about.ask(ask.replace("{t}", text), entry.lead[0])


RULES = (
    Rule("reading", "to answer from a given text, and to say when it is silent", 6_000, make),
    Rule(
        "titles",
        "subject, title, summary and years of a given text",
        2_500,
        make_wiki,
        definitions.SOURCE,
        definitions.LICENCE,
    ),
)
