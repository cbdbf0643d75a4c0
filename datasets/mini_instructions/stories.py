"""Short stories: from the sources, found by what they are about, and written from plots.

Sources: TinyStories sample (CDLA-Sharing-1.0), African Storybook in English and French
(CC-BY, each with its author); plots in talk/stories.*.txt written for this project (Apache-2.0).
Teaches: to tell a whole, short story about what was asked, and to end it.
"""

import re
from collections import Counter
from collections.abc import Iterator
from functools import partial
from random import Random

from mini_instructions.base import Dialogue, Made, Provenance, Refused, Rule, capital, casual, fill
from mini_instructions.prose import FOREIGN, UNFIT
from mini_instructions.shelf import Shelf
from mini_instructions.talk import FOLDER
from mini_instructions.words import BOYS, NAMES, TABLES

MOST_WORDS, FEWEST_WORDS = 220, 50
SUBJECTS = TABLES["story_subjects"]
ASKS = ("Tell me a story about {x}.", "Tell me a short story about {x}.", "Write a short story about {x}.",
    "Can you tell me a story about {x}?",
        "I want a story about {x}.", "a story about {x} please", "Please write a little story about {x}.",
        "Make up a story about {x}.",
        "My child wants a story about {x}.", "Write a story for children about {x}.", "story about {x}",
        "Could you tell a bedtime story about {x}?")  # fmt: skip
ANY = ("Tell me a story.", "Tell me a short story.", "Can you tell me a story?", "I want to hear a story.",
    "Write a short story.", "Tell me a bedtime story.",
       "a story please", "Make up a story for me.", "Do you know a story?",
       "Please tell my daughter a story.")  # fmt: skip
ASKS_FR = ("Raconte-moi une histoire sur {x}.", "Raconte une petite histoire avec {x}.",
    "Écris une courte histoire sur {x}.", "Je veux une histoire avec {x}.",
           "Peux-tu me raconter une histoire sur {x} ?", "Invente une histoire avec {x}.")  # fmt: skip
ANY_FR = (
    "Raconte-moi une histoire.",
    "Raconte une histoire courte.",
    "Peux-tu me raconter une histoire ?",
    "Une histoire s'il te plaît",
    "Écris une petite histoire.",
)
# A piece that opens so is the rest of a story whose beginning is elsewhere.
MIDDLE = re.compile(
    r"(?:He|She|They|It|But|Then|So|After|When|Suddenly|Finally|The|His|Her|Later|And|As|That|This|In|At|From|Now|You|I|We|Mom|Dad|Eventually|Inside|On|While)\b"
)
OPENING = re.compile(
    r"(?:Once|There (?:was|were|lived)"
    r"|One (?:\w+ )?(?:day|morning|night|evening|afternoon),? (?:a|an|there|the little|two|[A-Z])"
    r"|Long ago|A (?:little|small|long)"
    r"|[A-Z][a-z]+ (?:was|had|loved|liked|wanted|and|is|are|has|likes|saw|went|lived)\b)"
)

AFRICAN_OPENING = re.compile(
    r"\b(?:[Oo]nce|[Oo]ne day|[Ll]ong ago|[Tt]here (?:was|were|lived)|was a|lived"
    r"|(?:Il|il) était une fois|[Uu]n jour|[Ii]l y (?:a|avait)|[Aa]utrefois|vivait|s'appelait)\b"
)


def mended(text: str) -> str:
    """UTF-8 that was read as Windows-1252 and written again (`â€“`), put right where it can be."""
    if "â€" in text or "Ã" in text:
        try:
            text = text.encode("cp1252").decode("utf-8")
        except (UnicodeEncodeError, UnicodeDecodeError):
            text = re.sub(r"â€[œ\x9d]?", '"', text).replace("â", "'")
    return text.replace("“", '"').replace("”", '"').replace("’", "'").replace("‘", "'").replace("…", "...")


def flow(text: str) -> str:
    """Paragraphs kept, spaces inside them made single."""
    paragraphs = [re.sub(r"\s+", " ", p).strip() for p in re.split(r"\n\s*\n", text)]
    return "\n\n".join(p for p in paragraphs if p)


