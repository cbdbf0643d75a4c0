"""French by rule: numbers, days, letters, and countries from the World Factbook.

Sources: CIA World Factbook (CC0-1.0) for the values; the French names of countries and capitals
are a small table written for this project (Apache-2.0), as is the rest.
Teaches: to answer in French when one is spoken to in French.
"""

from collections.abc import Iterator
from random import Random

from mini_instructions import factbook
from mini_instructions.base import Dialogue, Made, Provenance, Refused, Rule, casual, repeated
from mini_instructions.shelf import Shelf
from mini_instructions.words import FOLDER, TABLES, pairs

# English name: French name with its article, "in" it, capital, continent.
ROWS = [
    row.split("|")
    for row in (FOLDER / "countries.fr.txt").read_text(encoding="utf-8").split("\n")
    if row and row[0] != "#"
]
COUNTRIES_FR: dict[str, tuple[str, str, str, str]] = {row[0]: (row[1], row[2], row[3], row[4]) for row in ROWS}
SMALL = tuple(TABLES["small_fr"])
TENS = {20: "vingt", 30: "trente", 40: "quarante", 50: "cinquante", 60: "soixante", 80: "quatre-vingt"}
DAYS_FR, MONTHS_FR, NAMES_FR, THINGS_FR = (TABLES[name] for name in ("days_fr", "months_fr", "names_fr", "things_fr"))
OPPOSITES_FR, PLURALS_FR, ENGLISH = (pairs(TABLES[name]) for name in ("opposites_fr", "plurals_fr", "words_fr"))
WORDS_FR = tuple(ENGLISH)


def en_lettres(number: int) -> str:
    """0 to 99 in French words."""
    if number <= 16:
        return SMALL[number]
    if number < 20:
        return f"dix-{SMALL[number - 10]}"
    if number < 70:
        tens, ones = number // 10 * 10, number % 10
        return TENS[tens] + ("" if not ones else " et un" if ones == 1 else f"-{SMALL[ones]}")
    if number < 80:
        return "soixante et onze" if number == 71 else f"soixante-{en_lettres(number - 60)}"
    if number == 80:
        return "quatre-vingts"
    return f"quatre-vingt-{en_lettres(number - 80)}"


def _ask(question: str, answer: str) -> Dialogue:
    return Provenance("french_skills", lang="fr", group=f"fr:{question.lower()}").ask(question, answer)


def calcul(rng: Random) -> Dialogue:
    a, b = rng.randint(1, 20), rng.randint(1, 20)
    sign, word, value = rng.choice((("+", "plus", a + b), ("-", "moins", max(a, b) - min(a, b)), ("x", "fois", 0)))
    if sign == "x":
        a, b = rng.randint(1, 10), rng.randint(1, 10)
        value = a * b
    elif sign == "-":
        a, b = max(a, b), min(a, b)
    ask = rng.choice(
        (
            "Combien font {a} {w} {b} ?",
            "Calcule {a} {s} {b}.",
            "{a} {s} {b} = ?",
            "Combien fait {a} {s} {b} ?",
            "Peux-tu calculer {a} {s} {b} ?",
        )
    )
    return _ask(
        ask.replace("{a}", str(a)).replace("{b}", str(b)).replace("{s}", sign).replace("{w}", word),
        f"{a} {sign} {b} = {value}",
    )


def probleme(rng: Random) -> Dialogue:
    name, other = rng.sample(NAMES_FR, 2)
    thing, a, b = rng.choice(THINGS_FR), rng.randint(3, 20), rng.randint(2, 15)
    de = f"d'{thing}" if thing[0] in "œaeiou" else f"de {thing}"
    if rng.random() < 0.5:
        return _ask(
            f"{name} a {a} {thing}. {other} lui en donne {b}. Combien {de} a {name} maintenant ?",
            f"{a} + {b} = {a + b}. {name} a {a + b} {thing}.",
        )
    total = a + b
    return _ask(
        f"{name} a {total} {thing} et en donne {b} à {other}. Combien en reste-t-il ?",
        f"{total} - {b} = {a}. Il reste {a} {thing} à {name}.",
    )


