"""Telephone numbers, in the ways people write them.

Behind a `+` or `00` the plan of numbers of every country decides (the library phonenumbers). Without one a number could
be anything. So its form must be that of a country where it is written (France, Britain, Germany, Spain, the United
States), or a word must announce it (`Tel.`, `Handy`, `llámame al`), and a country of the word's language must have such
a number. Of two words before a number the nearer one decides: `Tel.` or `Order no.` (labels.py).

The extension and the end of a range belong to no number: of `01 23 45 67 89 / 90` and `... ext. 4` the first part
counts.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from creuset.core.personal.labels import DRAWN, PHONE, phone_follows, reference, strong

_B = " \u00a0\u202f\u2009\u2007"
_S = rf"[{_B}.\-\u2010\u2011\u2013/]"
_END = r"(?!\w)|(?=[xX]\d)"
# A run of digits is taken whole (`\d++`): tried in pieces, 25 digits and a letter took a second, and 40 for ever.
# Each pattern begins with a character and looks back behind it: so the search skips what cannot begin a number.
_AREA = rf"\d{{1,3}}[\])]?(?:{_S}{{0,2}}\({_S}?0?\d{{0,4}}{_S}?\))?(?:{_S}{{0,3}}\d++)+(?:{_END})"
_INTERNATIONAL = re.compile(
    rf"\+(?<![\w.,+]\+){_AREA}|\((?<![\w.,+]\()\+{_AREA}|0(?<![\w.,+]0)0{_S}?(?=[1-9]){_AREA}"
    rf"|\[(?<![\w.,+]\[)(?=\d{{1,3}}\]){_AREA}"
)
_PAIRS = rf"(?:({_S}?)\d\d(?:\1\d\d){{3}}|{_S}\d{{3}}{_S}\d{{3}}{_S}\d{{2}})(?:{_END})"
_FRENCH = re.compile(
    rf"0(?<![\w+]0)[1-9]{_PAIRS}"
    rf"|0(?<![\w+]0)[1-9]\d\d({_S})(?:\d\d\2\d\d\2\d\d|\d{{3}}\2\d{{3}})(?:{_END})"
    rf"|\((?<![\w+]\()0[1-9]\){_S}?\d\d(?:{_S}?\d\d){{3}}(?:{_END})"
    rf"|\((?<![\w+]\()0[1-9]\){_S}\d{{3}}{_S}\d{{3}}{_S}\d{{2}}(?:{_END})"
)
_LOCAL_US = rf"[2-9]\d{{2}}(?(1)\1|[ .\-\u2011])\d{{4}}(?:{_END})"
_AMERICAN = (
    re.compile(rf"[(2-9](?<![\w.+].)(?:(?<=\()[2-9]\d{{2}}\) ?|(?<=[2-9])\d{{2}}([.\-\u2011])){_LOCAL_US}"),
    re.compile(rf"1(?<![\w.+]1)[ .\-\u2011](?:\([2-9]\d{{2}}\) ?|[2-9]\d{{2}}([.\-\u2011])){_LOCAL_US}"),
)
# Forms that hardly any other number has; each must be a number of its country too.
_FORMS = tuple((re.compile(form), region) for form, region in (
    (rf"01(?<![\w+.,/-]01)(?:5\d|6[023]|7\d)\d?{_S}\d{{7,8}}(?![\w])", "DE"),  # mobile numbers
    (r"0(?<![\w+.,/-]0)(?<!\d 0)[2-9]\d{1,4} ?/ ?\d{3,8}(?:[ -]\d{1,4}){0,2}(?![\w])", "DE"),  # area code, slash
    (r"0(?<![\w+.,/-]0)(?<!\d 0)[2-9]\d{2,3} \d{2,3}(?: \d\d){2}(?![\w])", "DE"),
    (rf"0(?<![\w+.,/-]0)[2-9]\d([{_B}])\d{{3}}\1\d\d\1\d\d(?![\w])", "CH"),
    (r"0(?<![\w+.,/-]0)[2378] \d{4} \d{4}(?![\w])", "AU"),
    (rf"9(?<![\w+.,/-]9)[1-8]([{_B}.-])\d{{3}}\1\d\d\1\d\d(?![\w])", "ES"),
    (rf"[6789](?<![\w+.,/-].)\d\d([{_B}.-])\d\d\1\d\d\1\d\d(?![\w])", "ES"),
    (rf"[(0](?<![\w+.,/-].)(?:(?<=\()0(?:2\d|11\d|1\d1|1\d{{3}})\)|(?<=0)(?:2[03489]|1\d1|11\d|1\d{{3}}|7\d{{3}})){_S}"
     rf"\d{{3,4}}{_S}?\d{{3,4}}(?![\w])", "GB"),
))  # fmt: skip
_NATIONAL = re.compile(
    # An area code may stand before " / "; behind a whole number it parts two of them.
    r"[(\d](?<![\w+.,].)(?:(?:(?<=0)|(?<=\()0)\d{2,4}\)? / ?(?=\d[\d ]{3,11}(?!\d| ?/))"
    r"|(?<=0)(?: \d\d){1,2} / ?(?=\d[\d -]{3,11}(?!\d| ?/))"
    rf"|(?:(?<=\()\d{{1,6}}|(?<=\d)\d{{0,5}})\)?)(?:(?! ?/ ){_S}{{0,3}}\d++){{0,12}}(?:{_END})"
)
_AMOUNT = re.compile(
    r"\s?(?:€|\$|£|%|euros?\b|francs?\b|dollars?\b|km\b|kg\b|kWh\b|m²|m³|bytes?\b|octets\b|habitants\b|people\b|"
    r"inhabitants\b|personas\b|Einwohner\b|Tsd\b|acciones\b|actions\b|shares\b|Aktien\b|units?\b|points?\b)"
)
_YEARS = re.compile(r"(?:1[5-9]|20)\d\d[-\u2010-\u2013/](?:1[5-9]|20)\d\d(?!\d)")
_IN_FRENCH = re.compile(r"t[é]l|appel|portable|joindre|joignable|rappel|permanence|ligne", re.I)
_FRENCH_REGIONS = ("FR", "BE", "CH", "RE", "GP", "MQ", "GF", "LU")
_REGIONS = ("DE", "AT", "CH", "ES", "GB", "IE", "US", "IT", "NL", "BE", "PT", "FR")
_ELSEWHERE = (
    *_REGIONS,
    "RE",
    "GP",
    "MQ",
    "GF",
    "LU",
    "AU",
    "NZ",
    "MX",
    "AR",
    "CO",
    "CL",
    "PE",
    "BR",
    "IN",
    "ZA",
    "PL",
    "MA",
)


def phones(line: str) -> Iterator[tuple[int, int]]:
    """Where telephone numbers stand in `line`."""
    for match in _INTERNATIONAL.finditer(line):
        yield from _international(line, match)
    for match in _FRENCH.finditer(line):
        if not (_something_else(line, match) or _drawn(match[0])):
            yield match.span()
    for american in _AMERICAN:
        for match in american.finditer(line):
            if not _something_else(line, match) and _is_number("+1" + re.sub(r"^1(?=\d{10}$)", "", _digits(match[0]))):
                yield match.span()
    for pattern, region in _FORMS:
        for match in pattern.finditer(line):
            if not _something_else(line, match) and _is_number(_digits(match[0]), region):
                yield match.span()
    for match in _NATIONAL.finditer(line):
        if match.end() - match.start() >= 7:
            yield from _announced(line, match)


def _international(line: str, match: re.Match[str]) -> Iterator[tuple[int, int]]:
    """The longest beginning of what was written that is a number of some country; the rest may be another number."""
    start = match.start() + (match[0][0] == "(" and ")" not in match[0])
    if _AMOUNT.match(line, match.end()) or (match[0].startswith("00") and re.search(r"\d[-/.]$", line[:start][-2:])):
        return
    if match[0].startswith("00") and reference(line, start):
        return
    announced = PHONE.search(line, max(0, start - 40), start) is not None
    ends = [match.start() + part.end() for part in re.finditer(r"\d+\)?", match[0])]
    for end in reversed(ends):
        written = line[start:end]
        digits = _digits(re.sub(r"\(\s?0\s?\)", "", written))
        if written.startswith("00"):
            digits = digits[2:]
        known = 8 <= len(digits) <= 15 and not _tied(line, end) and _is_number("+" + digits, maybe=announced)
        if known:
            yield start, end
            return


def _announced(line: str, match: re.Match[str]) -> Iterator[tuple[int, int]]:
    """A number without `+` beside a word such as `Tel.`, if a country has such numbers."""
    start = match.start()
    if sum(letter.isdigit() for letter in match[0]) < 7:
        return
    near = line[max(0, start - 50) : start]
    before = PHONE.search(near)
    if not (before or phone_follows(line, match.end())) or _something_else(line, match):
        return
    sure = strong(near)
    narrow = _FRENCH_REGIONS if _IN_FRENCH.search(near) else _REGIONS
    regions = _ELSEWHERE if sure or not before else narrow
    if _YEARS.match(match[0]):
        return
    ends = [start + part.end() for part in re.finditer(r"\d+", match[0])]
    for end in reversed(ends):
        written = line[start:end]
        if written.startswith("(") and ")" not in written:
            written, begin = written[1:], start + 1
        else:
            begin = start
        if written.count("(") != written.count(")") or ("/" in written and written[0] not in "0("):
            continue
        digits = _digits(written)
        if not 7 <= len(digits) <= 13 or _tied(line, end):
            continue
        if any(
            _is_number(digits, region) for region in (narrow if written.isdigit() and len(digits) < 9 else regions)
        ) or (sure and len(digits) >= 10 and digits[0] != "0" and _is_number("+" + digits)):
            yield begin, end
            return


def _something_else(line: str, match: re.Match[str]) -> bool:
    """A mark ties it to a longer number, the nearest word says that it is none, or a unit follows."""
    before = line[max(0, match.start() - 60) : match.start()]
    if re.search(r"(?:\d[.,:–-]|[/=&_#%]|[\w]-)$", before) and not re.search(r"\d{10}/$|(?:\d\d[ .]){4}\d\d/$", before):
        return True
    if _tied(line, match.end()) or _AMOUNT.match(line, match.end()):
        return True
    return DRAWN.search(before) is not None or reference(line, match.start())


def _tied(line: str, end: int) -> bool:
    """Whether more of a longer number follows; the end of a range is none."""
    after = line[end : end + 12]
    if re.match(r"/0[1-9](?:\d{8}|(?:[ .]\d\d){4})", line[end : end + 16]):
        return False  # the next of two numbers
    if re.match(r"(?:[-/\u2013]\d{1,2})+(?![\w]|[.,:/-]\d)", after):
        return False
    return re.match(r"[.,:/\-\u2013]\d|[@_]|-\w", after) is not None


def _drawn(written: str) -> bool:
    """Five numbers up to 50 in rising order look drawn in a lottery, not given out by an operator."""
    parts = [int(part) for part in re.findall(r"\d+", written)]
    return len(parts) == 5 and parts == sorted(set(parts)) and parts[-1] <= 50


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


@lru_cache(maxsize=4096)
def _is_number(digits: str, region: str | None = None, *, maybe: bool = False) -> bool:
    """`maybe`: a number of the right length counts too. Numbers for films are such: nobody can get them."""
    import phonenumbers

    digits = re.sub(r"^\+521(?=\d{10}$)", "+52", digits)  # mobile numbers in Mexico had a 1 until 2019
    try:
        number = phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException:
        return False
    if phonenumbers.is_valid_number(number):
        return True
    if number.country_code == 33 and re.fullmatch(r"[1-9]\d{8}", str(number.national_number)):
        return True
    return maybe and bool(phonenumbers.is_possible_number(number))