def fault(story: str) -> str | None:
    """Why a text does not serve as a story."""
    count = len(story.split())
    if not FEWEST_WORDS <= count <= MOST_WORDS:
        return "story too short" if count < FEWEST_WORDS else "story too long"
    if MIDDLE.match(story) or not OPENING.match(story):
        return "does not open like a story"
    if not re.search(r"[.!?][\"']?$", story):
        return "does not end"
    if FOREIGN.search(story) or "â" in story or story.count('"') % 2:
        return "damaged letters"
    return "unfit subject" if UNFIT.search(story) or re.search(r"\b(?:blood|killed?|gun|dead|died?)\b", story) else None


def subject(story: str) -> str | None:
    """The creature or thing the story names most often (at least twice), with its article."""
    words = Counter(re.findall(r"[a-z]+", story.lower()))
    counts = {noun: words[noun] + words[noun + "s"] for noun in SUBJECTS}
    best = max(SUBJECTS, key=lambda noun: counts[noun])
    if counts[best] < 2:
        return None
    if best in ("rain", "snow", "bread", "water", "sun", "moon", "sea", "beach", "forest", "park"):
        return best if best in ("rain", "snow", "bread", "water") else f"the {best}"
    return f"{'an' if best[0] in 'aeiou' else 'a'} {best}"


def hero(story: str) -> str | None:
    """A first name given to a girl or a boy near the beginning."""
    match = re.search(r"\b(girl|boy|child|man|woman) (?:named|called) ([A-Z][a-z]+)\b", story[:200])
    return f"a {match.group(1)} named {match.group(2)}" if match else None


def question(rng: Random, about: list[str]) -> str:
    if about and rng.random() < 0.75:
        return casual(rng, rng.choice(ASKS).replace("{x}", rng.choice(about)), share=0.2)
    return casual(rng, rng.choice(ANY), share=0.2)


def from_tiny(shelf: Shelf, rng: Random, count: int) -> Iterator[Made]:
    for document in shelf.read("pretrain", "en_tinystories_sample"):
        text = mended(str(document.get("text", "")).replace("\r", ""))
        for piece in re.split(r"(?<!\n)\n(?!\s*\n)", re.sub(r"[ \t]*\n[ \t]*", "\n", text)):
            story = flow(piece)
            if wrong := fault(story):
                yield Refused(wrong)
                continue
            about = [x for x in (subject(story), hero(story)) if x]
            origin = Provenance(
                "stories_tiny",
                "TinyStories (sample)",
                "CDLA-Sharing-1.0",
                str(document.get("source", "")),
                group=f"tiny:{story[:60]}",
            )
            for ask in dict.fromkeys((question(rng, about), question(rng, about))):
                yield origin.ask(ask, story)


def from_african(lang: str, shelf: Shelf, rng: Random, count: int) -> Iterator[Made]:
    for document in shelf.read("pretrain", f"{lang}_african_storybook"):
        title, _, body = mended(str(document.get("text", ""))).partition("\n")
        story = flow(body)
        if not FEWEST_WORDS <= len(story.split()) <= MOST_WORDS + 60:
            yield Refused("story too short or too long")
        elif not re.search(r"[.!?][\"'»]?$", story) or FOREIGN.search(story) or UNFIT.search(story):
            yield Refused("does not end, or damaged")
        elif not AFRICAN_OPENING.search(story[:160]):
            yield Refused("does not open like a story")
        elif re.search(r"\b(?:blood|kill\w*|tuer|tua|mort|beer|bière|drunk|ivre)\b", story):
            yield Refused("unfit subject")
        else:
            yield from _african(rng, lang, document, title.strip(" ."), story)


