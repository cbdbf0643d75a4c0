"""The catalogue: every row is read, says what it must, and is found by its names."""

import re
from typing import get_args

import pytest

from creuset.core.errors import ArtifactError
from creuset.model.config import Family
from creuset.model.store.catalogue import catalogue
from creuset.model.store.licence import terms_of
from creuset.model.store.wanted import wanted

ROWS = list(catalogue().entries.values())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_names_its_place_its_licence_and_what_it_is(row):
    assert re.fullmatch(r"[a-z0-9.-]+", row.name) and row.card.endswith(".") and len(row.card) < 100
    assert bool(row.repository) != bool(row.package), "one place"
    assert row.terms.title != row.licence, f"licences.toml does not know {row.licence}"
    assert row.terms.open or row.terms.limits, "what is not open has limits that are told"
    assert row.family and row.parameters > row.active_parameters
    assert all(re.fullmatch(r"[a-z]{2}|mul", language) for language in row.languages)
    if row.package:
        for hash in (row.package.sha256, row.package.wheel_sha256):
            assert re.fullmatch(r"[0-9a-f]{64}", hash)


def test_no_two_rows_are_one_model():
    places = [(row.repository, row.revision, row.file) for row in ROWS if row.repository]
    assert len(places) == len(set(places))


def test_a_repository_of_the_catalogue_is_its_row():
    assert wanted("Qwen/Qwen3-0.6B") == wanted("qwen3-0.6b") == wanted("QWEN3-0.6B")
    assert wanted("Qwen/Qwen3-0.6B").folder == "qwen3-0.6b"
    assert wanted("Qwen/Qwen3-0.6B@abc").entry is None  # another revision is another model


@pytest.mark.parametrize(
    ("name", "repository", "revision", "file", "folder"),
    [
        ("a/b", "a/b", "", "", "a/b"),
        ("a/b.c-d@refs/pr/1", "a/b.c-d", "refs/pr/1", "", "a/b.c-d@refs_pr_1"),
        ("a/b:x-Q4_K_M.gguf", "a/b", "", "x-Q4_K_M.gguf", "a/b--x-Q4_K_M"),
        ("a/b@v1:sub/x.gguf", "a/b", "v1", "sub/x.gguf", "a/b@v1--sub_x"),
    ],
)
def test_forms_of_names(name, repository, revision, file, folder):
    found = wanted(name)
    assert (found.repository, found.revision, found.file, found.folder) == (repository, revision, file, folder)


@pytest.mark.parametrize("name", ["", "a", "a/b/c", "/a/b", "../b", "a/..", "a/b@../../x", "a/b:../x", "a b/c", "a/b:"])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(ArtifactError, match="is not the name of a model"):
        wanted(name)


@pytest.mark.parametrize(
    ("id", "free", "told"),
    [
        ("apache-2.0", True, "licence: Apache License 2.0 (apache-2.0)"),
        ("MIT", True, "licence: MIT License (mit)"),
        ("cc-by-nc-4.0", False, "limits: No commercial use."),
        ("llama3.1", False, '"Built with Llama"'),
        ("house-rules-1", False, "limits: not known to us; read its text"),
        ("", False, "nothing is allowed but what its makers allow you"),
    ],
)
def test_a_licence_is_open_or_its_limits_are_told(id, free, told):
    terms = terms_of(id)
    assert terms.free is free and any(told in sentence for sentence in terms.sentences())


def test_an_open_licence_behind_terms_or_with_a_policy_is_not_free():
    assert not terms_of("apache-2.0", gated=True).free
    assert not terms_of("apache-2.0", limits="A policy.").free


def test_every_model_of_the_catalogue_is_of_a_family_that_runs():
    assert {row.family for row in ROWS} <= set(get_args(Family))
