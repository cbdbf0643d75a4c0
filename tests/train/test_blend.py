"""Fine-tuning with a share of prose: exact shares, exact resume, refusals."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from creuset.cli import main
from creuset.core.artifact import new_artifact, read_manifest
from creuset.data.shards.batches import PretrainSource
from creuset.data.shards.files import Shards
from creuset.testing import tiny_config, tiny_model_folder, tiny_shards
from creuset.train.dialogues.source import Blend, DialogueSource
from creuset.train.settings import Finetune, Optim

CONTEXT = 32


def recipe() -> Finetune:
    return Finetune(
        name="tiny-sft", steps=4, tokens_per_step=4 * 64, tokens_per_microbatch=4 * 64, context=64, precision="fp32",
        prose=0.25, evaluate_every=0, save_every=2, optim=Optim(warmup_steps=1),
    )  # fmt: skip


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_shards(tmp_path_factory.mktemp("blend") / "shards")


def blend(shards: Path, share: float) -> Blend:
    rng = np.random.default_rng(5)
    dialogues = [
        (rng.integers(0, 300, n).astype(np.uint32), np.ones(n, np.uint8)) for n in rng.integers(4, CONTEXT, 40)
    ]
    source = DialogueSource(dialogues, context=CONTEXT, seed=1, pad=0)
    prose = PretrainSource(Shards.open(shards), weights={"en": 1.0}, context=CONTEXT, seed=2)
    return Blend(source, prose, share_of_prose=share)


def rows(source: Blend, count: int) -> list[bytes]:
    return [
        b.tokens_T.numpy().tobytes()
        for _ in range(count)
        for b in source.step(tokens=CONTEXT, micro=CONTEXT, rank=0, world=1)
    ]


@pytest.mark.parametrize("share", [0.2, 0.5, 0.33])
def test_each_kind_of_row_has_its_share_and_keeps_its_own_order(shards: Path, share: float) -> None:
    both = blend(shards, share)
    mixed = rows(both, 60)
    assert both.prose.cursor()["taken"]["en"] == int(60 * share)
    alone = blend(shards, share)
    prose = [alone.prose.next_row().inputs.astype(np.int64).tobytes() for _ in range(int(60 * share))]
    dialogues = [alone.dialogues.next_row().inputs.tobytes() for _ in range(60 - int(60 * share))]
    assert sorted(mixed) == sorted(prose + dialogues), "a row was lost, or came twice"
    assert [row for row in mixed if row in set(prose)] == prose
    assert both.read() == {"dialogues": (60 - len(prose)) * CONTEXT, "en": len(prose) * CONTEXT}


def test_going_on_from_a_cursor_is_not_having_stopped(shards: Path) -> None:
    whole = rows(blend(shards, 0.3), 50)
    first = blend(shards, 0.3)
    begun = rows(first, 17)
    later = blend(shards, 0.3)
    later.seek(json.loads(json.dumps(first.cursor())))
    assert later.read() == first.read() and sum(first.read().values()) == 17 * CONTEXT
    assert begun + rows(later, 33) == whole


def test_the_verb_blends_names_the_shards_as_parents_and_refuses_without_them(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model"
    with new_artifact(model, kind="model", parents=[shards]) as scratch:
        for file in tiny_model_folder(tmp_path / "plain").iterdir():
            (scratch / file.name).write_bytes(file.read_bytes())
        for file in (shards / "tokenizer").glob("tokenizer*.json"):
            (scratch / file.name).write_bytes(file.read_bytes())
    talk = tmp_path / "talk.jsonl"
    line = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]}
    talk.write_text((json.dumps(line) + "\n") * 40)
    words = ["tune", "sft", "tests.train.test_blend:recipe", "--model", str(model), "--dialogues", str(talk)]
    assert main([*words, "--out", str(tmp_path / "a")]) == 2
    assert "prose is 0.25 and there is no text" in capsys.readouterr().err
    assert main([*words, "--out", str(tmp_path / "b"), "--shards", str(shards), "--threads", "1"]) == 0
    parents = [p["sha256"] for p in read_manifest(tmp_path / "b" / "model")["parents"]]
    assert read_manifest(shards)["sha256"] in parents
    scored = [*words, "--out", str(tmp_path / "c"), "--shards", str(shards), "--threads", "1", "--set", "prose=0"]
    assert main(scored) == 0
    parents = [p["sha256"] for p in read_manifest(tmp_path / "c" / "model")["parents"]]
    assert read_manifest(shards)["sha256"] not in parents, "shards that are only scored made nothing of the model"


def test_a_share_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"prose must be at least 0 and below 1, got 1.0"):
        replace(recipe(), prose=1.0)
    assert tiny_config().context >= recipe().context
