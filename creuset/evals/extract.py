"""From what a model wrote to the answer it gave: pure functions, each known by its name. No torch.

Most differences between published scores of one model are differences of extraction, so each score is given under a
strict extractor and a lenient one, with the share of replies in which either found nothing (None).

    without_thinking        the part behind <think> ... </think>: what every extractor below is given
    letter_strict           the reply is a letter, or ends with a line `Answer: X`
    letter_lenient          "the answer is (B)", "**B**", a boxed B, the last letter alone, the text of an option
    letter_simple_evals     the first "Answer: B", in any case, dollars around it or not: the rule of simple-evals
    mmlu_pro_single         "answer is (B)", the first one: lm-evaluation-harness's rule for MMLU-Pro
    mmlu_pro_three_stage    the same, else "Answer: B", else the last letter alone: the rule of MMLU-Pro's authors
    number_hash             "#### 18" (GSM8K)           number_said    "The answer is 18." (chain of thought)
    number_last             the last number of the reply: lm-evaluation-harness's rule, which knows English writing only
    number_read             the last number as the language writes it: 1 234, 1.234,5 (de), 9{,}500, 70 mille
    answer_said             what follows "the answer is" up to the end of the line, its last character left out (BBH)
    answer_lenient          the same in any writing, markup and the final full stop off; else the last line
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import lru_cache

Extractor = Callable[[str], str | None]
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_NUMBER = re.compile(r"-?[$0-9.,]{2,}|-?[0-9]+")


def without_thinking(text: str) -> str:
    """What comes after the thinking; a reply that never ends its thinking has given no answer: ""."""
    before, closed, after = text.rpartition("</think>")
    if closed:
        return after.strip()
    return "" if "<think>" in text else before + after


def letter_strict(text: str, options: Sequence[str]) -> str | None:
    letters = LETTERS[: len(options)]
    alone = rf"\(?([{letters}])\)?[.)]?"
    lines = text.strip().splitlines() or [""]
    for pattern, line in ((alone, lines[0] if len(lines) == 1 else ""), (rf"Answer: ?{alone}", lines[-1])):
        if found := re.fullmatch(pattern, line.strip()):
            return found[1]
    return None


def letter_lenient(text: str, options: Sequence[str]) -> str | None:
    """The last place of the surest kind: said to be the answer, marked as one, standing alone, the option itself."""
    letters = LETTERS[: len(options)]
    if alone := re.fullmatch(rf"\W*([{letters}])\W*", text, re.IGNORECASE):
        return str(alone[1]).upper()
    said, *others = _lenient(letters)
    if announced := [m for m in said.finditer(text) if not _denied(text[: m.start(1)], text[m.end(1) :])]:
        after = text[announced[-1].end() :]
        return None if _hedge(letters).match(after) else str(announced[-1][1]).upper()
    for pattern in others:
        if found := [m for m in pattern.finditer(text) if not _denied(text[: m.start(1)], text[m.end(1) :])]:
            hedged = _hedged(letters).search(text[: found[-1].start(1)])
            return None if hedged else str(found[-1][1]).upper()
    return option_text(text, options)


@lru_cache(maxsize=32)
def _lenient(letters: str) -> tuple[re.Pattern[str], ...]:
    some, mark = f"[{letters}]", r"[*_`\"'(\[{$]*"
    small, closed = some.lower(), r"[*_`\"')\]}$]"
    said = r"(?:answer|option|choice|r[ée]ponse|答案)\W{0,6}(?:is|est|是|为)?\s*:?\s*(?:option|choice|the|la|le)?\s*"
    chosen = (
        r"\b(?:it'?s|it is|i(?:'d)? (?:say|choose|pick|go with)|je (?:choisis|dirais|prends|pense à)|c'est)\s+"
        r"(?:the |la |le )?"
    )
    return (
        # A small letter counts where it can be no word: "the answer is a" may go on.
        re.compile(rf"(?i:{said})(?:\\boxed)?{mark}({some}|{small}(?={closed}*[.!]?\s*$))(?![\w'’-])", re.M),
        re.compile(
            rf"(?<![\w'’-])({some}){closed}*(?=\s+(?:is|est|must be)\s+(?:\w+ ){{0,2}}?"
            r"(?:right|correct|true|best|bonne|juste|exacte?|correcte?|vraie?)\b)"
        ),
        re.compile(rf"(?:\\boxed\{{(?:\\text\{{)?|\*\*\(?)({some}(?![\w'’])|{small}(?={closed}))"),
        re.compile(rf"(?i:{chosen}){mark}({some}|{small})(?={closed}*[.!]?\s*$)", re.MULTILINE),
        re.compile(rf"^\s*\(?({some})[).:]?(?=\s|$)(?!\s[a-z])", re.MULTILINE),
        re.compile(rf"\(({some.lower()})\)(?=\W*$)", re.MULTILINE),
        # "A" and "I" are words too: alone they count only where no small letters follow.
        re.compile(rf"(?<![\w'’-])({some})(?![\w'’-])(?!\s[a-z])"),
    )


@lru_cache(maxsize=32)
def _hedge(letters: str) -> re.Pattern[str]:
    """Behind one letter: another one, so that the reply has not chosen."""
    return re.compile(rf"{_BEHIND}\s*{_OR}\s*{_BEFORE}[{letters}](?![\w'’-])", re.IGNORECASE)


@lru_cache(maxsize=32)
def _hedged(letters: str) -> re.Pattern[str]:
    """Before one letter: another one. An "a" before a comma is mostly a word."""
    return re.compile(rf"(?<![\w'’-])[{letters}]{_BEHIND}\s*(?:{_OR})\s*{_BEFORE}$")


_BEHIND, _BEFORE = r"[*_`\"')\]}]*", r"[*_`\"'(\[{]*"
_OR = (
    r"(?:,|/|&|\b(?:and|or|nor|et|ou|ni|soit|y|o|und|oder)\b)"
    r"(?:\s*(?:or|ou|maybe|perhaps|possibly|even|peut-être|la|le|the)\b)*"
)
_NOT = re.compile(
    r"(?:\bnot|n't|n’t|\bpas|\bnever|\bjamais|\bneither|\bni|\brather than|\binstead of|\bplutôt que|\bno)\s+"
    r"(?:(?:is|be|the|option|answer|choice|la|le|une?|réponse)\s+)*[*_`\"'(\[{]*$",
    re.IGNORECASE,
)


_REFUTED = re.compile(
    r"[*_`\"')\]}]*,?\s*(?:(?:is|was|seems|looks|est|semble)\s+(?:\w+\s+)?(?:wrong|incorrect|false|excluded|"
    r"ruled out|eliminated|impossible|not\b|out\b|fausse?|incorrecte?|exclue?|éliminée?)"
    r"|(?:cannot|can['’]t|could not|couldn['’]t)\s+be\b|(?:is|was)(?:n['’]t| not)\b|n['’]est\s+pas\b|ne\s+peut\b)",
    re.IGNORECASE,
)


def _denied(before: str, after: str = "") -> bool:
    """Whether the letter between these words is one that it is not: "not A", "A is wrong"."""
    return bool(_NOT.search(before[-60:])) or bool(_REFUTED.match(after[:40]))


def option_text(text: str, options: Sequence[str]) -> str | None:
    """The letter of the only option whose text is in the reply; part of another one's text does not count."""
    said = _words(text)
    found = {i for i, option in enumerate(options) if _words(option) and f" {_words(option)} " in f" {said} "}
    longest = {
        i for i in found if not any(j != i and f" {_words(options[i])} " in f" {_words(options[j])} " for j in found)
    }
    return LETTERS[longest.pop()] if len(longest) == 1 else None


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def letter_simple_evals(text: str) -> str | None:
    found = re.search(r"(?i)Answer[ \t]*:[ \t]*\$?([A-D])", text)
    return found[1] if found else None  # "answer: c" is an answer, and a wrong one, as there


