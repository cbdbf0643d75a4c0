"""What kind of text a document is, where neither the ledger nor a setting says it: which quality rules may judge it.

Rules for web pages drop a third of a manual, for its braces, and tables of figures, for their digits. The guess looks
for marks that only the other kinds have, and several of them, and says "web" where it finds none: the strictest rules.
Kinds that prose alone does not show ("news", "speech") are never guessed; their rules differ little from the web's.
"""

import re

_SAMPLE = 60_000  # characters that are looked at

# A line of a program, of a signature or of a terminal.
_CODE = re.compile(
    r"[;{}]$|^[)\]}]+[;,]?$|^```|^(?:#include|#\[|//|/\*|\*/|<\?php|\$ |>>> |[\w.]+\(.*\)[;:]?$)"
    r"|^(?:def|fn|func|class|import|from|return|let|var|const|public|private|static|void|int|struct|impl|use|template)\b[^.]*[({;:=]"
    r"|\w\(\$?\w*[^)]{0,80}\)\s*(?:[:;{]|->|=>)|(?:^|\s)(?:std)?::\w|->\w+\("
)  # fmt: skip
_NAME = re.compile(r"\b[a-zA-Z]\w*(?:_[a-zA-Z0-9]+)+\b|\w::\w|->\w+")
_HEADING = re.compile(r"^#{1,4} \S")
_SECTION = re.compile(
    r"^(?:Parameters?|Return [Vv]alues?|Returns|Syntax|Synopsis|Description|Examples?|Notes?|See [Aa]lso"
    r"|Errors(?:/Exceptions)?|Changelog|Options|Usage|Installation|Requirements|Deprecated|Summary|Motivation|Drawbacks|Complexity|Exceptions"
    r"|Liste de param[eè]tres|Valeurs? de retour|Exemples?|Voir aussi|Erreurs(?:/Exceptions)?|Historique"
    r"|Parameter|R[uü]ckgabewerte?|Beispiele?|Siehe auch|Par[aá]metros|Valores devueltos|Ejemplos?"
    r"|V[eé]ase tambi[eé]n)\b:?\s*(?:[¶#].*)?$"
)  # fmt: skip
_FIGURE = re.compile(
    r"^[^.!?]{2,80}?:\s*(?:[^.!?]{0,60}?)[-$€£]?\d[\d.,]*|^[^:.!?]{3,60}:\s*$|^\w[^.!?]{1,60} \d[\d.,]* ?%?"
)
_MARKUP = re.compile(r"\[\[[^\]]+\]\]|\{\{[^}]+\}\}|(?m:^==+ .+ ==+$)|\bformula_\d|\|\||\(\)|\(, |（）|（，")
_IS = re.compile(
    r"\b(?:is|are|was|were|est|sont|était|étaient|ist|sind|war|waren|es|son|fue|era|refers to|may refer)\b|是|为|為"
)
_CHAPTER = re.compile(r"(?m)^\s*(?:CHAPTER|Chapter|CHAPITRE|Chapitre|KAPITEL|Kapitel|CAP[IÍ]TULO|Cap[ií]tulo|ACT|SCENE)"
                      r"\s+(?:[IVXLC]+|\d+|[A-Z]\w+)\b")  # fmt: skip
_ONCE = re.compile(
    r"\b(?:once upon a time|once there (?:was|lived)|one (?:day|morning|night|afternoon|sunny)"
    r"|there (?:was|lived) (?:once )?an? |il (?:était|etait|y avait) (?:une fois|un|une)\b|un (?:jour|matin|soir)\b"
    r"|es war einmal|eines tages|érase una vez"
    r"|había una vez|un día|a long time ago|long ago|il y a (?:bien )?longtemps)", re.I,
)  # fmt: skip
_SPEECH = re.compile(r"[\"“«].{2,200}?[,.!?…][\"”»]|^\s*[—–-] ?\w", re.M)
_STOP = re.compile(r"[.!?…]+")
_SHORT_SENTENCE = 13  # words; news quote as much, in longer ones
_BOOK_WORDS = 12_000
_STORY_WORDS = 3_000


def guess_kind(text: str) -> str:
    """One of `settings.KINDS`; "web" where nothing speaks for another."""
    head = text[:_SAMPLE]
    lines = [bare for line in head.split("\n") if (bare := line.strip())]
    if not lines:
        return "web"
    if _is_documentation(lines) or _names(head):
        return "docs"
    labels = [label.casefold() for line in lines if (label := line.partition(":")[0]) != line and len(label) <= 50]
    if len(labels) >= 5 and len(labels) >= 0.5 * len(lines) and len(set(labels)) >= 0.7 * len(labels):
        return "facts"  # most lines have a label, and each its own: no dialogue
    if len(lines) >= 4 and sum(map(bool, map(_FIGURE.match, lines))) >= 0.4 * len(lines) and _digits(head) > 0.04:
        return "facts"
    if _is_article(lines, head):
        return "wiki"
    words = text.count(" ") + text.count("\n")
    if words >= _BOOK_WORDS or (words >= 1_500 and len(_CHAPTER.findall(head)) >= 2):
        return "book"
    sentences = max(1, len(_STOP.findall(head)))
    if words <= _STORY_WORDS and (
        _ONCE.search(head[:400])
        or (len(_SPEECH.findall(head)) >= max(3, words / 100) and head.count(" ") / sentences < _SHORT_SENTENCE)
    ):
        return "story"
    return "web"


def _is_documentation(lines: list[str]) -> bool:
    code = sum(map(bool, map(_CODE.search, lines)))
    sections = sum(map(bool, map(_SECTION.match, lines)))
    headings = sum(map(bool, map(_HEADING.match, lines)))
    if sections >= 2 or (sections and code >= 2) or (headings >= 2 and (code >= 2 or headings >= 4)):
        return True
    return code >= 3 and code >= 0.08 * len(lines)


def _names(head: str) -> bool:
    """Names of programs, such as str_replace and Fiber::suspend, are two in a hundred words."""
    found = len(_NAME.findall(head))
    return found >= 3 and found >= 0.02 * (head.count(" ") + head.count("\n") + 1)


def _digits(text: str) -> float:
    return sum(map(str.isdigit, text)) / max(1, len(text))


def _is_article(lines: list[str], head: str) -> bool:
    """Leftovers of wiki markup, or a title that the first sentence repeats and says what it is."""
    if len(_MARKUP.findall(head)) >= 2:
        return True
    if len(lines) < 2 or len(lines[0]) > 80 or lines[0][-1] in ".!?:;,":
        return False
    title = re.sub(r"\s*\(.*\)$", "", lines[0])
    opening = lines[1][:300]
    said = title.casefold().split()
    found = sum(word.strip(",") in opening.casefold() for word in said)
    return bool(said) and found >= 0.6 * len(said) and bool(_IS.search(opening))
