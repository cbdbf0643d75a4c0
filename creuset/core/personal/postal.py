"""Postal addresses of France, Germany, Austria, Spain, Britain, Ireland, the United States: number, street, code.

A street and a number alone are not enough ("In 1989 Wall Street laughed"): a postal code and the name of a town must
follow, on the same line or the next; or a word such as "lives at" or "Anschrift" comes before; or nothing else is said.
French is the exception: the number stands before the kind of street, in small letters, and its name has a capital.
"""

import re
from collections.abc import Iterator

_UPPER = "A-ZÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖÙÚÛÜÝŒ"
_CAP = rf"[{_UPPER}][\w'’-]*"
_SEP = r"(?:\s?[,–—-]\s*|[^\S\n]+|\s?\n\s?)"

_STREETS_FR = (
    r"rue|avenue|av\.|ave\.?|boulevard|bd\.?|bld\.?|place|pl\.|chemin|ch\.|allées?|impasse|quai|route|rte|cours"
    r"|square|passage|"
    r"faubourg|fg|cité|villa|sentier|ruelle|esplanade|promenade|rond-point|mail|montée|côte|voie|venelle|traverse"
    r"|lotissement|"
    r"résidence|hameau|parvis|clos|domaine|galerie"
)
_STREETS_FR += "|" + "|".join(word.capitalize() for word in ("rue", "avenue", "boulevard", "place", "chemin", "allée",
    "impasse", "quai", "route", "cours", "square", "passage", "résidence"))  # fmt: skip
_TOWN_FR = (
    rf"(?:(?:Le|La|Les|LE|LA|LES|Saint|Sainte|SAINT|SAINTE|St|Ste|Bourg|Fort|Mont)[ -]|L['’])?{_CAP}"
    rf"(?:[ -](?:sur|sous|en|lès|lez|de|du|des|la|le|les|d['’]|l['’]|aux?|et)(?:[ -](?:la|le|les))?[ -]?{_CAP}){{0,2}}"
    r"(?: (?:CEDEX|Cedex|cedex)(?: \d{1,2}\b)?| \d{1,2}(?:e|er|ème)\b)?"
)
_FR = re.compile(
    rf"(?<![\w.,/-])\d{{1,4}}(?:[ -]?(?:bis|ter|quater|[A-Da-d]\b)"
    rf"|[/-]\d{{1,4}})?,?\s(?:{_STREETS_FR})\s[^\n;:!?]{{2,60}}?{_SEP}"
    rf"(?:F-|FR-)?(?:0[1-9]|[1-8]\d|9[0-8])\d ?\d{{2}}\s(?:{_TOWN_FR})"
)

_PREPOSITION = (
    r"(?:Am|An der|An den|An|Im|In der|In den|In dem|Auf der|Auf dem|Auf den|Zum|Zur|Zu den|Unter den|Unter der"
    r"|Bei der|Beim|"
    r"Hinter der|Hinter dem|Vor dem|Vor der|Alter?|Alte[rs]?|Neue[rs]?|Große[rs]?|Kleine[rs]?|Lange[rs]?"
    r"|Kurze[rs]?|Hohe[rs]?|"
    r"Obere[rs]?|Untere[rs]?|Breite[rs]?|Sankt|St\.)"
)
_KIND_DE = (
    r"(?:[Ss]tra(?:ß|ss)e|[Ss]tr\.|[Gg]asse|[Ww]eg|[Pp]latz|[Aa]llee|[Uu]fer|[Dd]amm|[Rr]ing|[Ss]tieg|[Ss]teig"
    r"|[Hh]of|[Mm]arkt|"
    r"[Bb]erg|[Gg]raben|[Cc]haussee|[Pp]fad|[Pp]ark|[Tt]or|[Ww]all|[Zz]eile|[Kk]amp|[Ff]eld|[Gg]arten|[Hh]öhe"
    r"|[Bb]rücke|[Tt]wiete|"
    r"[Kk]ai|[Ll]eite|[Hh]alde|[Ww]inkel|[Rr]ain|[Bb]ogen|[Pp]romenade|[Ss]tieg|[Dd]eich|[Ee]ck)"
)
_STREET_DE = (
    rf"(?:{_PREPOSITION}(?: {_CAP}){{1,2}}|[{_UPPER}][\wäöüß'’-]*{_KIND_DE}"
    rf"|(?:[{_UPPER}][\wäöüß-]*[\w] )?[{_UPPER}][\wäöüß-]*(?:er|e|n|s)? {_KIND_DE}|"
    rf"(?:{_CAP}-){{1,3}}{_KIND_DE})"
)
_NUMBER_DE = r"\d{1,4}(?:[^\S\n]?[a-k]\b)?(?:[^\S\n]?[-–/+][^\S\n]?\d{1,4}[a-k]?)?"
_TOWN_DE = (
    rf"(?:(?:Bad|Sankt|St\.|Markt|Neu|Alt|Groß|Klein) )?{_CAP}"
    rf"(?: (?:am|an der|an den|im(?! (?:J|F|M|A|S|O|N|D)\w+(?:r|z|l|i|t|n)\b)|in der|bei|ob der|vor der|auf dem"
    rf"|a\.[^\S\n]?d\.|a\.|i\.)[^\S\n]?{_CAP}|/{_CAP}| \({_CAP}\))?"
)
_DE = re.compile(
    rf"(?<![\w-]){_STREET_DE}\s{_NUMBER_DE}{_SEP}(?:(?:[^\n,;:]{{2,25}},\s)?)(?:D-|A-|CH-|DE-"
    rf"|AT-)?\d{{4,5}}\s{_TOWN_DE}"
)

