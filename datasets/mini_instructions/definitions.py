"""What is X? Who was X?: first sentences of simple-wiki articles as answers.

Source: simple.wikipedia.org, one line per article with its address.
Licence: CC-BY-SA-3.0 (Wikipedia text); `origin` is the article, which is the attribution.
Teaches: to answer a question about a thing with a definition and to stop.

An article serves when its first sentence defines its title ("X is a ..."). Titles that the
other articles mention often come first and are asked in several ways; one kind of
article ("is a commune in ...") gives at most `PER_KIND` dialogues.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

from mini_instructions.base import Dialogue, Made, Provenance, Refused, Rule, capital, casual, fill
from mini_instructions.prose import UNFIT, good_lead, without_parentheses
from mini_instructions.shelf import Shelf

FILE = "en_simplewiki"
SOURCE = "simple.wikipedia.org"
LICENCE = "CC-BY-SA-3.0"
PER_KIND = 80
OFTEN, KNOWN = 1500, 5000  # how many of the most mentioned titles are asked four times, twice

IS = re.compile(
    r"^(?P<subject>[^,]{1,80}?) (?P<verb>is|are|was|were) "
    r"(?P<kind>(?:a|an|the|one|any|another|some|two|when|what|how)\b.*)"
)
# "Otters are animals that ...": a noun in the plural without article, not a participle.
PLURAL_IS = re.compile(
    r"^(?P<subject>[A-Z][a-z]+(?: [a-z]+)?) (?P<verb>are|were) "
    r"(?P<kind>(?:(?!\w+(?:ing|wn|en)\b|found |born )"
    r"|\w+ed (?!\w*(?:across|towards|besides|always)\b))(?:[a-z-]+ ){0,2}[a-z]{3,}s\b.*)"
)
# "France, officially the French Republic, is a country ..."; "The Moon is Earth's satellite ...".
APPOSED_IS = re.compile(
    r"^(?P<subject>[^,.]{1,60}), [^.]{3,90}?, (?P<verb>is|are|was|were) (?P<kind>(?:a|an|the|one|[a-z-]+ [a-z]+s)\b.*)"
)
OWN_IS = re.compile(r"^(?P<subject>[^,.]{1,40}) (?P<verb>is|was) (?P<kind>[A-Z]\w+'s \w+.*)")
SEVERAL = re.compile(
    r"\b(?:may|might|can|could) (?:also )?(?:mean|refer)\b|\bdisambiguation\b|\bhas (?:several|many) meanings\b"
)
LIVED = re.compile(r"\((?:born|[^()]*\d{4} ?[–-] ?[^()]*\d{4}\))")
UNSTEADY = re.compile(
    r"\b(?:current|currently|now|recently|as of|so far|this year|nowadays|today|will|upcoming|next year)\b",
    re.IGNORECASE,
)
PERSON = re.compile(
    r"\b(?:actor|actress|singer|politician|player|footballer|writer|author|poet|painter|musician|composer|scientist|physicist|"
    r"chemist|mathematician|philosopher|king|queen|emperor|president|director|producer|rapper|songwriter|guitarist|drummer|wrestler|"
    r"boxer|swimmer|cyclist|driver|architect|artist|model|journalist|lawyer|general|explorer|inventor|engineer|businessman|comedian|"
    r"novelist|bishop|pope|saint|astronaut|dancer|coach|manager|athlete|historian|economist|biologist|racer|skater|golfer|officer|"
    r"prince|princess|duke|minister|leader|person|man|woman|boy|girl|activist|presenter|host|screenwriter|sculptor|doctor|nurse)s?\b"
)
THING_ASKS = (
    "What is {x}?", "What is {x}?", "What's {x}?", "Can you tell me what {x} is?", "Define {x}.", "Explain {x}.",
    "Tell me about {x}.", "I want to know what {x} is.", "Explain {x} to me[ in simple words|].",
    "Do you know what {x} is?",
    "What do you know about {x}?", "Could you explain what {x} is?", "Please explain {x}.", "hi, what is {x}?",
    "{bare}?",
)  # fmt: skip
WORD_ASKS = (
    'What does "{bare}" mean?',
    "What does {bare} mean?",
    'What is the meaning of the word "{bare}"?',
    "Define {bare}.",
)
WERE_ASKS = ("What {verb} {x}?", "What {verb} {x}?", "Tell me about {x}.", "Explain what {x} {verb}.",
    "What do you know about {x}?",
             "Can you explain what {x} {verb}?", "I would like to learn about {x}.")  # fmt: skip
WHO_ASKS = ("Who {verb} {x}?", "Who {verb} {x}?", "Tell me about {x}.", "Do you know who {x} {verb}?",
    "What do you know about {x}?",
            "Can you tell me who {x} {verb}?",
            "I am looking for information about {x}. Who {verb} this person?")  # fmt: skip
SHORT_ASKS = (
    "{ask} Answer in one sentence.",
    "{ask} Keep it short.",
    "In one sentence: {ask}",
    "{ask} Be brief.",
    "Briefly, {low}",
)
LONG_ASKS = ("{ask} Give me a few sentences.", "{ask} Tell me more than one thing.", "{ask} Please give some details.")
CHILD_ASKS = (
    "Explain {x} to a child.",
    "Explain {x} in very simple words.",
    "How would you explain {x} to a five-year-old?",
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One article that defines its title."""

    name: str  # as in the question, with "a" or "the" where the article uses it
    bare: str
    verb: str
    kind: str
    person: bool
    lead: tuple[str, ...]
    url: str
    common: bool = False  # a common noun, written small


