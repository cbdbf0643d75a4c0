"""Personal data that is known by its form: mail and network addresses, streets, dates of birth, lines of passports."""

import ipaddress
import re
from collections.abc import Iterator

# Domains that RFC 2606 sets apart for examples are nobody's.
_EXAMPLE = re.compile(
    r"@(?:[\w-]+\.)*(?:example\.(?:com|org|net|edu)|[\w-]+\.(?:example|invalid|test|localhost))$", re.I
)
_LOCAL = re.compile(r"[\w.!#$%'’*+^`{|}~-]{1,64}$")
_DOMAIN = re.compile(r"(?:[^\W_](?:[\w-]{0,62})?\.)+[^\W\d_]{2,24}(?![\w-]|\.[^\W_])")
_AT = re.compile(r"&#64;|&#x40;|&commat;|＠| ?[\[(](?:at|arobase|chez)[\])] ?", re.I)
_SPELLED = re.compile(r"[\w-]+(?: ?[\[(](?:dot|point|punkt|punto)[\])] ?[\w-]+)+", re.I)
_DOTS = re.compile(r" ?[\[(](?:dot|point|punkt|punto)[\])] ?", re.I)
_IPV4 = re.compile(r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?![\w]|\.\d)")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{1,4}(?![\w:])")
_VERSIONED = re.compile(
    r"(?:versions?|\bv|\bvers?\.?|release|r[ée]vision|build|patch|update|bios|firmware|driver|pilote|treiber|php|apache|"
    r"nginx|openssl|kernel|noyau|linux|ubuntu|debian|windows|android|ios|macos|chrom\w+|firefox|safari|opera|edge|mozilla|"
    r"webkit|java|jdk|jre|python|ruby|node|mysql|postgres\w*|oracle|office|fig(?:ure|\.|ur)?|abb(?:ildung|\.)|table(?:au)?|"
    r"tab\.|tabelle|section|sections?|§+|chap\w*\.?|kapitel|cap[ií]tulo|art(?:icle|\.|ikel|[ií]culo)?|annexe?|anhang|"
    r"abschnitt|ziffer|absatz|nummer|apartado|p[aá]rrafo|secci[oó]n|paragraphe|policy|clause|item|step|étape|schritt|paso|\bec|equation|[ée]q\.|exercise|exercice|übung|question|rule|règle|oid)"
    r"[\s:/#(-]*$",
    re.I,
)
_STREETS_FR = (
    "rue|avenue|av\\.|boulevard|bd|bld|place|chemin|allée|impasse|quai|route|cours|square|passage|faubourg|cité|villa|"
    "sentier|ruelle|esplanade|promenade|rond-point"
)
_NAME = r"[A-ZÀÂÇÉÈÊËÎÏÔÛÜ][\w'’-]+"
_ADDRESS_FR = re.compile(
    rf"(?<![\w.,/-])\d{{1,4}}(?: ?(?:bis|ter|quater|[A-D]))?,? (?:{_STREETS_FR}) "
    rf"(?:(?:de la|de l['’]|de|du|des|d['’]|le|la|les|l['’]|saint|sainte) ?)*{_NAME}(?: {_NAME})*"
    rf"(?:,? \d{{5}} {_NAME})?"
    # Not case-insensitive: the name of a street has a capital, `20 places assises` has none.
)
_ADDRESS_EN = re.compile(
    r"(?<![\w.,/-])\d{1,5}[A-D]? (?:[A-Z][\w'’]+ ){1,3}"
    r"(?:Street|St\.|Avenue|Ave\.|Road|Rd\.|Lane|Ln\.|Drive|Dr\.|Boulevard|Blvd\.|Terrace|Crescent|Way|Close)(?![\w])"
)
_ADDRESS_DE = re.compile(
    r"(?<![\w-])[A-ZÄÖÜ][\wäöüß-]*(?:[Ss]traße|[Ss]trasse|str\.|[Gg]asse|[Ww]eg|[Pp]latz|[Aa]llee|ufer|damm|ring)"
    r" \d{1,4}"
    r" ?[a-h]?(?![\w.,]*\d)"
    r"(?:,? \d{4,5} [A-ZÄÖÜ][\wäöüß-]+(?: (?:am|an der|im|bei) [A-ZÄÖÜ][\wäöüß]+)?)?"
)
_ADDRESS_ES = re.compile(
    r"(?<![\w])(?:[Cc]alle|C/|[Aa]venida|[Aa]vda\.?|[Pp]laza|[Pp]aseo|[Cc]amino|[Rr]onda) ?"
    r"(?:(?:de la|de los|de las|del|de|la|el|los|las) )*"
    r"[A-ZÁÉÍÓÚÑ][\wáéíóúñ]+(?: (?:de |del |la |y )*[A-ZÁÉÍÓÚÑ][\wáéíóúñ]+)*"
    r",? (?:n[º°.]? ?)?\d{1,4}(?:,? \d{1,2}[º°]?[A-D]?(?!\d))?"
    r"(?:,? \d{5} (?:(?:A|La|El|Las|Los) )?[A-ZÁÉÍÓÚÑ][\wáéíóúñ]+)?"
)
_MONTHS = (
    "janvier|février|mars|avril|mai|juin|juillet|août|septembre|octobre|novembre|décembre|"
    "January|February|March|April|May|June|July|August|September|October|November|December|"
    "Januar|Jänner|Februar|März|Mai|Juni|Juli|Oktober|Dezember|"
    "enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|octubre|noviembre|diciembre"
)
_DATE = (
    rf"(?:\d{{1,2}}(?:er|st|nd|rd|th|\.)? (?:de |of )?(?:{_MONTHS}),?(?: de| del)? \d{{4}}|"
    rf"(?:{_MONTHS}) \d{{1,2}}(?:st|nd|rd|th)?, \d{{4}}"
    r"|\d{1,2}[/.-]\d{1,2}[/.-]\d{4}|\d{4}-\d{2}-\d{2})"
)
_BORN = re.compile(
    r"\b(?:né(?:e|\(e\)|·e)?s? le|date de naissance|naissance le|born(?: on)?(?: the)?|date of birth|birth ?date|"
    r"d\.?o\.?b\.?|"
    r"geb(?:oren|\.)(?: am)?|geburtsdatum|nacid[oa]s?(?: el)?(?: día)?|fecha de nacimiento|nació el)"
    rf"(?: ?:| ist| est(?: le)?| es(?: el)?| is)? ?{_DATE}",
    re.I,
)
_MRZ = re.compile(r"(?<![A-Z0-9<])[A-Z0-9<]{9}\d[A-Z<]{3}\d{6}\d[MFX<]\d{6}\d[A-Z0-9<]{14}[\d<]\d(?![A-Z0-9<])")


