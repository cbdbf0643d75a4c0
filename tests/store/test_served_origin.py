"""A pulled model that is served says where it is from, and what is not known of it."""

import json

import pytest
from hub_for_tests import COMMIT, Repository, sha256

from creuset.core.artifact import sha256_file, verify
from creuset.model.formats.weights import load_model
from creuset.model.store.origin import file_hash
from creuset.server.model import describe
from creuset.testing import tiny_model_folder


@pytest.fixture
def real(hub, tmp_path):
    """A model that runs, published on the hub of the tests."""
    folder = tiny_model_folder(tmp_path / "real", "qwen3")
    files = {f.name: f.read_bytes() for f in folder.iterdir()}
    card = {"license": "apache-2.0", "language": ["en", "multilingual", "not a code"]}
    hub.repositories["ours/real"] = Repository(
        files | {"README.md": b"---\nlicense: mit\nlanguage: fr\n---\n# Its card\n"}, card=card
    )
    return folder


def test_a_pulled_model_runs_and_says_where_it_is_from(real, fetch):
    found = fetch("ours/real")
    assert verify(found.folder) == []
    assert load_model(found.model).config == load_model(real).config
    served = describe(found.model)
    assert served.name == "ours/real" and served.sha256 == found.manifest["sha256"]
    assert served.licence == "apache-2.0" and served.languages == ("en", "mul") and served.card == "# Its card\n"
    told = served.origin.as_json()
    assert told["facts"]["commit"] == COMMIT
    assert "Fetched from ours/real at commit c0ffee" in told["known"]["en"][0]
    assert "Récupéré de ours/real au commit c0ffee" in told["known"]["fr"][0]
    assert told["unknown"]["en"][0].startswith("It was trained by others: its corpus, the licences of its data")
    assert "n'est pas connu" not in json.dumps(told["known"]) and len(told["unknown"]["fr"]) == 2


def test_a_model_of_ours_and_a_folder_of_somebody_have_no_origin(real):
    from creuset.model.hub import find_model

    assert describe(find_model("mini")).origin is None
    assert describe(real).origin is None


def test_a_file_is_hashed_once_and_again_when_it_changes(tmp_path, monkeypatch):
    monkeypatch.setenv("CREUSET_HOME", str(tmp_path / "home"))
    file = tmp_path / "m.gguf"
    file.write_bytes(b"one")
    counted = []
    monkeypatch.setattr(
        "creuset.model.store.origin.sha256_file", lambda path: (counted.append(path), sha256_file(path))[1]
    )
    assert file_hash(file) == file_hash(file) == sha256_file(file) and len(counted) == 1
    file.write_bytes(b"other")
    assert file_hash(file) == sha256_file(file) and len(counted) == 2
    kept = tmp_path / "home" / "hashes.json"
    assert len(json.loads(kept.read_text())) == 1, "what a file was before is forgotten"
    for damaged in ("{", "[]", '{"a": 1}'):
        kept.write_text(damaged)
        assert file_hash(file) == sha256_file(file)
    kept.unlink()
    kept.mkdir()  # nothing can be kept there
    assert file_hash(file) == sha256_file(file)


def test_its_dossier_says_in_both_languages_that_it_was_trained_by_others(real, fetch, tmp_path):
    from creuset.cli import main

    fetch("ours/real")
    out = tmp_path / "dossier"
    assert main(["dossier", "ours/real", "--out", str(out), "--forms", "model-card"]) == 0
    english, french = ((out / lang / "model-card.md").read_text() for lang in ("en", "fr"))
    assert "Fetched from ours/real at commit c0ffee" in english and "It was trained by others: its corpus" in english
    french = french.replace("\u202f", " ").replace("\xa0", " ")
    assert "Il a été entraîné par d'autres : son corpus" in french and "It was trained" not in french
    assert main(["verify", str(out)]) == 0


def test_a_model_made_from_a_pulled_one_says_so_when_it_is_verified(real, fetch, tmp_path, capsys):
    from creuset.cli import main
    from creuset.core.artifact import new_artifact

    pulled = fetch("ours/real").folder
    with new_artifact(tmp_path / "tuned", kind="model", parents=[pulled]) as scratch:
        (scratch / "config.json").write_text("{}")
    assert main(["verify", str(tmp_path / "tuned")]) == 0
    said = capsys.readouterr().out
    assert "ORIGIN  made from ours/real: Fetched from ours/real at commit" in said
    assert "NOT PROVED  made from ours/real: It was trained by others" in said


def test_an_evaluation_of_a_pulled_file_is_of_its_artifact(hub, fetch, tmp_path):
    from creuset.evals.clients.local import identity

    hub.repositories["ours/file"] = Repository({"x.gguf": b"GGUF", "README.md": b"x"})
    found = fetch("ours/file:x.gguf")
    assert identity(found.model) == {"name": "file--x", "sha256": found.manifest["sha256"], "artifact": True}
    loose = tmp_path / "loose.gguf"
    loose.write_bytes(b"GGUF")
    assert identity(loose) == {"name": "loose.gguf", "files": {"loose.gguf": sha256(b"GGUF")}, "artifact": False}
