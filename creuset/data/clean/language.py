"""Which language a text is in: function words decide at once, a model shipped in a wheel where they do not."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from creuset.data.clean.words import Words

# Frequent function words that few of the other languages share; a word in two lists counts for both.
_LISTS = """
en: the of and to in is was for that with as on by are from at be this have which or not it were an his but they he
    she you had
fr: le la les de des du et est une un dans pour que qui sur pas par avec au aux ce cette il elle ne se son sont en plus
    vous nous mais ou l d qu
de: der die und das den von zu mit sich des auf für ist im dem nicht ein eine als auch es an werden aus er hat dass sie
    nach wird bei
es: el la los las de del y en que un una por con para es se al lo como más su sus pero fue son este esta no ha también o
it: il lo la gli le di del della e è che un una per con non sono da al dei nel come più si anche ma alla ha questo
pt: o a os as de do da dos das e em que um uma por com para não é se ao no na mais como foi mas sua seu também são
nl: de het een en van in is dat op te zijn met voor niet aan er om ook als maar bij was door naar werd uit over hij
"""
FUNCTION_WORDS = {
    code: frozenset(words.split()) for code, words in re.findall(r"(?m)^(\w\w): ([^:]+)(?=^\w\w:|\Z)", _LISTS)
}
_SURE = 0.99
_TOLD_APART_BY = 1.5  # the best language must have this many times the hits of the second
_SOME = 0.05  # share of them that speaks for a declared language
_ENOUGH = 0.12  # share of words that are function words of the best language


@dataclass(frozen=True, slots=True)
class Guess:
    language: str  # ISO 639-1, or 639-3 where there is no shorter code; "und" without letters
    probability: float


@dataclass(slots=True)
class Identifier:
    """Owns the model, loaded when the first text needs it."""

    sample: int = 1000
    _model: Any = field(default=None, repr=False)

    def identify(self, text: str, words: Words, declared: Sequence[str] = ()) -> Guess:
        """The language of `text`; a declared one needs less evidence before the model is asked."""
        head = words.words[:250]
        if not head:
            return Guess("und", 1.0)
        if quick := by_script(text[: self.sample]) if words.cjk else by_function_words(head, declared):
            return quick
        if self._model is None:
            from py3langid.langid import MODEL_FILE, LanguageIdentifier

            self._model = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
        language, probability = self._model.classify(text[: self.sample])
        return Guess(str(language), float(probability))


def by_function_words(words: Sequence[str], declared: Sequence[str] = ()) -> Guess | None:
    """A language whose function words are frequent and clearly more frequent than any other's, or None."""
    if len(words) < 20:
        return None
    hits = sorted(((sum(map(known.__contains__, words)), code) for code, known in FUNCTION_WORDS.items()), reverse=True)
    (best, code), (second, _) = hits[0], hits[1]
    if best < (_SOME if code in declared else _ENOUGH) * len(words) or best < _TOLD_APART_BY * second:
        return None
    return Guess(code, _SURE)


_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")
_KANA = re.compile("[\u3040-\u30ff]")
_HANGUL = re.compile("[\uac00-\ud7af]")
_LETTER = re.compile(r"[^\W\d_]")


def by_script(text: str) -> Guess | None:
    """Japanese where a third of the letters are kana, Chinese where most are Han and few kana or hangul, else None."""
    han, kana, hangul = (len(script.findall(text)) for script in (_HAN, _KANA, _HANGUL))
    letters = max(1, len(_LETTER.findall(text)))
    if kana > 0.3 * letters:
        return Guess("ja", kana / (kana + hangul))
    if han > 0.5 * letters and kana < 0.2 * letters and hangul < 0.1 * letters:
        return Guess("zh", han / letters)
    return None


def function_share(words: Sequence[str], code: str) -> float:
    known = FUNCTION_WORDS.get(code, frozenset())
    return sum(map(known.__contains__, words)) / max(1, len(words))


# Varieties that one label stands for here: nothing is gained by dropping Wu or Cantonese pages of a Chinese source.
FAMILY = {
    "wuu": "zh",
    "yue": "zh",
    "gan": "zh",
    "lzh": "zh",
    "hak": "zh",
    "nan": "zh",
    "pcm": "en",
    "sco": "en",
    "simple": "en",
}


def settle(
    guess: Guess, words: Sequence[str], *, declared: Sequence[str], allowed: Sequence[str], min_probability: float
) -> tuple[str, bool]:
    """(language of the document, whether it may stay).

    A guess does not overrule what the ledger declares when the model is not sure, or when function
    words of the declared language are there: lists of names look like any language.
    """
    language = FAMILY.get(guess.language, guess.language)
    wanted = tuple(allowed) or tuple(declared)
    if not wanted or language in wanted:
        return language, True
    if declared and (guess.probability < min_probability or function_share(words, declared[0]) >= _SOME):
        return declared[0], not allowed or declared[0] in allowed
    return language, False
