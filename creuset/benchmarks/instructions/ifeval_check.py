"""The checkable instructions of IFEval (Zhou et al. 2023, arXiv 2311.07911): does a reply follow one? Pure functions.

CHECKS has one function for each kind, given the reply, the instruction's arguments and its language (en or fr). They
follow the published definitions; what differs here: sentences are split by `sentences` below and words in capitals
are found by a pattern, where the original has nltk's models; languages are told by py3langid, where it has langdetect.
"""

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

Arguments = Mapping[str, Any]
Check = Callable[[str, Arguments, str], bool]

LESS = {"less than", "moins de"}
CHOICES = {
    "en": ("My answer is yes.", "My answer is no.", "My answer is maybe."),
    "fr": ("Ma réponse est oui.", "Ma réponse est non.", "Ma réponse est peut-être."),
}
SHORT = frozenset((
    "mr", "mrs", "ms", "dr", "prof", "st", "sr", "jr", "vs", "etc", "e.g", "i.e", "u.s", "u.k", "fig", "inc", "ltd",
    "approx", "dept", "vol", "m", "mm", "mme", "mlle", "pr", "cf", "p.ex", "av",
))  # fmt: skip


def sentences(text: str) -> list[str]:
    """Sentences by their end marks: `.`, `!`, `?`, `…` and the marks of Chinese and Hindi, before a blank or the end.

    A dot does not end a sentence behind an abbreviation of SHORT or a single capital, dots do not before a small
    letter. An empty line always ends one.
    """
    found: list[str] = []
    for block in re.split(r"\n\s*\n", text):
        start = 0
        for end in re.finditer(r"[.!?…。！？।]+[\"'”’»)\]*]*(?=\s|$)|[。！？]", block):
            last = re.search(r"([\w.]+)\.$", block[start : end.start() + 1])
            word = last[1] if last else ""
            following = block[end.end() :].lstrip()[:1]
            if end[0] == "." and (word.lower() in SHORT or re.fullmatch("[A-ZÀ-Ý]", word)):
                continue
            if set(end[0]) <= {".", "…"} and end[0] != "." and following.islower():
                continue
            found.append(block[start : end.end()].strip())
            start = end.end()
        found.append(block[start:].strip())
    return [s for s in found if re.search(r"\w", s)]


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text)


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def language(text: str) -> str:
    return str(_identifier().classify(text)[0])


def holds(count: int, relation: str | None, wanted: int) -> bool:
    """`less than` is strict; anything else is `at least`."""
    return bool(count < wanted if relation in LESS else count >= wanted)


def existence(text: str, asked: Arguments, lang: str) -> bool:
    return all(re.search(re.escape(k), text, re.IGNORECASE) for k in asked["keywords"])


def frequency(text: str, asked: Arguments, lang: str) -> bool:
    count = len(re.findall(re.escape(asked["keyword"].strip()), text, re.IGNORECASE))
    return holds(count, asked["relation"], asked["frequency"])


def forbidden_words(text: str, asked: Arguments, lang: str) -> bool:
    return not any(re.search(rf"\b{re.escape(w)}\b", text, re.IGNORECASE) for w in asked["forbidden_words"])


def letter_frequency(text: str, asked: Arguments, lang: str) -> bool:
    return holds(text.lower().count(asked["letter"].lower()), asked["let_relation"], asked["let_frequency"])


def response_language(text: str, asked: Arguments, lang: str) -> bool:
    return language(text) == str(asked["language"])


def number_sentences(text: str, asked: Arguments, lang: str) -> bool:
    return holds(len(sentences(text)), asked["relation"], asked["num_sentences"])


def number_words(text: str, asked: Arguments, lang: str) -> bool:
    return holds(len(words(text)), asked["relation"], asked["num_words"])


def number_paragraphs(text: str, asked: Arguments, lang: str) -> bool:
    """Paragraphs between ***; only the first and the last may be empty, and do not count then."""
    parts = [p.strip() for p in re.split(r"\s?\*\*\*\s?", text)]
    return all(parts[1:-1]) and sum(bool(p) for p in parts) == int(asked["num_paragraphs"])


def nth_paragraph_first_word(text: str, asked: Arguments, lang: str) -> bool:
    parts = re.split(r"\n\n", text)
    count = sum(bool(p.strip()) for p in parts)
    nth = asked["nth_paragraph"]
    if count != asked["num_paragraphs"] or nth > count or not (paragraph := parts[nth - 1].strip()):
        return False
    first = re.split(r"[.,?!'\"]", paragraph.split()[0].lstrip("'").lstrip('"'))[0]
    return first.lower() == str(asked["first_word"]).lower()


def number_placeholders(text: str, asked: Arguments, lang: str) -> bool:
    return len(re.findall(r"\[.*?\]", text)) >= int(asked["num_placeholders"])


def postscript(text: str, asked: Arguments, lang: str) -> bool:
    marker = asked["postscript_marker"].strip()
    known = {"P.P.S": r"\s*p\.\s?p\.\s?s.*$", "P.S.": r"\s*p\.\s?s\..*$"}
    pattern = known.get(marker, rf"\s*{re.escape(marker.lower())}.*$")
    return re.search(pattern, text.lower(), re.MULTILINE) is not None


