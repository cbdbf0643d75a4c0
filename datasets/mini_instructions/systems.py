"""System prompts that change how the assistant answers, only in ways a rule can honour exactly.

Sources: those of the exchanges that are changed; the prompts are written for this project (Apache-2.0).
Teaches: to read the system prompt: language, length, form, a name,
a subject to keep to. And that most prompts change nothing.
"""

from collections.abc import Callable
from random import Random

from mini_instructions.base import Dialogue, Provenance, Rule, Turn
from mini_instructions.factbook import LICENCE, SOURCE, Country
from mini_instructions.french import COUNTRIES_FR, country_pairs
from mini_instructions.numbers import in_words
from mini_instructions.prose import sentences
from mini_instructions.turns import Pool, joined, pick

PLAIN = (
    "You are a helpful assistant.",
    "You are a helpful assistant. Answer simply.",
    "You are creuset mini, a small AI assistant.",
    "Answer the user's questions.",
    "You are a friendly assistant.",
    "Be helpful and honest. If you do not know something, say so.",
    "You are an assistant that gives short and clear answers.",
)
BRIEF = (
    "Answer in one sentence.",
    "Be very brief.",
    "Keep every answer to one sentence.",
    "You give very short answers.",
)
BOTS = ("Nova", "Max", "Pixel", "Luna", "Robo", "Iris", "Sam", "Kiko", "Milo", "Ada", "Buddy", "Zara")
PLACES = (
    "the city library",
    "a small bookshop",
    "the science museum",
    "a language school",
    "the town hall",
    "a bakery",
    "a hotel",
    "a garden center",
)
GREET = (
    "Who are you?",
    "What is your name?",
    "Hi, who is this?",
    "what's your name?",
    "Introduce yourself.",
    "Hello, who are you?",
)
ONLY = {
    "countries": ("You only talk about countries and their capitals.", "countries", "I can only talk about countries."),
    "numbers": (
        "You are a math helper. You only answer questions about numbers.",
        "numbers",
        "I can only help with numbers.",
    ),
    "stories_plots_en": (
        "You tell stories. You do nothing else.",
        "stories",
        "I can only tell stories. Would you like one?",
    ),
}


def _with(system: str, part: Dialogue, turns: list[Turn], rule: str) -> Dialogue:
    return joined(rule, [part], [Turn("system", system), *turns])


def plain(rng: Random, pool: Pool) -> Dialogue:
    """A system prompt that changes nothing."""
    part = pick(rng, pool)
    return _with(rng.choice(PLAIN), part, list(part.turns), "system_plain")


def brief(rng: Random, pool: Pool) -> Dialogue | None:
    part = rng.choice(pool["definitions"])
    question, reply = part.turns[-2].content, part.turns[-1].content
    return _with(
        rng.choice(BRIEF), part, [Turn("user", question), Turn("assistant", sentences(reply)[0])], "system_brief"
    )


def shaped(rng: Random, pool: Pool) -> Dialogue | None:
    """Upper case, lower case, a word before, a word after: computed from an ordinary answer."""
    part = pick(rng, pool)
    question, reply = part.turns[0].content, part.turns[1].content
    if "\n" in reply or len(reply.split()) > 40 or len(part.turns) != 2:
        return None
    style = rng.randrange(5)
    if style == 0:
        system, text = (
            rng.choice(("Always answer in capital letters.", "Write everything in upper case.")),
            reply.upper(),
        )
    elif style == 1:
        system, text = rng.choice(("Write only in lower case.", "Never use capital letters.")), reply.lower()
    elif style == 2:
        word = rng.choice(("Sure!", "Certainly.", "With pleasure.", "Of course!", "Arr!", "Beep!", "Dear friend,"))
        system = (
            rng.choice((f'Begin every answer with "{word}"', f'Always start with "{word}"'))
            if word != "Arr!"
            else 'You are a pirate. Begin every answer with "Arr!"'
        )
        text = f"{word} {reply}"
    elif style == 3:
        words = rng.choice(("Have a nice day!", "Anything else?", "I hope this helps.", "Ask me more!", "Over."))
        system, text = (
            rng.choice((f'End every answer with "{words}"', f'Always finish with "{words}"')),
            f"{reply if reply[-1] in '.!?' else reply + '.'} {words}",
        )
    else:
        system, text = (
            rng.choice(("Put your answer between stars, like this: *answer*", "Write every answer between two stars.")),
            f"*{reply}*",
        )
    return _with(system, part, [Turn("user", question), Turn("assistant", text)], "system_shaped")


def named(rng: Random, pool: Pool) -> Dialogue:
    """The system prompt gives a name and a place: they are used."""
    name, place = rng.choice(BOTS), rng.choice(PLACES)
    job = rng.random() < 0.5
    system = (
        rng.choice((f"Your name is {name}. You work for {place}.", f"You are {name}, the assistant of {place}."))
        if job
        else rng.choice(
            (f"Your name is {name}.", f"You are {name}, a helpful assistant.", f"You are an AI called {name}.")
        )
    )
    me = f"I am {name}, the assistant of {place}." if job else f"I am {name}, an AI assistant."
    ask = rng.choice(GREET)
    texts = [ask, f"My name is {name}." if "name" in ask and rng.random() < 0.5 else f"{me} How can I help you?"]
    if rng.random() < 0.4:
        texts += [rng.choice(("Are you a human?", "Are you a real person?")), f"No, I am an AI. My name is {name}."]
    about = Provenance("system_named", group=f"named:{name}:{place}")
    base = about.talk(texts, system=system)
    if rng.random() < 0.4:
        part = pick(rng, pool)
        if not part.rule.startswith("talk_identity"):
            return joined("system_named", [base, part], [*base.turns, *part.turns])
    return base


