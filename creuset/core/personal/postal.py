"""Postal addresses of ten countries: FR, BE, CH, DE, AT, ES, GB, IE, US, CA.

An address is a house or a place, a street, a postal code and a town, in the order of its country; units (a flat, a
floor, a building) may stand between. A street and a number alone are not enough ("In 1989 Wall Street laughed"): a
word such as "lives at" or "Anschrift" must announce them, or nothing else is said. French is the exception: there the
number stands before the kind of street, in small letters, and its name has a capital.
"""

import re
from collections.abc import Iterable, Iterator

from creuset.core.personal import streets as s

_FILL = r"[^\n;:!?,()]"  # what a street's name may hold
_FR = (
    re.compile(  # number, street, code, town
        rf"(?<![\w.,/-]){s.BUILDING_FR}{s.NUMBER_FR}(?:,\s?|"
        rf"\s){s.WAY_FR}\s{_FILL}{{2,60}}?(?:{s.BREAK}{s.UNIT_FR}){{0,2}}"
        rf"{s.SEP}{s.CODE_FR}\s(?:{s.TOWN_FR})"
    ),
    re.compile(  # a grand-rue needs no name
        rf"(?<![\w.,/-]){s.NUMBER_FR},?\s(?:[Gg]rande?['’]?[ -][Rr]ue|GRANDE? RUE){s.SEP}{s.CODE_FR}\s(?:{s.TOWN_FR})"
    ),
    re.compile(rf"(?<!\w){s.PLACE_FR}\b{_FILL}{{1,50}}?(?:{s.BREAK}{_FILL}{{3,40}}?)?{s.BREAK}{s.CODE_FR}\s(?:{s.TOWN_FR})"),
    re.compile(  # number behind the street: Belgium, Switzerland
        rf"(?<!\w){s.WAY_FR}\s{_FILL}{{2,40}}?,?\s{s.NUMBER_FR}(?:{s.BREAK}{s.UNIT_FR})?{s.SEP}{s.CODE_BE}\s(?:{s.TOWN_FR})"
    ),
    re.compile(rf"(?<![\w.,/-]){s.NUMBER_FR},?\s{s.WAY_FR}\s{_FILL}{{2,40}}?{s.SEP}{s.CODE_BE}\s(?:{s.TOWN_FR})"),
)  # fmt: skip
_DE = (
    re.compile(rf"(?<![\w-]){s.STREET_DE}\s{s.NUMBER_DE}{s.SEP}(?:(?:[^\n,;:]{{2,25}},\s)?){s.CODE_DE}\s{s.TOWN_DE}"),
)
_DE_PLAIN = re.compile(
    rf"(?<![\w-]){s.PLAIN_DE}\s{s.NUMBER_DE}(?:,\s|\s?\n\s?)(?!(?:1[5-9]|20)\d\d\s){s.CODE_DE}\s{s.TOWN_DE}"
)
_ES = (
    re.compile(
        rf"(?<![\w]){s.STREET_ES}\s?[^\n;:!?]{{2,50}}?,?\s(?:{s.NUMBER_ES})(?:{s.BREAK}{s.UNIT_ES}){{0,3}}"
        rf"{s.SEP}{s.CODE_ES}\s{s.TOWN_ES}"
    ),
)
_EN = (
    re.compile(
        rf"(?<![\w.,/-])(?:{s.UNIT_EN}(?:,\s|\s?\n\s?)(?:{s.HOUSE_EN}(?:,\s|\s?\n\s?))?)?"
        rf"[NSEW]?\d{{1,6}}(?:[A-Za-z]\b|[-–/]\d{{1,5}}[A-Za-z]?|\s1/2)?,?\s"
        rf"(?:{s.WORD_EN}[,.]?\s+|{s.UNIT_EN},?\s+|\w{{1,5}},\s+){{1,10}}?{s.CODE_EN}"
    ),
    re.compile(
        rf"(?<![\w.,/-])(?:RR|HC|Rural Route)\s\d{{1,3}},?\sBox\s\w{{1,6}},?\s(?:{s.WORD_EN},?\s+){{1,4}}?{s.CODE_EN}"
    ),
)
_NAMED = (
    re.compile(  # a unit and the name of a building
        rf"(?<![\w.,/-])(?:Flat|Unit|Apartment|Suite)\s\w{{1,4}},\s(?:{s.WORD_EN}[,.]?\s+){{1,9}}?{s.CODE_UK}"
    ),
    re.compile(  # a house that has a name
        rf"(?<![\w.,/-]){s.HOUSE_EN},\s(?:[A-Z][\w'’-]*\s){{0,3}}{s.KIND_EN},?\s(?:{s.WORD_EN}[,.]?\s+){{0,7}}?{s.CODE_UK}"
    ),
)
_CONTINENT = (*_FR, *_DE, *_ES)
_CODE_FIRST = re.compile(rf"\d(?:\d{{3,4}}|\d \d{{3}})\s[{s.UPPER}]")  # the town follows
_CODE_LAST = re.compile(r"\d(?:\d{4}\b|[A-Z]{2}\b|[A-Z]\d\b|[\dW] [A-Z][A-Z\d]{3}\b)|Dublin \d")
# Where a code may stand; each begins with a digit, which makes the search fast.
_CODE_REST = (
    rf"(?:\d{{3,4}}\s[{s.UPPER}]|\d \d{{3}}\s[{s.UPPER}]|\d{{4}}(?=\b|-\d{{4}})|[A-Z]{{2}}\b|[A-Z]\d\b"
    rf"|(?<=Dublin \d)\d?|\d?[\dW] [A-Z][A-Z\d]{{3}}\b)"
)
_CODE = re.compile(rf"\d(?<!\d\d){_CODE_REST}")
_YEAR = re.compile(r"(?:1[5-9]|20)\d\d\s")  # a code of four digits that could be a year follows a mark
_PARTED = re.compile(r"(?:[,–—-]\s?|\n\s?|[A-Z]-)$")
_STATE = re.compile(rf"\b(?:{s.STATES}),?\s$")

