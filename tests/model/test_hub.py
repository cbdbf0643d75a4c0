from pathlib import Path

import pytest

from creuset.core.artifact import new_artifact
from creuset.core.errors import ArtifactError
from creuset.model import hub as locate
from creuset.model.hub import find_model


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    for name in ("mini", "nano"):
        (tmp_path / "models" / name).mkdir(parents=True)
        (tmp_path / "models" / name / "config.json").write_text("{}")
    monkeypatch.setattr(locate, "SHIPPED", tmp_path / "models")
    return tmp_path / "models"


def test_a_model_is_found_by_path_and_by_name(shipped, tmp_path, monkeypatch):
    assert find_model() == shipped / "mini" == find_model("mini")
    assert find_model(str(shipped / "nano")) == shipped / "nano"
    monkeypatch.chdir(tmp_path / "models")
    assert find_model("nano").resolve() == shipped / "nano"  # a folder here wins over a name


@pytest.mark.parametrize(
    ("name", "words", "hint"),
    [
        ("mimi", "`mimi` is neither a folder nor a GGUF file, nor a model", "did you mean `mini`?"),
        ("{models}/nani", "/nani` does not exist", "models/nan"),
        ("{models}", "is not a model: it has no config.json", "there is mini, nano"),
        ("{models}/mini/config.json", "is a file, but not a GGUF file", "give the folder"),
        ("./elsewhere/zzz", "`./elsewhere/zzz` does not exist", ""),
    ],
)
def test_what_is_not_a_model_is_refused_with_a_near_one(shipped, name, words, hint):
    with pytest.raises(ArtifactError) as refused:
        find_model(name.format(models=shipped))
    assert words in str(refused.value) and hint in refused.value.hint


def test_a_gguf_file_is_a_model_and_so_is_a_folder_with_one(shipped, tmp_path):
    (tmp_path / "one").mkdir()
    file = tmp_path / "one" / "a-Q4_0.gguf"
    file.write_bytes(b"GGUF")
    assert find_model(str(file)) == find_model(str(tmp_path / "one")) == file
    (tmp_path / "one" / "a-Q8_0.gguf").write_bytes(b"GGUF")
    with pytest.raises(ArtifactError, match="has 2 GGUF files") as refused:
        find_model(str(tmp_path / "one"))
    assert "a-Q4_0.gguf" in refused.value.hint


def test_a_shipped_name_wins_over_a_pulled_one_and_a_path_over_both(shipped, tmp_path, monkeypatch):
    monkeypatch.setenv("CREUSET_HOME", str(tmp_path / "home"))
    with new_artifact(
        tmp_path / "home" / "models" / "olmoe", kind="model", facts={"origin": {"name": "olmoe"}}
    ) as made:
        (made / "config.json").write_text("{}")
    assert find_model("olmoe") == find_model("allenai/OLMoE-1B-7B-0125-Instruct") == tmp_path / "home/models/olmoe"
    (shipped / "olmoe").mkdir()
    (shipped / "olmoe" / "config.json").write_text("{}")
    assert find_model("olmoe") == shipped / "olmoe"
    (tmp_path / "olmoe").mkdir()
    (tmp_path / "olmoe" / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert find_model("olmoe") == Path("olmoe")
