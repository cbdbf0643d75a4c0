import json
import shutil

import pytest

from creuset.cli import main
from creuset.core.artifact import ancestors, new_artifact, read_manifest, verify


@pytest.fixture
def text(tmp_path):
    file = tmp_path / "held.jsonl"
    texts = ("The cat sat on the mat.", "A river is water.", "It is.")
    file.write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
    return file


def test_a_model_is_scored_on_a_file(folder, text, capsys):
    assert main(["eval", str(folder), "--data", str(text), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    (row,) = said["results"]
    assert row["source"] == "held" and row["n"] == 3 and row["bytes"] == 46 and row["interval"][0] < row["score"]
    assert said["model"]["name"] == "tiny" and not said["model"]["artifact"] and said["definitions"]["bpb"]


def test_results_are_kept_with_the_model_as_their_parent(folder, text, bench, tmp_path, capsys):
    with new_artifact(tmp_path / "model", kind="model") as scratch:
        shutil.copytree(folder, scratch, dirs_exist_ok=True)
    asked = [
        "eval",
        str(tmp_path / "model"),
        "--data",
        str(text),
        "--task",
        "bpb,arc_easy,piqa,hellaswag,boolq",
        "--bench",
        str(bench),
        "--out",
        str(tmp_path / "kept"),
    ]
    assert main(asked) == 0
    out = capsys.readouterr().out.splitlines()
    assert len([line for line in out if "  n = " in line]) == 9
    assert out[0].startswith("bits per byte  held") and "at chance level" in out[1]
    assert verify(tmp_path / "kept") == []
    assert [m["kind"] for m in ancestors(tmp_path / "kept")] == ["evaluation", "model"]
    files = read_manifest(tmp_path / "kept")["files"]
    tasks = ("bpb", "arc_easy", "piqa", "hellaswag", "boolq")
    assert set(files) == {f"{n}.jsonl" for n in tasks} | {"results.json", "report.html", "report.csv"}
    page = (tmp_path / "kept" / "report.html").read_text(encoding="utf-8")
    assert all(task in page for task in tasks), "the page that comes with the figures has each of them"
    assert main(asked) == 2 and "already exists" in capsys.readouterr().err


def test_the_same_question_has_the_same_answer(folder, text, capsys):
    said = []
    for _ in range(2):
        assert main(["eval", str(folder), "--data", str(text), "--json"]) == 0
        said.append([row | {"date": ""} for row in json.loads(capsys.readouterr().out)["results"]])
    assert said[0] == said[1]


def test_bf16_gives_nearly_the_same_figure(folder, text, capsys):
    scores = []
    for dtype in ("fp32", "bf16"):
        assert main(["eval", str(folder), "--data", str(text), "--json", "--dtype", dtype]) == 0
        scores.append(json.loads(capsys.readouterr().out)["results"][0]["score"])
    assert scores[1] == pytest.approx(scores[0], rel=0.03) and scores[0] != scores[1]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--task", "bpb"], 2, "bits per byte needs text"),
        (["--task", "ifeval_fr,arc_easy"], 2, "`arc_easy` needs its files (arc/arc_easy.jsonl)"),
        (["--task", "mmlv", "--bench", "x"], 2, "`mmlv` is not a task"),
        (["--data", "nothing.txt"], 2, "does not exist"),
        (["--data", "{text}", "--overlap", "99"], 2, "overlap (99) must be below the context (48)"),
        (["--data", "{text}", "--device", "tpu"], 2, "`tpu` is not a device"),
    ],
)
def test_a_question_that_cannot_be_is_refused(folder, text, words, code, said, capsys):
    assert main(["eval", str(folder), *(w.format(text=text) for w in words)]) == code
    assert said in capsys.readouterr().err


def test_a_folder_that_is_no_model_is_refused(tmp_path, text, capsys):
    assert main(["eval", str(tmp_path / "none"), "--data", str(text)]) == 3
    assert "does not exist" in capsys.readouterr().err
