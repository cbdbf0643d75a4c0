"""Pulling from a hub: what is fetched, what is refused, and that a pull which was stopped goes on."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from hub_for_tests import COMMIT, Repository, folder, sha256, weights

from creuset.core.artifact import read_manifest, verify
from creuset.core.errors import ArtifactError, ConfigError, DataError, DiskFull
from creuset.model.hub import find_model
from creuset.model.store.pull import Settings, pull
from creuset.model.store.shelf import all_partial

NEEDED = [
    "LICENSE", "README.md", "additional_chat_templates/tool_use.jinja", "chat_template.jinja", "config.json",
    "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
]  # fmt: skip


def test_what_is_needed_is_fetched_and_nothing_else(fetch, hub, store):
    found = fetch("ours/tiny")
    assert sorted(read_manifest(found.folder)["files"]) == NEEDED
    assert verify(found.folder) == []
    assert (found.folder / "model.safetensors").read_bytes() == hub.repositories["ours/tiny"].files["model.safetensors"]
    assert find_model("ours/tiny") == found.model == found.folder == store / "ours" / "tiny"
    assert [path.name for path in found.folder.iterdir() if path.name.startswith(".")] == []


def test_the_manifest_says_from_where_and_what_was_published(fetch, hub):
    origin = fetch("ours/tiny@v1").origin
    published = hub.repositories["ours/tiny"].files
    assert origin["repository"] == "ours/tiny" and origin["revision"] == "v1" and origin["commit"] == COMMIT
    assert origin["hub"] == hub.address and origin["pulled"] == "2023-11-14T22:13:20+00:00"
    assert origin["files"]["model.safetensors"] == {"sha256": sha256(published["model.safetensors"])}
    assert set(origin["files"]["config.json"]) == {"git"}
    assert origin["licence"]["id"] == "apache-2.0" and origin["licence"]["texts"] == ["LICENSE"]


def test_what_was_pulled_is_found_without_asking_anybody(fetch, hub):
    fetch("ours/tiny")
    hub.asked.clear()
    hub.down = True
    assert fetch("ours/tiny").model == find_model("ours/tiny")
    assert hub.asked == []


def test_two_revisions_and_two_files_of_a_repository_lie_beside_each_other(fetch, hub):
    hub.repositories["ours/tiny"].files |= {"a-Q4_0.gguf": b"GGUF" + weights(50), "a-Q8_0.gguf": b"GGUF" + weights(60)}
    models = [fetch(f"ours/tiny{rest}", anyway=True).model for rest in ("", "@v1", ":a-Q4_0.gguf", ":q8_0")]
    assert [m.name for m in models] == ["tiny", "tiny@v1", "a-Q4_0.gguf", "a-Q8_0.gguf"]
    assert sorted(read_manifest(models[2].parent)["files"]) == ["LICENSE", "README.md", "a-Q4_0.gguf"]


def test_all_parts_of_an_index_are_fetched(fetch, hub):
    names = [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    files = folder() | {name: weights(5000, i) for i, name in enumerate(names)}
    del files["model.safetensors"]
    index = {"weight_map": {"a": names[0], "b": names[1]}}
    hub.repositories["ours/parts"] = Repository(files | {"model.safetensors.index.json": json.dumps(index).encode()})
    assert set(names) <= set(read_manifest(fetch("ours/parts").folder)["files"])

    index["weight_map"]["c"] = "model-00003-of-00003.safetensors"
    hub.repositories["ours/lost"] = Repository(files | {"model.safetensors.index.json": json.dumps(index).encode()})
    with pytest.raises(ArtifactError, match=r"its index names `model-00003-of-00003.safetensors`, which is not there"):
        fetch("ours/lost")


def test_a_line_that_breaks_is_taken_up_within_one_pull(fetch, hub, caplog):
    hub.break_after = {"model.safetensors": 100_000}
    assert verify(fetch("ours/tiny").folder) == []
    assert "Trying to resume" in caplog.text and "s3cret" not in caplog.text
    assert hub.gets("model.safetensors") == ["", "bytes=100000-", "bytes=200000-"]


def test_a_pull_that_was_stopped_goes_on_where_it_stopped(fetch, hub, store):
    class Killed(Exception):
        pass

    def kill(name, here, all):
        if name == "model.safetensors" and here > 50_000:
            raise Killed

    hub.break_after = {"model.safetensors": 100_000}
    with pytest.raises(Killed):
        fetch("ours/tiny", show=kill)
    with pytest.raises(ArtifactError, match="`ours/tiny` is not here"):
        find_model("ours/tiny")
    (begun,) = [f for f in (store / "ours" / "tiny.partial" / ".incomplete").iterdir() if f.suffix != ".json"]
    size = begun.stat().st_size
    assert 0 < size < 300_000 and list(all_partial()) == ["ours/tiny"]

    hub.asked.clear()
    hub.break_after = {}
    assert verify(fetch("ours/tiny").folder) == []
    assert hub.gets("model.safetensors") == [f"bytes={size}-"]
    assert hub.gets("tokenizer.json") == []  # was whole
    assert all_partial() == {}


def test_a_line_that_stays_dead_is_an_error_that_keeps_what_came(fetch, hub, store):
    hub.break_after = {"model.safetensors": 0}
    with pytest.raises(
        ArtifactError, match=r"broke off, for `model.safetensors` of `ours/tiny` \(RemoteProtocolError\)"
    ):
        fetch("ours/tiny")
    assert (store / "ours" / "tiny.partial" / "config.json").is_file()


def test_a_part_of_another_content_is_not_put_together_with_the_new_one(fetch, hub):
    hub.break_after = {"model.safetensors": 0}
    with pytest.raises(ArtifactError):
        fetch("ours/tiny")
    hub.repositories["ours/tiny"] = Repository(
        folder() | {"model.safetensors": weights(200_000, 9), "tokenizer.json": b'{"new": 1}'}, commit="d" * 40
    )
    hub.break_after = {}
    found = fetch("ours/tiny")
    assert found.origin["commit"] == "d" * 40
    assert (found.folder / "model.safetensors").read_bytes() == weights(200_000, 9)
    assert (found.folder / "tokenizer.json").read_bytes() == b'{"new": 1}'


@pytest.mark.parametrize(("name", "content"), [("model.safetensors", weights(300_000, 5)), ("tokenizer.json", b"[]")])
def test_a_file_that_is_not_the_published_one_is_refused_and_removed(fetch, hub, store, name, content):
    hub.repositories["ours/tiny"].lies = {name: content}
    with pytest.raises(
        ArtifactError, match=rf"`{name}` from ours/tiny at c0ffee\S* on .* has the hash .*it was removed"
    ):
        fetch("ours/tiny")
    left = [f for f in (store / "ours" / "tiny.partial").rglob("*") if f.is_file() and f.read_bytes() == content]
    assert left == []
    hub.repositories["ours/tiny"].lies = {}
    assert verify(fetch("ours/tiny").folder) == []


def test_a_gated_model_needs_an_account_and_its_token_goes_to_the_hub_alone(fetch, hub, monkeypatch):
    hub.repositories["ours/tiny"].gated = "manual"
    with pytest.raises(ArtifactError, match="only to accounts that accepted its terms") as refused:
        fetch("ours/tiny")
    assert f"{hub.address}/ours/tiny" in refused.value.hint and "HF_TOKEN" in refused.value.hint
    hub.token = "hf_right"
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(ArtifactError, match="only to accounts that accepted its terms") as refused:
        fetch("ours/tiny")
    assert "hf_wrong" not in f"{refused.value} {refused.value.hint}"
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    found = fetch("ours/tiny")
    assert verify(found.folder) == [] and hub.leaked == []
    assert "hf_right" not in (found.folder / "manifest.json").read_text()
    assert found.origin["licence"]["gated"] is True


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("ours/absent", ArtifactError, "`ours/absent` is not on http"),
        ("ours/tiny@v9", ArtifactError, "`ours/tiny` has no revision `v9`"),
        ("ours/tiny:x.gguf", ArtifactError, "`ours/tiny` has no GGUF file `x.gguf`"),
        ("ours/many", ConfigError, "`ours/many` has 2 GGUF files: say which"),
        ("ours/many:q4", ConfigError, "`q4` stands in the name of 2 files"),
        ("ours/pickle", DataError, r"only weights that are Python programs \(.bin or .pth\)"),
        ("ours/empty", DataError, "it has no config.json"),
        ("ours/false:x", ArtifactError, "`x.gguf` from ours/false at .* is not a GGUF file"),
        ("ours/other", ArtifactError, "`ours/other` cannot be run: .*`mamba`"),
    ],
)
def test_what_cannot_be_pulled_is_refused_by_name(fetch, hub, name, error, words):
    files = folder()
    del files["model.safetensors"]
    hub.repositories |= {
        "ours/many": Repository({"a-q4_0.gguf": b"GGUF", "a-q4_1.gguf": b"GGUF"}),
        "ours/pickle": Repository(files),
        "ours/empty": Repository({"README.md": b"x"}),
        "ours/false": Repository({"x.gguf": b"<html>"}),
        "ours/other": Repository(folder() | {"config.json": b'{"model_type": "mamba"}'}),
    }
    with pytest.raises(error, match=words):
        fetch(name)
    assert hub.gets("model.safetensors") == []  # nothing large before that is known


def test_what_cannot_be_run_is_fetched_when_asked_for_anyway(fetch, hub):
    hub.repositories["ours/other"] = Repository(folder() | {"config.json": b'{"model_type": "mamba"}'})
    assert verify(fetch("ours/other", anyway=True).folder) == []


def test_a_hub_that_is_down_or_out_of_reach_is_one_clear_error(fetch, hub, store):
    hub.down = True
    with pytest.raises(ArtifactError, match="answered 503 for `ours/tiny`"):
        fetch("ours/tiny")
    with pytest.raises(ArtifactError, match=r"http://127.0.0.1:9 cannot be reached.*ConnectError") as refused:
        pull("ours/tiny", Settings(endpoint="http://someone:secret@127.0.0.1:9"))
    assert "secret" not in str(refused.value)


def test_names_that_leave_the_folder_are_never_written(fetch, hub, store):
    hub.repositories["ours/tiny"].files |= {"../LICENSE": b"x", "LICENSE/../../x": b"x", "/README.md": b"x"}
    assert sorted(read_manifest(fetch("ours/tiny").folder)["files"]) == NEEDED
    hub.repositories["ours/sly"] = Repository({"../../sly.gguf": b"GGUF", "README.md": b"x"})
    with pytest.raises(ArtifactError, match="`ours/sly` has no GGUF file `sly`"):
        fetch("ours/sly:sly")


def test_a_full_disk_is_known_before_anything_is_fetched(fetch, hub, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(DiskFull, match=r"`ours/tiny` needs 300 kB, and 268 MB to spare; the disk of .* has 1 kB"):
        fetch("ours/tiny")
    assert [method for method, path, _ in hub.asked if "resolve" in path] == []


def test_a_file_that_the_library_has_in_its_cache_is_not_fetched_again(fetch, hub):
    from huggingface_hub import hf_hub_download

    hf_hub_download("ours/tiny", "model.safetensors", endpoint=hub.address, revision=COMMIT)
    hub.asked.clear()
    assert verify(fetch("ours/tiny").folder) == []
    assert hub.gets("model.safetensors") == [] and hub.gets("config.json") == [""]


def test_two_pulls_at_once_fetch_once(hub, store):
    """As the command line does it, with the hub that the settings of the library name."""
    environment = os.environ | {"HF_ENDPOINT": hub.address, "CREUSET_HOME": str(store.parent), "NO_PROXY": "*"}
    command = [sys.executable, "-m", "creuset", "pull", "ours/tiny"]
    both = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=60) for process in both]
    assert [out for out, _ in said] == [f"{store / 'ours' / 'tiny'}\n"] * 2, said
    assert verify(store / "ours" / "tiny") == [] and hub.gets("model.safetensors") == [""]


def test_an_old_tokenizer_is_fetched_only_where_there_is_no_newer_one(fetch, hub):
    files = folder() | {"tokenizer.model": b"pieces"}
    hub.repositories["ours/both"] = Repository(files)
    hub.repositories["ours/old"] = Repository({k: v for k, v in files.items() if k != "tokenizer.json"})
    both, old = (read_manifest(fetch(name).folder)["files"] for name in ("ours/both", "ours/old"))
    assert "tokenizer.model" not in both and "tokenizer.model" in old


def test_a_library_that_is_set_offline_says_so_and_what_was_pulled_works(fetch, hub, monkeypatch):
    found = fetch("ours/tiny")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert fetch("ours/tiny").model == found.model
    with pytest.raises(ConfigError, match="huggingface_hub is set to be offline") as refused:
        fetch("ours/tiny@v1")
    assert "creuset list" in refused.value.hint
