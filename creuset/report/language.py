"""The two languages of all pages: which there are, and words in both.

What a page says stands in tables of sentences by key (core/sentences.py): `say(lang, key, **slots)` is one in a
language, `in_language(text, lang)` what a record says. `Text` is for words that a file gives in both languages. `show`
writes numbers and dates as a language does.
"""

import datetime
import math
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from creuset.core.sentences import LANGS, NARROW, Lang, Sentence, has, in_language, keyed, say, sentence

__all__ = [
    "LANGS", "NARROW", "Lang", "Text", "both", "date", "dated", "fixed", "in_both", "in_language", "language_name",
    "say", "score", "show", "unit", "words_of",
]  # fmt: skip

SUPER = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True, slots=True)
class Text:
    """The same words in both languages."""

    en: str
    fr: str

    def of(self, lang: Lang) -> str:
        return self.fr if lang == "fr" else self.en


def both(text: str) -> Text:
    """The words of a record in both languages; without a key they are quoted as English in French."""
    found = keyed(text)
    return Text(text, found.of("fr"))


def in_both(words: object) -> Text | None:
    """The two languages of a sentence or of a `Text`; None for anything else, which is the same in both."""
    if isinstance(words, Sentence):
        return Text(words.english, words.of("fr"))
    return words if isinstance(words, Text) else None


def words_of(text: str | Text, lang: Lang) -> str:
    """A sentence in `lang`; a plain string is a name, which no language changes."""
    return text.of(lang) if isinstance(text, Sentence | Text) else text


def unit(name: str) -> str:
    """The unit of a measure as pages write it: `nats`, `a million words`; one that has no sentence is a symbol."""
    return sentence(f"report.unit {name}") if has(f"report.unit {name}") else name


def language_name(code: str) -> str:
    """`fr` as words; a language whose name is not known is its code."""
    return sentence(f"report.language {code}") if has(f"report.language {code}") else code


def show(value: Any, style: str, lang: Lang) -> str:
    """`value` for a reader.

    Styles: auto, int, f0 to f6 (decimals), g1 to g6 (significant digits, powers of ten where they are shorter), short
    (g4 without zeros at the end), pct0 to pct3 (a share as a percentage), pow10 (an exponent), pow (a power of ten
    itself), score (as tables of measures write one), month and date (ISO strings), text, words (a sentence of a record:
    in French from the catalogue).
    """
    if value is None:
        return "–"
    if isinstance(value, bool):
        return say(lang, "core.yes" if value else "core.no")
    if style == "auto":
        style = "int" if isinstance(value, int) else "short" if isinstance(value, float) else "text"
    if style == "words":
        return in_language(value, lang)
    if style == "text" or (isinstance(value, str) and style not in ("date", "month")):
        return str(value)
    if style in ("date", "month"):
        return date(str(value), lang)
    if not math.isfinite(value):
        return "∞" if value > 0 else "–"
    if style == "int":
        return _grouped(f"{value:,.0f}", lang)
    if style == "pow10":
        return "10" + str(value).translate(SUPER)
    if style == "pow":
        return "10" + str(round(math.log10(value))).translate(SUPER)
    if style == "short":
        mantissa, times, power = _significant(float(value), 4, "en").partition(" ×")
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        return _grouped(mantissa + times + power, lang)
    if style == "score":
        return _grouped(score(float(value)).replace(NARROW, ","), lang)
    digits = int(style[-1])
    if style.startswith("pct"):
        return _grouped(fixed(value, digits, percent=True), lang) + (NARROW + "%" if lang == "fr" else "%")
    if style.startswith("f"):
        return _grouped(fixed(value, digits), lang)
    return _significant(float(value), digits, lang)


def fixed(value: float, places: int, *, percent: bool = False) -> str:
    """`value` to so many decimals, thousands apart by commas; with `percent` 100 times it.

    The decimal number that the value is written as is rounded, half to even. So 1/80 is 0.012 on one page and 1.2 % on
    another: rounded as binary numbers they would be 0.013 and 1.2 %.
    """
    exact = Decimal(repr(float(value))) * (100 if percent else 1)
    return f"{exact.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN):,f}"


def score(value: float) -> str:
    """A score in a table of measures: three decimals, fewer for what is large, powers of ten for what is tiny."""
    if value.is_integer() and abs(value) >= 100:
        return f"{int(value):,}".replace(",", NARROW)
    if value and not 1e-4 <= abs(value) < 1e7:
        return f"{value:.3g}"
    return fixed(value, 3 if abs(value) < 1000 else 0).replace(",", NARROW)


def _significant(value: float, digits: int, lang: Lang) -> str:
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    power = int(exponent)
    if -3 <= power < 6:
        return _grouped(f"{float(f'{value:.{digits - 1}e}'):,.{max(0, digits - 1 - power)}f}", lang)
    return f"{_grouped(mantissa, lang)} × 10{str(power).translate(SUPER)}"


def _grouped(english: str, lang: Lang) -> str:
    """`1,234.5` as the language writes it; a true minus sign in both."""
    text = english.replace("-", "−")
    return text.replace(",", NARROW).replace(".", ",") if lang == "fr" else text


def date(iso: str, lang: Lang) -> str:
    """`2026-11-25` (a time behind it is left out) or `2026-11` in words; anything else comes back as it is."""
    return words_of(dated(iso), lang)


def dated(iso: str) -> str:
    """The same for both languages: a sentence."""
    try:
        day = datetime.date.fromisoformat(iso[:10] if len(iso) >= 10 else iso + "-01")
    except ValueError:
        return iso
    month = sentence(f"report.month {day.month}")
    if len(iso) < 10:
        return sentence("report.month of a year", month=month, year=day.year)
    number = sentence("report.first") if day.day == 1 else day.day
    return sentence("report.day", day=number, month=month, year=day.year)
