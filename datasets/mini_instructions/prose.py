"""English (and French) prose: cleaning, sentences, and what makes a sentence unfit for an answer.

Wikipedia text comes without its templates: numbers with units are missing in the middle
of sentences, parentheses are left empty, tables become `||`. `flaw` names what is wrong.
"""

import re

ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|St|Jr|Sr|Prof|Gen|Col|Capt|Lt|Sgt|Rev|Hon|Gov|Sen|Rep|vs|etc|approx|ca|cf|no|No|Vol|vol|pp|"
    r"Inc|Ltd|Co|Corp|Mt|Ft|Ave|Blvd|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sep|Sept|Oct|Nov|Dec|a\.k\.a|e\.g|i\.e|b|d|c)|"
    r"\b[A-Z]|\b[A-Z]\.[A-Z]|\b[a-z]\.[a-z])\.$"
)
# Words that stood before a number or a name that was lost with its template.
LOST = re.compile(
    r"\b(?:of|about|around|over|approximately|nearly|almost|between|from|than|is|was|were|are|at|by|in|on|the) "
    r"(?:and|,|\.|;|\))(?: |$)"
    r"|\b(?:about|around|approximately|nearly|almost|between|from|with|by|at) "
    r"(?:in|to|of|from|people|long|wide|high|tall|away)\b"
    r"|\b(?:of|is) (?:about|in (?:area|length|size)|long|square)\b(?! \w)"
    r"|\b(?:area|population|length|height|elevation) (?:of|is|was) (?:and|in|as|at|with|people|,|\.)"
    r"|\"\"|\b(?:or|and|of|the|a)[;,.]|\b(?:is|was) (?:an?|the) (?:is|was)\b"
    r"|\b(?:at|of|by|with|from|the|an|and|or|as)\.$"
    r"|\b(?:a|an|the) (?:,|\.|of|and|in|is|was|to) "
)
MARKUP = re.compile(r"\|\||\{\{|\}\}|\[\[|\]\]|<[^>]+>|https?:|www\.|thumb\||ISBN|'''|&[a-z]+;|\\|[*#=_]{2,}|�")
FOREIGN = re.compile(r"[^\x00-\u024f\u2010-\u2026\u20ac\u00a0]")
UNFIT = re.compile(
    r"\b(?:porn\w*|sexual\w*|erotic\w*|rape[ds]?|rapist|incest|genital\w*|penis|vagina|masturbat\w*|prostitut\w*|nigg\w*|faggot\w*|"
    r"suicid\w*|pedophil\w*|orgasm\w*|anal|slut\w*|whore\w*|fuck\w*|shit\w*|bitch\w*|condom\w*|fetish\w*|nudity|nude|semen|sperm|breasts?|sex)\b",
    re.IGNORECASE,
)
PARENTHESIS = re.compile(r"\s*\([^()]*\)")
VOWEL_ADJECTIVE = re.compile(
    r"\b([Aa]) (?=(?:English|American|Italian|Indian|Irish|Australian|Austrian|Argentin|Israeli|Egyptian|Iran|Iraq|"
    r"Indonesian|African|Asian|Olympic|Emmy|Oscar|Albanian|Algerian|Armenian|Estonian|Ethiopian|Icelandic|actor|actress|"
    r"author|artist|animal|area|island|album|element|instrument|insect|old |organ|airport|airline|event|important|"
    r"example|electr|online|umbrella|engine|apple|orange|egg|ocean|international|alphabet|ancient)\w*)"
)


def tidy(text: str) -> str:
    """One line of prose with plain spaces and quotes, empty parentheses and their commas removed."""
    text = re.sub(r"\([\s,;:–-]*\)", "", text)
    text = re.sub(r"\(\s*[,;]\s*", "(", text)
    text = re.sub(r"[\s\u00a0]+", " ", text)
    text = (
        text.replace("“", '"')
        .replace("”", '"')
        .replace("’", "'")
        .replace("‘", "'")
        .replace("``", '"')
        .replace("''", '"')
    )
    text = re.sub(r" +([,.;:?!)])", r"\1", text)
    text = re.sub(r",(?:\s*,)+", ",", text)
    text = re.sub(r"\.\.(?!\.)", ".", text)
    return VOWEL_ADJECTIVE.sub(r"\1n ", text).strip()


def without_parentheses(text: str) -> str:
    """`text` without what stands in parentheses, to any depth."""
    while (shorter := PARENTHESIS.sub("", text)) != text:
        text = shorter
    return tidy(text)


def sentences(text: str) -> list[str]:
    """Split a paragraph where a sentence ends; initials and usual abbreviations do not end one."""
    found: list[str] = []
    start = 0
    for mark in re.finditer(r"[.!?][\"')\]»]*\s+(?=[\"'(«A-ZÀ-Ý0-9])", text):
        piece = text[start : mark.end()].strip()
        if ABBREVIATION.search(piece):
            continue
        found.append(piece)
        start = mark.end()
    if rest := text[start:].strip():
        found.append(rest)
    return found


def flaw(sentence: str, *, low: int = 4, high: int = 45) -> str | None:
    """What is wrong with `sentence` as part of an answer, or None."""
    count = len(sentence.split())
    if count < low:
        return "sentence too short"
    if count > high:
        return "sentence too long"
    if not re.match(r"[\"'«]?[A-ZÀ-Ý0-9]", sentence) or not re.search(r"[.!?][\"'»]?$", sentence):
        return "not a whole sentence"
    if MARKUP.search(sentence):
        return "markup left"
    if FOREIGN.search(sentence):
        return "another script"
    if sentence.count('"') % 2 or sentence.count("(") != sentence.count(")"):
        return "unbalanced marks"
    if LOST.search(sentence) or re.search(r"  | [,.;:]|\( |\(\)| \)|,[,.]|[;:]\.|\w,\w{3}[a-z]", sentence):
        return "a lost number or name"
    if UNFIT.search(sentence):
        return "unfit subject"
    return None


def good_lead(text: str, *, most: int, words: int) -> tuple[list[str], str | None]:
    """The first sentences of a paragraph (at most `most`, about `words` words) and why there are none.

    The first sentence must be good; later ones are taken while they are.
    """
    kept: list[str] = []
    total = 0
    for sentence in sentences(without_parentheses(text)):
        wrong = flaw(sentence)
        if wrong and not kept:
            return [], wrong
        total += len(sentence.split())
        if wrong or (kept and total > words) or len(kept) == most:
            break
        kept.append(sentence)
    return (kept, None) if kept else ([], "no sentence")