def _african(rng: Random, lang: str, document: dict[str, object], title: str, story: str) -> Iterator[Dialogue]:
    author = f" by {document['author']}" if document.get("author") else ""
    origin = Provenance(
        "stories_african",
        f"African Storybook{author}",
        "CC-BY",
        str(document.get("source", "")),
        lang,
        f"african:{title}",
    )
    if lang == "fr":
        for ask in (rng.choice(ANY_FR), f"Raconte-moi l'histoire « {title} »."):
            yield origin.ask(casual(rng, ask, share=0.15), story)
        return
    about = subject(story)
    yield origin.ask(question(rng, [about] if about else []), story)
    yield origin.ask(
        rng.choice(
            (
                f'Tell me the story "{title}".',
                f'Tell me a story with the title "{title}".',
                f'Write a story called "{title}".',
            )
        ),
        story,
    )


HEROES = {lang: TABLES[f"heroes_{lang}"] for lang in ("en", "fr")}
SLOTS = {
    lang: {name.partition(" ")[2]: words for name, words in TABLES.items() if name.startswith(f"slot_{lang} ")}
    for lang in ("en", "fr")
}


def plots(lang: str) -> list[str]:
    """The plots of a language: paragraphs separated by empty lines, `#` for remarks."""
    text = (FOLDER / f"stories.{lang}.txt").read_text(encoding="utf-8")
    lines = "\n".join(line for line in text.split("\n") if not line.startswith("#"))
    return [re.sub(r"\s*\n\s*", " ", block).strip() for block in re.split(r"\n\s*\n", lines) if block.strip()]


def tell(rng: Random, lang: str, plot: str, kind: str, name: str) -> str:
    """One story from a plot: `{hero}` is the kind of animal, `{name}` its name, `{he}` `{his}` `{him}` its pronouns."""
    she = name not in BOYS
    values = {
        "hero": kind,
        "name": name,
        "he": "she" if she else "he",
        "his": "her" if she else "his",
        "him": "her" if she else "him",
    }
    values |= {slot: rng.choice(choices) for slot, choices in SLOTS[lang].items()}
    other = [h for h in HEROES[lang] if h != kind]
    values |= {"friend": rng.choice(other), "friendname": rng.choice([n for n in NAMES if n != name])}
    text = fill(rng, plot, **values)
    text = re.sub(r"\ba (?=[aeiou])", "an ", text)
    text = re.sub(r"\bA (?=[aeiou])", "An ", text)
    return re.sub(r"(^|[.!?] )([a-zà-ÿ])", lambda m: m.group(1) + m.group(2).upper(), text)


def from_plots(lang: str, shelf: Shelf, rng: Random, count: int) -> Iterator[Made]:
    known = plots(lang)
    for _ in range(count):
        kind, name = rng.choice(HEROES[lang]), rng.choice(NAMES if lang == "en" else sorted(BOYS))
        story = tell(rng, lang, rng.choice(known), kind, name)
        if lang == "fr":
            ask = (
                rng.choice(ASKS_FR).replace("{x}", rng.choice((kind, f"{kind} nommé {name}")))
                if rng.random() < 0.8
                else rng.choice(ANY_FR)
            )
        else:
            what = f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
            what = rng.choice((what, what, f"{what} named {name}"))
            ask = rng.choice(ASKS).replace("{x}", what) if rng.random() < 0.8 else rng.choice(ANY)
        about = Provenance(
            f"stories_plots_{lang}",
            origin=f"datasets/mini_instructions/talk/stories.{lang}.txt",
            lang=lang,
            group=f"plot:{story[:70]}",
        )
        yield about.ask(casual(rng, capital(ask), share=0.15), story)


RULES = (
    Rule(
        "stories_tiny",
        "short stories about what was asked",
        1_400,
        from_tiny,
        "TinyStories (sample)",
        "CDLA-Sharing-1.0",
    ),
    Rule(
        "stories_african_en",
        "short stories, with their titles",
        400,
        partial(from_african, "en"),
        "African Storybook",
        "CC-BY",
    ),
    Rule("stories_african_fr", "short French stories", 150, partial(from_african, "fr"), "African Storybook", "CC-BY"),
    Rule("stories_plots_en", "stories whose hero is the one that was asked for", 1_600, partial(from_plots, "en")),
    Rule("stories_plots_fr", "the same in French", 700, partial(from_plots, "fr")),
)
