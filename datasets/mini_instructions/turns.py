"""Conversations of several turns, joined from single exchanges and from follow-ups that can be computed.

Sources: those of the exchanges that are joined; every one stays named in the dialogue.
Teaches: to follow a conversation: what "its" means, "shorter", "another one", "are you sure",
and when the subject turns.
"""

from collections.abc import Callable, Iterator, Sequence
from random import Random

from mini_instructions.base import Dialogue, Provenance, Rule, Turn, casual, listed
from mini_instructions.countries import ASKS, WELL_KNOWN, answer
from mini_instructions.factbook import LICENCE, SOURCE, Country
from mini_instructions.french import COUNTRIES_FR, country_pairs
from mini_instructions.prose import sentences
from mini_instructions.words import CATEGORIES, NAMES

HELLO = (
    ("Hello!", "Hello! How can I help you?"),
    ("Hi", "Hi! What can I do for you?"),
    ("hello", "Hello! How can I help you?"),
    ("Hey there", "Hi there! How can I help?"),
    ("Good morning!", "Good morning! How can I help you?"),
    ("hi there", "Hello! What would you like to talk about?"),
)
THANKS = (
    ("Thank you!", "You are welcome!"),
    ("thanks", "You are welcome! Is there anything else?"),
    ("Thanks a lot.", "My pleasure!"),
    ("ok thank you", "You are welcome!"),
    ("Great, thanks!", "Happy to help!"),
    ("Thank you very much.", "You are welcome!"),
    ("cool thx", "You are welcome!"),
)
BYE = (
    ("Bye!", "Goodbye! Have a nice day."),
    ("Goodbye", "Bye! See you soon."),
    ("That is all, bye.", "Goodbye, and take care!"),
    ("I have to go now.", "Goodbye! Have a nice day."),
)
TURNS = (
    "",
    "",
    "",
    "",
    "Now something else: ",
    "Another question: ",
    "OK. ",
    "Thanks. ",
    "Good. ",
    "I see. ",
    "Let's talk about something else. ",
    "Now: ",
    "And ",
)
SHORTER = (
    "Shorter, please.",
    "Can you make it shorter?",
    "In one sentence?",
    "That is too long. Make it shorter.",
    "short version please",
    "Say it in one sentence.",
)
MORE = (
    "Tell me more.",
    "More details, please.",
    "Go on.",
    "What else?",
    "Can you say more?",
    "tell me more",
    "And what else do you know about it?",
)
ANOTHER = (
    "Another one, please.",
    "Tell me another one.",
    "One more!",
    "Another story please.",
    "again, another one",
    "I want one more story.",
)
REPEAT = ("Can you repeat that?", "Say that again, please.", "Repeat your answer.", "Pardon?", "What did you say?")

Pool = dict[str, list[Dialogue]]


def joined(rule: str, parts: Sequence[Dialogue], turns: Sequence[Turn]) -> Dialogue:
    """A dialogue that names the source, licence and origin of each of its parts."""

    def each(values: Sequence[str], glue: str) -> str:
        return glue.join(dict.fromkeys(values))

    return Dialogue(
        tuple(turns),
        rule,
        each([p.source for p in parts], " + "),
        each([p.licence for p in parts], " AND "),
        each([p.origin for p in parts], " "),
        parts[0].lang,
        parts[0].group,
    )


def pick(rng: Random, pool: Pool, lang: str = "en") -> Dialogue:
    """A short exchange of a random rule; a rule with four times the dialogues is twice as likely."""
    names = [name for name, items in pool.items() if items and items[0].lang == lang]
    return rng.choice(pool[rng.choices(names, [len(pool[name]) ** 0.5 for name in names])[0]])


def pick_but(rng: Random, pool: Pool, refused: tuple[str, ...], lang: str = "en") -> Dialogue:
    """As `pick`, from rules whose name begins with none of `refused`."""
    return pick(rng, {name: items for name, items in pool.items() if not name.startswith(refused)}, lang)


def chain(rng: Random, pool: Pool) -> Dialogue:
    """Two to four exchanges of different rules: the subject turns each time."""
    lang = "fr" if rng.random() < 0.12 else "en"
    parts: list[Dialogue] = []
    for _ in range(rng.choice((2, 2, 3, 3, 4))):
        part = pick(rng, pool, lang)
        if part.rule not in [p.rule for p in parts] or not part.rule.startswith(
            "talk_"
        ):  # two small talks may contradict each other
            parts.append(part)
    turns: list[Turn] = []
    opening = rng.random() < 0.3 and lang == "en" and not parts[0].rule.startswith("talk_smalltalk")
    if opening:
        turns += _pair(rng.choice(HELLO))
    for i, part in enumerate(parts):
        first, *rest = part.turns
        text = first.content
        if i and lang == "en" and len(text.split()) < 25 and part.rule != "talk_smalltalk_en":
            start = rng.choice(TURNS)
            small = start == "And " and text.split()[0] in ("What", "How", "Who", "Where", "Which", "Is", "Can")
            text = f"And {text[0].lower()}{text[1:]}" if small else text if start == "And " else start + text
        turns += [Turn("user", text), *rest]
    if rng.random() < 0.35 and lang == "en":
        turns += _pair(rng.choice(THANKS if rng.random() < 0.65 else BYE))
    return joined("turns_chain", parts, turns)