def emails(text: str) -> Iterator[tuple[int, int]]:
    """Where mail addresses stand: letters of all alphabets, `&#64;`, `[at]`; not `git@host:path`, which is a place."""
    for begin, after in _at_signs(text):
        before = _LOCAL.search(text, max(0, begin - 64), begin)
        if before is None:
            continue
        start = begin - len(before[0].lstrip("'’`*_/={|}.!?$&#"))
        rest = text[after : after + 300]
        domain = _DOMAIN.match(rest)
        if domain is None and after - begin > 1:
            domain = _SPELLED.match(rest)
        if domain is None or start == begin:
            continue
        end = after + domain.end()
        if re.search(r"://[^\s/@]*:$", text[max(0, start - 90) : start]):  # a password in an address of the web
            continue
        if re.match(r":[^\s\d/]|:/?[\w.~-]+/", text[end : end + 40]):  # user@host:path, as git and scp write it
            continue
        if not _EXAMPLE.search("@" + _DOTS.sub(".", domain[0])):
            yield start, end


def _at_signs(text: str) -> Iterator[tuple[int, int]]:
    at = text.find("@")
    while at >= 0:
        yield at, at + 1
        at = text.find("@", at + 1)
    if any(
        form in text for form in ("&#", "&commat;", "＠", "[at]", "(at)", "arobase", "[AT]", "(AT)", "chez]", "chez)")
    ):
        for match in _AT.finditer(text):
            yield match.span()


def ips(text: str) -> Iterator[tuple[int, int]]:
    if text.count(".") >= 3:
        for match in _IPV4.finditer(text):
            before = text[max(0, match.start() - 24) : match.start()]
            if before and (before[-1].isalnum() or before[-1] in "._"):
                continue
            if public_ip(match[0]) and not _VERSIONED.search(before) and not re.search(r"[A-Za-z]/$", before):
                yield match.span()
    if "::" in text or text.count(":") >= 7:
        for match in _IPV6.finditer(text):
            if public_ip(match[0]):
                yield match.span()


def public_ip(text: str) -> bool:
    """A global address; of IPv4 one with two parts of two digits, because sections are numbered like 1.2.3.4."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if address.version == 4:
        return address.is_global and sum(len(part) > 1 for part in text.split(".")) >= 2
    return address.is_global and text[:1] in "23" and len(text.split(":")[0]) == 4  # 2000::/3, all that is given out


def births(text: str) -> Iterator[tuple[int, int]]:
    return (match.span() for match in _BORN.finditer(text))


def addresses(text: str) -> Iterator[tuple[int, int]]:
    for pattern in (_ADDRESS_FR, _ADDRESS_EN, _ADDRESS_DE, _ADDRESS_ES):
        for match in pattern.finditer(text):
            yield match.span()


def passports(text: str) -> Iterator[tuple[int, int]]:
    for match in _MRZ.finditer(text):
        if mrz(match[0]):
            yield match.span()


def mrz(line: str) -> bool:
    """Second line of a passport (ICAO 9303, TD3): its five check digits agree (weights 7 3 1, mod 10)."""

    def digit(part: str) -> int:
        values = [0 if c == "<" else int(c, 36) for c in part]
        return sum(v * (7, 3, 1)[i % 3] for i, v in enumerate(values)) % 10

    parts = ((line[:9], line[9]), (line[13:19], line[19]), (line[21:27], line[27]))
    personal = line[42] == str(digit(line[28:42])) or (line[42] == "<" and not line[28:42].strip("<"))
    whole = line[:10] + line[13:20] + line[21:43]
    return personal and all(str(digit(p)) == c for p, c in parts) and line[43] == str(digit(whole))
