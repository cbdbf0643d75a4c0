"""Personal data that is known by its form: mail and network addresses, dates of birth, lines of passports."""

import ipaddress
import re
from collections.abc import Iterator

from creuset.core.personal.postal import places_of

# Domains that RFC 2606 sets apart for examples are nobody's.
_EXAMPLE = re.compile(
    r"@(?:[\w-]+\.)*(?:example\.(?:com|org|net|edu)|[\w-]+\.(?:example|invalid|test|localhost))$", re.I
)
_LOCAL = re.compile(r"[\w.!#$%'’*+^`{|}~-]{1,64}$")
_DOMAIN = re.compile(r"(?:[^\W_](?:[\w-]{0,62})?\.)+[^\W\d_]{2,24}(?![\w-]|\.[^\W_])")
_AT = re.compile(r"&#64;|&#x40;|&commat;|＠| ?[\[(](?:at|arobase|chez)[\])] ?", re.I)
_AT_WORDS = ("[at]", "(at)", "arobase", "chez]", "chez)")
_SPELLED = re.compile(r"[\w-]+(?: ?[\[(](?:dot|point|punkt|punto)[\])] ?[\w-]+)+", re.I)
_DOTS = re.compile(r" ?[\[(](?:dot|point|punkt|punto)[\])] ?", re.I)
_IPV4 = re.compile(r"\d(?<![\w.]\d)\d{0,2}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?![\w]|\.\d)")
_DOTTED = re.compile(r"\.\d{1,3}\.\d{1,3}\.\d")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{1,4}(?![\w:])")
_HEX = frozenset("0123456789abcdefABCDEF:")
_COLONS = re.compile(r":[0-9a-fA-F]{0,4}:[0-9a-fA-F]")
_VERSIONED = re.compile(
    r"(?:versions?|\bv|\bvers?\.?|release|r[ée]vision|build|patch|update|bios|firmware|driver|pilote|treiber|php|apache|"
    r"nginx|openssl|kernel|noyau|linux|ubuntu|debian|windows|android|ios|macos|chrom\w+|firefox|safari|opera|edge|mozilla|"
    r"webkit|java|jdk|jre|python|ruby|node|mysql|postgres\w*|oracle|office|fig(?:ure|\.|ur)?|abb(?:ildung|\.)|table(?:au)?|"
    r"tab\.|tabelle|section|sections?|§+|chap\w*\.?|kapitel|cap[ií]tulo|art(?:icle|\.|ikel|[ií]culo)?|annexe?|anhang|"
    r"abschnitt|ziffer|absatz|nummer|apartado|p[aá]rrafo|secci[oó]n|paragraphe|policy|clause|item|step|étape|schritt|paso|\bec|equation|[ée]q\.|exercise|exercice|übung|question|rule|règle|oid)"
    r"[\s:/#(-]*$",
    re.I,
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
# Works and companies are born too.
_BORN_THING = re.compile(
    r"\b(?:revista|empresa|sociedad|asociación|banda|grupo|proyecto|idea|periódico|diario|partido|club|festival|marca|canción|"
    r"company|band|magazine|newspaper|project|idea|club|movement|startup|start-up|label|brand|party|song|festival|journal|firm|"
    r"entreprise|société|association|revue|journal|groupe|projet|idée|parti|mouvement|marque|chanson|équipe|"
    r"Zeitschrift|Firma|Gesellschaft|Verein|Gruppe|Projekt|Idee|Zeitung|Partei|Marke|Unternehmen)\b"
    r"(?:[^\n.;:!?,]{0,40})$",
    re.I,
)
_MRZ = re.compile(r"(?<![A-Z0-9<])[A-Z0-9<]{9}\d[A-Z<]{3}\d{6}\d[MFX<]\d{6}\d[A-Z0-9<]{14}[\d<]\d(?![A-Z0-9<])")
_MRZ_MIDDLE = re.compile(r"\d(?<=[A-Z<]\d)\d{6}[MFX<]\d{7}")  # from its first digit on, since that search is fast


def emails(text: str, low: str | None = None) -> Iterator[tuple[int, int]]:
    """Where mail addresses stand: letters of all alphabets, `&#64;`, `[at]`; not `git@host:path`, which is a place."""
    for begin, after in _at_signs(text, text.lower() if low is None else low):
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


def _at_signs(text: str, low: str) -> Iterator[tuple[int, int]]:
    at = text.find("@")
    while at >= 0:
        yield at, at + 1
        at = text.find("@", at + 1)
    if any(form in text for form in ("&#", "&commat;", "＠")) or any(form in low for form in _AT_WORDS):
        for match in _AT.finditer(text):
            yield match.span()


def ips(text: str) -> Iterator[tuple[int, int]]:
    if _DOTTED.search(text):
        for match in _IPV4.finditer(text):
            before = text[max(0, match.start() - 24) : match.start()]
            if public_ip(match[0]) and not _VERSIONED.search(before) and not re.search(r"[A-Za-z]/$", before):
                yield match.span()
    at = 0
    while colons := _COLONS.search(text, at):  # then from the beginning of what it stands in
        start = colons.start()
        while start > at and text[start - 1] in _HEX:
            start -= 1
        whole = _IPV6.match(text, start)
        if whole and public_ip(whole[0]):
            yield whole.span()
        at = max(colons.end(), whole.end() if whole else 0)


def public_ip(text: str) -> bool:
    """A global address; of IPv4 one with two parts of two digits, because sections are numbered like 1.2.3.4."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if address.version == 4:
        return address.is_global and sum(len(part) > 1 for part in text.split(".")) >= 2
    return address.is_global and text[:1] in "23" and len(text.split(":")[0]) == 4  # 2000::/3, all that is given out


_BORN_STEMS = ("né", "naissance", "born", "birth", "dob", "d.o.b", "geb", "naci", "fecha de nac", "date")


def births(text: str, low: str | None = None) -> Iterator[tuple[int, int]]:
    low = text.lower() if low is None else low
    if len(low) != len(text):  # a letter that has two as a small one
        low = text
    for at in places_of(_BORN_STEMS, low):
        match = _BORN.match(text, at)
        if match and not _BORN_THING.search(text, max(0, at - 60), at):
            yield match.span()


def passports(text: str) -> Iterator[tuple[int, int]]:
    for middle in _MRZ_MIDDLE.finditer(text):
        line = _MRZ.match(text, middle.start() - 13) if middle.start() >= 13 else None
        if line and mrz(line[0]):
            yield line.span()


def mrz(line: str) -> bool:
    """Second line of a passport (ICAO 9303, TD3): its five check digits agree (weights 7 3 1, mod 10)."""

    def digit(part: str) -> int:
        values = [0 if c == "<" else int(c, 36) for c in part]
        return sum(v * (7, 3, 1)[i % 3] for i, v in enumerate(values)) % 10

    parts = ((line[:9], line[9]), (line[13:19], line[19]), (line[21:27], line[27]))
    personal = line[42] == str(digit(line[28:42])) or (line[42] == "<" and not line[28:42].strip("<"))
    whole = line[:10] + line[13:20] + line[21:43]
    return personal and all(str(digit(p)) == c for p, c in parts) and line[43] == str(digit(whole))
