import json
import re
import shutil

import pytest

from creuset.cli import main
from creuset.core.artifact import ancestors, new_artifact, read_manifest, verify
from creuset.core.record import Recorder
from creuset.evals.clients.conversations import converse, openings
from creuset.governance.dossier.build import build
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
    base_run.read = {"en": 3072, "fr": 1024}  # not what lies in the shards
    base = publish(root / "base", parents=[shards], record=base_run.finish())
    with new_artifact(
        root / "dialogues",
        kind="dialogues",
        facts={"dialogues": 7, "heldout": 1, "languages": {"en": 3, "fr": 5}, "licences": {"CC-BY-SA-4.0|x": 8}},
    ) as scratch:
        (scratch / "x").write_text("x")
    tune_run = Recorder.start(stage="sft", cores=2, before=[base_run.finish()])
    tune_run.add(tokens=1024, flops=2e11)
    tune_run.read = {"dialogues": 1024}
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
        "Mixture-of-Experts (MoE) decoder-only Transformer: 2 layers of width 32, 4 query heads",
        "| pre-training | en | CC0-1.0 | 3,072 | 75.0% |",  # what the run read, in which mix, under which licence
        "| supervised fine-tuning | dialogues | – | 1,024 | 100.0% |",
        "CC-BY-SA-4.0\\|x | 8 |",
        "| dialogues to train on | 7 |",
        "5,120 tokens were read over all stages",
        " | 1 | 4,096 | 1.00 × 10¹² | ",
        " | 1 | 1,024 | 2.00 × 10¹¹ | ",
        "1.2 × 10¹² FLOP, by arithmetic",
        "processor estimated",
        "Bits per byte (lower is better) are the sum of -log2 p over a document's tokens",
        "| bpb | bits per byte, mean over sources |",
        "user: Hello! Who are you?",
        "user: What is a volcano?",
        "### Limits",
        "**Not in the records**: no audit of this was given",
        "of 2 every answer ended by itself",
    ):
        assert words in text, words
    assert "user: What is the capital of Italy?" not in text and "TO COMPLETE" not in text and "](#f" not in text


def test_the_card_and_the_dossiers_form_say_the_same(family, tmp_path):
    """One table of words: each field of the card stands in form 12 of the dossier, figures without their links."""
    build(family / "tuned", tmp_path / "out", evaluations=[family / "eval-tuned"], forms=["model-card"], langs=["en"],
          formats=["md"])  # fmt: skip
    form = re.sub(r"\[([^]]*)\]\(#f\d+\)", r"\1", (tmp_path / "out/en/model-card.md").read_text())
    _, text = card(family, "--dialogues", "0")
    fields = [f for f in re.split(r"\n(?=##)", text.partition("\n## ")[2]) if not f.startswith("### Licence")]
    assert len(fields) > 15
    for field in fields:
        assert field.strip().replace("**Not in the records**.", "") in form or "**Not in the records**." in field, field


def test_what_lies_in_the_shards_is_not_told_as_what_was_read(family):
    held = read_manifest(family / "shards")["facts"]["sources"]["en"]["train"]
    assert held["tokens"] != 3072
    _, text = card(family, "--dialogues", "0")
    assert f"{held['tokens']:,}" not in text


def test_its_front_matter_is_valid(family):
    from huggingface_hub import ModelCard

    _, text = card(family, "--dialogues", "0", "--licence", "mit")
    data = ModelCard(text).data
    assert data.license == "mit" and data.language == ["en", "fr"] and data.pipeline_tag == "text-generation"
    assert data.library_name == "transformers" and "moe" in data.tags


def test_a_card_without_conversations_or_scores_says_so(family, capsys):
    assert main(["eval", "card", str(family / "tuned"), "--dialogues", "0"]) == 0
    text = capsys.readouterr().out
    assert "no evaluation was given" in text and "## Conversations" not in text


def test_scores_of_an_ancestor_are_said_to_be_so(family):
    code, text = card(family, "--dialogues", "0", evaluation="base")
    assert code == 0 and "Scored: base (" in text and "not the model itself" in text


def test_scores_of_another_model_are_refused(family, tmp_path, capsys):
    other = publish(tmp_path / "other", parents=[], record={})
    assert main(["eval", "card", str(other), "--evaluation", str(family / "eval-tuned")]) == 3
    assert "which is not this model" in capsys.readouterr().err


def test_no_card_is_written_of_an_edited_evaluation(family, tmp_path, capsys):
    shutil.copytree(family / "eval-tuned", tmp_path / "edited")
    results = tmp_path / "edited" / "results.json"
    results.write_text(results.read_text().replace('"score": ', '"score": 0.', 1))
    assert main(["eval", "card", str(family / "tuned"), "--evaluation", str(tmp_path / "edited")]) == 3
    assert "no document is made of a damaged artifact" in capsys.readouterr().err


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