def define(text: str, url: str) -> Entry | Refused:
    """Read one article; a refusal says why its opening is no definition of its title."""
    title, _, body = text.partition("\n")
    title = title.strip()
    if "(" in title or ":" in title or len(title) > 50 or not title:
        return Refused("title has a qualifier")
    if re.match(r"(?:List of|\d)|.*\d{4}", title):
        return Refused("title is a list or a date")
    body = re.sub(r"</?\w+>", "", body)
    paragraph = next((line.strip() for line in body.split("\n") if line.strip()), "")
    if SEVERAL.search(paragraph[:160]):
        return Refused("several meanings")
    lead, wrong = good_lead(paragraph[:1200], most=3, words=60)
    if wrong:
        return Refused(wrong)
    lead = _steady(lead)
    if UNFIT.search(title) or UNFIT.search(" ".join(lead)):
        return Refused("unfit subject")
    opening = lead[0].replace('"', "")
    match = next(filter(None, (form.match(opening) for form in (IS, PLURAL_IS, APPOSED_IS, OWN_IS))), None)
    if match is None:
        return Refused("first sentence is no definition")
    subject, verb, kind = match["subject"], match["verb"], match["kind"]
    name = _name_in(title, subject, verb)
    if name is None:
        return Refused("first sentence is about something else")
    words = re.findall(r"[a-z]+", kind.lower())
    person = (
        bool(
            PERSON.search(" ".join(re.split(r"\b(?:in|of|from|that|who|which|for|by)\b", kind)[0].lower().split()[:9]))
        )
        and title[:1].isupper()
    )
    person = (
        (person or bool(LIVED.search(paragraph[:160])))
        and verb in ("is", "was")
        and len(title.split()) > 1
        and not subject.lower().startswith(("a ", "an "))
    )
    return Entry(name, title, verb, " ".join(words[:3]), person, tuple(lead), url)


def _steady(lead: list[str]) -> list[str]:
    """The lead up to the first later sentence that speaks of a passing present; no comma before the verb."""
    first = re.sub(r"^([^,]{2,60}), (is|was|are|were) ", r"\1 \2 ", lead[0])
    until = next((i for i, sentence in enumerate(lead) if i and UNSTEADY.search(sentence)), len(lead))
    return [first, *lead[1:until]]


def _name_in(title: str, subject: str, verb: str) -> str | None:
    """The title as the article's first sentence says it ("a cat", "the Moon"), or None when it does not name it."""
    article, _, rest = subject.partition(" ")
    has_article = article.lower() in ("a", "an", "the") and bool(rest)
    core = rest if has_article else subject
    flat_core, flat_title = _flat(core), _flat(title)
    if verb in ("are", "were") and flat_core in (flat_title + "s", flat_title + "es", flat_title[:-1] + "ies"):
        return core
    if flat_core != flat_title and not (flat_title in flat_core and len(flat_core) <= len(flat_title) + 15):
        last = title.split()[-1]
        if not (
            len(title.split()) > 1 and core.split()[-1] == last
        ):  # people: full name in the text, usual name as title
            return None
        return title
    spoken = title
    if has_article and rest[:1].islower():
        spoken = _small(title)
    return f"{article.lower()} {spoken}" if has_article else spoken


