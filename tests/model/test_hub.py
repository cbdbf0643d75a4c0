import pytest

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