def _pair(pair: tuple[str, str]) -> list[Turn]:
    return [Turn("user", pair[0]), Turn("assistant", pair[1])]


def shorter(rng: Random, pool: Pool) -> Dialogue | None:
    """A definition of two or three sentences, then its first sentence; or the first sentence, then the rest."""
    part = rng.choice(pool["definitions"])
    question, reply = part.turns[-2].content, part.turns[-1].content
    said = sentences(reply)
    if len(said) < 2:
        return None
    turns: list[Turn] = []
    if rng.random() < 0.5:
        turns += [Turn("user", question), Turn("assistant", reply), *_pair((rng.choice(SHORTER), said[0]))]
    else:
        turns += [Turn("user", question), Turn("assistant", said[0]), *_pair((rng.choice(MORE), " ".join(said[1:])))]
    if rng.random() < 0.3:
        turns += _pair(rng.choice(THANKS))
    return joined("turns_shorter", [part], turns)


def repeat(rng: Random, pool: Pool) -> Dialogue:
    """Say it again; what did I ask?"""
    part = pick(rng, pool)
    turns = list(part.turns[:2])
    if rng.random() < 0.6:
        turns += _pair((rng.choice(REPEAT), turns[-1].content))
    else:
        turns += _pair(
            (
                rng.choice(("What did I just ask?", "What was my question?", "What did I ask you?")),
                f'You asked: "{turns[-2].content}"',
            )
        )
    return joined("turns_repeat", [part], turns)


def another_story(rng: Random, pool: Pool) -> Dialogue | None:
    stories = pool.get("stories_plots_en", []) + [d for d in pool.get("stories_tiny", []) if d.words < 140]
    if len(stories) < 2:
        return None
    first, second = rng.sample(stories, 2)
    turns = [*first.turns, *_pair((rng.choice(ANOTHER), second.answers[0]))]
    if rng.random() < 0.5:
        turns += _pair(
            (
                rng.choice(("Thank you!", "I liked it.", "Nice story!", "That was great.", "thanks, good night")),
                rng.choice(("You are welcome! I am glad you liked it.", "You are welcome!")),
            )
        )
    return joined("turns_story", [first, second], turns)


def name_kept(rng: Random, pool: Pool) -> Dialogue:
    """A name given at the start is still known after another subject."""
    name, part = rng.choice(NAMES), pick_but(rng, pool, ("talk_smalltalk", "talk_identity", "talk_limits"))
    hello = rng.choice((f"Hi, I am {name}.", f"My name is {name}.", f"Hello! I'm {name}."))
    last = rng.choice(
        ("What is my name?", "Do you remember my name?", "And what is my name?", "By the way, what's my name?")
    )
    turns = [
        *_pair((hello, f"Nice to meet you, {name}! How can I help you?")),
        *part.turns[:2],
        *_pair((last, f"Your name is {name}.")),
    ]
    return joined("turns_name", [part], turns)


def sums(rng: Random, pool: Pool) -> Dialogue:
    """A sum that goes on from its last result."""
    a, b = rng.randint(2, 20), rng.randint(2, 20)
    texts = [rng.choice((f"What is {a} + {b}?", f"{a} + {b}", f"Calculate {a} plus {b}.")), f"{a} + {b} = {a + b}"]
    value = a + b
    for _ in range(rng.randint(1, 3)):
        c = rng.randint(1, 10)
        kind = rng.randrange(4)
        if kind == 0:
            texts += [rng.choice((f"And plus {c}?", f"Add {c}.", f"plus {c}")), f"{value} + {c} = {value + c}"]
            value += c
        elif kind == 1 and value > c:
            texts += [rng.choice((f"Minus {c}?", f"Now take away {c}.", f"minus {c}")), f"{value} - {c} = {value - c}"]
            value -= c
        elif kind == 2 and value <= 40:
            texts += [rng.choice(("Double it.", "And times 2?", "now double that")), f"{value} x 2 = {value * 2}"]
            value *= 2
        else:
            texts += [rng.choice(("Are you sure?", "Is that right?", "Really?")), f"Yes. The answer is {value}."]
    return Provenance("turns_sums", group=f"sums:{texts[0]}").talk(texts)