def only(rng: Random, pool: Pool) -> Dialogue | None:
    """One subject is answered, every other one is declined in the same words."""
    subject = rng.choice([name for name in ONLY if pool.get(name)])
    system, _, refusal = ONLY[subject]
    inside = rng.choice(pool[subject])
    others = [
        name
        for name in ("definitions", "countries", "numbers", "letters", "talk_everyday_en")
        if name != subject and pool.get(name)
    ]
    outside = rng.choice(pool[rng.choice(others)])
    declined = [Turn("user", outside.turns[0].content), Turn("assistant", refusal)]
    turns = (
        [*inside.turns, *declined]
        if rng.random() < 0.5
        else [*declined, *inside.turns]
        if rng.random() < 0.5
        else declined
    )
    return joined("system_only", [inside, outside], [Turn("system", system), *turns])


def in_french(rng: Random, found: list[Country]) -> Dialogue:
    """Asked in English, answered in French, because the system prompt says so."""
    system = rng.choice(
        ("Answer in French.", "Always answer in French.", "Réponds toujours en français.", "You only speak French.")
    )
    known = [c for c in found if c.name in COUNTRIES_FR]
    if known and rng.random() < 0.6:
        country = rng.choice(known)
        ask = rng.choice(
            (
                f"What is the capital of {country.name}?",
                f"capital of {country.bare}?",
                f"Which city is the capital of {country.name}?",
            )
        )
        return Provenance("system_french", SOURCE, LICENCE, country.origin, "fr", country.origin).ask(
            ask, next(country_pairs(rng, country))[1], system=system
        )
    ask, reply = rng.choice(FRENCH)
    if rng.random() < 0.3:
        a, b = rng.randint(1, 20), rng.randint(1, 20)
        ask, reply = f"What is {a} + {b}?", f"{a} + {b} = {a + b}"
    return Provenance("system_french", lang="fr", group=f"system_fr:{ask}").ask(ask, reply, system=system)


FRENCH = (
    ("Hello!", "Bonjour ! Comment puis-je t'aider ?"),
    ("Hi", "Bonjour ! Que puis-je faire pour toi ?"),
    ("How are you?", "Je vais bien, merci. Et toi ?"),
    ("Who are you?", "Je suis creuset mini, une petite IA faite par le projet creuset."),
    ("What is your name?", "Je m'appelle creuset mini."),
    ("Thank you!", "De rien !"),
    ("Goodbye", "Au revoir, et bonne journée !"),
    ("Are you human?", "Non, je ne suis pas humain. Je suis une petite IA."),
    (
        "What can you do?",
        "Je peux répondre à des questions simples, faire de petits calculs et raconter une histoire courte.",
    ),
    ("What color is the sky?", "Le ciel est bleu quand il fait beau."),
    ("Name the days of the week.", "Lundi, mardi, mercredi, jeudi, vendredi, samedi et dimanche."),
    ("What day is it today?", "Je ne sais pas. Je n'ai ni montre ni calendrier."),
    ("What is the weather like?", "Je ne sais pas : je ne peux pas voir le temps qu'il fait."),
    ("How many days are in a week?", "Une semaine a sept jours."),
    ("Tell me a joke.", "Que fait une fraise sur un cheval ? Tagada, tagada !"),
    ("What is a cat?", "Un chat est un petit animal qui vit souvent avec les humains. Il miaule et chasse les souris."),
    ("What is a dog?", "Un chien est un animal qui vit avec les humains. Il aboie et il est fidèle."),
    ("What is the sun?", "Le Soleil est une étoile. Il nous donne la lumière et la chaleur."),
    ("Where is the Eiffel Tower?", "La tour Eiffel est à Paris."),
)


def words_only(rng: Random, pool: Pool) -> Dialogue:
    """Only the number, or the number in words."""
    a, b = rng.randint(1, 20), rng.randint(1, 20)
    digits = rng.random() < 0.5
    system = (
        rng.choice(("Give only the result, nothing else.", "Answer with the number only."))
        if digits
        else "Write numbers in words."
    )
    ask = rng.choice((f"What is {a} + {b}?", f"{a} + {b}", f"How much is {a} plus {b}?"))
    return Provenance("system_words", group=f"system_words:{a}+{b}").ask(
        ask, str(a + b) if digits else in_words(a + b), system=system
    )


def joiners(found: list[Country]) -> tuple[tuple[Rule, Callable[[Random, Pool], Dialogue | None]], ...]:
    table: tuple[tuple[str, str, int, Callable[[Random, Pool], Dialogue | None]], ...] = (
        ("system_plain", "that most system prompts change nothing", 3_000, plain),
        ("system_brief", "one sentence when the system prompt asks for it", 800, brief),
        ("system_shaped", "a form given by the system prompt", 1_200, shaped),
        ("system_named", "a name given by the system prompt", 1_200, named),
        ("system_only", "to keep to one subject", 600, only),
        (
            "system_french",
            "to answer in French when the system prompt asks for it",
            900,
            lambda rng, pool: in_french(rng, found),
        ),
        ("system_words", "only the number, or the number in words", 400, words_only),
    )
    return tuple((Rule(name, teaches, count, lambda *_: ()), join) for name, teaches, count, join in table)
