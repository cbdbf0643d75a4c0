"""How right are the recognisers of personal data (creuset/core/personal)? Measured on lines that are invented.

    python validation/recognisers.py        writes creuset/benchmarks/privacy/data/recognisers.json, which pages quote

Whoever reads "0 social security numbers" must know how many of a hundred real ones would be found, and how many of a
hundred numbers that are none. There are two sets. `personal.jsonl` beside this file holds some seventy lines labelled
by hand. The others are made here by the hundred: numbers by their own rules (check digits by arithmetic, not by the
recogniser's code), in the ways people write them, behind words that announce them or not. Beside them stand hard
negatives: the same numbers with a wrong key, and numbers of prose that look alike (amounts, dates, book and version
numbers, scores).

No number was taken from anywhere. That one belongs to somebody by chance cannot be excluded, which is why none is kept.
"""

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from creuset.core import jsonl
from creuset.core import personal as privacy
from creuset.core.personal import find
from creuset.core.stats import wilson

LABELLED = Path(__file__).parent / "personal.jsonl"
WRITTEN = Path(privacy.__file__).parents[2] / "benchmarks/privacy/data/recognisers.json"

Dice = random.Random
Line = tuple[str, str]  # (text, what of it is personal data; empty: nothing)


def _digits(dice: Dice, count: int, first: str = "0123456789") -> str:
    return dice.choice(first) + "".join(dice.choice("0123456789") for _ in range(count - 1))


