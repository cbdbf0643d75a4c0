"""Personal data and secrets in a text: `find` says what stands where, `mask` puts `[EMAIL]`, `[PHONE]` ... there.

One module for the corpus, the audit, the logs and the server.

    email phone ip               their form, and for phones the plan of numbers of each country
    card iban nir siren siret    their form and their check digits, wherever other digits stand beside them
    vat national_id rpps         numbers of the member states; most need a word that announces them
    secret                       keys and passwords of known forms
    mrz born address             a passport's line by its check digits; dates of birth and streets by their form

A line that holds neither a long number nor a hint of another kind costs one search. How often this is right, and how
often it misses, is measured on labelled lines: validation/recognisers.py, docs/guides/personal-data.md.
"""

import re
from bisect import bisect
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from creuset.core.personal.check_digits import numbers
from creuset.core.personal.keys import secrets
from creuset.core.personal.postal import BEGINS, addresses
from creuset.core.personal.runs import groups
from creuset.core.personal.telephone import phones
from creuset.core.personal.written import births, emails, ips, passports

MASKED = ("email", "phone", "card", "iban", "ip", "nir", "siren", "siret", "national_id", "secret")
KINDS = (*MASKED, "vat", "rpps", "mrz", "address", "born")
PLAIN = ("email", "ip", "secret")  # those that need no library: logs and error messages

# Of places that lie over each other the first of these kinds is taken, then the longer one.
_ORDER = {kind: at for at, kind in enumerate((
    "secret", "mrz", "email", "iban", "nir", "vat", "rpps", "siret", "card", "national_id", "siren", "ip", "phone",
    "born", "address",
))}  # fmt: skip
_NUMBERS = frozenset({"card", "iban", "nir", "siren", "siret", "vat", "rpps", "national_id"})
# A number long enough to be anybody's, or an Italian tax code, behind its first digit: a search for digits is fast.
_LONG = r"(?:(?:[^\S\n]?[().\-/\u2010\u2011\u2013]?[^\S\n]?\d){6}|(?<=[A-Z]{6}\d)\d[A-Z]\d\d[A-Z]\d{3}[A-Z]\b)"
_LONG_NUMBER = re.compile(rf"\d(?<!\d\d)(?={_LONG})")
_BEHIND = 150  # characters behind the beginning of a number that belong to it or tell of it
_DIGITS = re.compile(rf"\d(?<!\d\d)(?={_LONG}()|(?:{BEGINS})())")  # and what may begin an address
# National insurance in the United Kingdom: no check digit, so the words before it are part of the form.
_NINO = re.compile(
    r"(?:[Nn]ational [Ii]nsurance(?: [Nn]umber)?|\bNI (?:[Nn]o\.?|[Nn]umber)|\bNINO)\W{1,4}"
    r"([A-CEGHJ-PR-TW-Z]{2} ?\d\d ?\d\d ?\d\d ?[A-D])\b"
)
_DIGIT = re.compile(r"\d")


@dataclass(frozen=True, slots=True)
class PersonalData:
    """Personal data of one kind at `start` to `end` of a text."""

    kind: str
    start: int
    end: int


def places(text: str, kinds: Collection[str] = KINDS) -> list[PersonalData]:
    """What is recognised in `text`, in order; no two places lie over each other."""
    wanted = frozenset(kinds)
    found: list[PersonalData] = []

    def take(kind: str, spans: Any, offset: int = 0) -> None:
        if kind in wanted:
            found.extend(PersonalData(kind, start + offset, end + offset) for start, end in spans)

    low = text.lower()
    if "secret" in wanted:
        take("secret", secrets(text, low))
    if "email" in wanted:
        take("email", emails(text, low))
    if not _DIGIT.search(text):
        return _apart(found)
    if "ip" in wanted:
        take("ip", ips(text))
    if "mrz" in wanted and "<" in text:
        take("mrz", passports(text))
    if "born" in wanted:
        take("born", births(text, low))
    long, begins = _digits(text, "address" in wanted)
    if "address" in wanted:
        take("address", addresses(text, low, begins))
    by_number = wanted & _NUMBERS
    if by_number or "phone" in wanted:
        for start, end in _lines_with_numbers(text, long):
            line = text[start:end]
            if by_number:
                found.extend(
                    PersonalData(kind, a + start, b + start) for kind, a, b in numbers(line, groups(line), by_number)
                )
            take("phone", phones(line) if "phone" in wanted else (), start)
    if any(word in text for word in ("nsurance", "NINO", "NI n", "NI N")):
        take("national_id", (match.span(1) for match in _NINO.finditer(text)))
    return _apart(found)


def find(text: str, kinds: Collection[str] = KINDS) -> list[tuple[str, str]]:
    """(kind, what stands there) of everything that is recognised."""
    return [(place.kind, text[place.start : place.end]) for place in places(text, kinds)]


def mask(
    text: str, kinds: Collection[str] = MASKED, *, seen: Callable[[str, str], None] = lambda kind, what: None
) -> tuple[str, Counter[str]]:
    """(text with `[KIND]` in the place of personal data, how many of each kind); `seen` gets each (kind, text)."""
    found = places(text, kinds)
    parts, at = [], 0
    for place in found:
        seen(place.kind, text[place.start : place.end])
        parts += [text[at : place.start], f"[{place.kind.upper()}]"]
        at = place.end
    return "".join([*parts, text[at:]]) if parts else text, Counter(place.kind for place in found)


def _digits(text: str, addresses_too: bool) -> tuple[list[int], list[int]]:
    """Where long numbers begin, and where a postal code or a house's number may: one search for both."""
    if not addresses_too:
        return [digit.start() for digit in _LONG_NUMBER.finditer(text)], []
    found = [(digit.start(), digit.lastindex) for digit in _DIGITS.finditer(text)]
    return [at for at, index in found if index == 1], [at for at, _ in found]


def _lines_with_numbers(text: str, long: list[int]) -> Iterator[tuple[int, int]]:
    """Lines that hold a number long enough to be anybody's: most have none.

    A paragraph may be one long line. What announces a number stands within 100 characters before it, and what counts
    behind it is nearer still: of a long line come the parts around its numbers, cut at blanks.
    """
    begin = end = -1
    for at in long:
        if at < end - _BEHIND:
            continue
        start = text.rfind("\n", 0, at) + 1
        stop = text.find("\n", at)
        stop = len(text) if stop < 0 else stop
        cut = text.find(" ", min(at + 2 * _BEHIND, stop), stop)
        low = max(start, at - 160)
        low = text.rfind(" ", start, low) + 1 if low > start else start
        if end >= 0 and low > end:
            yield begin, end
        begin, end = (low if end < 0 or low > end else begin), (stop if cut < 0 else cut)
    if end >= 0:
        yield begin, end


def _apart(found: list[PersonalData]) -> list[PersonalData]:
    """One of each group that lie over each other."""
    kept: list[PersonalData] = []  # by place
    for one in sorted(found, key=lambda f: (_ORDER[f.kind], f.start - f.end)):
        at = bisect(kept, one.start, key=lambda f: f.start)
        if (at == 0 or kept[at - 1].end <= one.start) and (at == len(kept) or one.end <= kept[at].start):
            kept.insert(at, one)
    return kept
