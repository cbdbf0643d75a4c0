"""Personal data in a text: found by `find`, masked by `mask` (`[EMAIL]`, `[PHONE]`, `[CARD]` ...).

    email phone card iban ip nir siren siret    masked in a corpus; with check digits where they exist
    vat        French VAT number: FR, a key of two digits that the SIREN determines, the SIREN (Luhn)
    rpps       French health professionals' number: 11 digits under Luhn, beside a word that announces it
    mrz        second line of a passport (ICAO 9303, TD3): all of its five check digits agree
    address    number, kind of street, name (fr); number, name, kind of street (en): a form, nothing to check
    born       "né le 3 mars 1951", "born on 3 March 1951": a date of birth in full

A number counts only when its form and its check digits agree (Luhn for cards, SIREN and SIRET, mod 97 for IBAN and
NIR). One in ten 9-digit numbers passes Luhn by chance: SIREN and SIRET count only next to a word that announces them.
How right this is was measured: validation/recognisers.py.
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Collection

MASKED = ("email", "phone", "card", "iban", "ip", "nir", "siren", "siret")
KINDS = (*MASKED, "vat", "rpps", "mrz", "address", "born")

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})\.)+[A-Za-z]{2,24}(?![\w-])")
# Domains that RFC 2606 sets apart for examples are nobody's.
_EXAMPLE = re.compile(
    r"@(?:[\w-]+\.)*(?:example\.(?:com|org|net|edu)|[\w-]+\.(?:example|invalid|test|localhost))$", re.I
)

_CARD = re.compile(r"(?<![\w.\-+/])(?:\d[ -]?){12,18}\d(?![\w-]|\.\d)")
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")
_S = r"[ .\u00a0\u202f]"  # between groups of digits; French typography has no-break spaces there
_NIR = re.compile(
    rf"(?<!\w)[12378]{_S}?\d{{2}}{_S}?(?:0[1-9]|1[0-2]|[2-9]\d){_S}?(?:\d{{2}}|2[AB]){_S}?\d{{3}}{_S}?\d{{3}}{_S}?"
    r"\d{2}(?!\w)"
)
_SIRET = re.compile(rf"(?<!\w)\d{{3}}{_S}?\d{{3}}{_S}?\d{{3}}{_S}?\d{{5}}(?!\w)")
_SIREN = re.compile(rf"(?<!\w)\d{{3}}{_S}?\d{{3}}{_S}?\d{{3}}(?![\w]|{_S}?\d)")
_ANNOUNCED = re.compile(r"\b(?:siren|siret|rcs|r\.c\.s\.|immatricul\w+|tva)\b", re.I)
_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{1,4}(?![\w:])")
_VERSION = re.compile(r"(?:version|\bv|\bver\.?|release|php|apache|openssl|section|policy|\bec|§)\s*$", re.I)
_D = r"[ .\-\u00a0\u202f]"
_PHONE = re.compile(
    r"(?<![\w.,/+-])(?:"
    rf"(?:\+|00{_D}?)33{_D}?(?:\(0\){_D}?)?[1-9](?:{_D}?\d{{2}}){{4}}"  # +33 (0)6 12 34 56 78, 0033612345678
    rf"|\+\d{{1,3}}{_D}?(?:\(0?\d{{1,4}}\){_D}?)?\d{{1,4}}(?:{_D}\d{{2,4}}){{1,5}}"  # +44 20 7946 0958, +1 415-555-0132
    r"|\+\d{9,14}"
    r"|\[\d{1,3}\] ?(?:\(\d{1,4}\) ?)?\d{1,4}(?:[ \-]\d{2,4}){1,4}"  # [45] 35-43-02-23
    rf"|0[1-9](?:{_D}\d{{2}}){{4}}"  # 06 12 34 56 78
    r"|0[1-9]\d{8}"
    r"|(?:1[ .\-])?\([2-9]\d{2}\) ?\d{3}[ .\-]\d{4}"  # (415) 555-0132
    r"|(?:1[.\-])?[2-9]\d{2}([.\-])[2-9]\d{2}\1\d{4}"  # 415-555-0132
    r")(?![\w]|[-/]\d|[.,]\d)"
)
_LONG_NUMBER = re.compile(r"\d(?:[ .()\-\u00a0\u202f]{0,2}\d){6}")
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

_CARD_PREFIXES = re.compile(
    r"^(?:4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}|6(?:011|5\d\d)\d{12}|35\d{14}|62\d{14,17})$"
)
# Country and length, as in SWIFT's registry of IBAN formats.
_IBANS = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 "
    "EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 "
    "KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 "
    "PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 "
    "UA29 VA22 VG24 XK20 YE30"
)
IBAN_LENGTHS = {entry[:2]: int(entry[2:]) for entry in _IBANS.split()}


def luhn(digits: str) -> bool:
    """Check digit of cards, SIREN and SIRET (ISO/IEC 7812-1)."""
    total = 0
    for i, digit in enumerate(map(int, reversed(digits))):
        total += digit if i % 2 == 0 else digit * 2 - 9 * (digit > 4)
    return total % 10 == 0


def iban(text: str) -> bool:
    """Length of the country and remainder 1 of the rearranged number mod 97 (ISO 13616)."""
    bare = text.replace(" ", "")
    if IBAN_LENGTHS.get(bare[:2]) != len(bare):
        return False
    return int("".join(str(int(c, 36)) for c in bare[4:] + bare[:4])) % 97 == 1


def nir(text: str) -> bool:
    """French social security number: 13 digits (2A and 2B for Corsica) and 97 - number mod 97."""
    bare = re.sub(_S, "", text)
    number, key = bare[:-2], int(bare[-2:])
    number = number.replace("2A", "19").replace("2B", "18")
    return len(bare) == 15 and number.isdigit() and 97 - int(number) % 97 == key


def card(text: str) -> bool:
    digits = re.sub(r"[ -]", "", text)
    return len(set(digits)) > 1 and _CARD_PREFIXES.match(digits) is not None and luhn(digits)


def siren(text: str) -> bool:
    digits = re.sub(r"\D", "", text)
    return len(digits) == 9 and luhn(digits) and len(set(digits)) > 1


def siret(text: str) -> bool:
    """14 digits under Luhn; those of La Poste (356 000 000) are a multiple of 5 by digit sum instead."""
    digits = re.sub(r"\D", "", text)
    poste = digits.startswith("356000000") and sum(map(int, digits)) % 5 == 0
    return len(digits) == 14 and (luhn(digits) or poste) and len(set(digits)) > 1


def public_ip(text: str) -> bool:
    """A global address; of IPv4 one with two parts of two digits, for sections are numbered like 1.2.3.4."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if address.version == 4:
        return address.is_global and sum(len(part) > 1 for part in text.split(".")) >= 2
    return address.is_global and text[:1] in "23" and len(text.split(":")[0]) == 4  # 2000::/3, all that is given out