_STREET_ES = (
    r"(?:[Cc]alle|CALLE|C/|[Cc]\.|[Aa]venida|[Aa]v(?:da|d)?\.?|[Pp]laza|[Pp]za\.?|[Pp]l\.|[Pp]aseo|[Pp]º"
    r"|[Cc]amino|[Rr]onda|[Tt]ravesía|"
    r"[Cc]arretera|[Cc]tra\.?|[Gg]lorieta|[Rr]ambla|[Gg]ran [Vv]ía|[Cc]allejón|[Pp]asaje|[Cc]arrer|[Cc]uesta"
    r"|[Bb]arrio|[Uu]rbanización)"
)
_TOWN_ES = (
    rf"(?:(?:A|La|El|Las|Los|San|Santa|Santo|Sant|Vila|Puerto|Puente|Ciudad|Villa|Alcalá) |L['’])?{_CAP}"
    rf"(?: (?:de|del|y)(?: (?:la|las|los|el))? {_CAP}){{0,2}}"
)
_ES = re.compile(
    rf"(?<![\w]){_STREET_ES}\s?[^\n;:!?]{{2,50}}?,?\s(?:n[º°.]?\s?|núm\.?\s)?\d{{1,4}}(?:[^\S\n]?(?:bis|[A-F]\b))?"
    rf"[^\n;:!?]{{0,30}}?{_SEP}(?:0[1-9]|[1-4]\d|5[0-2])\d{{3}}\s{_TOWN_ES}"
)

_WORD_EN = rf"(?:[{_UPPER}#][\w'’.-]*|\d{{1,3}}(?:st|nd|rd|th)|of|the|on|upon|in|at|under|de|la|del|and|&)"
_FLAT = r"(?:(?:Flat|Unit|Apartment|Apt\.?|Suite|Floor|Room) \w{1,5},?\s)?"
_HOUSE = r"\d{1,6}(?:[A-Za-z]\b|[-–/]\d{1,5})?,?\s"
_STATES = (
    "AL|AK|AZ|AR|CA|CO|CT|DE|FL|GA|HI|IA|ID|IL|IN|KS|KY|LA|MA|MD|ME|MI|MN|MO|MS|MT|NC|ND|NE|NH|NJ|NM|NV|NY|OH|OK|OR|PA|RI|SC|"
    "SD|TN|TX|UT|VA|VT|WA|WI|WV|WY|DC|PR"
)
_CODE_EN = (
    rf"(?:(?:{_STATES}),?\s\d{{5}}(?:-\d{{4}})?\b|[A-Z]{{1,2}}\d[A-Z\d]?[^\S\n]?\d[ABD-HJLNP-UW-Z]{{2}}\b"
    rf"|Dublin \d{{1,2}}W?\b"
    r")"
)
_EN = re.compile(
    rf"(?<![\w.,/-]){_FLAT}{_HOUSE}(?:{_WORD_EN},?\s+|(?:Apt|Unit|Suite|Ste|Flat|Floor)\.?\s\w{{1,5}},?\s+"
    rf"|\w{{1,5}},\s+){{2,9}}?"
    rf"{_CODE_EN}"
)
# A quick look for codes; it begins with a digit, which makes it fast.
_CODE = re.compile(
    rf"\d(?:\d{{3,4}}\s[{_UPPER}]|\d \d{{3}}\s[{_UPPER}]|\d{{4}}\b|[ABD-HJLNP-UW-Z]{{2}}\b|(?<=Dublin \d)\d?)"
)