def mmlu_pro_single(text: str, letters: str = LETTERS[:10]) -> str | None:
    found = re.search(rf"answer is \(?([{letters}])", text)
    return found[1] if found else None


def mmlu_pro_three_stage(text: str, letters: str = LETTERS[:10]) -> str | None:
    if said := mmlu_pro_single(text, letters):
        return said
    marked = list(re.finditer(rf"[aA]nswer:\s*([{letters}])", text))
    if marked:  # the last one of the first line that has one
        line_end = text.find("\n", marked[0].start()) % (len(text) + 1)
        return str([m[1] for m in marked if m.start() < line_end][-1])
    alone = re.findall(rf"\b[{letters}]\b", text)
    return str(alone[-1]) if alone else None


def number_hash(text: str) -> str | None:
    found = re.search(r"#### (-?[0-9.,]+)", text)
    return plain_number(found[1]) if found else None


def number_said(text: str, words: str = "The answer is ", end: str = ".") -> str | None:
    """`words` in the question's language; `end` is what must follow: by default any character, the full stop meant.

    The referee's rule, surprise included: "The answer is 18" without a full stop gives 1.
    """
    found = re.search(rf"{words}(-?[0-9.,]+){end}", text)
    return plain_number(found[1]) if found else None


def number_last(text: str) -> str | None:
    found = _NUMBER.findall(text)
    return plain_number(found[-1]) if found else None


