"""Yes or no, in English and French: strict and lenient. Pure functions. No torch."""

import re

from creuset.evals.extract import without_thinking

_YES, _NO = r"(?:yes|oui)", r"(?:no|non)"
_FIRST = re.compile(rf"^\W*(?:(?:answer|réponse)\s*:\s*\W*)?({_YES}|{_NO})\b", re.IGNORECASE)
_YES_WORD, _NO_WORD = (re.compile(rf"\b{word}\b", re.IGNORECASE) for word in (_YES, _NO))


def yes_no_strict(text: str) -> bool | None:
    """Yes or no where the reply is that word and nothing else, otherwise None."""
    word = re.sub(r"[\W_]+", "", without_thinking(text)).lower()
    return True if word in ("yes", "oui") else False if word in ("no", "non") else None


def yes_no_lenient(text: str) -> bool | None:
    """The word the reply begins with, else the only one of the two that it has."""
    said = without_thinking(text)
    if found := _FIRST.match(said):
        return found[1].lower() in ("yes", "oui")
    yes, no = bool(_YES_WORD.search(said)), bool(_NO_WORD.search(said))
    return yes if yes != no else None
