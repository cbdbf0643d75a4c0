"""Every recipe of the tree can be built, overridden and printed; the speedrun names only what exists."""

import importlib
import inspect
import json
import re
from pathlib import Path

import pytest

from creuset.cli import main
from creuset.core.config import as_json, recipe, shipped_recipes, with_overrides
from creuset.train.settings import Finetune, Pretrain

TREE = Path(__file__).parent.parent


def recipes() -> list[str]:
    found = []
    for name in shipped_recipes():
        module = importlib.import_module(f"creuset.recipes.{name}")
        for function, value in vars(module).items():
            if inspect.isfunction(value) and value.__module__ == module.__name__:
                found.append(f"{name}:{function}")
    return found


@pytest.mark.parametrize("name", recipes())
def test_each_recipe_can_be_built_changed_and_printed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    settings = recipe(name)
    assert isinstance(settings, Pretrain | Finetune)
    assert with_overrides(settings, ["optim.lr=0.5"]).optim.lr == 0.5
    verb = ["train"] if isinstance(settings, Pretrain) else ["tune", "sft"]
    assert main([*verb, name, "--dry-run"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(as_json(settings))


def test_the_speedrun_names_recipes_and_sources_that_exist() -> None:
    script = (TREE / "runs/speedrun.sh").read_text()
    names = re.findall(r"(?:pretrain|sft)=(mini\S*)", script)
    assert len(names) == 4
    for name in names:
        recipe(name)
    listed = re.search(r"sources=\((.*?)\)", script, re.DOTALL)
    assert listed is not None
    mix = recipe("mini").mix
    assert set(listed[1].split()) == set(mix), "the script builds other sources than the recipe mixes"


def test_an_unknown_recipe_is_refused_with_the_near_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "nanno", "--dry-run"]) == 2
    assert "did you mean `nano`?" in capsys.readouterr().err
    assert main(["train", "nano:pretain", "--dry-run"]) == 2
    assert "did you mean `nano:pretrain`?" in capsys.readouterr().err
