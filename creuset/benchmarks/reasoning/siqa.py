"""Social IQa: what people do, want and feel (Sap et al. 2019), 1,954 validation items with two of their three options.

data        siqa/siqa.jsonl: {"query": "Context: ...\\nQuestion: ...\\nChoices:\\nA. ...\\nB. ...\\nAnswer:", "gold": 1}
licence     as redistributed in llm-foundry (Apache-2.0); the authors' own is not verified
metric      acc of the answer's text (loglikelihood), of letters in the other forms. Two options instead of three: not
            comparable with published scores
"""

from collections.abc import Iterator
from pathlib import Path

from creuset.benchmarks.choices import ChoiceTask, Group, Question, options
from creuset.benchmarks.files import Row, find, json_rows, made


class Siqa(ChoiceTask):
    name = "siqa"
    files = ("siqa/siqa.jsonl",)
    licence = "not verified"
    caveat = "two of the three options are in this file: easier than the published task"
    norm = False        # lm-evaluation-harness has none here
    version = 2         # 1 asked for the letter in the loglikelihood form

    def groups(self, folder: Path) -> Iterator[Group]:
        path = find(folder, self.files[0], self.name)
        yield Group(questions=list(made(path, json_rows(path), _question, self.name)))

    def lettered(self, q: Question) -> str:
        return f"{q.stem}\nChoices:\n{options(q.options)}\nAnswer:"


def _question(line: int, row: Row) -> Question:
    query = row["query"].strip()
    stem, _, listed = query.removesuffix("\nAnswer:").partition("\nChoices:\n")
    shown = tuple(text.split(". ", 1)[1] for text in listed.split("\n"))
    told = stem.removeprefix("Context: ").replace("\nQuestion: ", " ", 1)
    return Question(
        id=f"siqa/{line}", context=f"Q: {told}\nA:", choices=tuple(f" {text}" for text in shown),
        gold=int(row["gold"]), stem=stem, options=shown,
    )
