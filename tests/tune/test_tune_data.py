import json
import re

import pytest
import zstandard
from tune_material import shelf

from creuset.core.artifact import read_manifest, verify
from mini_instructions import ready, systems, turns
from mini_instructions.__main__ import main
from mini_instructions.base import Dialogue, Turn
from mini_instructions.build import RULES, SIZES, SMALL, build, fault
from mini_instructions.shelf import Shelf


def rows(path):
    with zstandard.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    report = build(root / "out", shelf(root), seed=3, limit=40)
    return root, report


def test_the_artifact_is_whole_and_names_licence_and_origin_of_every_line(made):
    root, report = made
    assert verify(root / "out") == [] and read_manifest(root / "out")["kind"] == "dialogues"
    train, heldout = rows(root / "out" / "dialogues.jsonl.zst"), rows(root / "out" / "heldout.jsonl.zst")
    assert len(train) == report["totals"]["dialogues"] and len(heldout) == report["totals"]["heldout"] > 0
    for row in [*train, *heldout]:
        assert row["licence"] and row["source"] and row["from"] and row["rule"] and row["lang"] in ("en", "fr")
        assert row["messages"][-1]["role"] == "assistant"


def test_read_is_written_plus_refused_for_every_rule(made):
    _, report = made
    for name, row in report["rules"].items():
        assert row["read"] == row["written"] + sum(row["refused"].values()), name
    assert report["rules"]["definitions"]["refused"]["several meanings"] == 1
    assert {rule.name for rule in RULES} <= set(report["rules"])


def test_what_cannot_be_defended_is_never_read(made):
    root, report = made
    text = json.dumps(rows(root / "out" / "dialogues.jsonl.zst"))
    assert "FORBIDDEN" not in text
    assert {"instruct/en_gpteacher_roleplay", "instruct/fr_oasst1_top1"} <= set(report["excluded"])
    ledger = json.loads((root / "out" / "ledger.json").read_text())
    assert {row["name"] for row in ledger["excluded"]} == set(ready.EXCLUDED)
    assert all(row["licence"] and row["terms"] for row in ledger["source"])


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(made, tmp_path):
    root, _ = made
    build(tmp_path / "again", shelf(tmp_path), seed=3, limit=40)
    build(tmp_path / "other", shelf(tmp_path), seed=4, limit=40)
    first = (root / "out" / "dialogues.jsonl.zst").read_bytes()
    assert (tmp_path / "again" / "dialogues.jsonl.zst").read_bytes() == first
    assert (tmp_path / "other" / "dialogues.jsonl.zst").read_bytes() != first


def test_phrasings_of_one_source_stay_on_one_side(made):
    root, _ = made
    train = {row["from"] for row in rows(root / "out" / "dialogues.jsonl.zst") if row["rule"] == "definitions"}
    heldout = {row["from"] for row in rows(root / "out" / "heldout.jsonl.zst") if row["rule"] == "definitions"}
    assert not train & heldout


def test_joined_conversations_name_the_licence_of_each_part(made):
    root, _ = made
    joined = [row for row in rows(root / "out" / "dialogues.jsonl.zst") if row["rule"] == "turns_chain"]
    assert joined and any(" AND " in row["licence"] for row in joined)
    for row in joined:
        assert len(row["messages"]) >= 2 and not re.search(r"[{}]n[{}]", json.dumps(row["messages"]))


def test_a_broken_line_is_named_and_an_absent_file_too(tmp_path):
    kept = shelf(tmp_path)
    path = tmp_path / "pretrain" / "en_african_storybook.jsonl"
    (tmp_path / "pretrain" / "en_african_storybook.jsonl.xz").unlink()
    path.write_text('{"text": "A\\n\\nb"}\nnot json\n[1]\n')
    report = build(tmp_path / "out", kept, limit=5)
    assert report["broken_lines"] == ["en_african_storybook.jsonl:2", "en_african_storybook.jsonl:3"]
    assert "pretrain/fr_african_storybook" in report["absent"]


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        ((Turn("user", "Hi"),), "roles do not alternate"),
        ((Turn("assistant", "Hi"), Turn("user", "Hi")), "roles do not alternate"),
        ((Turn("user", "Hi"), Turn("assistant", " ")), "an empty message"),
        ((Turn("user", "Hi"), Turn("assistant", "a , b")), "stray spaces or marks"),
        ((Turn("user", "Hi"), Turn("assistant", "<|im_end|>")), "a mark left over"),
        ((Turn("user", "Hi"), Turn("assistant", "word " * 130)), "an answer too long"),
    ],
)
def test_an_unfit_dialogue_has_a_fault(turns, reason):
    assert fault(Dialogue(turns, "numbers", "s", "l", "o")) == reason


def test_rules_alone_write_without_any_folder(tmp_path):
    report = build(tmp_path / "out", Shelf(), limit=10)
    assert report["totals"]["dialogues"] > 100 and "pretrain/en_simplewiki" in report["absent"]
    assert set(report["totals"]["licences"]) == {"Apache-2.0"}


def test_the_command_prints_the_report(tmp_path, capsys):
    shelf(tmp_path)
    arguments = ["--out", str(tmp_path / "out"), "--pretrain", str(tmp_path / "pretrain"), "--limit", "5", "--json"]
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["totals"]["dialogues"] > 50
    assert main(["--out", str(tmp_path / "x"), "--pretrain", str(tmp_path / "nowhere")]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_the_sizes_name_rules_that_exist_and_the_small_one_writes_less(tmp_path):
    known = {rule.name for rule in RULES} | {rule.name for rule, _ in (*turns.joiners([]), *systems.joiners([]))}
    assert all(set(counts) <= known for counts in SIZES.values())
    counts = {rule.name: rule.count for rule in RULES}
    assert all(SMALL[name] < counts[name] for name in SMALL if name in counts)
    report = build(tmp_path / "out", shelf(tmp_path), size="small", limit=30)
    assert report["rules"]["sums_gsm8k"]["written"] == 0 and report["rules"]["talk_identity_en"]["written"] == 30