# Without a code: number and street behind a word that announces them.
_NAME = r"[A-ZÀÂÇÉÈÊËÎÏÔÛÜ][\w'’-]+"
_BARE = (
    re.compile(
        rf"\d(?<![\w.,/-]\d)\d{{0,3}}(?: ?(?:bis|ter|quater|[A-D]\b))?,? {s.WAY_FR} "
        rf"(?:(?:de la|de l['’]|de|du|des|d['’]|le|la|les|l['’]|saint|sainte) ?)*{_NAME}(?: {_NAME})*"
    ),
    re.compile(rf"\d(?<![\w.,/-]\d)\d{{0,4}}[A-Da-d]? (?:[A-Z][\w'’.]* ){{1,3}}{s.KIND_EN}(?![\w])"),
    re.compile(rf"(?<![\w-])(?:{s.STREET_DE})\s{s.NUMBER_DE}(?![\w.,]*\d)"),
    re.compile(
        rf"(?<![\w]){s.STREET_ES} ?(?:(?:de la|de los|de las|del|de|la|el|los|las) )*[{s.UPPER}][\wáéíóúñ]+"
        rf"(?: (?:de |del |la |y )*[{s.UPPER}][\wáéíóúñ]+)*,? (?:n[º°.]? ?)?\d{{1,4}}"
    ),
)
# Both orders that begin with a number, in one search; a year is no number of a French house.
_HOUSE_REST = (
    rf"\d{{0,4}}(?: ?(?:bis|ter|quater|[A-D]\b)|[a-d]\b)?,? (?:(?P<french>{s.WAY_FR} "
    rf"(?:(?:de la|de l['’]|de|du|des|d['’]|le|la|les|l['’]|saint|sainte) ?)*{_NAME}(?: {_NAME})*)"
    rf"|(?:[A-Z][\w'’.]* ){{1,3}}{s.KIND_EN}(?!\w))"
)
_HOUSE = re.compile(rf"\d(?<![\w.,/-]\d){_HOUSE_REST}")
# What may begin a code or a house's number behind its first digit: for a search that looks for more beside them.
BEGINS = rf"{_CODE_REST}|{_HOUSE_REST.replace('?P<french>', '?:')}"
_BEGINS = re.compile(rf"\d(?<!\d\d)(?={BEGINS})")
_COUNTS = re.compile(
    r"\b(?:pages?|pp?\.|chapitres?|articles?|tomes?|volumes?|salles?|figures?|lignes?|sections?)\s$", re.I
)
# What announces a street in German and Spanish; in French and English the house's number is found first.
_STEMS = ("wohn", "anschrift", "adress", "firmensitz", "dirección", "viv", "domicil", "entreg", "resid")
_ANNOUNCED = re.compile(
    r"(?:[\w-]*adresse|address|habit\w+|demeur\w+|domicili\w+|résid\w+|liv(?:e[sd]?|ing) (?:at|in|on)|resid\w+"
    r"|deliver\w*|"
    r"ship\w* to|livraison|livre[rz]|wohn\w+|anschrift|dirección|vive en|vivo en|entreg\w+|siège social|office"
    r"|firmensitz|home|sen[dt] (?:it|them|this|that))"
    r"\b[^\w\n]{0,3}"
    r"(?:(?:est|is|ist|lautet|es|à|au|aux|in der|im|in|am|at|en(?: la| el)?|to|of|postale|postal|chez|:)\W{1,2}){0,3}",
    re.I,
)
_BEFORE, _AFTER = 130, 70  # characters of an address around its code


