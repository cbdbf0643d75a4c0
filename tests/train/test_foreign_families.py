"""Other families than ours are trained further: from their folder to a folder of theirs."""

from pathlib import Path

import pytest
import torch

from creuset.model.families import Family
from creuset.model.formats.hf_config import config_of
from creuset.model.formats.weights import load_model
from creuset.testing import tiny_model_folder, tiny_shards
from creuset.train.run import train
from tests.train.test_training import losses, tiny_run


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_shards(tmp_path_factory.mktemp("data") / "shards")


@pytest.mark.parametrize("family", ["llama", "gemma2", "apertus"])
def test_a_model_of_any_family_is_trained_further(family: Family, shards: Path, tmp_path: Path) -> None:
    start = tiny_model_folder(tmp_path / "start", family)
    out = tmp_path / "run"
    train(tiny_run(steps=8), shards=shards, start=start, out=out)
    found = losses(out)
    assert found[-1] < found[0] - 0.2
    assert config_of(out / "model") == config_of(start)
    before, after = (dict(load_model(path).named_parameters()) for path in (start, out / "model"))
    constant = {name for name in before if name.endswith(("act_fn.beta", "act_fn.eps"))}
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert same == constant and bool(constant) == (family == "apertus")