def _flat(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def mentions(texts: list[str], titles: set[str]) -> tuple[Counter[str], Counter[str]]:
    """How often each title (lower case, one to three words) stands in the texts: in any case, and all in lower case."""
    found: Counter[str] = Counter()
    low: Counter[str] = Counter()
    sizes: dict[str, set[int]] = {}  # first word of a title -> how many words such titles have
    for title in titles:
        if (size := len(title.split())) <= 3:
            sizes.setdefault(title.split()[0], set()).add(size)
    for text in texts:
        raw = re.findall(r"[A-Za-z0-9'-]+", text)
        words = [word.lower() for word in raw]
        for at, word in enumerate(words):
            for size in sizes.get(word, ()):
                phrase = " ".join(words[at : at + size])
                if phrase in titles:
                    found[phrase] += 1
                    if raw[at] == word:
                        low[phrase] += 1
    return found, low


def ask_about(rng: Random, entry: Entry) -> tuple[str, str]:
    """One phrasing and its answer: one to three sentences as the phrasing wants."""
    asks: tuple[str, ...] = WHO_ASKS if entry.person else THING_ASKS if entry.verb == "is" else WERE_ASKS
    if entry.common and rng.random() < 0.15:
        asks = WORD_ASKS
    name = entry.name
    ask = fill(rng, rng.choice(asks), x=name, bare=entry.bare, verb=entry.verb)
    answer = " ".join(entry.lead)
    first = entry.lead[0]
    style = rng.random()
    if style < 0.14:
        low = ask[0].lower() + ask[1:]
        return fill(rng, rng.choice(SHORT_ASKS), ask=ask, low=low), first
    if style < 0.2 and not entry.person and len(first.split()) <= 22:
        return fill(rng, rng.choice(CHILD_ASKS), x=name), first
    if style < 0.26 and len(entry.lead) > 1:
        return fill(rng, rng.choice(LONG_ASKS), ask=ask), answer
    if len(entry.lead) > 2 and rng.random() < 0.5:
        answer = " ".join(entry.lead[:2])
    return casual(rng, capital(ask), share=0.3), answer


def entries(shelf: Shelf) -> tuple[list[Entry], list[Refused], list[str]]:
    """Every article that defines its title, the refusals, and the openings of all articles (for counting mentions)."""
    found: list[Entry] = []
    refused: list[Refused] = []
    openings: list[str] = []
    for document in shelf.read("pretrain", FILE):
        text = str(document.get("text", ""))
        openings.append(text[:400])
        entry = define(text, str(document.get("url", "")))
        if isinstance(entry, Refused):
            refused.append(entry)
        else:
            found.append(entry)
    return found, refused, openings


def _in_its_case(entry: Entry, known: Counter[str], low: Counter[str]) -> Entry:
    """Common nouns lose the capital that only the title gives them: texts write most of them small."""
    forms = {entry.bare.lower(), re.sub(r"^(?:an?|the) ", "", entry.name).lower()}  # "otter", "otters"
    key = max(
        forms, key=lambda form: low[form]
    )  # an article's own title and first word are two capitals that say nothing
    if not entry.person and low[key] * 2 > known[key] - 2 and low[key] and not entry.bare.isupper():
        return replace(
            entry, name=entry.name.replace(entry.bare, _small(entry.bare)), bare=_small(entry.bare), common=True
        )
    return entry


def _small(title: str) -> str:
    return title[:1].lower() + title[1:]


def make(shelf: Shelf, rng: Random, count: int) -> Iterator[Made]:
    found, refused, openings = entries(shelf)
    yield from refused
    names = {entry.bare.lower() for entry in found} | {
        entry.name.lower() for entry in found if entry.verb in ("are", "were")
    }
    known, low = mentions(openings, names)
    found = [_in_its_case(entry, known, low) for entry in found]
    found.sort(key=lambda entry: (-known[entry.bare.lower()], entry.bare))
    kinds: Counter[str] = Counter()
    rank = written = 0
    for entry in found:
        kinds[entry.kind] += 1
        if kinds[entry.kind] > PER_KIND:
            yield Refused("too many of this kind")
            continue
        if written >= count:
            yield Refused("over the cap")
            continue
        for _ in range(4 if rank < OFTEN else 2 if rank < KNOWN else 1):
            yield _dialogue(rng, entry)
            written += 1
        rank += 1


def _dialogue(rng: Random, entry: Entry) -> Dialogue:
    question, answer = ask_about(rng, entry)
    about = Provenance("definitions", SOURCE, LICENCE, entry.url, group=entry.url)
    return about.ask(question, without_parentheses(answer))


RULE = Rule("definitions", "what things and people are, in one to three sentences", 21_000, make, SOURCE, LICENCE)
