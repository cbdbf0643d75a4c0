import json

import pytest

from creuset.cli import main
from creuset.core import errors
from creuset.core.artifact import new_artifact


@pytest.fixture
def artifact(tmp_path):
    with new_artifact(tmp_path / "parent", kind="corpus") as scratch:
        (scratch / "a").write_text("a")
    with new_artifact(tmp_path / "child", kind="model", parents=[tmp_path / "parent"]) as scratch:
        (scratch / "b").write_text("b")
    return tmp_path / "child"


def test_verify_prints_the_chain_and_exits_with_0(artifact, capsys):
    assert main(["verify", str(artifact)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("model        child") and out[1].startswith("corpus       parent")
    assert out[1].endswith("its files are not here")
    assert out[-1] == "whole: nothing was altered in the files that are here"
    assert main(["verify", str(artifact.parent / "parent")]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "whole: nothing was altered"


def test_verify_says_what_is_broken_and_exits_with_1(artifact, capsys):
    (artifact / "b").write_text("c")
    assert main(["verify", str(artifact)]) == 1
    assert "BROKEN  child/b has sha256" in capsys.readouterr().out


def test_verify_of_a_chain_whose_lineage_is_not_json_still_answers(artifact, capsys):
    next((artifact / "lineage").glob("*")).write_text("{")
    assert main(["verify", str(artifact), "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["ok"] is False and "not a manifest any more" in said["problems"][0]["what"]


def test_an_absent_artifact_is_an_error_on_stderr_with_exit_3(tmp_path, capsys):
    assert main(["verify", str(tmp_path / "nothing")]) == 3
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("error: `") and "there is no such folder" in said.err


def test_an_unknown_verb_exits_with_2(capsys):
    with pytest.raises(SystemExit) as left:
        main(["brew"])
    assert left.value.code == 2 and "invalid choice: 'brew'" in capsys.readouterr().err


def test_every_error_has_the_exit_code_or_status_its_page_says():
    codes = {"ConfigError": 2, "DataError": 3, "ArtifactError": 3, "TrainingError": 4, "EngineError": 5}
    for name, code in codes.items():
        error = getattr(errors, name)("`x` is wrong", hint="do y")
        assert isinstance(error, errors.CreusetError) and (error.exit_code, error.hint) == (code, "do y")
    statuses = {400: ["RequestError", "PromptTooLong"], 401: ["NotAllowed"], 403: ["Forbidden"], 404: ["NotFound"]}
    for name, status in [(n, s) for s, names in {**statuses, 429: ["Overloaded"]}.items() for n in names]:
        error = getattr(errors, name)("no", param="messages")
        assert (error.status, error.param) == (status, "messages")
    assert errors.Overloaded("slow", retry_after=2.0).retry_after == 2.0
    assert errors.RequestError("x", code="y").code == "y" and errors.RequestError.code is None
