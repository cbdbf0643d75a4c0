"""Quality filters: pure functions of one text. Each names the reason why it drops the text.

Three families, as published: Gopher (arXiv:2112.11446, A1), C4 (arXiv:1910.10683), FineWeb
(arXiv:2406.17557). Cheap questions come first; `judge` stops at the first objection.
Repetition by words is in `repetition`.
"""

import re
from collections.abc import Iterable

from creuset.data.clean.language import FUNCTION_WORDS
from creuset.data.clean.repetition import repeated_words
from creuset.data.clean.words import Words
from creuset.data.settings import QualityRules

END_POINTS = (".", "!", "?", '"', "'", "”", "’", "»", "…", ":", ";", "。", "！", "？", "」", "』", "）", ")")
_BULLETS = ("-", "•", "*", "·", "–", "▪", "●")
_LETTER = re.compile(r"[^\W\d_]")
_SENTENCE_END = re.compile(r"[.!?…][\"'”’»)\]]*(?=\s|$)|[。！？]")
_POLICY = re.compile(
    r"terms of use|privacy policy|cookie policy|uses cookies|use of cookies|use cookies|politique de confidentialité"
    r"|utilise des cookies",
    re.I,
)
_JAVASCRIPT = re.compile(
    r"(?:enable|disabled?|requires?|activ\w+) (?:\w+ ){0,3}javascript|javascript (?:is|est|must)", re.I
)
_SERVICE = re.compile(
    r"(?:Wikipedia|Help|MediaWiki|Category|Template|Portal|User|Talk|File|Module|Special|Draft|Wikipédia|Aide|Catégorie"
    r"|Modèle|Portail|维基百科|分类|帮助)(?: talk)?:\S",
    re.I,
)
_NOTICES = ("cookie", "privacy policy", "terms of use", "javascript", "confidentialité")


def judge(text: str, words: Words, language: str, rules: QualityRules) -> str | None:
    """The reason to drop the text, or None to keep it."""
    if not words.words:
        return "empty"
    lines = [line for line in text.split("\n") if line.strip()]
    if not rules.service_pages and _SERVICE.match(text):
        return "wiki_service_page"
    return (
        gopher(text, lines, words, language, rules)
        or c4(text, rules)
        or fineweb(lines, words, rules)
        or repetition(text, lines, rules)
        or repeated_words(words, rules)
    )


def gopher(text: str, lines: list[str], words: Words, language: str, rules: QualityRules) -> str | None:
    count = len(words)
    if count < rules.min_words:
        return "gopher_too_few_words"
    if rules.max_words and count > rules.max_words:
        return "gopher_too_many_words"
    if not words.cjk:
        mean = sum(map(len, words.words)) / count
        if mean < rules.min_mean_word:
            return "gopher_short_words"
        if mean > rules.max_mean_word:
            return "gopher_long_words"
    if text.count("#") > rules.max_hash_share * count:
        return "gopher_hashes"
    if text.count("...") + text.count("…") > rules.max_ellipsis_share * count:
        return "gopher_ellipses"
    if sum(line.lstrip().startswith(_BULLETS) for line in lines) > rules.max_bullet_lines * len(lines):
        return "gopher_bullets"
    if sum(line.rstrip().endswith(("...", "…")) for line in lines) > rules.max_ellipsis_lines * len(lines):
        return "gopher_ellipsis_lines"
    if rules.min_alpha_words:
        digits = sum(map(str.isdigit, words.words))
        if count - digits < rules.min_alpha_words * count:
            return "gopher_few_letters"
    known = FUNCTION_WORDS.get(language)
    if known and rules.min_stop_words and len(known.intersection(words.words)) < rules.min_stop_words:
        return "gopher_no_function_words"
    return None


def c4(text: str, rules: QualityRules) -> str | None:
    if rules.no_curly and "{" in text:
        return "c4_curly_bracket"
    if rules.no_lorem and "orem ipsum" in text:
        return "c4_lorem_ipsum"
    if (
        rules.min_sentences
        and sum(1 for _ in zip(_SENTENCE_END.finditer(text), range(rules.min_sentences), strict=False))
        < rules.min_sentences
    ):
        return "c4_few_sentences"
    return None


def drop_lines(text: str) -> tuple[str, int]:
    """C4's rules by line: cookie and javascript notices, and scraps of one or two words without an end, go."""
    kept, dropped = [], 0
    low = text.lower()
    notices = any(mark in low for mark in _NOTICES)
    for line in text.split("\n"):
        bare = line.strip()
        scrap = (
            bare and not bare.endswith(END_POINTS) and bare.count(" ") < 2 and len(bare) < 30 and _LETTER.search(bare)
        )
        if bare and (scrap or (notices and (_POLICY.search(bare) or _JAVASCRIPT.search(bare)))):
            dropped += 1
        else:
            kept.append(line)
    return ("\n".join(kept), dropped) if dropped else (text, 0)


def fineweb(lines: list[str], words: Words, rules: QualityRules) -> str | None:
    # Not asked of two lines, a title and a paragraph: a stop that was lost is no list.
    if len(lines) > 2 and sum(line.rstrip().endswith(END_POINTS) for line in lines) < rules.min_end_lines * len(lines):
        return "fineweb_few_ended_lines"
    short = 10 if words.cjk else 30
    if rules.max_short_lines < 1.0 and sum(len(line) < short for line in lines) > rules.max_short_lines * len(lines):
        return "fineweb_short_lines"
    if rules.max_dup_line_chars < 1.0 and _repeated(lines)[1] > rules.max_dup_line_chars * sum(map(len, lines)):
        return "fineweb_repeated_line_characters"
    return None


def repetition(text: str, lines: list[str], rules: QualityRules) -> str | None:
    """Gopher's rules on whole lines and paragraphs."""
    total = max(1, len(text))
    count, size = _repeated(lines)
    if count > rules.dup_lines * len(lines):
        return "gopher_repeated_lines"
    if size > rules.dup_line_chars * total:
        return "gopher_repeated_line_characters"
    if "\n\n" in text:
        paragraphs = [p for p in text.split("\n\n") if p.strip()]
        count, size = _repeated(paragraphs)
        if count > rules.dup_paragraphs * len(paragraphs):
            return "gopher_repeated_paragraphs"
        if size > rules.dup_paragraph_chars * total:
            return "gopher_repeated_paragraph_characters"
    return None


def _repeated(parts: Iterable[str]) -> tuple[int, int]:
    """(number, characters) of the parts that stood before."""
    seen: set[str] = set()
    count = size = 0
    for part in parts:
        if part in seen:
            count += 1
            size += len(part)
        else:
            seen.add(part)
    return count, size
