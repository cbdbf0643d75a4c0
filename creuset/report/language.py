"""The two languages of all pages: which there are, and words in both.

What a page says stands in tables of sentences by key (core/sentences.py): `say(lang, key, **slots)` is one in a
language, `in_language(text, lang)` what a record says. `Text` is for words that a file gives in both languages.
"""

from dataclasses import dataclass

from creuset.core.sentences import LANGS, Lang, Sentence, has, in_language, keyed, say, sentence

__all__ = ["LANGS", "Lang", "Text", "both", "in_language", "say", "unit"]


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


def unit(name: str) -> Sentence | str:
    """The unit of a measure as pages write it: `nats`, `a million words`; one that has no sentence is a symbol."""
    return sentence(f"report.unit {name}") if has(f"report.unit {name}") else name
