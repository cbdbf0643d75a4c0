"""Numbers with check digits: cards, bank accounts, companies, and the numbers that states give to people.

python-stdnum knows the rules of each. Where one in ten numbers passes a rule by chance, the number counts only behind a
word that announces it, on the same line and at most 60 characters before.
"""

import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import import_module
from importlib.resources import files
from typing import Any

from creuset.core.personal.runs import DigitGroup, DigitRun, glued, runs

NEAR = 60  # characters before a number in which a word may announce it

_CARD_SIZES = {
    (13,),
    (14,),
    (15,),
    (16,),
    (19,),
    (4, 4, 4, 4),
    (4, 4, 4, 4, 3),
    (4, 6, 5),
    (4, 6, 4),
    (8, 8),
    (4, 4, 4, 1),
    (4, 4, 4, 2),
    (4, 4, 4, 3),
}
_CARD_PREFIX = re.compile(
    r"(?:4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}|"
    r"6(?:011|4[4-9]\d|5\d\d)\d{12}(?:\d{3})?|35\d{14}|62\d{14,17}|"
    r"(?:5018|5020|5038|5893|6304|6759|676[1-3])\d{8,15})"
)
_ISSUED = re.compile(r"\b(?:isbn|ean|imei|iccid|gtin|sscc|tracking|colis|sendungsnummer)\b", re.I)


def luhn(digits: str) -> bool:
    """The check digit of cards, SIREN and SIRET (ISO/IEC 7812-1)."""
    total = 0
    for i, digit in enumerate(map(int, reversed(digits))):
        total += digit if i % 2 == 0 else digit * 2 - 9 * (digit > 4)
    return total % 10 == 0


def card(digits: str) -> bool:
    """A maker's prefix and length, and Luhn."""
    return len(set(digits)) > 1 and _CARD_PREFIX.fullmatch(digits) is not None and luhn(digits)


@cache
def iban_lengths() -> dict[str, int]:
    """By country, from SWIFT's registry as python-stdnum ships it."""
    from stdnum import numdb

    table = numdb.get("iban").prefixes
    return {row[1]: 4 + sum(int(n) for n in re.findall(r"(\d+)!", row[3]["bban"])) for row in table}


def iban(text: str) -> bool:
    """The country's length, and remainder 1 of the rearranged number mod 97 (ISO 13616)."""
    bare = text.upper()
    if iban_lengths().get(bare[:2]) != len(bare) or not bare.isascii() or not bare.isalnum():
        return False
    return int("".join(str(int(c, 36)) for c in bare[4:] + bare[:4])) % 97 == 1


_NIR_KEY = re.compile(r" ?/ ?(\d\d)(?!\d)")
_NIR = re.compile(r"[12378]\d{2}(?:0[1-9]|1[0-2]|[2-9]\d)(?:\d{2}|2[AB])\d{6}")


def nir(text: str) -> bool:
    """The French social security number: 13 digits (2A and 2B for Corsica), then 97 minus the number mod 97."""
    number, key = text[:13].upper(), text[13:]
    if (
        len(text) != 15
        or not key.isdigit()
        or not re.fullmatch(r"[12378]\d{2}(?:0[1-9]|1[0-2]|[2-9]\d)(?:\d{2}|2[AB])\d{6}", number)
    ):
        return False
    plain = int(number.replace("2A", "19").replace("2B", "18"))
    return 97 - plain % 97 == int(key)


def siren(digits: str) -> bool:
    return len(digits) == 9 and digits.isdigit() and luhn(digits) and len(set(digits)) > 1


def siret(digits: str) -> bool:
    """14 digits under Luhn; those of La Poste (356 000 000) have a digit sum that is a multiple of 5 instead."""
    poste = digits.startswith("356000000") and sum(map(int, digits)) % 5 == 0
    return len(digits) == 14 and digits.isdigit() and (luhn(digits) or poste) and len(set(digits)) > 1


