import json
import shutil

import pytest
from huggingface_hub import ModelCard

from creuset.cli import main
from creuset.core.artifact import ancestors, new_artifact, read_manifest, verify
from creuset.core.record import Recorder
from creuset.evals.clients.conversations import converse, openings
from creuset.testing import tiny_model_folder, tiny_shards


def publish(path, *, parents, record):
    with new_artifact(path, kind="model", parents=parents, facts={"steps": 3}) as scratch:
        tiny_model_folder(scratch, context=256)
        (scratch / "record.json").write_text(json.dumps(record))
    return path


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    """shards -> base -> (with dialogues) tuned, each with its record; and an evaluation of each."""
    root = tmp_path_factory.mktemp("card")
    shards = tiny_shards(root / "shards")
    base_run = Recorder.start(stage="pretrain", cores=2)
    base_run.add(tokens=4096, flops=1e12)
    base = publish(root / "base", parents=[shards], record=base_run.finish())
    with new_artifact(
        root / "dialogues",
        kind="dialogues",
        facts={"dialogues": 7, "heldout": 1, "languages": {"fr": 8}, "licences": {"CC-BY-SA-4.0|x": 8}},
    ) as scratch:
        (scratch / "x").write_text("x")
    tune_run = Recorder.start(stage="sft", cores=2, before=[base_run.finish()])
    tune_run.add(tokens=1024, flops=2e11)
    tuned = publish(root / "tuned", parents=[base, root / "dialogues"], record=tune_run.finish())
    for name, model in (("base", base), ("tuned", tuned)):
        assert main(["eval", str(model), "--data", str(shards), "--out", str(root / f"eval-{name}")]) == 0
    return root


def card(root, *more, evaluation="tuned"):
    out = root / "card.md"
    out.unlink(missing_ok=True)
    scores = str(root / f"eval-{evaluation}")
    code = main(["eval", "card", str(root / "tuned"), "--evaluation", scores, "--out", str(out), *more])
    return code, out.read_text() if out.exists() else ""


def test_the_card_holds_what_the_artifacts_say(family, capsys):
    code, text = card(family, "--dialogues", "2")
    assert code == 0
    manifest = read_manifest(family / "tuned")
    for words in (
        manifest["sha256"],
        manifest["files"]["model.safetensors"],  # which model this is
        "| en | CC0-1.0 |",
        "CC-BY-SA-4.0\\|x | 8 |",
        "7 to train on",  # its data and licences
        "| pretrain | 1 | 4,096 | 1e+12 |",
        "| sft | 1 | 1,024 | 2e+11 |",
        "In all 1.2e+12 FLOP",
        "estimated: processor estimated",
        "Bits per byte of held-out documents",
        "| mean over sources |",
        "user: Hello! Who are you?",
        "user: What is a volcano?",
        "## Limits",
        "`creuset verify`",
    ):
        assert words in text, words
    assert "user: What is the capital of Italy?" not in text


def test_its_front_matter_is_valid(family):
    _, text = card(family, "--dialogues", "0", "--licence", "mit")
    data = ModelCard(text).data
    assert data.license == "mit" and data.language == ["en", "fr"] and data.pipeline_tag == "text-generation"
    assert data.library_name == "transformers" and "moe" in data.tags


def test_a_card_without_conversations_or_scores_says_so(family, capsys):
    assert main(["eval", "card", str(family / "tuned"), "--dialogues", "0"]) == 0
    text = capsys.readouterr().out
    assert "No evaluation was given" in text and "## Conversations" not in text


def test_scores_of_an_ancestor_are_said_to_be_so(family):
    code, text = card(family, "--dialogues", "0", evaluation="base")
    assert code == 0 and "These are scores of `base`, which this model was made from." in text


def test_scores_of_another_model_are_refused(family, tmp_path, capsys):
    other = publish(tmp_path / "other", parents=[], record={})
    assert main(["eval", "card", str(other), "--evaluation", str(family / "eval-tuned")]) == 3
    assert "which is not this model" in capsys.readouterr().err


def test_no_card_is_written_of_an_edited_evaluation(family, tmp_path, capsys):
    shutil.copytree(family / "eval-tuned", tmp_path / "edited")
    results = tmp_path / "edited" / "results.json"
    results.write_text(results.read_text().replace('"score": ', '"score": 0.', 1))
    assert main(["eval", "card", str(family / "tuned"), "--evaluation", str(tmp_path / "edited")]) == 3
    assert "no card is written of a damaged artifact" in capsys.readouterr().err


def test_a_package_is_the_model_with_its_card_and_its_whole_lineage(family, tmp_path):
    code, text = card(family, "--dialogues", "1", "--package", str(tmp_path / "shipped"))
    assert code == 0 and (tmp_path / "shipped" / "card.md").read_text() == text
    assert verify(tmp_path / "shipped") == []
    kinds = [m["kind"] for m in ancestors(tmp_path / "shipped")]
    assert kinds[:3] == ["model", "model", "evaluation"]
    assert {"shards", "corpus", "tokenizer", "dialogues"} <= set(kinds)
    ours, theirs = read_manifest(tmp_path / "shipped")["files"], read_manifest(family / "tuned")["files"]
    assert ours == theirs | {"card.md": ours["card.md"]}


def test_conversations_are_held_turn_by_turn_and_do_not_depend_on_their_neighbours(family):
    asked = openings(3)
    together = converse(family / "tuned", asked, max_tokens=12)
    assert [[question for question, _, _ in c.turns] for c in together] == [turns for _, turns in asked]
    assert [len(c.turns) for c in together] == [2, 1, 2]
    assert converse(family / "tuned", asked[2:], max_tokens=12) == together[2:]
    assert all(end in ("stop", "length") for c in together for _, _, end in c.turns)


def test_the_openings_are_twenty_in_two_languages():
    languages = [language for language, _ in openings(20)]
    assert len(languages) == 20 and set(languages) == {"en", "fr"} and languages.count("fr") >= 6
