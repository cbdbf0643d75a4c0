"""`runs/speedrun.sh` in one go, and again: from raw files to a packaged model with its card, tiny."""

import json
import lzma
import os
import subprocess
import sys
from pathlib import Path

import pytest

from creuset.core.artifact import ancestors, verify
from creuset.testing import tiny_config
from creuset.train.settings import Finetune, Optim, Pretrain
from tests.story.test_story import documents, talks

pytestmark = pytest.mark.slow
TREE = Path(__file__).parent.parent.parent
SOURCES = (
    "en_simplewiki", "en_wikipedia_core", "en_classic_books", "en_tinystories_sample", "en_african_storybook",
    "en_onestop_news_3levels", "en_world_factbook", "fr_novels_eltec", "fr_african_storybook",
)  # fmt: skip


def pretrain() -> Pretrain:
    return Pretrain(
        name="speedrun", model=tiny_config(vocab_size=700, context=1024), steps=6, tokens_per_step=512,
        tokens_per_microbatch=512, context=128, evaluate_every=0, save_every=3, optim=Optim(warmup_steps=2),
    )  # fmt: skip


def sft() -> Finetune:
    return Finetune(
        name="speedrun-sft", steps=6, tokens_per_step=512, tokens_per_microbatch=512, context=128, prose=0.25,
        quantize="q8", evaluate_every=0, save_every=3, optim=Optim(warmup_steps=2),
    )  # fmt: skip


def pack(path: Path, rows: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with lzma.open(path, "wt", encoding="utf-8") as out:
        out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def material(root: Path) -> tuple[Path, Path]:
    """Files named as the real ones are, each with its own stories; and benchmarks of a few questions."""
    data, bench = root / "data", root / "bench"
    stories = list(documents(30 * len(SOURCES)))
    for number, source in enumerate(SOURCES):
        texts = stories[30 * number : 30 * (number + 1)]
        pack(
            data / "pretrain" / f"{source}.jsonl.xz",
            [{"text": text, "source": f"{source}/{i}", "license": "CC0-1.0"} for i, text in enumerate(texts)],
        )
    pack(
        data / "instruct" / "en_rasbt_simple_instructions.jsonl.xz",
        [{**talk, "source": "x", "license": "Apache-2.0"} for talk in talks()],
    )
    (data / "reasoning").mkdir()
    rows = [{"file": f"pretrain/{source}.jsonl.xz", "licence": "CC0-1.0", "sources": []} for source in SOURCES]
    (data / "MANIFEST.json").write_text(json.dumps({"files": rows}))
    question = {"query": "Question: Where do fish live?", "choices": ["in water", "in trees"], "gold": 0}
    hella = {
        "activity_label": "Walking",
        "ctx_a": "A man walks.",
        "ctx_b": "he",
        "endings": ["sits.", "flies."],
        "label": 0,
    }
    for name, row in (
        ("arc/arc_easy.jsonl", question), ("hellaswag/hellaswag_val_subset.jsonl", hella),
        ("piqa/valid.jsonl", {"goal": "To cut bread", "sol1": "use a knife", "sol2": "use a spoon"}),
    ):  # fmt: skip
        (bench / name).parent.mkdir(parents=True, exist_ok=True)
        (bench / name).write_text((json.dumps(row) + "\n") * 5)
    (bench / "piqa/valid-labels.lst").write_text("0\n" * 5)
    return data, bench


def test_one_command_makes_the_model_and_a_second_finds_it_made(tmp_path: Path) -> None:
    data, bench = material(tmp_path)
    settings = os.environ | {
        "PRETRAIN": "tests.slow.test_speedrun:pretrain", "SFT": "tests.slow.test_speedrun:sft", "VOCAB": "700",
        "LIMIT": "4", "CREUSET": str(Path(sys.executable).parent / "creuset"), "PYTHONPATH": str(TREE),
        "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    work = tmp_path / "work"
    command = ["bash", str(TREE / "runs/speedrun.sh"), "cpu", str(data), str(bench), str(work)]
    first = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stderr[-3000:]
    made = work / "mini"
    assert first.stdout.splitlines()[-1] == str(made)
    assert verify(made) == []
    kinds = {manifest["kind"] for manifest in ancestors(made)}
    assert {"corpus", "tokenizer", "shards", "dialogues", "model"} <= kinds
    card = (made / "card.md").read_text(encoding="utf-8")
    assert "bits per byte" in card and "arc_easy" in card and "## Conversations" in card
    stamps = {p: p.stat().st_mtime_ns for p in work.rglob("manifest.json")}
    second = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
    assert second.returncode == 0 and second.stdout.splitlines()[-1] == str(made)
    assert {p: p.stat().st_mtime_ns for p in work.rglob("manifest.json")} == stamps, "something was made twice"