def _luhn_digit(body: str) -> str:
    """The last digit that makes `body` hold under Luhn."""
    total = 0
    for at, digit in enumerate(reversed(body)):
        value = int(digit) * (2 if at % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return str(-total % 10)


def _other(dice: Dice, digit: str) -> str:
    return dice.choice([d for d in "0123456789" if d != digit])


def _grouped(number: str, sizes: tuple[int, ...], by: str) -> str:
    parts, at = [], 0
    for size in sizes:
        parts.append(number[at : at + size])
        at += size
    return by.join(part for part in [*parts, number[at:]] if part)


def _nir(dice: Dice, right: bool) -> str:
    place = dice.choice([f"{dice.randrange(1, 96):02d}", "2A", "2B", "99"])
    body = f"{dice.choice('12')}{dice.randrange(100):02d}{dice.randrange(1, 13):02d}{place}{_digits(dice, 6)}"
    plain = int(body.replace("2A", "19").replace("2B", "18"))
    key = 97 - plain % 97
    if not right:
        key = key % 97 + 1  # another key from 1 to 97
    number = f"{body}{key:02d}"
    return dice.choice([number, *(_grouped(number, (1, 2, 2, 2, 3, 3), by) for by in " .\u00a0")])


def _siren(dice: Dice, right: bool, size: int = 9) -> str:
    body = _digits(dice, size - 1, "123456789")
    last = _luhn_digit(body)
    number = body + (last if right else _other(dice, last))
    return dice.choice([number, *(_grouped(number, (3, 3, 3), by) for by in " .\u00a0")])


def _siret(dice: Dice, right: bool) -> str:
    return _siren(dice, right, 14)


def _vat(dice: Dice, right: bool) -> str:
    siren = _digits(dice, 8, "123456789")
    siren += _luhn_digit(siren)
    key = (12 + 3 * (int(siren) % 97)) % 97
    return f"FR{key if right else (key + dice.randrange(1, 97)) % 97:02d}{dice.choice(['', ' '])}{siren}"


def _iban(dice: Dice, right: bool) -> str:
    country, size = dice.choice([("FR", 23), ("DE", 18), ("BE", 12), ("ES", 20), ("IT", 23)])
    body = _digits(dice, size) if country != "IT" else dice.choice("ABCDEFX") + _digits(dice, size - 1)
    plain = "".join(str(int(c, 36)) for c in f"{body}{country}00")
    key = 98 - int(plain) % 97
    number = f"{country}{key if right else key % 97 + 2:02d}{body}"
    return dice.choice([number, _grouped(number, (4,) * (len(number) // 4), " ")])


def _card(dice: Dice, right: bool) -> str:
    body = dice.choice(["4", "51", "55"])
    body += _digits(dice, 15 - len(body))
    last = _luhn_digit(body)
    return _grouped(body + (last if right else _other(dice, last)), (4, 4, 4, 4), dice.choice(["", " ", "-"]))


def _phone(dice: Dice, right: bool) -> str:
    if not right:  # forms of no telephone: a digit short, no zero, an order number
        return dice.choice([f"0{_digits(dice, 7, '123456789')}", f"{_digits(dice, 3)}-{_digits(dice, 2)}",
                            f"n° {_digits(dice, 6)}/{_digits(dice, 2)}", f"00{_digits(dice, 5)}"])  # fmt: skip
    body = _digits(dice, 9, "12345679")
    spaced = [body[:1], *(body[i : i + 2] for i in range(1, 9, 2))]
    by = dice.choice(["", " ", ".", "-", "\u00a0"])
    return dice.choice(["0", "+33" + by, "0033" + by, "+33 (0)"]) + by.join(spaced)


def _email(dice: Dice, right: bool) -> str:
    name = "".join(dice.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(dice.randrange(3, 9)))
    host = "".join(dice.choice("bcdfghklmnprstv") + dice.choice("aeiou") for _ in range(3))
    if not right:
        return dice.choice([f"@{name}", f"{name} at {host}", f"{name}@", f"{name}@{host}", f"{name}@example.com"])
    dot, end = dice.choice(["", f".{name}", "_2"]), dice.choice(["fr", "com", "org", "info"])
    return f"{name}{dot}@{host}-demo.{end}"


_STREETS = ["rue", "avenue", "boulevard", "place", "chemin", "impasse", "quai", "allée"]
_NAMED = ["Victor-Hugo", "des Lilas", "de la République", "du Moulin", "Pasteur", "de l'Église", "Jean Moulin"]
_TOWNS = ["Lyon", "Nantes", "Lille", "Dijon", "Rennes"]


def _address(dice: Dice, right: bool) -> str:
    number, street, name = dice.randrange(1, 200), dice.choice(_STREETS), dice.choice(_NAMED)
    if not right:  # a street without a number, a number without a street
        return dice.choice([f"la {street} {name}", f"{number} habitants de {dice.choice(_TOWNS)}",
                            f"{number} rue", f"{number} places {name.lower()}"])  # fmt: skip
    more = dice.choice(["", " bis", "ter"])
    town = dice.choice(["", f", {dice.randrange(1, 96):02d}{_digits(dice, 3)} {dice.choice(_TOWNS)}"])
    return f"{number}{more}{dice.choice([' ', ', '])}{street} {name}{town}"


Make = Callable[[Dice, bool], str]
_AROUND = ("Il a noté {} sur la première page.", "Réf. {}", "{}", "Voir aussi : {} (page 3).", "Then he wrote {} down.")
KINDS: dict[str, tuple[Make, tuple[str, ...]]] = {
    "nir": (_nir, ("N° de sécurité sociale : {}", "NIR {}", *_AROUND)),
    "siren": (_siren, ("SIREN {}", "RCS Paris {}", "immatriculée sous le numéro {}")),
    "siret": (_siret, ("SIRET {}", "Siret : {}", "numéro SIRET de l'établissement : {}")),
    "vat": (_vat, ("TVA intracommunautaire : {}", *_AROUND)),
    "iban": (_iban, ("IBAN {}", *_AROUND)),
    "card": (_card, ("carte {}", *_AROUND)),
    # Behind "Réf." a number without groups is no telephone.
    "phone": (_phone, ("Tél. {}", "appelez le {}", *(a for a in _AROUND if "Réf" not in a))),
    "email": (_email, ("écrire à {}", *_AROUND)),
    "address": (_address, ("Elle habite {}", "Adresse : {}", *_AROUND)),
}


def lines(kind: str, count: int, seed: int) -> Iterator[Line]:
    """`count` lines with personal data of the kind, and as many hard negatives of it."""
    make, around = KINDS[kind]
    dice = Dice(f"{seed} {kind}")
    for number in range(2 * count):
        what = make(dice, right := number < count)
        yield dice.choice(around).format(what), what if right else ""


def prose(count: int, seed: int) -> Iterator[str]:
    """Numbers of ordinary text, of no one: none should be recognised."""
    dice = Dice(f"{seed} prose")
    forms: tuple[Callable[[], str], ...] = (
        lambda: f"La ville compte {dice.randrange(10**4, 10**7):,} habitants.".replace(",", " "),
        lambda: f"ISBN 978-2-{dice.randrange(1000, 9999)}-{dice.randrange(1000, 9999)}-{dice.randrange(10)}",
        lambda: f"The game ended {dice.randrange(99)}-{dice.randrange(99)} before {dice.randrange(10**4):,} people.",
        lambda: f"En {dice.randrange(1500, 2020)}, le {dice.randrange(1, 29)} mars, il avait {dice.randrange(90)} ans.",
        lambda: f"Il a payé {dice.randrange(10**3, 10**6):,} euros et {dice.randrange(99)} centimes.".replace(",", " "),
        lambda: f"Version {dice.randrange(20)}.{dice.randrange(20)}.{dice.randrange(999)}.1",
        lambda: f"The sum is 0.{dice.randrange(10**8, 10**9)} or {dice.randrange(10**9, 10**10)} to the last digit.",
        lambda: f"Psalm {dice.randrange(150)}:{dice.randrange(30)}-{dice.randrange(30)}; art. {dice.randrange(999)} B",
        lambda: f"Le numéro {dice.randrange(10**8, 10**9)} a été tiré.",
        lambda: f"{dice.randrange(99)}°{dice.randrange(60)}'{dice.randrange(60)}\" N, {dice.randrange(10**5)} km²",
    )
    for number in range(count):
        yield forms[number % len(forms)]()


@dataclass(frozen=True, slots=True)
class Rightness:
    """Of one kind of personal data."""

    asked: int  # lines that have it
    found: int  # of these, found whole
    others: int  # hard negatives and prose
    wrong: int  # of these, in which the kind was seen


def rightness(kind: str, *, count: int = 300, seed: int = 17) -> Rightness:
    found = wrong = 0
    for text, what in lines(kind, count, seed):
        seen = find(text)
        if what:
            found += (kind, what) in seen
        else:
            wrong += any(k == kind for k, _ in seen)
    wrong += sum(any(k == kind for k, _ in find(text)) for text in prose(count, seed))
    return Rightness(count, found, 2 * count, wrong)


def labelled() -> list[tuple[str, list[tuple[str, str]]]]:
    """Each line labelled by hand, and (kind, text) of the personal data in it."""
    return [(row["text"], [(kind, what) for kind, what in row["has"]]) for _, row in jsonl.read(LABELLED)]


def agreement() -> dict[str, dict[str, int]]:
    """How `find` does on the labelled lines, kind by kind: right, wrong (found, not labelled) and missed."""
    found = {kind: {"labelled_right": 0, "labelled_wrong": 0, "labelled_missed": 0} for kind in privacy.KINDS}
    for text, has in labelled():
        said, wanted = Counter(find(text)), Counter(has)
        for name, some in (("right", said & wanted), ("wrong", said - wanted), ("missed", wanted - said)):
            for (kind, _), n in some.items():
                found[kind][f"labelled_{name}"] += n
    return found


def measured() -> dict[str, dict[str, Any]]:
    """What is written: by kind, the agreement with the labels, and of invented lines, recall and false alarms."""
    found: dict[str, dict[str, Any]] = {kind: dict(counts) for kind, counts in agreement().items()}
    for kind in KINDS:
        r = rightness(kind)
        hits, wrong = wilson(r.found, r.asked), wilson(r.wrong, r.others)
        found[kind] |= {
            "recall": r.found / r.asked,
            "recall_interval": [hits.low, hits.high],
            "invented": r.asked,
            "false_alarms": r.wrong / r.others,
            "false_alarms_interval": [wrong.low, wrong.high],
            "hard_negatives": r.others,
        }
    return found


if __name__ == "__main__":
    said = {"command": "python validation/recognisers.py", "kinds": measured()}
    WRITTEN.parent.mkdir(parents=True, exist_ok=True)
    WRITTEN.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(said))
