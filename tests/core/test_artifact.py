import json
import shutil

import pytest

from creuset.core.artifact import ancestors, artifact_of, new_artifact, read_manifest, verify
from creuset.core.errors import ArtifactError


def make(path, *, kind="corpus", parents=(), files=("a.txt", "sub/b.txt"), **more):
    with new_artifact(path, kind=kind, parents=parents, **more) as scratch:
        for name in files:
            (scratch / name).parent.mkdir(parents=True, exist_ok=True)
            (scratch / name).write_text(f"content of {path.name}/{name}")
    return path


@pytest.fixture
def chain(tmp_path):
    """corpus -> shards (also of a tokenizer) -> model."""
    corpus = make(tmp_path / "corpus", facts={"licence": "CC0"})
    tokenizer = make(tmp_path / "tokenizer", kind="tokenizer")
    shards = make(tmp_path / "shards", kind="shards", parents=[corpus, tokenizer])
    return make(tmp_path / "model", kind="model", parents=[shards])


def test_an_artifact_is_whole_and_knows_its_ancestors(chain):
    assert verify(chain) == []
    assert [m["kind"] for m in ancestors(chain)] == ["model", "shards", "corpus", "tokenizer"]
    assert ancestors(chain)[2]["facts"] == {"licence": "CC0"}


def test_the_chain_survives_the_loss_of_the_parents(chain, tmp_path):
    for name in ("corpus", "tokenizer", "shards"):
        shutil.rmtree(tmp_path / name)
    moved = chain.rename(tmp_path / "elsewhere")
    assert verify(moved) == [] and len(ancestors(moved)) == 4


def test_an_interrupted_artifact_is_absent(tmp_path):
    path = tmp_path / "corpus"
    with pytest.raises(RuntimeError, match="disk"), new_artifact(path, kind="corpus") as scratch:
        (scratch / "half.txt").write_text("half")
        raise RuntimeError("disk")
    assert not path.exists()
    with pytest.raises(ArtifactError, match="no such folder"):
        read_manifest(path)
    make(path)
    assert not (path / "half.txt").exists() and verify(path) == []


def test_a_kept_scratch_goes_on_where_it_stopped(tmp_path):
    path = tmp_path / "corpus"
    with pytest.raises(KeyboardInterrupt), new_artifact(path, kind="corpus", keep_scratch=True) as scratch:
        (scratch / "first.txt").write_text("1")
        raise KeyboardInterrupt
    with new_artifact(path, kind="corpus", keep_scratch=True) as scratch:
        assert (scratch / "first.txt").read_text() == "1"
        (scratch / "second.txt").write_text("2")
    assert set(read_manifest(path)["files"]) == {"first.txt", "second.txt"}


def test_an_artifact_is_never_overwritten(chain):
    with pytest.raises(ArtifactError, match="already exists"):
        make(chain)


def test_a_folder_without_a_manifest_is_not_an_artifact(tmp_path):
    with pytest.raises(ArtifactError, match=r"it has no manifest\.json"):
        verify(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"kind": "x", "files": [], "parents": [], "sha256": ""}',
        '{"kind": "x", "files": {}, "parents": [1], "sha256": ""}',
    ],
)
def test_a_file_that_is_no_manifest_is_refused(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ArtifactError, match=r"not JSON|not a manifest of ours"):
        verify(tmp_path)


def test_facts_are_read_when_the_block_ends(tmp_path):
    facts = {}
    with new_artifact(tmp_path / "run", kind="run", facts=facts) as scratch:
        (scratch / "x").write_text("x")
        facts["documents"] = 3
    assert read_manifest(tmp_path / "run")["facts"] == {"documents": 3}


def test_an_artifact_inside_an_artifact_is_verified_like_any_file(chain, tmp_path):
    with new_artifact(tmp_path / "box", kind="shards") as scratch:
        shutil.copytree(chain, scratch / "inner")
    assert verify(tmp_path / "box") == []
    edit(tmp_path / "box" / "inner" / "manifest.json", "model", "modem")
    assert whats(tmp_path / "box") == [("box/inner/manifest.json", "has sha256")]


def edit(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def whats(path):
    return [(p.where, " ".join(p.what.split()[:2]).rstrip(":")) for p in verify(path)]


def test_an_edited_byte_is_found(chain):
    edit(chain / "sub" / "b.txt", "content", "kontent")
    assert whats(chain) == [("model/sub/b.txt", "has sha256")]


def test_a_missing_file_is_found(chain):
    (chain / "a.txt").unlink()
    assert whats(chain) == [("model/a.txt", "is missing")]


def test_an_extra_file_is_found(chain):
    (chain / "sub" / "c.txt").write_text("new")
    assert whats(chain) == [("model/sub/c.txt", "is not")]


def test_an_edited_manifest_is_found(chain):
    edit(chain / "manifest.json", '"kind": "model"', '"kind": "modem"')
    assert whats(chain) == [("model/manifest.json", "was edited")]


def lineage(chain, kind):
    (file,) = [f for f in (chain / "lineage").glob("*.json") if json.loads(f.read_text())["kind"] == kind]
    return file


def test_a_missing_ancestor_is_found(chain):
    file = lineage(chain, "corpus")
    file.unlink()
    assert whats(chain) == [(f"model/lineage/{file.stem[:12]}.json", "is missing")]


def test_an_edited_ancestor_is_found(chain):
    edit(lineage(chain, "corpus"), "CC0", "MIT")
    assert [what for _, what in whats(chain)] == ["was edited"]


def test_an_ancestor_that_is_not_json_is_found(chain):
    lineage(chain, "shards").write_text("{")
    assert ("is", "not") in {tuple(what.split()) for _, what in whats(chain)}


def test_an_ancestor_put_in_place_of_another_is_found(chain):
    shutil.copyfile(lineage(chain, "tokenizer"), lineage(chain, "corpus"))
    assert "says it" in [what for _, what in whats(chain)]


def test_an_ancestor_nobody_names_is_found(chain):
    (chain / "lineage" / ("0" * 64 + ".json")).write_text("{}")
    assert [what for _, what in whats(chain)] == ["is nobody's"]


def test_the_artifact_of_a_file_is_the_folder_whose_manifest_names_it(tmp_path):
    with new_artifact(tmp_path / "a", kind="model") as scratch:
        (scratch / "x.gguf").write_text("x")
        (scratch / "in").mkdir()
        (scratch / "in" / "y").write_text("y")
    (tmp_path / "a" / "later").write_text("z")
    for path, owner in (("a/x.gguf", "a"), ("a/in/y", "a"), ("a", "a"), ("a/later", "a/later"), ("b", "b")):
        assert artifact_of(tmp_path / path) == tmp_path / owner
