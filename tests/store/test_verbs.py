"""`creuset pull`, `list`, `show`, `rm` and `verify` as a person uses them."""

import json
import sys
from types import SimpleNamespace

import pytest
from hub_for_tests import COMMIT, Repository, folder

from creuset.cli import main
from creuset.core.artifact import new_artifact
from creuset.core.errors import ArtifactError
from creuset.model.hub import SHIPPED, find_model
from creuset.model.store.listing import context_of, listed
from creuset.testing import tiny_model_folder


@pytest.fixture
def limited(hub, monkeypatch):
    """A model whose licence has limits, on the hub that the verbs use."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.address)
    template = hub.address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr("huggingface_hub.file_download.HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)
    card = {"license": "other", "license_name": "qwen-research", "license_link": "https://example.org/terms"}
    hub.repositories["ours/limited"] = Repository(folder(), card=card)
    return hub


def answer(monkeypatch, text, *, terminal=True):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: terminal, readline=lambda: text))


def test_a_licence_with_limits_is_shown_before_anything_is_fetched(limited, store, monkeypatch, capsys):
    answer(monkeypatch, "", terminal=False)
    assert main(["pull", "ours/limited"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "licence: Qwen Research License (qwen-research)" in said.err
    assert "limits: Research and evaluation only" in said.err and "text: https://example.org/terms" in said.err
    assert "its licence was not agreed to" in said.err and "--yes" in said.err
    assert [path for method, path, _ in limited.asked if "resolve" in path] == []


def test_the_text_of_a_licence_can_be_read_before_it_is_agreed_to(limited, store, monkeypatch, capsys):
    answer(monkeypatch, "", terminal=False)
    for name, card in (("a", {"license": "gemma", "license_link": "LICENSE"}), ("b", {"license": "gemma"})):
        limited.repositories[f"ours/{name}"] = Repository(folder(), card=card)
        assert main(["pull", f"ours/{name}"]) == 2
        assert f"text: {limited.address}/ours/{name}/blob/{COMMIT}/LICENSE\n" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "code"), [("y\n", 0), ("yes\n", 0), ("\n", 2), ("n\n", 2), ("", 2)])
def test_the_person_at_the_terminal_is_asked(limited, store, monkeypatch, text, code):
    answer(monkeypatch, text)
    assert main(["pull", "ours/limited"]) == code


def test_a_model_without_a_licence_is_not_free(limited, store, monkeypatch, capsys):
    answer(monkeypatch, "", terminal=False)
    limited.repositories["ours/silent"] = Repository(folder(), card={})
    assert main(["pull", "ours/silent"]) == 2
    assert "its page names no licence" in capsys.readouterr().err
    assert main(["pull", "ours/silent", "--yes"]) == 0
    capsys.readouterr()
    assert main(["show", "ours/silent"]) == 0
    assert "Its publisher names no licence." in capsys.readouterr().out


def test_what_was_pulled_is_listed_shown_verified_and_removed(limited, store, capsys):
    assert main(["pull", "ours/limited", "--yes", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["path"] == str(store / "ours" / "limited") and told["licence"] == "qwen-research"

    assert main(["list", "--here"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [["name", "state"], ["mini", "shipped"], ["ours/limited", "pulled"]]
    assert lines[2].endswith("qwen-research (limits)") and " 128 " in lines[2]

    assert main(["show", "ours/limited"]) == 0
    shown = capsys.readouterr().out
    assert "It was trained by others: its corpus, the licences of its data and the energy" in shown
    assert "The licence has limits: Research and evaluation only" in shown
    assert main(["show", "ours/limited", "--licence"]) == 0
    assert capsys.readouterr().out == "You may do what you like.\n\n"

    assert main(["verify", "ours/limited"]) == 0
    said = capsys.readouterr().out
    assert (
        "ORIGIN  Fetched from ours/limited at commit c0ffee" in said and "NOT PROVED  It was trained by others" in said
    )
    assert said.endswith("whole: nothing was altered\n")

    assert main(["rm", "ours/limited", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["freed_bytes"] > 300_000
    assert [f.name for f in store.iterdir() if not f.name.startswith(".")] == []
    with pytest.raises(ArtifactError, match="`ours/limited` is not here; it could be a repository of the hub"):
        find_model("ours/limited")


def test_a_changed_file_is_found_by_name(limited, store, capsys):
    assert main(["pull", "ours/tiny"]) == 0
    (store / "ours" / "tiny" / "tokenizer.json").write_text("[]")
    capsys.readouterr()
    assert main(["verify", "ours/tiny"]) == 1
    said = capsys.readouterr().out
    assert "BROKEN  tiny/tokenizer.json has sha256" in said and "ORIGIN" not in said


def test_a_begun_pull_is_listed_and_removed(limited, store, monkeypatch, capsys):
    limited.break_after = {"model.safetensors": 0}
    assert main(["pull", "ours/tiny"]) == 3
    said = capsys.readouterr().err
    assert "the same command goes on where it stopped" in said and "HF_ENDPOINT" in said and "HTTPS_PROXY" in said
    assert main(["list", "--here", "--json"]) == 0
    assert [(m["name"], m["state"]) for m in json.loads(capsys.readouterr().out)][1:] == [("ours/tiny", "begun")]
    assert main(["rm", "ours/tiny"]) == 0
    assert "removed" in capsys.readouterr().out
    assert main(["rm", "ours/tiny"]) == 3
    assert "`ours/tiny` was not pulled" in capsys.readouterr().err


def test_a_damaged_manifest_is_listed_and_disturbs_nothing_else(limited, store, capsys):
    assert main(["pull", "ours/tiny", "ours/limited", "--yes"]) == 0
    (store / "ours" / "tiny" / "manifest.json").write_text("{")
    capsys.readouterr()
    assert main(["list", "--here", "--json"]) == 0
    states = {m["name"]: m["state"] for m in json.loads(capsys.readouterr().out)}
    assert states == {"mini": "shipped", "ours/limited": "pulled", "tiny": "damaged"}
    assert main(["rm", "ours/tiny"]) == 0


def test_a_shipped_model_is_neither_fetched_nor_removed(store, capsys):
    assert main(["pull", "mini"]) == 0
    assert capsys.readouterr().out == f"{find_model('mini')}\n" and not store.exists()
    assert main(["rm", "mini"]) == 2
    assert "`mini` is shipped with creuset" in capsys.readouterr().err
    assert find_model("mini").is_dir()


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["show", "smolm2"], "did you mean `smollm2`?"),
        (["pull", "smolm2"], "did you mean `smollm2`?"),
        (["pull", "../x"], "is not the name of a model"),
        (["show", "ours/x"], "`creuset pull ours/x` fetches it"),
        (["chat", "--model", "olmoe"], "`creuset pull olmoe` fetches it"),
        (["serve", "--model", "Qwen/Qwen3-0.6B"], "`creuset pull Qwen/Qwen3-0.6B` fetches it"),
        (["show", "olmoe", "--licence"], "its text is kept when a model is pulled"),
    ],
)
def test_a_name_that_is_not_here_is_told_with_the_command_that_helps(store, capsys, argv, words):
    assert main(argv) == (2 if "--licence" in argv else 3)
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("verb", [["show"], ["chat", "--model"], ["serve", "--port", "0", "--model"], ["export"]])
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("bin", "`bin` is not a model: it has `pytorch_model.bin`, but no config.json"),
        ("foo", "model_type `foo` is not a family that runs here"),
        ("missing.gguf", "`missing.gguf` does not exist\n\nhint: did you mean `missed.gguf`?"),
        ("nope", "`nope` is neither a folder nor a GGUF file"),
    ],
)
def test_what_is_no_model_gets_one_answer_from_every_verb(tmp_path, store, monkeypatch, capsys, verb, name, words):
    for one in ("bin", "foo"):
        (tmp_path / one).mkdir()
    (tmp_path / "bin" / "pytorch_model.bin").touch()
    (tmp_path / "foo" / "config.json").write_text('{"model_type": "foo"}')
    (tmp_path / "missed.gguf").touch()
    monkeypatch.chdir(tmp_path)
    assert main([*verb, name, *(["out"] if verb == ["export"] else [])]) == 3
    said = capsys.readouterr()
    assert words in said.err and said.out == ""


def test_hints_name_each_model_once(store, capsys):
    with new_artifact(store / "smollm2", kind="model", facts={"origin": {"name": "smollm2"}}) as made:
        (made / "config.json").write_text("{}")
    assert main(["show", "zzzz"]) == 3
    assert capsys.readouterr().err.count("smollm2,") == 1


def test_a_path_is_shown_by_what_its_files_say(tmp_path, store, capsys):
    folder = tiny_model_folder(tmp_path / "model")
    assert main(["show", str(folder), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["name"], shown["state"], shown["path"]) == ("model", "local", str(folder))
    assert shown["parameters"] > shown["active_parameters"] > 0 and shown["context"] == context_of(folder)


def test_the_list_tells_parameters_and_languages_of_what_is_shipped_and_what_limits_are(store, capsys):
    assert main(["list"]) == 0
    said = capsys.readouterr()
    mini = next(line for line in said.out.splitlines() if line.startswith("mini"))
    assert "5.9 M (1.8 M)" in mini and "en fr" in mini
    assert said.err.startswith("(limits): its licence does not allow every use")
    assert {m.bytes for m in listed(SHIPPED, store) if m.name == "smollm2"} == {98_362_432}


def test_another_store_is_an_option_and_what_is_shipped_is_everywhere(limited, store, tmp_path, capsys):
    other = tmp_path / "other"
    assert main(["pull", "ours/tiny", "--store", str(other)]) == 0
    assert capsys.readouterr().out == f"{other / 'ours' / 'tiny'}\n"
    for place, names in ((str(other), ["mini", "ours/tiny"]), (str(store), ["mini"])):
        assert main(["list", "--here", "--json", "--store", place]) == 0
        assert [m["name"] for m in json.loads(capsys.readouterr().out)] == names


def test_a_store_that_cannot_be_written_is_told(limited, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["pull", "ours/tiny", "--store", str(tmp_path / "file" / "models")]) == 2
    assert "cannot hold models: Not a directory" in capsys.readouterr().err
