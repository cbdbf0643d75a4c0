from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from creuset.core.config import as_json, recipe, resolved, with_overrides
from creuset.core.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Optim:
    lr: float = 3e-4
    warmup_steps: int = 10
    kind: Literal["adamw", "muon"] = "muon"

    def __post_init__(self) -> None:
        if self.lr <= 0:
            raise ValueError(f"lr must be positive, got {self.lr}")


@dataclass(frozen=True, kw_only=True)
class Settings:
    name: str = "tiny"
    context: int = 64
    tokens: int = 128
    resume: bool = False
    folder: Path | None = None
    limit: int | None = 5
    layers: tuple[int, ...] = ()
    betas: tuple[float, float] = (0.9, 0.95)
    mix: dict[str, float] = field(default_factory=dict)
    optim: Optim = field(default_factory=Optim)
    spare: Optim | None = None

    def __post_init__(self) -> None:
        if self.tokens % self.context:
            raise ValueError(f"tokens ({self.tokens}) must be a multiple of context ({self.context})")


@pytest.mark.parametrize(
    ("assignment", "path", "value"),
    [
        ("name=mini", "name", "mini"),
        ("name=a=b", "name", "a=b"),
        ("tokens=6_400", "tokens", 6400),
        ("tokens=64e2", "tokens", 6400),
        ("resume=true", "resume", True),
        ("resume=0", "resume", False),
        ("folder=out/x", "folder", Path("out/x")),
        ("folder=none", "folder", None),
        ("limit=7", "limit", 7),
        ("limit=none", "limit", None),
        ("layers=1,2,3", "layers", (1, 2, 3)),
        ("layers=", "layers", ()),
        ("betas=0.8,0.9", "betas", (0.8, 0.9)),
        ("mix=en:0.7,fr:0.3", "mix", {"en": 0.7, "fr": 0.3}),
        ("optim.lr=1e-3", "optim.lr", 1e-3),
        ("optim.kind=adamw", "optim.kind", "adamw"),
        ("spare=none", "spare", None),
    ],
)
def test_a_value_is_read_as_its_type(assignment, path, value):
    node = with_overrides(Settings(), [assignment])
    for key in path.split("."):
        node = getattr(node, key)
    assert node == value and type(node) is type(value)


@pytest.mark.parametrize(
    ("assignment", "words", "hint"),
    [
        ("name", "not of the form `path=value`", ""),
        ("contxt=3", "`contxt` is not a setting: Settings has no `contxt`", "did you mean `context`?"),
        ("optim.warmup_step=5", "Optim has no `warmup_step`", "did you mean `warmup_steps`?"),
        ("optim.zzz=5", "Optim has no `zzz`", "it has lr, warmup_steps, kind"),
        ("name.x=5", "`name`, which is 'tiny', has no `x`", "no settings"),
        ("spare.lr=5", "`spare`, which is None, has no `lr`", "no settings"),
        ("optim=5", "`optim` is a group of settings", "optim.lr, optim.warmup_steps"),
        ("optim.kind=adamv", "choose one of adamw, muon", "did you mean `adamw`?"),
        ("optim.lr=-1", "`optim.lr=-1` is refused: lr must be positive, got -1.0", ""),
        ("optim.lr=fast", "expected a number", ""),
        ("optim.lr=nan", "expected a number", ""),
        ("tokens=1.5", "expected an integer", ""),
        ("layers=1,,2", "expected an integer", ""),
        ("betas=0.9", "expected 2 values", ""),
        ("mix=en", "`en` is not of the form `name:value`", ""),
        ("resume=maybe", "expected true or false", ""),
        ("context=60", "tokens (128) must be a multiple of context (60)", ""),
    ],
)
def test_a_refusal_names_the_setting_and_what_was_meant(assignment, words, hint):
    with pytest.raises(ConfigError) as refused:
        with_overrides(Settings(), [assignment])
    assert words in str(refused.value) and hint in refused.value.hint


def test_settings_that_only_fit_each_other_can_be_changed_in_any_order():
    for order in (["context=100", "tokens=300"], ["tokens=300", "context=100"]):
        assert with_overrides(Settings(), order).tokens == 300


def test_the_last_of_two_assignments_counts():
    changed = with_overrides(Settings(), ["optim.lr=1", "optim.lr=2", "optim.warmup_steps=3"])
    assert changed.optim == Optim(lr=2.0, warmup_steps=3)


def test_settings_are_left_as_they_were():
    settings = Settings()
    with_overrides(settings, ["optim.lr=1", "name=other"])
    assert settings == Settings()


def test_resolved_settings_are_plain_json():
    assert resolved(Settings(folder=Path("out"), layers=(1,)))["folder"] == "out"
    assert '"betas": [\n    0.9,' in as_json(Settings())


@pytest.mark.parametrize("name", ["no_such_recipe", "", ":x", "../up", "json:no_such", "a b"])
def test_an_unknown_recipe_is_refused(name):
    with pytest.raises(ConfigError, match="not a recipe"):
        recipe(name)


def test_a_recipe_is_any_function_on_the_import_path(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("def pretrain():\n    return 1\n\ndef quick():\n    return 2\n")
    (tmp_path / "broken.py").write_text("import a_library_nobody_has\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert (recipe("mine"), recipe("mine:quick")) == (1, 2)
    with pytest.raises(ConfigError) as refused:
        recipe("mine:quik")
    assert refused.value.hint == "did you mean `mine:quick`?"
    with pytest.raises(ModuleNotFoundError, match="a_library_nobody_has"):
        recipe("broken")
