"""What the HTTP process reads of a model folder, and what it hands out of the page's."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

import creuset
from creuset.core.artifact import new_artifact, read_manifest
from creuset.core.errors import ArtifactError, ConfigError
from creuset.model.count import parameters
from creuset.model.formats.hf_config import to_hf
from creuset.model.store.origin import front_matter
from creuset.server.model import describe, with_tool_format
from creuset.server.pages import FOR_EVER, NOT_BUILT, Pages
from creuset.testing import tiny_config, tiny_model_folder, tiny_tokenizer

MINI = Path(creuset.__file__).parent / "models" / "mini"


def _asked() -> Request:
    return Request({"type": "http", "headers": []})


def folder_of(path: Path, **files: Any) -> Path:
    """A folder without weights; each of `files` is written as JSON under its name."""
    path.mkdir()
    tiny_tokenizer().save(path)
    for name, value in ({"config": to_hf(tiny_config(context=512))} | files).items():
        (path / f"{name}.json").write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def test_a_folder_is_described_by_what_lies_in_it(tmp_path: Path) -> None:
    folder = tiny_model_folder(tmp_path / "small")
    found = describe(folder)
    counts = parameters(tiny_config())
    assert (found.name, found.names, found.context) == ("small", ("small",), 256)
    assert (found.parameters, found.active_parameters) == (counts.total, counts.active)
    assert found.size_bytes == (folder / "model.safetensors").stat().st_size
    assert found.created == int((folder / "config.json").stat().st_mtime)
    assert found.tokenizer.vocab_size == tiny_tokenizer().vocab_size and found.template.is_ours
    assert found.fingerprint == f"fp_{found.sha256[:10]}"


def test_names_to_serve_it_under_replace_its_own_and_the_first_is_its_name(tmp_path: Path) -> None:
    found = describe(folder_of(tmp_path / "own"), ["first", "second"])
    assert (found.name, found.names) == ("first", ("first", "second"))


def test_another_shape_has_another_fingerprint(tmp_path: Path) -> None:
    one, same = folder_of(tmp_path / "a"), folder_of(tmp_path / "b")
    other = folder_of(tmp_path / "c", config=to_hf(tiny_config(context=1024)))
    assert describe(one).fingerprint == describe(same).fingerprint != describe(other).fingerprint


def test_only_numbers_that_say_how_to_sample_are_taken_as_defaults(tmp_path: Path) -> None:
    given = {"temperature": 0.7, "top_k": 20, "top_p": None, "min_p": True, "do_sample": True, "max_length": 5}
    assert describe(folder_of(tmp_path / "m", generation_config=given)).defaults == {"temperature": 0.7, "top_k": 20.0}


@pytest.mark.parametrize(
    ("generation", "config", "more"),
    [
        (None, None, set()), ({"eos_token_id": 5}, None, {5}),
        ({"eos_token_id": [5, 6]}, {"eos_token_id": 7}, {5, 6, 7}),
        (None, {"eos_token_id": 7}, {7}), ({"eos_token_id": "x"}, None, set()),
    ],
)  # fmt: skip
def test_what_ends_a_reply_is_what_the_folder_says_and_always_the_end_of_a_turn(
    tmp_path: Path, generation: Any, config: Any, more: set[int]
) -> None:
    files: dict[str, Any] = {"generation_config": generation} if generation else {}
    shape = to_hf(tiny_config())
    shape.pop("eos_token_id", None)
    folder = folder_of(tmp_path / "m", config=shape | (config or {}), **files)
    assert set(describe(folder).stop_ids) == {tiny_tokenizer().im_end, tiny_tokenizer().endoftext} | more


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"config": "{"}, r"config\.json` is not JSON"),
        ({"config": "[]"}, r"config\.json` must hold a JSON object"),
        ({"generation_config": "nothing"}, r"generation_config\.json` is not JSON"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, files: dict[str, Any], words: str) -> None:
    with pytest.raises(ArtifactError, match=words):
        describe(folder_of(tmp_path / "m", **files))


def test_what_is_no_model_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="is not a model: there is no such folder"):
        describe(tmp_path / "absent")
    with pytest.raises(ArtifactError, match=r"is not a model: it has no config\.json"):
        describe(tmp_path)


@pytest.mark.parametrize(
    ("card", "front", "body"),
    [
        ("# A card\n", {}, "# A card\n"),
        ("---\nlicense: mit\n---\n# A\n", {"license": ("mit",)}, "# A\n"),
        ('---\nlicense: "mit"\nlanguage:\n- en\n- \'fr\'\n---\n\n\nx',
         {"license": ("mit",), "language": ("en", "fr")}, "x"),
        ("---\nbase: a\nbase_model: b/c\nempty:\n---\n", {"base": ("a",), "base_model": ("b/c",), "empty": ()}, ""),
        ("---\nmodel-index:\n  name: x\n- loose\n---\ny", {"model-index": ("loose",)}, "y"),
        ("---\nlicense: mit\n# never closed\n", {}, "---\nlicense: mit\n# never closed\n"),
        ("text\n---\nlicense: mit\n---\n", {}, "text\n---\nlicense: mit\n---\n"),
        ("---\n- first\n---\nz", {}, "z"),
        ("", {}, ""),
    ],
)  # fmt: skip
def test_the_words_above_a_card_are_read_and_taken_off_it(
    card: str, front: dict[str, tuple[str, ...]], body: str
) -> None:
    assert front_matter(card) == (front, body)


def test_a_card_tells_licence_languages_and_its_text(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "m")
    (folder / "README.md").write_text("---\nlicense: mit\nlanguage: fr\n---\nfrom the readme")
    assert describe(folder).card == "from the readme"
    (folder / "card.md").write_text("---\nlicense: apache-2.0\nlanguage:\n- en\n- fr\n---\nfrom the card")
    found = describe(folder)
    assert (found.card, found.licence, found.languages) == ("from the card", "apache-2.0", ("en", "fr"))


# The page


def asked(path: str) -> Request:
    return Request({"type": "http", "method": "GET", "path": path, "headers": []})


@pytest.fixture
def static(tmp_path: Path) -> Path:
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<h1>page</h1>")
    (folder / "assets/app-1a2b.js").write_text("1")
    (folder / "assets/data.strange").write_text("2")
    (folder / "favicon.svg").write_text("<svg/>")
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "assets/link.txt").symlink_to(tmp_path / "secret.txt")
    return folder


def test_the_page_is_asked_for_each_time_and_its_hashed_files_are_kept_for_ever(static: Path) -> None:
    pages = Pages(static)
    assert pages.index(_asked()).headers["cache-control"] == "no-cache"
    assert pages.index(_asked()).headers["content-type"].startswith("text/html")
    for path, kind, cache in (
        ("/assets/app-1a2b.js", "javascript", FOR_EVER),
        ("/assets/data.strange", "application/octet-stream", FOR_EVER),
        ("/favicon.svg", "image/svg+xml", "no-cache"),
    ):
        found = pages.file(asked(path))
        assert kind in found.headers["content-type"] and found.headers["cache-control"] == cache


@pytest.mark.parametrize(
    "path",
    ["/index.html", "/assets", "/assets/", "/assets/none.js", "/../secret.txt", "/assets/../../secret.txt",
     "/assets/link.txt", "/assets/app\0.js", "/"],
)  # fmt: skip
def test_nothing_outside_the_folder_is_handed_out(static: Path, path: str) -> None:
    with pytest.raises(HTTPException) as refused:
        Pages(static).file(asked(path))
    assert refused.value.status_code == 404


def test_an_installation_without_the_page_says_so(tmp_path: Path) -> None:
    found = Pages(tmp_path).index(_asked())
    assert found.status_code == 200 and bytes(found.body).decode() == NOT_BUILT
    assert found.headers["content-type"].startswith("text/plain")


def test_the_form_of_calls_is_the_templates_or_the_one_that_was_named(folder: Path) -> None:
    model = describe(folder)
    assert model.calls.name == "hermes"
    assert with_tool_format(model, "llama3").calls.name == "llama3"
    with pytest.raises(ConfigError, match="`pythonic` is no format of tool calls"):
        with_tool_format(model, "pythonic")


def test_a_model_is_told_by_the_hash_that_its_card_tells(tmp_path: Path) -> None:
    """A card is put into a copy of the model, whose manifest has another hash."""
    with new_artifact(tmp_path / "plain", kind="model") as folder:
        folder_of(folder / "made")
        for file in (folder / "made").iterdir():
            file.rename(folder / file.name)
        (folder / "made").rmdir()
    told = read_manifest(tmp_path / "plain")["sha256"]
    with new_artifact(tmp_path / "carded", kind="model", parents=[tmp_path / "plain"]) as folder:
        for file in (tmp_path / "plain").iterdir():
            if file.name != "manifest.json":
                shutil.copy(file, folder / file.name)
        (folder / "card.md").write_text(f"Identity: `{told}`")
    assert describe(tmp_path / "plain").sha256 == describe(tmp_path / "carded").sha256 == told
    with new_artifact(tmp_path / "tuned", kind="model", parents=[tmp_path / "plain"]) as folder:
        for file in (tmp_path / "plain").iterdir():
            if file.name != "manifest.json":
                shutil.copy(file, folder / file.name)
        (folder / "weights").write_text("others")
    assert describe(tmp_path / "tuned").sha256 == read_manifest(tmp_path / "tuned")["sha256"], "another model"


def test_the_shipped_model_has_the_hash_of_its_card() -> None:
    found = describe(MINI)
    assert f"Identity: sha256 `{found.sha256}`" in found.card
