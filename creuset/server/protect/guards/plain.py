"""Texts as guards compare them: written in another way, a word or a number is still the same.

`folded` is for words. Personal data is looked for in the text as it stands, in the text without what is not seen and
with the usual digits, and, for numbers with check digits, with digits on lines of their own as one number. What is
found is told as places of the text itself. Several texts, the parts of one message, are looked at as one.
"""

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise

from creuset.core.personal import PersonalData, places
from creuset.server.moderation.method import unseen

CHECKED = frozenset({"card", "iban", "nir", "siren", "siret", "national_id", "vat", "rpps"})
_BLANKS = re.compile(r"[\s\-]+")
_LINES = re.compile(r"(?<=[0-9])[^\S\n]*\n\s*(?=[0-9])")


def folded(text: str) -> str:
    """Small letters, no accents, nothing that is not seen; blanks and hyphens, however many, are one blank."""
    if text.isascii():
        return _BLANKS.sub(" ", text.lower())
    return folded_places(text)[0]


def folded_places(text: str) -> tuple[str, list[int]]:
    """`folded`, and where in `text` each of its letters comes from."""
    letters: list[str] = []
    at: list[int] = []
    for place, letter in enumerate(text):
        for one in unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", letter).casefold()):
            if unseen(one):
                continue
            blank = one == "-" or one.isspace() or unicodedata.category(one) == "Pd"
            if blank and letters and letters[-1] == " ":
                continue
            letters.append(" " if blank else one)
            at.append(place)
    return "".join(letters), at


def _bare(text: str) -> tuple[str, Sequence[int]]:
    """`text` without what is not seen, wide letters and digits as the usual ones, with the place of each letter."""
    if text.isascii():
        return text, range(len(text))
    letters: list[str] = []
    at: list[int] = []
    for place, letter in enumerate(text):
        if letter.isascii():
            letters.append(letter)
            at.append(place)
        elif not unseen(letter):
            digit = unicodedata.decimal(letter, None)
            wide = unicodedata.normalize("NFKC", letter) if 0xFF01 <= ord(letter) <= 0xFF5E else letter
            letters.append(wide if digit is None else str(digit))
            at.append(place)
    return "".join(letters), at


def _views(text: str, kinds: frozenset[str]) -> Iterator[PersonalData]:
    yield from places(text, kinds)
    bare, at = _bare(text)
    views = [(bare, kinds)] if bare != text else []
    if checked := kinds & CHECKED:
        lines = _LINES.sub(lambda found: " " + "\0" * (len(found[0]) - 1), bare)
        if lines != bare:
            kept = [n for n, letter in enumerate(lines) if letter != "\0" or bare[n] == "\0"]
            for found in places("".join(lines[n] for n in kept), checked):
                first, last = kept[found.start], kept[found.end - 1]
                yield PersonalData(found.kind, at[first], at[last] + 1)
    for view, wanted in views:
        for found in places(view, wanted):
            yield PersonalData(found.kind, at[found.start], at[found.end - 1] + 1)


def found_in(text: str, kinds: Collection[str]) -> list[PersonalData]:
    """Personal data of `text`, however it is written, in order and apart."""
    return _apart(_views(text, frozenset(kinds)))


def _apart(found: Iterator[PersonalData]) -> list[PersonalData]:
    """Places that lie over each other are one: the kind is that of the longer one."""
    kept: list[PersonalData] = []
    for one in sorted(found, key=lambda place: (place.start, -place.end)):
        if kept and one.start < kept[-1].end:
            last = kept[-1]
            kind = one.kind if one.end - one.start > last.end - last.start else last.kind
            kept[-1] = PersonalData(kind, last.start, max(last.end, one.end))
        else:
            kept.append(one)
    return kept


def mask_parts(parts: Sequence[str], kinds: Collection[str]) -> tuple[list[str], set[str]]:
    """`parts` of one text with `[KIND]` in the place of personal data, also of what goes on from one into the next."""
    found: list[PersonalData] = []  # places of the parts joined by nothing
    begins = [0]
    for part in parts:
        begins.append(begins[-1] + len(part))
    for joint in ("", " ") if len(parts) > 1 else ("",):
        origin: list[int] = []
        for begin, end in pairwise(begins):
            origin += [*range(begin, end), *[end] * len(joint)]
        for one in found_in(joint.join(parts), kinds):
            found.append(PersonalData(one.kind, origin[one.start], origin[one.end - 1] + 1))
    if len(parts) > 1:  # as each stands alone, too: the join may hide what one of them holds
        for part, begin in zip(parts, begins, strict=False):
            found += [PersonalData(one.kind, one.start + begin, one.end + begin) for one in found_in(part, kinds)]
    apart = _apart(iter(found))
    new = [_masked(part, begin, apart) for part, begin in zip(parts, begins, strict=False)]
    return new, {one.kind for one in apart}


def _masked(part: str, begin: int, found: list[PersonalData]) -> str:
    """A place is named in the part that it begins in; the rest of it, in later parts, is left out."""
    pieces, at, end = [], begin, begin + len(part)
    for one in found:
        if one.end <= begin or one.start >= end:
            continue
        if one.start >= begin:
            pieces += [part[at - begin : one.start - begin], f"[{one.kind.upper()}]"]
        at = min(one.end, end)
    return "".join([*pieces, part[at - begin :]])
