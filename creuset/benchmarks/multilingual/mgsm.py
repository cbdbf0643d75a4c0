"""MGSM: 250 problems of GSM8K in eleven languages (Shi et al. 2022), reasoned out (mgsm) or answered at once.

data        mgsm/mgsm_LANG.tsv: problem, number
licence     CC-BY-4.0
metric      em_strict: the number behind "The answer is" in the language of the problem (mgsm_direct: the reply is the
            number); em_lenient: the last number, by the referee's rule; em_read: the last number as the
            language writes it. Intervals are clustered by problem, which each language repeats;
            each language has its own two measures
shots       0: the file has no worked solutions; mgsm_direct takes as many of its first problems as are asked for
reference   8-shot, base models: 79.8 DeepSeek-V3, 76.2 Qwen2.5-72B, 69.9 Llama-3.1-405B (README of DeepSeek-V3)
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from creuset.benchmarks.answers import AnswerItem, AnswerTask
from creuset.benchmarks.fewshot import Group
from creuset.benchmarks.files import Row as Cells
from creuset.benchmarks.files import find, made, tsv_rows
from creuset.core.errors import ConfigError
from creuset.evals import extract
from creuset.evals.task import Row
from creuset.types.measure import Measure

# Language: before the problem, before the reasoning, before an answer given at once, before the number in the answer.
WORDS = {
    "bn": ("প্রশ্ন: ", "ধাপে ধাপে উত্তর:", "Answer:", "The answer is "),
    "de": ("Frage: ", "Schritt-für-Schritt-Antwort:", "Antwort:", "Die Antwort lautet "),
    "en": ("Question: ", "Step-by-Step Answer:", "Answer:", "The answer is "),
    "es": ("Pregunta: ", "Respuesta paso a paso:", "Respuesta:", "La respuesta es "),
    "fr": ("Question : ", "Réponse étape par étape :", "Réponse :", "La réponse est "),
    "ja": ("問題： ", "ステップごとの答え:", "Answer:", "答えは"),
    "ru": ("Задача: ", "Пошаговоерешение:", "Answer:", "Ответ — "),
    "sw": ("Swali: ", "Jibu la Hatua kwa Hatua:", "Answer:", "Jibu ni "),
    "te": ("ప్రశ్న: ", "దశలవారీగా సమాధానం:", "Answer:", "సమాధానం "),
    "th": ("โจทย์: ", "คำตอบทีละขั้นตอน:", "Answer:", "คำตอบคือ "),
    "zh": ("问题： ", "逐步解答:", "Answer:", "答案是 "),
}
# What must follow the number, in lm-evaluation-harness's rule; nothing need elsewhere.
AFTER = {"ja": "です。", "zh": "。"}


class Mgsm(AnswerTask):
    name = "mgsm"
    parts = part = tuple(WORDS)
    files = ("mgsm/mgsm_*.tsv",)
    licence = "CC-BY-4.0"
    reference = "79.8 DeepSeek-V3 base, 76.2 Qwen2.5-72B base, 8-shot (README of DeepSeek-V3)"
    strict_name, lenient_name, read_name = "number_said", "number_last", "number_read"
    version = 2  # 1 wanted no full stop behind the number, and showed a Latin one, in ja and zh
    way: ClassVar[int] = 1

    def __init__(self, fewshot: int | None = None) -> None:
        super().__init__(fewshot)
        if self.fewshot and self.way == 1:
            raise ConfigError(f"{self.name} has no worked examples, {self.fewshot} are asked for")

    def groups(self, folder: Path) -> Iterator[Group[AnswerItem]]:
        for language in self.part:
            path = find(folder, f"mgsm/mgsm_{language}.tsv", self.name)
            ask, words = WORDS[language][0], WORDS[language][self.way]
            end = f"{words}\n({WORDS[language][3]}N{AFTER.get(language, '.')})" if self.way == 1 else words

            def problem(
                line: int, row: Cells, language: str = language, ask: str = ask, words: str = words, end: str = end
            ) -> AnswerItem:
                text, number = row["problem"], extract.plain_number(row["number"])
                return AnswerItem(
                    id=f"{language}/{line}",
                    prompt=f"{ask}{text}\n{words}",
                    message=f"{text}\n\n{end}",
                    gold=number,
                    worked=f" {number}",
                    cluster=f"problem {line}",
                    language=language,
                )

            yield Group(questions=list(made(path, tsv_rows(path, ("problem", "number")), problem, self.name)))

    def _stops(self, language: str) -> tuple[str, ...]:
        return (WORDS[language][0].strip(), "</s>", "<|im_end|>")

    def strict(self, text: str, language: str) -> str | None:
        return extract.number_said(text, WORDS[language][3], end=AFTER.get(language, ""))

    def lenient(self, text: str, language: str) -> str | None:
        return extract.number_last(text)

    def read(self, text: str, language: str) -> str | None:
        return extract.number_read(text, language)

    def measures(self, rows: Sequence[Row]) -> list[Measure]:
        found = self._shares(rows, "")
        for language in self.part if len(self.part) > 1 else ():
            found += self._shares([row for row in rows if row["language"] == language], f".{language}")
        return found


class MgsmDirect(Mgsm):
    name = "mgsm_direct"
    strict_name = "reply"
    way = 2

    def strict(self, text: str, language: str) -> str | None:
        return extract.plain_number(text) or None
