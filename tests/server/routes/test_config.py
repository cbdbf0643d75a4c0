"""The routes file: what is wrong in it is named with its place; `creuset routes check` shows what it says."""

import json
from pathlib import Path

import pytest

from creuset.cli import main
from creuset.core.errors import ConfigError
from creuset.server.routes.config import key_of, read_routes

FILE = """
[here]
country = "FR"
operator = "Example SAS"
law = ["FR", "EU"]

[upstreams.paris]
url = "https://llm.example.fr/v1"
key_env = "PARIS_KEY"
country = "FR"
operator = "Paris SAS"
law = ["FR", "EU"]

[routes.smart]
targets = [
  { model = "mini", weight = 3 },
  { upstream = "paris", model = "large" },
  { upstream = "paris", model = "long", order = 2, on = ["context"], law = ["EU", "US"] },
]

[names.smart-2025]
alias_of = "smart"
deprecated = 2026-01-01
ends = 2026-07-01
successor = "smart"
"""


def written(tmp_path: Path, text: str, name: str = "routes.toml") -> Path:
    file = tmp_path / name
    file.write_text(text)
    return file


def test_a_file_says_targets_places_and_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path, FILE)
    assert main(["routes", "check", str(file), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(one["target"], one["country"], one["law"]) for one in told["routes"]] == [
        ("mini", "FR", "FR, EU"), ("paris/large", "FR", "FR, EU"), ("paris/long", "FR", "EU, US"),
    ]  # fmt: skip
    assert told["names"][0]["stands for"] == "smart" and told["needs_models"] == ["mini"]
    assert told["missing_variables"] == ["PARIS_KEY"]
    assert main(["routes", "check", str(file)]) == 0
    assert "PARIS_KEY" in capsys.readouterr().out
    with pytest.raises(ConfigError, match=r"`upstreams.paris.key_env`: there is no variable `PARIS_KEY`"):
        key_of(read_routes(file).upstreams["paris"], "upstreams.paris", {})


WRONG = [
    ('key_env = "PARIS_KEY"', 'key = "sk-1"', "unknown field `key`"),
    ("weight = 3", "weight = 0", "`routes.smart.targets"),
    ("weight = 3", 'weight = "3"', "expected `float`"),
    ('upstream = "paris", model = "large"', 'upstream = "rome", model = "large"', "there is no upstream `rome`"),
    ('model = "mini", weight = 3', 'model = "smart"', "a route cannot lead to another"),
    ('model = "mini", weight = 3', 'model = "mini", name = "x"', "`name` is for upstreams"),
    ('upstream = "paris", model = "large"', 'upstream = "paris", model = "long"', "is a target of this route already"),
    ('on = ["context"]', 'on = ["rain"]', "invalid enum value 'rain'"),
    ('country = "FR"\noperator = "Example', 'country = "France"\noperator = "Example', "`here.country`"),
    ("https://llm.example.fr/v1", "llm.example.fr", "`upstreams.paris`: its `url` must be an address"),
    ("https://llm.example.fr/v1", "https://me:secret@llm.example.fr", "must be a plain address"),
    ("ends = 2026-07-01", "ends = 2025-07-01", "it ends on 2025-07-01, before it is deprecated on 2026-01-01"),
    ('successor = "smart"', 'successor = "smart-2025"', "its successor is itself"),
    ("[here]", "[here", "is not TOML"),
    ("targets = [\n", "targets = []\nx = [\n", "length >= 1"),
]


@pytest.mark.parametrize(("old", "new", "said"), WRONG)
def test_what_is_wrong_is_named_with_its_place(tmp_path, capsys, old, new, said) -> None:
    assert old in FILE
    assert main(["routes", "check", str(written(tmp_path, FILE.replace(old, new, 1)))]) == 2
    told = capsys.readouterr().err
    assert said in told and "routes.toml" in told and "secret" not in told


def test_json_is_read_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = {"routes": {"a": {"targets": [{"model": "mini"}]}}, "names": {"b": {"alias_of": "a", "ends": "2030-01-01"}}}
    assert main(["routes", "check", str(written(tmp_path, json.dumps(said), "routes.json"))]) == 0
    assert main(["routes", "check", str(written(tmp_path, "{", "bad.json"))]) == 2
    assert "is not JSON" in capsys.readouterr().err
    assert main(["routes", "check", str(tmp_path / "none.toml")]) == 2


def test_serve_reads_the_file_before_anything_is_started(tmp_path, folder, capsys) -> None:
    start = ["serve", "--model", str(folder), "--dry-run", "--routes"]
    assert main([*start, str(written(tmp_path, FILE))]) == 0
    assert json.loads(capsys.readouterr().out)["routes"] == ["smart"]
    assert main([*start, str(written(tmp_path, FILE.replace("weight = 3", "weight = -1")))]) == 2
    assert "`routes.smart.targets[0].weight`" in capsys.readouterr().err
