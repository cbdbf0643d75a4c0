"""French for what records say in English: a catalogue of sentences, matched whole or part by part.

Records keep one language. `both` gives a page the words in two; what the catalogue lacks (the message of an error, a
file's own words) is quoted as English on a French page, never passed off as French.
"""

import re
import tomllib
from functools import cache
from pathlib import Path

from creuset.report.language import Text

FILE = Path(__file__).parent / "french.toml"
SLOT = re.compile(r"\\\{(\w+)\\\}")         # as re.escape leaves {name}
JOINS = (("; ", " ; "), (" / ", " / "))     # how records put sentences together


@cache
def _catalogue() -> tuple[dict[str, str], tuple[tuple[re.Pattern[str], str], ...]]:
    """Sentences without slots by their English, and the patterns of the others, the longest first."""
    plain: dict[str, str] = {}
    slotted: list[tuple[str, str]] = []
    for row in tomllib.loads(FILE.read_text(encoding="utf-8"))["text"]:
        if "{" in row["en"]:
            slotted.append((row["en"], row["fr"]))
        else:
            plain[row["en"]] = row["fr"]
    slotted.sort(key=lambda pair: -len(SLOT.sub("", re.escape(pair[0]))))
    patterns = tuple((re.compile(SLOT.sub(r"(?P<\1>.+?)", re.escape(en)), re.DOTALL), fr) for en, fr in slotted)
    return plain, patterns


@cache
def french(text: str) -> str | None:
    """The sentence in French; None where the catalogue does not have all of it."""
    plain, patterns = _catalogue()
    if text in plain:
        return plain[text]
    for join, joined in JOINS:
        for at in (m.start() for m in re.finditer(re.escape(join), text)):
            first, rest = french(text[:at]), french(text[at + len(join):])
            if first is not None and rest is not None:
                return first + joined + rest
    for pattern, words in patterns:
        if (found := pattern.fullmatch(text)) and (said := _filled(words, found.groupdict())) is not None:
            return said
    return None


def _filled(words: str, slots: dict[str, str]) -> str | None:
    for name, value in slots.items():
        said = french(value) if name.startswith("say_") else value
        if said is None:
            return None
        words = words.replace("{" + name + "}", said)
    return words


def both(text: str) -> Text:
    """The words of a record for a page of either language."""
    return Text(text, french(text) or f"en anglais : « {text.rstrip('.')} »")