def mask(
    text: str, kinds: Collection[str], *, seen: Callable[[str, str], None] = lambda kind, what: None
) -> tuple[str, Counter[str]]:
    """(text with personal data masked, how many of each kind); `seen` is told of each (kind, what stood there)."""
    found: Counter[str] = Counter()

    def swap(pattern: re.Pattern[str], kind: str, holds: Callable[[re.Match[str]], bool]) -> None:
        nonlocal text

        def one(match: re.Match[str]) -> str:
            if not holds(match):
                return match[0]
            found[kind] += 1
            seen(kind, match[0])
            return f"[{kind.upper()}]"

        text = pattern.sub(one, text)

    if "email" in kinds and "@" in text:
        swap(_EMAIL, "email", lambda m: not _EXAMPLE.search(m[0]))
    if "ip" in kinds and text.count(".") >= 3:
        swap(
            _IPV4, "ip", lambda m: public_ip(m[0]) and not _VERSION.search(m.string, max(0, m.start() - 12), m.start())
        )
    if "ip" in kinds and ("::" in text or text.count(":") >= 7):
        swap(_IPV6, "ip", lambda m: public_ip(m[0]))
    if not _LONG_NUMBER.search(text):
        return text, found
    if "\n" in text:
        # Numbers are looked for in the lines that have one long enough: most text has none.
        lines = text.split("\n")
        for i, line in enumerate(lines):
            if _LONG_NUMBER.search(line):
                lines[i], more = mask(line, [k for k in kinds if k not in ("email", "ip")], seen=seen)
                found += more
        return "\n".join(lines), found
    if "iban" in kinds:
        swap(_IBAN, "iban", lambda m: iban(m[0]))
    if "nir" in kinds:
        swap(_NIR, "nir", lambda m: nir(m[0]))
    if "card" in kinds:
        # 14 digits that begin like a Diners card may be a SIRET: the word before them says which.
        swap(_CARD, "card", lambda m: card(m[0]) and not ("siret" in kinds and siret(m[0]) and _announced(m)))
    if "siret" in kinds:
        swap(_SIRET, "siret", lambda m: siret(m[0]) and _announced(m))
    if "siren" in kinds:
        swap(_SIREN, "siren", lambda m: siren(m[0]) and _announced(m))
    if "phone" in kinds:
        swap(_PHONE, "phone", lambda m: 8 <= sum(c.isdigit() for c in m[0]) <= 15)
    return text, found


def _announced(match: re.Match[str]) -> bool:
    return _ANNOUNCED.search(match.string, max(0, match.start() - 40), match.start()) is not None


def vat(text: str) -> bool:
    """Key = (12 + 3 (SIREN mod 97)) mod 97, and a SIREN that is one."""
    digits = re.sub(r"\D", "", text)
    return (12 + 3 * (int(digits[2:]) % 97)) % 97 == int(digits[:2]) and siren(digits[2:])


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
    swap(_RPPS, "rpps", lambda m: luhn(m[1]))
    text = mask(text, MASKED, seen=lambda kind, what: found.append((kind, what)))[0]
    if _DIGIT.search(text):
        swap(_BORN, "born")
        swap(_ADDRESS_FR, "address")
        swap(_ADDRESS_EN, "address")
    return found
