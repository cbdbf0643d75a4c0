"""Questions about countries with checkable answers, and "I do not know" where the Factbook is silent.

Source: CIA World Factbook (see factbook.py). Licence: CC0-1.0.
Teaches: short factual answers, yes and no, comparing, and saying that one does not know.
Every sentence is written from one parsed value, so that a test can compute it again.
"""

from collections.abc import Iterator
from random import Random

from mini_instructions.base import Dialogue, Made, Provenance, Refused, Rule, casual, fill, listed
from mini_instructions.factbook import LICENCE, SOURCE, Country, countries
from mini_instructions.shelf import Shelf
from mini_instructions.words import TABLES

FEW = 5_000  # up to this many dialogues, only well-known countries are asked about
WELL_KNOWN = frozenset(TABLES["well_known"])

Pair = tuple[str, str]
ASKS: dict[str, tuple[str, ...]] = {
    "capital": (
        "What is the capital of {c}?",
        "What is the capital of {c}?",
        "What's the capital city of {c}?",
        "Name the capital of {c}.",
        "Which city is the capital of {c}?",
        "Tell me the capital of {c}.",
        "capital of {bare}?",
        "Do you know the capital of {c}?",
    ),
    "population": (
        "How many people live in {c}?",
        "What is the population of {c}?",
        "How big is the population of {c}?",
    ),
    "area": ("How large is {c}?", "What is the area of {c}?", "How big is {c} in square kilometers?"),
    "neighbours": (
        "Which countries border {c}?",
        "What are the neighbors of {c}?",
        "Which countries are next to {c}?",
        "List the countries that border {c}.",
    ),
    "languages": (
        "What language is spoken in {c}?",
        "What is the official language of {c}?",
        "Which languages are official in {c}?",
    ),
    "currency": ("What is the currency of {c}?", "What money do people use in {c}?", "Which currency does {c} use?"),
    "continent": (
        "On which continent is {c}?",
        "Where is {c}?",
        "What continent is {c} in?",
        "Is {c} in Europe, Asia, Africa or somewhere else?",
    ),
    "highest": (
        "What is the highest point in {c}?",
        "What is the highest mountain of {c}?",
        "How high is the highest point of {c}?",
    ),
    "coastline": ("How long is the coastline of {c}?", "Does {c} have a coast?", "Is {c} landlocked?"),
    "internet": ("What is the internet country code of {c}?", "Which internet domain does {c} use?"),
    "government": ("What kind of government does {c} have?", "What is the government type of {c}?"),
    "independence": (
        "When did {c} become independent?",
        "When is the independence of {c}?",
        "On what date did {c} gain independence?",
    ),
    "climate": (
        "What is the climate like in {c}?",
        "What kind of climate does {c} have?",
        "Describe the climate of {c}.",
    ),
    "products": (
        "What do farmers grow in {c}?",
        "Name some farm products of {c}.",
        "What are the main agricultural products of {c}?",
    ),
    "symbol": ("What is the national symbol of {c}?",),
    "colours": ("What are the national colors of {c}?",),
    "adjective": ("What do you call something from {c}?", "What is the adjective for {c}?"),
}


def rounded(number: int) -> str:
    """`68,512,806` as people say it: "about 68.5 million"."""
    if number >= 1_000_000_000:
        return f"about {number / 1e9:.1f} billion".replace(".0 ", " ")
    if number >= 1_000_000:
        return f"about {number / 1e6:.1f} million".replace(".0 ", " ")
    return f"about {round(number, -3):,}" if number >= 10_000 else f"about {number:,}"


def answer(country: Country, about: str) -> str | None:
    """The sentence that answers a question of kind `about`, or None when the profile is silent."""
    value = getattr(country, about)
    c, start = country.name, country.start
    plural = (
        c.startswith("the ")
        and c.endswith("s")
        and c not in ("the United States", "the Netherlands", "the Philippines")
    )
    if value is None or (value == () and about != "neighbours"):
        return None
    if about == "capital":
        return f"The capital of {c} is {value}" + ("" if value.endswith(".") else ".")
    if about == "population":
        when = f" ({country.population_year} estimate)" if country.population_year else ""
        return f"{rounded(value).capitalize()} people live in {c}{when}."
    if about == "area":
        return f"{start} {'have' if plural else 'has'} an area of {value:,} square kilometers."
    if about == "neighbours":
        if not value:
            return f"{start} has no land borders. It is surrounded by water."
        return f"{start} borders {'only ' if len(value) == 1 else ''}{listed(value)}."
    if about == "languages":
        one = len(value) == 1
        return f"The official language{'' if one else 's'} of {c} {'is' if one else 'are'} {listed(value)}."
    if about == "currency":
        return f"People in {c} pay with {value}."
    if about == "continent":
        return f"{start} is in {value}." if value != "Oceania" else f"{start} is in Oceania, in the Pacific region."
    if about == "highest":
        return f"The highest point in {c} is {value[0]}. It is {value[1]:,} meters high."
    if about == "coastline":
        return f"No coast: {c} is landlocked." if value == 0 else f"{start} has a coastline of {value:,} kilometers."
    if about == "internet":
        return f"The internet country code of {c} is {value}."
    if about == "government":
        return (
            f"{start} is {'an' if value[0] in 'aeio' else 'a'} {value}."
            if value.endswith(("republic", "democracy", "monarchy"))
            else None
        )
    if about == "independence":
        return f"{start} became independent on {value}."
    if about == "climate":
        return f"The climate of {c} is {value}."
    if about == "products":
        return f"Farmers in {c} produce {listed(value)}." if len(value) > 1 else None
    if about == "symbol":
        return f"The national symbol of {c} is the {value}."
    if about == "colours":
        return f"The national colors of {c} are {listed(value)}." if len(value) > 1 else None
    return f"Something from {c} is called {value}."