@dataclass(frozen=True, slots=True)
class NationalNumber:
    """How a state writes the number of a person (national.toml)."""

    rule: str
    form: re.Pattern[str]
    words: re.Pattern[str] | None
    alone: re.Pattern[str] | None


@cache
def _national_numbers() -> tuple[NationalNumber, ...]:
    rows = tomllib.loads(files(__package__).joinpath("national.toml").read_text(encoding="utf-8"))["number"]
    return tuple(
        NationalNumber(
            row["rule"],
            re.compile(row["form"]),
            re.compile(rf"(?<!\w)(?:{row['words']})(?!\w)", re.I) if "words" in row else None,
            re.compile(row["alone"]) if "alone" in row else None,
        )
        for row in rows
    )


@lru_cache(maxsize=1)  # asked for each run of one line
def _possible(line: str) -> tuple[NationalNumber, ...]:
    """The numbers that `line` may hold: those whose word stands somewhere in it, and those that need none."""
    every = _national_numbers()
    word = _any_word().search(line) is not None
    return tuple(
        n for n in every if (n.alone and n.alone.search(line)) or (word and n.words and n.words.search(line))
    )  # fmt: skip


@cache
def _any_word() -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{'|'.join(n.words.pattern for n in _national_numbers() if n.words)})", re.I)


@cache
def _any_form() -> re.Pattern[str]:
    """A number of some state: most runs have the form of none."""
    return re.compile("|".join(f"(?:{number.form.pattern})" for number in _national_numbers()))


_GOES_ON = re.compile(r"[ \u00a0\u202f.]?\d")  # a SIRET with a wrong digit is no SIREN
_RPPS = re.compile(r"\bRPPS\b", re.I)
_FIRM = re.compile(r"\b(?:(?:siren|siret|rcs|immatricul\w+|tva)\b|r\.c\.s\.)", re.I)
_VAT = re.compile(r"\b(?:tva|vat|ust-?id\w*|umsatzsteuer\w*|uid|btw|iva|nif-?iva|cif|moms|partita|tax)\b", re.I)
_VAT_START = re.compile(
    r"(?:AT|BE|BG|CY|CZ|DE|DK|EE|EL|ES|FI|FR|HR|HU|IE|IT|LT|LU|LV|MT|NL|PL|PT|RO|SE|SI|SK)(?=.*\d|$)"
)
_PARTED = re.compile(r"[ \u00a0\u202f\u2009\u2007]")


@cache
def _rule(module: str) -> Callable[[str], bool]:
    found: Any = import_module(f"stdnum.{module}")
    check: Callable[[str], bool] = found.is_valid
    return check


@cache
def _vat_rule() -> Callable[[str], bool]:
    from stdnum.eu import vat

    check: Callable[[str], bool] = vat.is_valid
    return check


def vat(text: str) -> bool:
    """A VAT number of a member state, by its own check digits; in France those of the SIREN too."""
    if text.startswith("FR"):
        digits = text[2:]
        return (
            len(digits) == 11
            and digits.isdigit()
            and siren(digits[2:])
            and ((12 + 3 * (int(digits[2:]) % 97)) % 97 == int(digits[:2]))
        )
    return _vat_rule()(text)


def announced(line: str, start: int, words: re.Pattern[str]) -> bool:
    return words.search(line, max(0, start - NEAR), start) is not None


Place = tuple[str, int, int]  # kind, start, end


def numbers(line: str, found: list[DigitGroup], kinds: frozenset[str]) -> Iterator[Place]:
    """Where numbers with check digits stand in `line`, cut into `found`. Places may lie over each other."""
    if not _FIRM.search(line):  # kinds that only a word makes possible: most lines have none
        kinds -= {"siren", "siret"}
    if not _RPPS.search(line):
        kinds -= {"rpps"}
    for at, group in enumerate(found):
        if _begins_none(group, found[at + 1] if at + 1 < len(found) else None):
            continue
        if group.digits:
            yield from _of_digits(line, found, at, kinds)
        if "nir" in kinds and group.text[0] in "12378":
            for run in runs(found, at, low=13, high=15, most=8, digits=False):
                key = _NIR_KEY.match(line, run.end)
                if nir(run.text) and _free(line, run):
                    yield "nir", run.start, run.end
                elif key and nir(run.text + key[1]):
                    yield "nir", run.start, key.end()
        if "iban" in kinds and len(group.text) >= 2 and group.text[:2].isalpha() and group.text[2:4].isdigit():
            yield from _iban(line, found, at)
        if "vat" in kinds and _VAT_START.match(group.text):
            yield from _vat(line, found, at)
        if "national_id" in kinds:
            yield from _national(line, found, at)