# Without a code: number and street behind a word that announces them.
_NAME = r"[A-ZÀÂÇÉÈÊËÎÏÔÛÜ][\w'’-]+"
_BARE = (
    re.compile(
        rf"(?<![\w.,/-])\d{{1,4}}(?: ?(?:bis|ter|quater|[A-D]))?,? (?:{_STREETS_FR}) "
        rf"(?:(?:de la|de l['’]|de|du|des|d['’]|le|la|les|l['’]|saint|sainte) ?)*{_NAME}(?: {_NAME})*"
    ),
    re.compile(
        r"(?<![\w.,/-])\d{1,5}[A-Da-d]? (?:[A-Z][\w'’.]* ){1,3}(?:Street|St\.|Avenue|Ave\.|Road|Rd\.|Lane|Ln\."
        r"|Drive|Dr\.|"
        r"Boulevard|Blvd\.|Terrace|Crescent|Way|Close|Court|Gardens|Square|Place)(?![\w])"
    ),
    re.compile(rf"(?<![\w-])(?:{_STREET_DE})\s{_NUMBER_DE}(?![\w.,]*\d)"),
    re.compile(
        rf"(?<![\w]){_STREET_ES} ?(?:(?:de la|de los|de las|del|de|la|el|los|las) )*[{_UPPER}][\wáéíóúñ]+"
        rf"(?: (?:de |del |la |y )*[{_UPPER}][\wáéíóúñ]+)*,? (?:n[º°.]? ?)?\d{{1,4}}"
    ),
)
_ALONE_FR = re.compile(_BARE[0].pattern.replace(r"\d{1,4}", r"\d{1,3}", 1))  # a year is no number of a house
_STEMS = (
    "adress", "address", "habit", "demeur", "domicil", "résid", "resid", "live", "living", "deliver", "ship", "livr",
    "wohn", "anschrift", "dirección", "vive en", "vivo en", "entreg", "siège social", "office", "firmensitz", "home",
    "send", "sent",
)  # fmt: skip
_ANNOUNCED = re.compile(
    r"(?:[\w-]*adresse|address|habit\w+|demeur\w+|domicili\w+|résid\w+|liv(?:e[sd]?|ing) (?:at|in|on)|resid\w+"
    r"|deliver\w*|"
    r"ship\w* to|livraison|livre[rz]|wohn\w+|anschrift|dirección|vive en|vivo en|entreg\w+|siège social|office"
    r"|firmensitz|home|sen[dt] (?:it|them|this|that))"
    r"\b[^\w\n]{0,3}"
    r"(?:(?:est|is|ist|lautet|es|à|au|aux|in der|im|in|am|at|en|to|of|postale|postal|chez|:)\W{1,2}){0,3}",
    re.I,
)
_BEFORE, _AFTER = 130, 70  # characters of an address around its code


def addresses(text: str) -> Iterator[tuple[int, int]]:
    for begin, end in _around_codes(text):
        window = text[begin:end]
        for pattern in (_FR, _EN, _DE, _ES):
            for match in pattern.finditer(window):
                yield begin + match.start(), begin + match.end()
    for match in _ALONE_FR.finditer(text):
        yield match.span()
    if len(text) < 80 and any(pattern.fullmatch(text.strip()) for pattern in _BARE):  # a field of a form
        yield len(text) - len(text.lstrip()), len(text.rstrip())
    low = text.lower()
    if len(low) != len(text):  # a letter that has two as a small one
        low = text
    for at in sorted({at for stem in _STEMS for at in occurrences(stem, low)}):
        if word := _ANNOUNCED.match(text, at):
            for pattern in _BARE:
                if bare := pattern.match(text, word.end()):
                    yield bare.span()


def occurrences(word: str, text: str) -> Iterator[int]:
    at = text.find(word)
    while at >= 0:
        yield at
        at = text.find(word, at + 1)


def _around_codes(text: str) -> Iterator[tuple[int, int]]:
    """The stretches in which an address can stand: those around postal codes, joined where they meet."""
    begin = end = -1
    for code in _CODE.finditer(text):
        if end < 0 or code.start() - _BEFORE > end:
            if end >= 0:
                yield begin, end
            begin = max(0, code.start() - _BEFORE)
            if begin:  # from the beginning of a word: half a word or number is none
                begin = min(max(begin, text.find(" ", begin) + 1), code.start())
        end = code.end() + _AFTER
    if end >= 0:
        yield begin, end