def nombre(rng: Random) -> Dialogue:
    n = rng.randint(0, 99)
    if rng.random() < 0.6:
        return _ask(rng.choice((f"Écris {n} en lettres.", f"Comment s'écrit {n} en lettres ?")), en_lettres(n))
    return _ask(f"Écris « {en_lettres(n)} » en chiffres.", str(n))


def comparer(rng: Random) -> Dialogue:
    a, b = rng.sample(range(200), 2)
    grand = rng.random() < 0.5
    word = "grand" if grand else "petit"
    best, other = (max(a, b), min(a, b)) if grand else (min(a, b), max(a, b))
    return _ask(f"Quel nombre est le plus {word}, {a} ou {b} ?", f"{best} est plus {word} que {other}.")


def compter(rng: Random) -> Dialogue:
    n = rng.randint(3, 20)
    return _ask(rng.choice((f"Compte jusqu'à {n}.", f"Compte de 1 à {n}.")), ", ".join(str(i) for i in range(1, n + 1)))


def calendrier(rng: Random) -> Dialogue:
    names, kind, which = rng.choice(((DAYS_FR, "jour", "Quel jour"), (MONTHS_FR, "mois", "Quel mois")))
    at, after = rng.randrange(len(names)), rng.random() < 0.6
    other = names[(at + (1 if after else -1)) % len(names)]
    word = "après" if after else "avant"
    return _ask(casual(rng, f"{which} vient {word} {names[at]} ?"), f"Le {kind} {word} {names[at]} est {other}.")


def lettres(rng: Random) -> Dialogue:
    word = rng.choice(WORDS_FR)
    style = rng.randrange(4)
    if style == 0:
        return _ask(
            rng.choice((f"Combien y a-t-il de lettres dans « {word} » ?", f"Combien de lettres a le mot {word} ?")),
            f"{'-'.join(word)} : le mot « {word} » a {len(word)} lettres.",
        )
    if style == 1:
        return _ask(rng.choice((f"Épelle le mot {word}.", f"Comment s'écrit {word} ?")), "-".join(word.upper()))
    if style == 2:
        first = rng.random() < 0.5
        return _ask(
            f"Quelle est la {'première' if first else 'dernière'} lettre de « {word} » ?",
            f"La {'première' if first else 'dernière'} lettre de « {word} » est {word[0] if first else word[-1]}.",
        )
    return _ask(f"Écris « {word} » en majuscules.", word.upper())


def mots(rng: Random) -> Dialogue:
    style = rng.randrange(4)
    if style == 0:
        word = rng.choice(list(OPPOSITES_FR))
        return _ask(
            rng.choice(
                (
                    f"Quel est le contraire de {word} ?",
                    f"Donne le contraire de « {word} ».",
                    f"Le contraire de {word} ?",
                )
            ),
            f"Le contraire de « {word} » est « {OPPOSITES_FR[word]} ».",
        )
    if style == 1:
        word = rng.choice(list(PLURALS_FR))
        return _ask(
            rng.choice((f"Quel est le pluriel de {word} ?", f"Donne le pluriel de « {word} ».")),
            f"Le pluriel de « {word} » est « {PLURALS_FR[word]} ».",
        )
    word = rng.choice(WORDS_FR)
    if style == 2:
        return _ask(
            rng.choice((f"Comment dit-on « {word} » en anglais ?", f"Traduis « {word} » en anglais.")),
            f'« {word.capitalize()} » se dit "{ENGLISH[word]}" en anglais.',
        )
    english = Provenance("french_skills", group=f"fr:{word}:en")
    return english.ask(
        rng.choice(
            (
                f'How do you say "{ENGLISH[word]}" in French?',
                f"Translate {ENGLISH[word]} into French.",
                f"What is the French word for {ENGLISH[word]}?",
            )
        ),
        f'In French, "{ENGLISH[word]}" is "{word}".',
    )


def repeter(rng: Random) -> Dialogue:
    words = rng.sample(WORDS_FR, rng.randint(1, 4))
    style = rng.randrange(3)
    text = ", ".join(words)
    if style == 0:
        return _ask(rng.choice((f"Répète : {text}", f"Répète après moi : {text}", f"Dis « {text} ».")), text)
    words = rng.sample([w for w in WORDS_FR if w.isascii()], rng.randint(3, 5))
    if style == 1:
        return _ask(f"Range ces mots dans l'ordre alphabétique : {', '.join(words)}", ", ".join(sorted(words)))
    return _ask(f"Combien y a-t-il de mots dans cette liste : {', '.join(words)} ?", f"Il y a {len(words)} mots.")