def single(rng: Random, country: Country, about: str) -> Pair | None:
    """A question of kind `about` and its answer; now and then with a form to keep."""
    sentence = answer(country, about)
    if sentence is None:
        return None
    ask = fill(rng, rng.choice(ASKS[about]), c=country.name, bare=country.bare)
    if about == "coastline" and ask.startswith(("Does", "Is")):
        landlocked = country.coastline == 0
        yes = landlocked == ask.startswith("Is")
        tail = (
            f"{country.start} is landlocked."
            if landlocked
            else f"{country.start} has a coastline of {country.coastline:,} kilometers."
        )
        return ask, f"{'Yes' if yes else 'No'}. {tail}"
    if about in ("capital", "currency", "internet", "continent") and rng.random() < 0.12:
        short = {
            "capital": country.capital,
            "currency": country.currency,
            "internet": country.internet,
            "continent": country.continent,
        }[about]
        how = rng.choice((" Answer with the name only.", " Just the answer, please.", " One or two words only."))
        return ask.rstrip(".?") + ("?" if ask[0] in "WCco" and not ask.startswith("Name") else ".") + how, (
            short or ""
        ).removesuffix(".") if about != "capital" else str(short)
    return casual(rng, ask), sentence


def is_capital(rng: Random, country: Country, others: list[Country]) -> Pair | None:
    """Is A the capital of B? With the truth, or with another country's capital."""
    if country.capital is None:
        return None
    if rng.random() < 0.5:
        return casual(
            rng, f"Is {country.capital} the capital of {country.name}?"
        ), f"Yes. {country.capital} is the capital of {country.name}."
    other = rng.choice([c for c in others if c.capital and c.capital != country.capital])
    true = f"No. The capital of {country.name} is {country.capital}"
    return (
        casual(rng, f"Is {other.capital} the capital of {country.name}?"),
        f"{true.removesuffix('.')}. {other.capital} is the capital of {other.name}.",
    )


def whose_capital(rng: Random, country: Country) -> Pair | None:
    if country.capital is None or country.capital in country.bare:
        return None
    ask = rng.choice(
        (
            "Which country has {p} as its capital?",
            "{p} is the capital of which country?",
            "In which country is {p}?",
            "Where is {p}?",
        )
    )
    return casual(rng, ask.replace("{p}", country.capital)), f"{country.capital} is the capital of {country.name}."


def compare(rng: Random, country: Country, others: list[Country]) -> Pair | None:
    """Which of two countries is larger, or has more people."""
    about = rng.choice(("area", "population"))
    rich = [c for c in others if c.name != country.name and getattr(c, about)]
    mine = getattr(country, about)
    if not rich or not mine:
        return None
    other = rng.choice(rich)
    theirs = getattr(other, about)
    if max(mine, theirs) < 1.1 * min(mine, theirs):
        return None
    more, less = (country, other) if mine > theirs else (other, country)
    high, low = max(mine, theirs), min(mine, theirs)
    if about == "area":
        ask = rng.choice(
            ("Which is larger, {a} or {b}?", "Which country is bigger, {a} or {b}?", "Is {a} bigger than {b}?")
        )
        tail = f"{more.start} is larger. It has {high:,} square kilometers, and {less.name} has {low:,}."
    else:
        ask = rng.choice(
            (
                "Which country has more people, {a} or {b}?",
                "Do more people live in {a} or in {b}?",
                "Does {a} have more people than {b}?",
            )
        )
        tail = f"{more.start} has more people: {rounded(high)}. {less.start} has {rounded(low)}."
    question = ask.replace("{a}", country.name).replace("{b}", other.name)
    if question.startswith(("Is ", "Does ")):
        tail = f"{'Yes' if more is country else 'No'}. {tail}"
    return casual(rng, question, share=0.1), tail


