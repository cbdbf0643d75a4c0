"""Personal data in a text: what `privacy.py` masks, and what it leaves because no check digit tells it for sure.

    nir siren siret iban card phone email ip    data/clean/privacy.py, with check digits where they exist
    vat        French VAT number: FR, a key of two digits that the SIREN determines, the SIREN (Luhn)
    rpps       French health professionals' number: 11 digits under Luhn, beside a word that announces it
    mrz        second line of a passport (ICAO 9303, TD3): all of its five check digits agree
    address    number, kind of street, name (fr); number, name, kind of street (en): a form, nothing to check
    born       "né le 3 mars 1951", "born on 3 March 1951": a date of birth in full

`benchmarks/privacy/data/personal.jsonl` is a set of invented lines, labelled by hand, hard negatives among them;
`agreement` says how the recognisers do on it. It is small and ours: other text has other traps.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from creuset.core import jsonl
from creuset.data.clean import privacy

MASKED = ("email", "phone", "card", "iban", "ip", "nir", "siren", "siret")
KINDS = (*MASKED, "vat", "rpps", "mrz", "address", "born")
LABELLED = Path(__file__).parent / "data" / "personal.jsonl"

_DIGIT = re.compile(r"\d")
_VAT = re.compile(r"(?<!\w)FR ?(\d{2}) ?(\d{3}) ?(\d{3}) ?(\d{3})(?!\w)")
_RPPS = re.compile(r"\bRPPS\b\D{0,20}(\d{11})(?!\w)", re.I)
_MRZ = re.compile(r"(?<![A-Z0-9<])[A-Z0-9<]{9}\d[A-Z<]{3}\d{6}\d[MFX<]\d{6}\d[A-Z0-9<]{14}[\d<]\d(?![A-Z0-9<])")
_STREETS_FR = (
    "rue|avenue|av\\.|boulevard|bd|place|chemin|allée|impasse|quai|route|cours|square|passage|faubourg|cité|villa|"
    "sentier|ruelle|esplanade|promenade|rond-point"
)
_NAME = r"[A-ZÀÂÇÉÈÊËÎÏÔÛÜ][\w'’-]+"
_ADDRESS_FR = re.compile(
    rf"(?<![\w.,/-])\d{{1,4}}(?: ?(?:bis|ter|quater|[A-D]))?,? (?:{_STREETS_FR}) "
    rf"(?:(?:de la|de l['’]|de|du|des|d['’]|le|la|les|l['’]|saint|sainte) ?)*{_NAME}(?: {_NAME})*"
    rf"(?:,? \d{{5}} {_NAME})?"
)
_ADDRESS_EN = re.compile(
    r"(?<![\w.,/-])\d{1,5}[A-D]? (?:[A-Z][\w'’]+ ){1,3}"
    r"(?:Street|St\.|Avenue|Ave\.|Road|Rd\.|Lane|Ln\.|Drive|Dr\.|Boulevard|Blvd\.|Terrace|Crescent|Way|Close)(?![\w])"
)
_MONTHS = (
    "janvier|février|mars|avril|mai|juin|juillet|août|septembre|octobre|novembre|décembre|"
    "January|February|March|April|May|June|July|August|September|October|November|December"
)
_BORN = re.compile(
    rf"\b(?:née?s? le|born(?: on)?|date de naissance ?:?|date of birth ?:?) "
    rf"(?:\d{{1,2}}(?:er|st|nd|rd|th)? (?:{_MONTHS}),? \d{{4}}|(?:{_MONTHS}) \d{{1,2}}, \d{{4}}"
    r"|\d{2}/\d{2}/\d{4})",
    re.I,
)


def vat(text: str) -> bool:
    """Key = (12 + 3 (SIREN mod 97)) mod 97, and a SIREN that is one."""
    digits = re.sub(r"\D", "", text)
    return (12 + 3 * (int(digits[2:]) % 97)) % 97 == int(digits[:2]) and privacy.siren(digits[2:])


def mrz(line: str) -> bool:
    """Check digits over number, birth, expiry, personal number, and all of these (weights 7 3 1, mod 10)."""

    def digit(part: str) -> int:
        values = [0 if c == "<" else int(c, 36) for c in part]
        return sum(v * (7, 3, 1)[i % 3] for i, v in enumerate(values)) % 10

    parts = ((line[:9], line[9]), (line[13:19], line[19]), (line[21:27], line[27]))
    personal = line[42] == str(digit(line[28:42])) or (line[42] == "<" and not line[28:42].strip("<"))
    whole = line[:10] + line[13:20] + line[21:43]
    return personal and all(str(digit(p)) == c for p, c in parts) and line[43] == str(digit(whole))


def find(text: str) -> list[tuple[str, str]]:
    """(kind, what stands there) of everything that is recognised; nothing is counted under two kinds."""
    found: list[tuple[str, str]] = []

    def swap(pattern: re.Pattern[str], kind: str, holds: Callable[[re.Match[str]], bool] = lambda m: True) -> None:
        nonlocal text

        def one(match: re.Match[str]) -> str:
            if not holds(match):
                return match[0]
            found.append((kind, match[0]))
            return f"[{kind.upper()}]"

        text = pattern.sub(one, text)

    if "<" in text:
        swap(_MRZ, "mrz", lambda m: mrz(m[0]))
    if "FR" in text:
        swap(_VAT, "vat", lambda m: vat(m[0]))
    swap(_RPPS, "rpps", lambda m: privacy.luhn(m[1]))
    text = privacy.mask(text, MASKED, seen=lambda kind, what: found.append((kind, what)))[0]
    if _DIGIT.search(text):
        swap(_BORN, "born")
        swap(_ADDRESS_FR, "address")
        swap(_ADDRESS_EN, "address")
    return found


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of one kind, on the labelled lines."""

    right: int          # found and labelled
    wrong: int          # found and not labelled
    missed: int         # labelled and not found


def labelled(path: Path = LABELLED) -> list[tuple[str, list[tuple[str, str]]]]:
    return [(row["text"], [(kind, what) for kind, what in row["has"]]) for _, row in jsonl.read(path)]


def agreement(path: Path = LABELLED) -> dict[str, Agreement]:
    """How `find` does on the labelled lines, kind by kind."""
    right, wrong, missed = Counter[str](), Counter[str](), Counter[str]()
    for text, has in labelled(path):
        said, wanted = Counter(find(text)), Counter(has)
        for (kind, _), n in (said & wanted).items():
            right[kind] += n
        for (kind, _), n in (said - wanted).items():
            wrong[kind] += n
        for (kind, _), n in (wanted - said).items():
            missed[kind] += n
    return {k: Agreement(right[k], wrong[k], missed[k]) for k in KINDS}
