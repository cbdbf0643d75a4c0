"""Social IQa: what people do, want and feel (Sap et al. 2019), 1,954 validation items with two of their three options.

data        siqa/siqa.jsonl: {"query": "Context: ...\\nQuestion: ...\\nChoices:\\nA. ...\\nB. ...\\nAnswer:", "gold": 1}
licence     as redistributed in llm-foundry (Apache-2.0); the authors' own is not verified
metric      acc of the letter. Two options instead of three: not comparable with published scores
"""

from collections.abc import Iterator
from pathlib import Path

from creuset.evals.tasks.choices import ChoiceTask, Group, Question
from creuset.evals.tasks.files import Row, find, json_rows, made


class Siqa(ChoiceTask):
    name = "siqa"
    files = ("siqa/siqa.jsonl",)
    licence = "not verified"
    caveat = "two of the three options are in this file: easier than the published task"
    norm = False

    def groups(self, folder: Path) -> Iterator[Group]:
        path = find(folder, self.files[0], self.name)
        yield Group(questions=list(made(path, json_rows(path), _question, self.name)))

    def lettered(self, q: Question) -> str:
        return q.context


def _question(line: int, row: Row) -> Question:
    query = row["query"].strip()
    stem, _, listed = query.removesuffix("\nAnswer:").partition("\nChoices:\n")
    shown = tuple(text.split(". ", 1)[1] for text in listed.split("\n"))
    return Question(
        id=f"siqa/{line}", context=query, choices=tuple(f" {letter}" for letter in row["choices"]),
        gold=int(row["gold"]), stem=stem, options=shown,
    )