def number_bullet_lists(text: str, asked: Arguments, lang: str) -> bool:
    stars = re.findall(r"^\s*\*[^\*].*$", text, re.MULTILINE)
    return len(stars) + len(re.findall(r"^\s*-.*$", text, re.MULTILINE)) == int(asked["num_bullets"])


def constrained_response(text: str, asked: Arguments, lang: str) -> bool:
    return any(choice in text for choice in CHOICES[lang])


def number_highlighted_sections(text: str, asked: Arguments, lang: str) -> bool:
    single = sum(bool(h.strip("*").strip()) for h in re.findall(r"\*[^\n\*]*\*", text))
    double = sum(bool(h[2:-2].strip()) for h in re.findall(r"\*\*[^\n\*]*\*\*", text))
    return single + double >= int(asked["num_highlights"])


def multiple_sections(text: str, asked: Arguments, lang: str) -> bool:
    splitter = re.escape(asked["section_spliter"].strip())
    return len(re.split(rf"\s?{splitter}\s?\d+\s?", text)) - 1 >= int(asked["num_sections"])


def json_format(text: str, asked: Arguments, lang: str) -> bool:
    bare = text.strip()
    for fence in ("```json", "```Json", "```JSON", "```"):
        bare = bare.removeprefix(fence)
    try:
        json.loads(bare.removesuffix("```").strip())
    except (ValueError, RecursionError):
        return False
    return True


def title(text: str, asked: Arguments, lang: str) -> bool:
    return any(t.lstrip("<").rstrip(">").strip() for t in re.findall(r"<<[^\n]+>>", text))


def two_responses(text: str, asked: Arguments, lang: str) -> bool:
    parts = [p.strip() for p in text.split("******")]
    if not all(parts[1:-1]):
        return False
    given = [p for p in parts if p]
    return len(given) == 2 and given[0] != given[1]


def repeat_prompt(text: str, asked: Arguments, lang: str) -> bool:
    return text.strip().lower().startswith(str(asked["prompt_to_repeat"]).strip().lower())


def end_checker(text: str, asked: Arguments, lang: str) -> bool:
    return text.strip().strip('"').lower().endswith(str(asked["end_phrase"]).strip().lower())


def capital_word_frequency(text: str, asked: Arguments, lang: str) -> bool:
    count = sum(w.isupper() for w in re.findall(r"\w+(?:-\w+)*", text))
    return holds(count, asked["capital_relation"], asked["capital_frequency"])


def all_capital(text: str, asked: Arguments, lang: str) -> bool:
    return text.isupper() and language(text.lower()) == lang


def all_lowercase(text: str, asked: Arguments, lang: str) -> bool:
    return text.islower() and language(text) == lang


def no_comma(text: str, asked: Arguments, lang: str) -> bool:
    return "," not in text


def quotation(text: str, asked: Arguments, lang: str) -> bool:
    """The whole reply between double quotation marks; in French between guillemets as well."""
    bare = text.strip()
    pairs = ('""', "«»", "“”") if lang == "fr" else ('""',)
    return len(bare) > 1 and any(bare[0] == p[0] and bare[-1] == p[1] for p in pairs)


CHECKS: dict[str, Check] = {
    "keywords:existence": existence, "keywords:frequency": frequency, "keywords:forbidden_words": forbidden_words,
    "keywords:letter_frequency": letter_frequency, "language:response_language": response_language,
    "length_constraints:number_sentences": number_sentences, "length_constraints:number_words": number_words,
    "length_constraints:number_paragraphs": number_paragraphs,
    "length_constraints:nth_paragraph_first_word": nth_paragraph_first_word,
    "detectable_content:number_placeholders": number_placeholders, "detectable_content:postscript": postscript,
    "detectable_format:number_bullet_lists": number_bullet_lists,
    "detectable_format:constrained_response": constrained_response,
    "detectable_format:number_highlighted_sections": number_highlighted_sections,
    "detectable_format:multiple_sections": multiple_sections, "detectable_format:json_format": json_format,
    "detectable_format:title": title, "combination:two_responses": two_responses,
    "combination:repeat_prompt": repeat_prompt, "startend:end_checker": end_checker,
    "change_case:capital_word_frequency": capital_word_frequency, "change_case:english_capital": all_capital,
    "change_case:english_lowercase": all_lowercase, "change_case:french_capital": all_capital,
    "change_case:french_lowercase": all_lowercase, "punctuation:no_comma": no_comma, "startend:quotation": quotation,
}  # fmt: skip


def follows(kind: str, text: str, asked: Arguments, lang: str) -> bool:
    """Whether a reply follows one instruction; an empty one follows none. KeyError: no such kind."""
    return CHECKS[kind](text, asked, lang) if text.strip() else False


def loosened(text: str) -> list[str]:
    """The eight readings of the loose score: without first or last line, or both, and each without asterisks."""
    lines = text.split("\n")
    cuts = [text, "\n".join(lines[1:]).strip(), "\n".join(lines[:-1]).strip(), "\n".join(lines[1:-1]).strip()]
    return cuts + [cut.replace("*", "") for cut in cuts]
