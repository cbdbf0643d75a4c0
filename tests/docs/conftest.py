"""What the commands of the guides are run on."""

import shutil
from pathlib import Path

import pytest

from creuset.cli import main
from tests.story.test_story import documents, talks


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one tiny artifact of each kind, made by the commands themselves."""
    import json

    folder = tmp_path_factory.mktemp("shelf")
    (folder / "texts").mkdir()
    (folder / "texts/tales.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in documents(40)))
    (folder / "talks.jsonl").write_text("".join(json.dumps(t) + "\n" for t in talks() * 4))
    at = {n: str(folder / n) for n in ("texts", "corpus", "tokenizer", "shards", "pretrained", "tuned", "model")}
    for stage in (
        ["corpus", "build", at["texts"], "--licence", "CC0-1.0", "--out", at["corpus"], "--set", "heldout.share=0.1"],
        ["tokenizer", "train", "--corpus", at["corpus"], "--vocab-size", "600", "--out", at["tokenizer"]],
        ["corpus", "tokenize", at["corpus"], "--tokenizer", at["tokenizer"], "--out", at["shards"]],
        ["train", "tests.story.test_story:pretrain", "--shards", at["shards"], "--out", at["pretrained"]],
        ["tune", "sft", "tests.story.test_story:sft", "--model", f"{at['pretrained']}/model",
         "--dialogues", f"{folder}/talks.jsonl", "--out", at["tuned"]],
        ["tune", "ship", f"{at['tuned']}/model", "--out", at["model"]],
    ):  # fmt: skip
        assert main(stage) == 0, stage
    return folder


@pytest.fixture
def room(shelf: Path, tmp_path: Path) -> Path:
    """A copy of the shelf for one page: what the page writes is gone with it."""
    shutil.copytree(shelf, tmp_path / "room")
    return tmp_path / "room"
