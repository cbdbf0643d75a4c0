"""Every command of the guides on scoring and planning, run as written, in their order."""

import shlex
import shutil
from pathlib import Path

import pytest

from creuset.cli import main
from creuset.core.artifact import new_artifact, verify
from creuset.testing import tiny_model_folder, tiny_shards

GUIDES = Path(__file__).parent.parent.parent / "docs" / "guides"


def commands(guide):
    lines = [line.strip() for line in (GUIDES / guide).read_text().splitlines() if line.startswith("    creuset ")]
    assert lines
    return [shlex.split(line)[1:] for line in lines]


@pytest.mark.parametrize("guide", ["evaluate.md", "plan.md"])
def test_the_guide_works_as_written(guide, tmp_path, bench, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with new_artifact(tmp_path / "model", kind="model") as scratch:
        tiny_model_folder(scratch)
    if guide == "evaluate.md":
        tiny_shards(tmp_path / "shards")
        shutil.copytree(bench, tmp_path / "benchmarks")
        (tmp_path / "notes.txt").write_text("A river is water.")
    for argv in commands(guide):
        assert main(argv) == 0, f"creuset {' '.join(argv)}: {capsys.readouterr().err}"
    if guide == "evaluate.md":
        assert verify(tmp_path / "shipped") == [] and (tmp_path / "card.md").is_file()
