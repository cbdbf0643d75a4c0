"""Telephone numbers, in the ways people write them.

Behind a `+` or `00` the plan of numbers of every country decides (the library phonenumbers). Without one a number could
be anything, so its form must be that of a country where it is written (France, the United States), or a word must
announce it (`Tel.`, `Handy`, `llámame al`), and a country of the word's language must have such a number.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

_B = " \u00a0\u202f\u2009\u2007"
_S = rf"[{_B}.\-\u2010\u2011\u2013/]"
_INTERNATIONAL = re.compile(
    rf"(?<![\w.,+])(?:\(?\+|00{_S}?(?=[1-9])"
    rf"|\[(?=\d{{1,3}}\]))\d{{1,3}}[\])]?(?:{_S}{{0,2}}\(0?\d{{0,4}}\))?(?:{_S}{{0,2}}\d+)+(?![\w])"
)
_FRENCH = re.compile(
    rf"(?<![\w+])(?:\(0[1-9]\)|0[1-9])(?:({_S}?)\d\d(?:\1\d\d){{3}}"
    rf"|(?:{_S})\d{{3}}(?:{_S})\d{{3}}(?:{_S})\d{{2}})(?![\w])"
    rf"|(?<![\w+])0[1-9]\d\d({_S})\d\d\2\d\d\2\d\d(?![\w])"
    rf"|(?<![\w+])0[1-9]\d\d({_S})\d{{3}}\3\d{{3}}(?![\w])"
    rf"|(?<![\w+])\(0[1-9]\){_S}?\d\d(?:{_S}?\d\d){{3}}(?![\w])"
)
_AMERICAN = re.compile(
    r"(?<![\w.+])(?:1[ .\-\u2011])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}([.\-\u2011]))"
    r"[2-9]\d{2}(?(1)\1|[ .\-\u2011])\d{4}(?![\w])"
)
_NATIONAL = re.compile(
    # An area code may stand before " / "; behind a whole number it parts two of them.
    rf"(?<![\w+.,])(?:\(?0\d{{2,4}}\)? / ?(?=\d[\d ]{{3,11}}(?!\d| ?/))"
    rf"|\(?0?\d{{2,5}}\)?)(?:(?! ?/ ){_S}{{0,3}}\d+){{0,5}}(?![\w])"
)
# Forms that no other number has: mobile numbers in Germany, the groups of Spanish numbers.
_MOBILE_DE = re.compile(rf"(?<![\w+.,/-])01(?:5\d|6[023]|7\d)\d?{_S}\d{{7,8}}(?![\w])")
_GROUPED_ES = re.compile(rf"(?<![\w+.,/-])[6789]\d\d([{_B}.-])\d\d\1\d\d\1\d\d(?![\w])")
_WORD = re.compile(
    r"(?:t[ée]l(?:[ée]phone|\.|efon\w*|éfono|\b)|phone|mobile?\b|portable|gsm\b|natel\b|m[oó]vil|celular|handy"
    r"|fax|cell|"
    r"call(?:ed|ing)?\b|ring\b|text(?:ed)? (?:me|him|her|us)|dial|appel\w*|joindre|joignable|rappel\w*|contact\w*|sms|"
    r"r[ée]ception|recepci[oó]n|accueil|zentrale|centralita|switchboard|landline|festnetz|fijo\b|mi n[uú]mero|"
    r"my number|mon num[ée]ro|meine nummer|tfno|tlf\b|\w*ruf\b|rufen\b|erreich\w*|whats ?app|"
    r"signal\b|anruf\w*|ruf\w*nummer|erreichbar|ll[aá]m\w*|n[uú]mero de tel\w*|hotline|helpline|durchwahl|"
    r"standard\b|permanence|urgence|ligne|☎|☏|📞|📱|✆|\bT\.? ?:|\bF\.? ?:|\bM\.? ?:|\bph\.?:)",
    re.I,
)
# What announces that a number is something else. The first list holds for numbers without groups, the second for all.
_REFERENCE = (
    r"isbn|issn|ean|doi|r[ée]f(?:[ée]rence|erenz|\.|erencia|\b)|n°|nº|no\.|nr\.?|commande|order|invoice|facture"
    r"|rechnung\w*|"
    r"bestell\w*|pedido|factura|dossier|ticket|sku|article|artikel\w*|id|code|siren|siret|rcs|tva|iban|compte|konto\w*|"
    r"account|cuenta|version|patent|brevet|pubmed|pmid|oclc|arxiv|serial|seriennummer|imei|vin|population|colis|suivi|"
    r"tracking|sendung\w*|env[ií]o"
)
_DRAW = (
    r"powerball|euro ?millions?|bonoloto|keno|primitiva|gagnants?|tirages?|"
    r"loto|lotto|lottery|winning|ziehung|gewinnzahl\w*|sorteo|ganador\w*"
)
_BETWEEN = r"\b[^\w]{0,4}(?:\w{1,12}[^\w]{1,3}){0,2}"
_IS_REFERENCE = re.compile(rf"(?:\b(?:{_REFERENCE}){_BETWEEN}|#)$", re.I)
_IS_DRAW = re.compile(rf"\b(?:{_DRAW}){_BETWEEN}$", re.I)
_AMOUNT = re.compile(
    r"\s?(?:€|\$|£|%|euros?\b|francs?\b|dollars?\b|km\b|kg\b|m²|habitants\b|people\b|inhabitants\b|"
    r"personas\b|Einwohner\b)"
)
_YEARS = re.compile(r"(?:1[5-9]|20)\d\d[-\u2010-\u2013/](?:1[5-9]|20)\d\d(?!\d)")
_IN_FRENCH = re.compile(r"t[é]l|appel|portable|joindre|joignable|rappel|permanence|ligne", re.I)
_FRENCH_REGIONS = ("FR", "BE", "CH", "RE", "GP", "MQ", "GF")
_REGIONS = ("DE", "AT", "CH", "ES", "GB", "IE", "US", "IT", "NL", "BE", "PT", "FR")


def phones(line: str) -> Iterator[tuple[int, int]]:
    """Where telephone numbers stand in `line`."""
    for match in _INTERNATIONAL.finditer(line):
        yield from _international(line, match)
    for match in _FRENCH.finditer(line):
        if not _something_else(line, match) and not _drawn(match[0]):
            yield match.span()
    for match in _AMERICAN.finditer(line):
        if not _something_else(line, match) and _is_number("+1" + re.sub(r"^1(?=\d{10}$)", "", _digits(match[0]))):
            yield match.span()
    for pattern, region in ((_MOBILE_DE, "DE"), (_GROUPED_ES, "ES")):
        for match in pattern.finditer(line):
            if not _something_else(line, match) and _is_number(_digits(match[0]), region):
                yield match.span()
    if _WORD.search(line):
        for match in _NATIONAL.finditer(line):
            yield from _announced(line, match)


def _international(line: str, match: re.Match[str]) -> Iterator[tuple[int, int]]:
    """The longest beginning of what was written that is a number of some country; the rest may be another number."""
    start = match.start()
    if _AMOUNT.match(line, match.end()) or (match[0].startswith("00") and re.search(r"\d[-/.]$", line[:start][-2:])):
        return
    announced = _WORD.search(line, max(0, start - 40), start) is not None
    ends = [start + part.end() for part in re.finditer(r"\d+\)?", match[0])]
    for end in reversed(ends):
        written = line[start:end]
        digits = _digits(re.sub(r"\(0\)", "", written))
        if written.startswith("00"):
            digits = digits[2:]
        known = 8 <= len(digits) <= 15 and not _tied(line, end) and _is_number("+" + digits, maybe=announced)
        if known:
            yield start, end
            return


def _announced(line: str, match: re.Match[str]) -> Iterator[tuple[int, int]]:
    """A number without `+` behind a word such as `Tel.`, if a country has such numbers."""
    near = line[max(0, match.start() - 50) : match.start()]
    if not _WORD.search(near) or _something_else(line, match):
        return
    regions = _FRENCH_REGIONS if _IN_FRENCH.search(near) else _REGIONS
    if _YEARS.match(match[0]):
        return
    start = match.start()
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
        if 7 <= len(digits) <= 13 and not _tied(line, end) and any(_is_number(digits, region) for region in regions):
            yield begin, end
            return


def _something_else(line: str, match: re.Match[str]) -> bool:
    """A mark ties it to a longer number, a word says that it is none, or a unit follows."""
    before = line[max(0, match.start() - 60) : match.start()]
    if re.search(r"(?:\d[.,:–-]|[/=&_#]|[\w]-)$", before) and not re.search(r"\d{10}/$|(?:\d\d[ .]){4}\d\d/$", before):
        return True
    if _tied(line, match.end()) or _AMOUNT.match(line, match.end()):
        return True
    if _IS_DRAW.search(before):
        return True
    bare = match[0].isdigit()
    return bare and _IS_REFERENCE.search(before) is not None and not _WORD.search(before[-14:])


def _tied(line: str, end: int) -> bool:
    """Whether more of a longer number follows."""
    after = line[end : end + 12]
    if re.match(r"/0[1-9](?:\d{8}|(?:[ .]\d\d){4})", line[end : end + 16]):
        return False  # the next of two numbers
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

    try:
        number = phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException:
        return False
    if phonenumbers.is_valid_number(number):
        return True
    if number.country_code == 33 and re.fullmatch(r"[1-9]\d{8}", str(number.national_number)):
        return True
    return maybe and bool(phonenumbers.is_possible_number(number))