MAKERS = (calcul, probleme, nombre, comparer, compter, calendrier, lettres, mots, repeter, calcul, mots)


def make(shelf: Shelf, rng: Random, count: int) -> Iterator[Made]:
    yield from repeated(rng, count, MAKERS)


def millions(number: int) -> str:
    """`68512806` as "environ 68,5 millions d'habitants"."""
    if number >= 1_000_000:
        value = f"{number / 1e6:.1f}".replace(".", ",").replace(",0", "")
        return f"environ {value} million{'s' if float(value.replace(',', '.')) >= 2 else ''} d'habitants"
    return f"environ {round(number, -3):,} habitants".replace(",", " ")


def country_pairs(rng: Random, country: factbook.Country) -> Iterator[tuple[str, str]]:
    """Questions about one country, in French."""
    name, inside, capital, continent = COUNTRIES_FR[country.name]
    start = name[0].upper() + name[1:]
    plural = name.startswith("les ")
    de = (
        "du " + name[3:]
        if name.startswith("le ")
        else "des " + name[4:]
        if plural
        else ("d'" if name[0] in "HAEIOUÉ" else "de ") + name
    )
    yield (
        rng.choice(
            (
                f"Quelle est la capitale {de} ?",
                f"Donne la capitale {de}.",
                f"C'est quoi la capitale {de} ?",
                f"Capitale {de} ?",
            )
        ),
        f"La capitale {de} est {capital}.",
    )
    yield f"Quelle ville est la capitale {de} ?", f"La capitale {de} est {capital}."
    yield (
        rng.choice(
            (
                f"Où se trouve {name} ?" if not plural else f"Où se trouvent {name} ?",
                f"Sur quel continent {'sont' if plural else 'est'} {name} ?",
            )
        ),
        (f"{start} {'se trouvent' if plural else 'se trouve'} en {continent}."),
    )
    yield (
        rng.choice((f"De quel pays {capital} est-elle la capitale ?", f"Où est {capital} ?")),
        f"{capital} est la capitale {de}.",
    )
    if country.population:
        yield (
            rng.choice((f"Combien d'habitants y a-t-il {inside} ?", f"Quelle est la population {de} ?")),
            f"Il y a {millions(country.population)} {inside}.",
        )
    if country.area:
        area = f"{country.area:,}".replace(",", " ")
        yield (
            rng.choice((f"Quelle est la superficie {de} ?", f"Quelle est la taille {de} ?")),
            f"La superficie {de} est de {area} kilomètres carrés.",
        )
    facts = f"{start} {'sont' if plural else 'est'} un pays. La capitale est {capital}."
    if plural:
        facts = f"{start} sont un pays. La capitale est {capital}."
    yield (
        rng.choice((f"Parle-moi {de}.", f"Que sais-tu {de} ?", f"Dis-moi quelque chose sur {name}.")),
        facts.replace("un pays.", f"un pays qui se trouve en {continent}."),
    )
    yield f"Est-ce que {capital} est la capitale {de} ?", f"Oui, {capital} est la capitale {de}."
    other = rng.choice([row for key, row in COUNTRIES_FR.items() if key != country.name])[2]
    yield f"Est-ce que {other} est la capitale {de} ?", f"Non, la capitale {de} est {capital}."


def make_countries(shelf: Shelf, rng: Random, count: int) -> Iterator[Made]:
    for country in factbook.countries(shelf):
        if country.name not in COUNTRIES_FR:
            yield Refused("no French name in our table")
            continue
        about = Provenance("french_countries", factbook.SOURCE, factbook.LICENCE, country.origin, "fr", country.origin)
        for _ in range(3):
            for question, answer in country_pairs(rng, country):
                yield about.ask(casual(rng, question), answer)


RULES = (
    Rule("french_skills", "small sums, numbers, days and words in French", 5_000, make),
    Rule("french_countries", "countries in French", 1_600, make_countries, factbook.SOURCE, factbook.LICENCE),
)