def addresses(text: str, low: str | None = None, begins: list[int] | None = None) -> Iterator[tuple[int, int]]:
    """Where addresses stand in `text`.

    `low` is it in small letters, and `begins` the digits at which `BEGINS` follows, if somebody has found them already.
    """
    begins = [digit.start() for digit in _BEGINS.finditer(text)] if begins is None else begins
    for begin, end in _around_codes(text, begins):
        window = text[begin:end]
        first, last = _CODE_FIRST.search(window), _CODE_LAST.search(window)
        ends = set()
        for pattern in (*(_CONTINENT if first else ()), *(_EN if last else ()), *(_NAMED if last else ())):
            for match in pattern.finditer(window):
                if _COUNTS.search(window, max(0, match.start() - 12), match.start()):
                    continue
                ends.add(match.end())
                yield begin + match.start(), begin + match.end()
        for match in _DE_PLAIN.finditer(window) if first else ():
            if match.end() not in ends:
                yield begin + match.start(), begin + match.end()
    for house in filter(None, (_HOUSE.match(text, at) for at in begins)):
        before = text[max(0, house.start() - 60) : house.start()]
        if house["french"]:
            if not text[house.start() : house.start() + 4].isdigit() and not _COUNTS.search(before):
                yield house.span()
        elif any(word.end() == len(before) for word in _ANNOUNCED.finditer(before)):
            yield house.span()
    if len(text) < 80 and any(pattern.fullmatch(text.strip()) for pattern in _BARE):  # a field of a form
        yield len(text) - len(text.lstrip()), len(text.rstrip())
    low = text.lower() if low is None else low
    if len(low) != len(text):  # a letter that has two as a small one
        low = text
    for at in places_of(_STEMS, low):
        if word := _ANNOUNCED.match(text, at):
            for pattern in _BARE:
                if found := pattern.match(text, word.end()):
                    yield found.span()


def places_of(words: Iterable[str], text: str) -> list[int]:
    """Where any of `words` stands in `text`, in order."""
    found = set()
    for word in words:
        at = text.find(word)
        while at >= 0:
            found.add(at)
            at = text.find(word, at + 1)
    return sorted(found)


def _around_codes(text: str, begins: list[int]) -> Iterator[tuple[int, int]]:
    """The stretches in which an address can stand: those around postal codes, joined where they meet."""
    begin = end = -1
    for at in begins:
        code = _CODE.match(text, at)
        if code is None:
            continue
        if code[0].isdigit() and len(code[0]) == 5 and not _STATE.search(text, max(0, at - 17), at):
            continue  # five digits and no name behind them: a ZIP code has its state before it
        if _YEAR.match(code[0]) and not _PARTED.search(text, max(0, at - 3), at):
            continue
        if end < 0 or at - _BEFORE > end:
            if end >= 0:
                yield begin, end
            begin = max(0, at - _BEFORE)
            if begin:  # from the beginning of a word: half a word or number is none
                begin = min(max(begin, text.find(" ", begin) + 1), at)
        end = code.end() + _AFTER
    if end >= 0:
        yield begin, end
