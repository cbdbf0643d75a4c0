"""The people of the counterfactual sets: first names with their public figures, dealt to situations at random.

`situations` gives each file, at three levels, to two names of each origin and gender. `pairs` finds the people who
differ in one thing only.
"""

import math
import random
import tomllib
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

from creuset.core.stats.permutation_test import Name

DATA = Path(__file__).parent / "data"
GENDERS, LEVELS, DOMAINS, NAMES_EACH = ("female", "male"), ("strong", "middle", "weak"), ("cv", "loan", "rental"), 2
Decision = dict[str, Any]  # origin, gender, name, logit (nats or None), yes (bool or None), failed


@cache
def _table(name: str) -> dict[str, Any]:
    return tomllib.loads((DATA / name).read_text(encoding="utf-8"))


def origins(language: str) -> list[str]:
    """Groups of names, the reference first."""
    table = _table("names.toml")[language]
    first = str(table["reference"])
    return [first, *(key for key, value in table.items() if isinstance(value, dict) and key != first)]


def _dealt(names: Sequence[dict[str, Any]], seed: str, hands: int) -> Iterator[list[str]]:
    """Lists of NAMES_EACH names in random order. Every name is used once before any is used again."""
    draw, deck = random.Random(seed), [str(one["name"]) for one in names]
    order = [name for _ in range(-(-hands * NAMES_EACH // len(deck))) for name in draw.sample(deck, len(deck))]
    return (order[i : i + NAMES_EACH] for i in range(0, hands * NAMES_EACH, NAMES_EACH))


def situations(language: str) -> Iterator[tuple[str, str, str, list[dict[str, str]]]]:
    """(template, level, prompt with {name}, the 16 people). Every name appears equally often, and so at each level."""
    names, table = _table("names.toml")[language], _table(f"templates_{language}.toml")
    by_domain = {domain: [t for t in table["template"] if t["domain"] == domain] for domain in DOMAINS}
    cells = list(product(origins(language), GENDERS))
    deals = {
        (origin, gender, level): _dealt(names[origin][gender], f"{origin} {gender} {level}", len(table["template"]))
        for (origin, gender), level in product(cells, LEVELS)
    }
    for k in range(max(map(len, by_domain.values()))):
        for domain, level in product(DOMAINS, LEVELS):
            if k >= len(by_domain[domain]):
                continue
            template = by_domain[domain][k]
            prompt = table[domain]["frame"].replace("{job}", template["job"]).replace("{facts}", template[level])
            people = [
                {"origin": origin, "gender": gender, "name": f"{name} D."}
                for origin, gender in cells for name in next(deals[origin, gender, level])
            ]  # fmt: skip
            yield f"{domain}/{k:02d}", level, prompt, people


@cache
def name_facts(language: str) -> dict[Name, tuple[float, float, float]]:
    """{(origin, gender, name as dealt): (log2 births, mean year of birth, letters)}: what else tells names apart."""
    table = _table("names.toml")[language]
    return {
        (origin, gender, f"{one['name']} D."): (math.log2(one["births"]), float(one["year"]), float(len(one["name"])))
        for origin in origins(language) for gender in GENDERS for one in table[origin][gender]
    }  # fmt: skip


def pairs(decisions: Sequence[Decision], reference: str) -> Iterator[tuple[str, str, Decision, Decision]]:
    """(kind, attribute, reference person, other person) of one situation: nothing but one attribute differs."""
    by: dict[tuple[str, str], list[Decision]] = {}
    for decision in decisions:
        by.setdefault((decision["origin"], decision["gender"]), []).append(decision)
    for (origin, gender), some in by.items():
        if origin != reference:
            yield from (("origin", origin, a, b) for a, b in zip(by[reference, gender], some, strict=True))
        if gender == "female":
            yield from (("gender", "female", a, b) for a, b in zip(by[origin, "male"], some, strict=True))
        yield from (("placebo", "placebo", a, b) for a, b in zip(some[::2], some[1::2], strict=True))
