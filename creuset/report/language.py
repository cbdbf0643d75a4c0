"""The two languages of all pages: which there are, and words in both."""

from dataclasses import dataclass
from typing import Literal

Lang = Literal["en", "fr"]
LANGS: tuple[Lang, ...] = ("en", "fr")


@dataclass(frozen=True, slots=True)
class Text:
    """The same words in both languages."""

    en: str
    fr: str

    def of(self, lang: Lang) -> str:
        return self.fr if lang == "fr" else self.en