def neighbour_check(rng: Random, country: Country, others: list[Country]) -> Pair | None:
    """Does A border B?"""
    if not country.neighbours:
        return None
    if rng.random() < 0.5:
        other = rng.choice(country.neighbours)
        return f"Does {country.name} border {other}?", f"Yes, {country.name} borders {other}."
    far = rng.choice(
        [
            c.name
            for c in others
            if c.name not in country.neighbours and c.name != country.name and c.continent != country.continent
        ]
        or [""]
    )
    return (
        (
            f"Does {country.name} border {far}?",
            f"No, {country.name} does not border {far}. It borders {listed(country.neighbours)}.",
        )
        if far
        else None
    )


def overview(rng: Random, country: Country) -> Pair | None:
    """Tell me about a country: two or three facts."""
    facts = [
        s for about in ("continent", "capital", "population", "languages", "currency") if (s := answer(country, about))
    ]
    if len(facts) < 3:
        return None
    ask = rng.choice(
        (
            "Tell me about {c}.",
            "What can you tell me about {c}?",
            "Give me some facts about {c}.",
            "Tell me three facts about {c}.",
            "Describe {c}.",
        )
    )
    if "three" in ask:
        return ask.replace("{c}", country.name), "\n".join(f"{i}. {fact}" for i, fact in enumerate(facts[:3], start=1))
    return casual(rng, ask.replace("{c}", country.name)), " ".join(facts[:3])


def silent(rng: Random, country: Country) -> Pair | None:
    """What the Factbook does not say, or what changes: the honest answer."""
    c = country.name
    choices = [
        (
            f"Who is the president of {c} now?",
            f"I do not know who leads {c} now. Leaders change, and I cannot look things up. "
            "Please check a recent source.",
        ),
        (f"What is the weather in {c} today?", f"I cannot see the weather. Please check a weather service for {c}."),
        (f"What time is it in {c}?", "I do not know the time. I have no clock, so please look it up."),
        (f"How many dogs live in {c}?", f"I do not know how many dogs live in {c}."),
        (
            f"What will the population of {c} be in 2090?",
            f"I do not know. Nobody can say for sure how many people will live in {c} in 2090.",
        ),
        (
            f"What happened in {c} yesterday?",
            f"I do not know. I cannot read the news, so I cannot tell you what happened in {c} yesterday.",
        ),
        (f"Who won the last election in {c}?", f"I do not know. I have no recent news about {c}."),
        (
            f"How much does a house cost in {c}?",
            f"I do not know the price of houses in {c}. Prices change, so please ask a local source.",
        ),
        (f"What is the favorite color of the people of {c}?", "I do not know. People like different colors."),
    ]
    if country.capital is None:
        choices.append(
            (f"What is the capital of {c}?", f"I am not sure about the capital of {c}. Please check a good source.")
        )
    if country.capital:
        choices.append(
            (
                f"What is the phone number of the mayor of {country.capital}?",
                "I do not know. I do not have phone numbers of people.",
            )
        )
    question, reply = rng.choice(choices)
    return casual(rng, question), reply


def ask_dialogue(rule: str, country: Country, pair: Pair) -> Dialogue:
    about = Provenance(rule, SOURCE, LICENCE, country.origin, group=country.origin)
    return about.ask(*pair)


def make(shelf: Shelf, rng: Random, count: int) -> Iterator[Made]:
    found = countries(shelf)
    known = [c for c in found if c.name in WELL_KNOWN] or found
    for country in found if count > FEW else known:
        often = 4 if country.name in WELL_KNOWN else 1
        made = [single(rng, country, about) for about in ASKS for _ in range(often)]
        for _ in range(2 * often):
            made += [
                is_capital(rng, country, known),
                whose_capital(rng, country),
                compare(rng, country, known),
                neighbour_check(rng, country, known),
                overview(rng, country),
            ]
        for pair in made:
            yield ask_dialogue("countries", country, pair) if pair else Refused("the profile is silent")


def make_silent(shelf: Shelf, rng: Random, count: int) -> Iterator[Made]:
    found = countries(shelf)
    for number in range(count if found else 0):
        country = found[number % len(found)]
        pair = silent(rng, country)
        yield ask_dialogue("silent_countries", country, pair) if pair else Refused("the profile is silent")


RULES = (
    Rule("countries", "facts about countries, yes and no, comparing", 9_000, make, SOURCE, LICENCE),
    Rule(
        "silent_countries",
        "to say `I do not know` about what changes or is not known",
        900,
        make_silent,
        SOURCE,
        LICENCE,
    ),
)