# Languages that write 1.234,5 or 1 234,5; the others write 1,234.5.
_COMMA = ("fr", "de", "es", "ru", "it", "pt")
_BLANK = " \u00a0\u202f\u2009'’"
_SIGN = r"(?:(?<![\w.,)\]])[-−–])?"
_POINTS, _COMMAS, _BLANKS = (rf"\d{{1,3}}(?:[{mark}]\d{{3}})+(?!\d)" for mark in (r"\.", ",", _BLANK))
_ENGLISH = rf"{_COMMAS}(?:\.\d+)?|{_BLANKS}(?:\.\d+)?|\d+(?:\.\d+)?|(?<![\d.])\.\d+"
_TWICE = r"\d{1,3}(?:,\d{3})+\.\d+(?!\d)|\d{1,3}(?:,\d{3}){2,}(?!\d)"  # English writing, whatever the language
_FRENCH = rf"{_TWICE}|{_POINTS}(?:,\d+)?|{_BLANKS}(?:,\d+)?|\d+(?:[.,]\d+)?"
_SCALE = r"(?:\s*(mille|millions?|milliards?|thousand|billions?)\b)?"
_SCALES = {"m": 10**3, "t": 10**3, "million": 10**6, "milliard": 10**9, "billion": 10**9}
_READ_POINT, _READ_COMMA = (re.compile(rf"({_SIGN}(?:{form})){_SCALE}", re.IGNORECASE) for form in (_ENGLISH, _FRENCH))
_SPACES = re.compile(r"\\[,;:! ]|~")  # what TeX writes between groups of digits


def number_read(text: str, language: str = "en") -> str | None:
    """The last number in the writing of `language`, without its separators, with a point before decimals.

    A word behind it counts: 70 mille is 70000. In a language of the comma, 1.234 is a thousand and more, 1.2345 is not.
    """
    bare = unicodedata.normalize("NFKC", _SPACES.sub(" ", text.replace("{,}", ",")))
    bare = "".join(str(unicodedata.digit(c)) if c.isdigit() and not c.isascii() else c for c in bare)
    comma = language in _COMMA
    found = (_READ_COMMA if comma else _READ_POINT).findall(bare)
    if not found:
        return None
    number, scale = found[-1]
    number = re.sub(rf"[{_BLANK}]", "", str(number)).replace("−", "-").replace("–", "-")
    if not comma or re.fullmatch(rf"-?(?:{_TWICE})", number):
        number = number.replace(",", "")
    else:
        number = number.replace(".", "") if re.fullmatch(rf"-?{_POINTS}(?:,\d+)?", number) else number
        number = number.replace(",", ".")
    return _written(Decimal(number) * _times(scale) if scale else Decimal(number))


def _times(scale: str) -> int:
    word = scale.lower().rstrip("s")
    return _SCALES.get(word) or _SCALES.get(word[:1], 1)


def _written(number: Decimal) -> str:
    """Without zeros in front, and without decimals that are all zeros."""
    return re.sub(r"\.0+$", "", f"{number:f}")


def plain_number(text: str) -> str:
    """As lm-evaluation-harness compares numbers: without commas, dollar signs, and a final full stop."""
    return re.sub(r"\.$", "", re.sub(r"[,$]", "", text.strip()))


def answer_said(text: str) -> str | None:
    found = re.search(r"(?<=the answer is )(.*)(?=.)", text)
    return found[1].strip() if found else None


def answer_lenient(text: str) -> str | None:
    found = re.findall(r"(?i:answer\s*(?:is|:))\s*:?\s*(.+)", text)
    lines = [line for line in text.strip().splitlines() if line.strip()]
    if not found and not lines:
        return None
    said = str(found[-1]) if found else lines[-1]
    boxed = re.search(r"\\boxed\{(?:\\text\{)?([^{}]*)\}", said)
    return re.sub(r"^[\s*_`\"'$]+|[\s*_`\"'$.]+$", "", boxed[1] if boxed else said) or None
