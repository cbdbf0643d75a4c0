"""MMLU: 14,042 questions of 57 subjects (Hendrycks et al. 2021), with five worked examples a subject.

data        mmlu/test/SUBJECT_test.csv and mmlu/dev/SUBJECT_dev.csv: question, A, B, C, D, letter; no header
licence     MIT
metric      acc over all questions, interval clustered by subject; choices are the letters, so acc_norm says nothing
shots       5 (the subject's dev questions, in order), or 0
reference   88.5 DeepSeek-V3, 88.6 Llama-3.1-405B, 88.3 Claude-3.5-Sonnet-1022, 87.2 GPT-4o-0513, 85.3 Qwen2.5-72B
            (chat models, exact match of the letter; README of DeepSeek-V3)
"""

from collections.abc import Iterator
from pathlib import Path

from creuset.benchmarks.choices import LETTERS, ChoiceTask, Group, Question, options
from creuset.benchmarks.files import Row, csv_rows, find, made

SUBJECTS = (
    "abstract_algebra", "anatomy", "astronomy", "business_ethics", "clinical_knowledge", "college_biology",
    "college_chemistry", "college_computer_science", "college_mathematics", "college_medicine",
    "college_physics", "computer_security", "conceptual_physics", "econometrics", "electrical_engineering",
    "elementary_mathematics", "formal_logic", "global_facts", "high_school_biology", "high_school_chemistry",
    "high_school_computer_science", "high_school_european_history", "high_school_geography",
    "high_school_government_and_politics", "high_school_macroeconomics", "high_school_mathematics",
    "high_school_microeconomics", "high_school_physics", "high_school_psychology", "high_school_statistics",
    "high_school_us_history", "high_school_world_history", "human_aging", "human_sexuality",
    "international_law", "jurisprudence", "logical_fallacies", "machine_learning", "management", "marketing",
    "medical_genetics", "miscellaneous", "moral_disputes", "moral_scenarios", "nutrition", "philosophy",
    "prehistory", "professional_accounting", "professional_law", "professional_medicine",
    "professional_psychology", "public_relations", "security_studies", "sociology", "us_foreign_policy",
    "virology", "world_religions",
)  # fmt: skip


class Mmlu(ChoiceTask):
    name = "mmlu"
    parts = part = SUBJECTS
    files = tuple(f"mmlu/{part}/{subject}_{part}.csv" for subject in SUBJECTS for part in ("dev", "test"))
    licence = "MIT"
    reference = "88.5 DeepSeek-V3, 85.3 Qwen2.5-72B, 87.2 GPT-4o-0513, chat models (README of DeepSeek-V3)"
    shots = 5
    norm = False

    def groups(self, folder: Path) -> Iterator[Group]:
        for subject in self.part:
            words = subject.replace("_", " ")
            yield Group(
                questions=self._read(folder, subject, "test"), examples=self._read(folder, subject, "dev"),
                description=f"The following are multiple choice questions (with answers) about {words}.\n\n",
            )

    def _read(self, folder: Path, subject: str, part: str) -> list[Question]:
        path = find(folder, f"mmlu/{part}/{subject}_{part}.csv", self.name)

        def question(line: int, row: Row) -> Question:
            shown = tuple(row[letter] for letter in "ABCD")
            stem = row["question"].strip()
            return Question(
                id=f"{subject}/{line}", context=f"{stem}\n{options(shown)}\nAnswer:",
                choices=tuple(f" {letter}" for letter in "ABCD"), gold=LETTERS.index(row["answer"]), stem=stem,
                options=shown, cluster=subject,
            )

        rows = csv_rows(path, ("question", *"ABCD", "answer"))
        return list(made(path, rows, question, self.name))

    def lettered(self, q: Question) -> str:
        return q.context