def _begins_none(group: DigitGroup, after: DigitGroup | None) -> bool:
    """Whether no number can begin here: a word, or a short group that a word or nothing follows. It saves most work."""
    if not group.digits and len(group.text) > 2 and group.text.isalpha():
        return True
    if len(group.text) >= 8:
        return False
    return after is None or after.joint is None or (group.digits and len(after.text) > 1 and after.text.isalpha())


def _of_digits(line: str, found: list[DigitGroup], at: int, kinds: frozenset[str]) -> Iterator[Place]:
    first = found[at]
    if "card" in kinds and first.text[0] in "23456" and len(first.text) in (4, 8, 13, 14, 15, 16, 19):
        for run in runs(found, at, low=13, high=19, most=5, digits=True, joints=" \u00a0\u202f\u2009-\u2010\u2011."):
            if (
                run.sizes in _CARD_SIZES
                and card(run.text)
                and _free(line, run)
                and not announced(line, run.start, _ISSUED)
            ):
                yield "card", run.start, run.end
                break
    if "rpps" in kinds and _RPPS.search(line, max(0, first.start - NEAR), first.end + 20):
        for run in runs(found, at, low=11, high=11, most=4, digits=True):
            if luhn(run.text):
                yield "rpps", run.start, run.end
    if ("siret" in kinds or "siren" in kinds) and announced(line, first.start, _FIRM):
        for run in runs(found, at, low=9, high=14, most=5, digits=True):
            if "siret" in kinds and siret(run.text):
                yield "siret", run.start, run.end
                break
            if "siren" in kinds and siren(run.text) and not _GOES_ON.match(line, run.end):
                yield "siren", run.start, run.end
                break


def _iban(line: str, found: list[DigitGroup], at: int) -> Iterator[Place]:
    size = iban_lengths().get(found[at].text[:2].upper())
    if size is None:
        return
    for run in runs(found, at, low=size, high=size, most=10, digits=False):
        if iban(run.text) and _free(line, run):
            yield "iban", run.start, run.end


def _vat(line: str, found: list[DigitGroup], at: int) -> Iterator[Place]:
    first = found[at]
    whole = len(first.text) > 2  # the country stands directly before the digits
    for run in runs(found, at, low=10, high=14, most=5, digits=False, mixed=True):
        country = run.text[:2]
        sure = whole or country == "FR" or announced(line, run.start, _VAT)
        if sure and any(c.isdigit() for c in run.text[2:]) and vat(run.text) and _free(line, run):
            yield "vat", run.start, run.end
            break


def _national(line: str, found: list[DigitGroup], at: int) -> Iterator[Place]:
    first = found[at]
    if not any(c.isdigit() for c in first.text) and len(first.text) > 2:
        return
    for run in runs(found, at, low=8, high=16, most=6, digits=False, mixed=True):
        if not _any_form().fullmatch(run.text):
            continue
        as_written = line[run.start : run.end]
        for number in _possible(line):
            if not number.form.fullmatch(run.text):
                continue
            sure = number.alone is not None and number.alone.fullmatch(as_written) is not None
            if not sure and (number.words is None or not announced(line, run.start, number.words)):
                continue
            # In Finland the mark between date and number is part of it.
            if not _free(line, run):
                continue
            if _rule(number.rule)(as_written if number.rule == "fi.hetu" else run.text):
                yield "national_id", run.start, run.end
                return


def _free(line: str, run: DigitRun) -> bool:
    return not glued(line, run.start, run.end)
