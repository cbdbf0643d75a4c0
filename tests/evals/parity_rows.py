"""The committed sample files, read into the rows that lm-evaluation-harness's own task files expect."""

import csv
import json
from pathlib import Path
from typing import Any

Rows = list[dict[str, Any]]


def jsonl(bench: Path, file: str) -> Rows:
    with (bench / file).open(encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def table(bench: Path, file: str, names: list[str] | None = None, **dialect: Any) -> Rows:
    with (bench / file).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, names, **dialect))


def lettered(row: dict[str, Any], letters: str) -> dict[str, Any]:
    return {"label": list(letters), "text": [row[letter] for letter in letters]}


def query(bench: Path, file: str, take_off: str) -> Rows:
    return [
        {
            "question": r["query"].removeprefix(take_off),
            "choices": {"label": list("ABCDE")[: len(r["choices"])], "text": r["choices"]},
            "answerKey": "ABCDE"[r["gold"]],
        }
        for r in jsonl(bench, file)
    ]


def openbook(bench: Path) -> Rows:
    return [{"question_stem": r["question"], **r} for r in query(bench, "openbookqa/openbook_qa.jsonl", "")]


def piqa(bench: Path) -> Rows:
    labels = (bench / "piqa/valid-labels.lst").read_text().split()
    return [{**row, "label": int(label)} for row, label in zip(jsonl(bench, "piqa/valid.jsonl"), labels, strict=True)]


def boolq(bench: Path) -> Rows:
    rows = []
    for row in jsonl(bench, "boolq/boolq.jsonl"):
        passage, _, question = row["query"].rpartition("\nQuestion: ")
        rows.append({"passage": passage, "question": question.removesuffix("?"), "label": row["gold"]})
    return rows


def winogrande(bench: Path) -> Rows:
    """The published shape: a sentence with a gap."""
    rows = []
    for row in jsonl(bench, "winogrande/winogrande.jsonl"):
        first, second = row["context_options"]
        shared = "".join(a for i, a in enumerate(first) if second.startswith(first[: i + 1]))
        rows.append(
            {
                "sentence": f"{shared}_ {row['continuation']}",
                "option1": first[len(shared) :],
                "option2": second[len(shared) :],
                "answer": str(row["gold"] + 1),
            }
        )
    return rows


def mmlu(bench: Path, subject: str, part: str) -> Rows:
    rows = table(bench, f"mmlu/{part}/{subject}_{part}.csv", ["question", *"ABCD", "answer"])
    return [
        {"question": r["question"], "choices": [r[x] for x in "ABCD"], "answer": "ABCD".index(r["answer"])}
        for r in rows
    ]


def commonsense(bench: Path) -> Rows:
    rows = table(bench, "commonsense_qa/val/default_val.csv", ["question", *"ABCDE", "answerKey"])
    return [{"question": r["question"], "choices": lettered(r, "ABCDE"), "answerKey": r["answerKey"]} for r in rows]


def truthful(bench: Path) -> Rows:
    rows = []
    for row in table(bench, "truthfulqa/TruthfulQA.csv"):
        right, wrong = (
            [t.strip() for t in row[k].split(";") if t.strip()] for k in ("Correct Answers", "Incorrect Answers")
        )
        rows.append(
            {
                "question": row["Question"].strip(),
                "mc1_targets": {"choices": [row["Best Answer"].strip(), *wrong], "labels": [1] + [0] * len(wrong)},
                "mc2_targets": {"choices": right + wrong, "labels": [1] * len(right) + [0] * len(wrong)},
            }
        )
    return rows


def mgsm(bench: Path, language: str) -> Rows:
    rows = table(bench, f"mgsm/mgsm_{language}.tsv", ["q", "a"], delimiter="\t", quoting=csv.QUOTE_NONE)
    return [{"question": r["q"], "answer": None, "answer_number": int(r["a"].replace(",", ""))} for r in rows]


def bbh(bench: Path, kind: str) -> Rows:
    found: Rows = json.loads((bench / f"bbh/bbh/{kind}.json").read_text(encoding="utf-8"))["examples"]
    return found


def pro(bench: Path, category: str) -> Rows:
    return [row for row in jsonl(bench, "mmlu_pro/test.jsonl") if row["category"] == category]


def social(bench: Path) -> Rows:
    rows = []
    for row in jsonl(bench, "siqa/siqa.jsonl"):
        told, _, listed = row["query"].removesuffix("\nAnswer:").partition("\nChoices:\nA. ")
        context, _, question = told.removeprefix("Context: ").partition("\nQuestion: ")
        first, _, second = listed.partition("\nB. ")
        rows.append(
            {"context": context, "question": question, "answerA": first, "answerB": second, "label": row["gold"] + 1}
        )
    return rows


def whole(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "text": f"{row['context']} {row['continuation']}"}
