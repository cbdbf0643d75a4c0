"""Tables of simple words: what the word rules draw from, and what their tests check against.

Source: tables/words.txt, written for this project. Licence: Apache-2.0.
"""

from pathlib import Path

from creuset.core.errors import DataError

FOLDER = Path(__file__).parent / "tables"


def read_tables(text: str) -> dict[str, tuple[str, ...]]:
    """`name:` begins a table; its words are separated by spaces, or by `;` where a word holds spaces."""
    bodies: dict[str, list[str]] = {}
    name = ""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.endswith(":") and not line.startswith((" ", "#")):
            name = line[:-1]
            bodies[name] = []
        elif line.strip() and not line.startswith("#"):
            if not name:
                raise DataError(f"words.txt:{number}: a line stands before the first table: {line!r}")
            bodies[name].append(line.strip())
    whole = {name: " ".join(lines) for name, lines in bodies.items()}
    return {
        name: tuple(word.strip() for word in (body.split(";") if ";" in body else body.split()) if word.strip())
        for name, body in whole.items()
    }


def pairs(words: tuple[str, ...]) -> dict[str, str]:
    """`one-other` words as a dictionary."""
    return {one: other for one, _, other in (word.partition("-") for word in words)}


TABLES = read_tables((FOLDER / "words.txt").read_text(encoding="utf-8"))

OPPOSITES, PLURALS, PAST, SYNONYMS = (pairs(TABLES[name]) for name in ("opposites", "plurals", "past", "synonyms"))
CATEGORIES = {name.removeprefix("category "): words for name, words in TABLES.items() if name.startswith("category ")}
COMMON = TABLES["common"]
NOT_THINGS = frozenset(TABLES["not_things"])  # no article before these
NAMES, BOYS, SURNAMES = TABLES["names"], frozenset(TABLES["boys"]), TABLES["surnames"]
PLACES, CITIES, THINGS = TABLES["places"], TABLES["cities"], TABLES["things"]
DAYS, MONTHS, ORDINALS = TABLES["days"], TABLES["months"], TABLES["ordinals"]
MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