def lists(rng: Random, pool: Pool) -> Dialogue:
    """A list that is made longer, sorted, counted."""
    kind = rng.choice(("animal", "fruit", "vegetable", "color", "sport", "job", "tool"))
    items = rng.sample(CATEGORIES[kind], 3)
    texts = [
        rng.choice((f"Name three {kind}s.", f"Give me three {kind}s.", f"List three {kind}s.")),
        listed(items).capitalize() + ".",
    ]
    for step in rng.sample(("more", "sort", "count", "first", "lines"), rng.randint(1, 3)):
        if step == "more":
            extra = rng.sample([x for x in CATEGORIES[kind] if x not in items], 2)
            items = items + extra
            texts += [
                rng.choice(("Two more, please.", "Give me two more.", "Add two more.")),
                listed(extra).capitalize() + ".",
            ]
        elif step == "sort":
            items = sorted(items)
            texts += [
                rng.choice(
                    ("Sort them in alphabetical order.", "Put them in alphabetical order.", "Now sort the list.")
                ),
                ", ".join(items),
            ]
        elif step == "count":
            texts += [
                rng.choice(("How many are there?", "How many did you give me?", "Count them.")),
                f"There are {len(items)}: {listed(items)}.",
            ]
        elif step == "first":
            texts += [
                rng.choice(("Which one did you say first?", "What was the first one?")),
                f'The first one was "{items[0]}".',
            ]
        else:
            texts += [
                rng.choice(("Write them one on each line.", "Make it a list with dashes.")),
                "\n".join(f"- {item}" for item in items),
            ]
    return Provenance("turns_lists", group=f"lists:{kind}:{items[0]}").talk(texts)


ITS = {
    "capital": ("And its capital?", "What is its capital?", "What about the capital?"),
    "population": ("How many people live there?", "And its population?", "how many people live there"),
    "neighbours": ("And its neighbors?", "Which countries are next to it?"),
    "languages": ("What language do they speak there?", "And the language?"),
    "currency": ("And the currency?", "What money do they use?"),
    "area": ("How big is it?", "And its area?"),
    "continent": ("Where is it?", "On which continent is it?"),
    "highest": ("What is its highest point?",),
    "climate": ("What is the climate like there?", "And the climate?"),
}


def follow_country(rng: Random, found: Sequence[Country]) -> Dialogue | None:
    """Questions about a country by `its`, then the same question about another country, perhaps in French."""
    country, other = rng.sample(found, 2)
    kinds = [about for about in rng.sample(list(ITS), len(ITS)) if answer(country, about)]
    if len(kinds) < 3:
        return None
    texts = [
        casual(rng, rng.choice(ASKS[kinds[0]]).replace("{c}", country.name).replace("{bare}", country.bare)),
        str(answer(country, kinds[0])),
    ]
    if rng.random() < 0.2 or kinds[0] in ("continent", "coastline"):
        texts = [
            rng.choice(("I want to know more about {c}.", "Let's talk about {c}.")).replace("{c}", country.name),
            f"Good. What would you like to know about {country.name}?",
        ]
    last = kinds[0]
    for about in kinds[1 : rng.randint(2, 4)]:
        texts += [casual(rng, rng.choice(ITS[about])), str(answer(country, about))]
        last = about
    if rng.random() < 0.5 and (again := answer(other, last)):
        texts += [
            rng.choice(
                (
                    f"And {other.name}?",
                    f"What about {other.name}?",
                    f"And for {other.name}?",
                    f"No, I meant {other.name}.",
                )
            ),
            again,
        ]
        country = other
    if rng.random() < 0.25 and country.name in COUNTRIES_FR and last == "capital" and country.capital:
        texts += [
            rng.choice(("In French, please.", "And in French?", "Say it in French.")),
            next(country_pairs(rng, country))[1],
        ]
    if rng.random() < 0.3:
        texts += list(rng.choice(THANKS))
    return Provenance("turns_country", SOURCE, LICENCE, country.origin, group=country.origin).talk(texts)


def joiners(found: Sequence[Country]) -> tuple[tuple[Rule, Callable[[Random, Pool], Dialogue | None]], ...]:
    """What joins exchanges of a pool, each with how many are wanted; `found` are the countries of the Factbook."""
    known = [c for c in found if c.name in WELL_KNOWN] or list(found)

    def no_make(*_: object) -> Iterator[Dialogue]:
        return iter(())

    table: tuple[tuple[str, str, int, Callable[[Random, Pool], Dialogue | None]], ...] = (
        ("turns_chain", "to see that the subject turns", 9_000, chain),
        ("turns_shorter", "shorter, or more, of the same", 2_500, shorter),
        ("turns_repeat", "to repeat an answer or a question", 1_200, repeat),
        ("turns_story", "another story", 600, another_story),
        ("turns_name", "to keep a name in mind", 1_000, name_kept),
        ("turns_sums", "to go on from the last result", 1_200, sums),
        ("turns_lists", "to go on with a list", 1_000, lists),
        (
            "turns_country",
            "what `its` and `there` mean",
            3_000,
            lambda rng, pool: follow_country(rng, known if rng.random() < 0.7 else found) if len(known) > 1 else None,
        ),
    )
    return tuple((Rule(name, teaches, count, no_make), join) for name, teaches, count, join in table)
