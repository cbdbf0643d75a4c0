"""No room left in the middle of a run: one error that names the file, nothing kept is lost, the next run goes on.

The limit is that of the size of a file, which every user may set on himself: a write beyond it fails as a full disk
does (EFBIG for ENOSPC). The same was tried on a mounted tmpfs of 64 KB to 900 KB.
"""

import contextlib
import json
import resource
import shutil
from pathlib import Path

import pytest

from creuset.cli import main
from creuset.core.artifact import new_artifact, verify
from creuset.core.disk import room_for
from creuset.core.errors import DiskFull
from creuset.testing import tiny_model_folder
from tests.evals.scripted import Scripted, chat, only_chat

QUESTIONS = [{"query": f"Question: What is {i}?", "choices": ["water", "stone"], "gold": i % 2} for i in range(60)]
KEYS = ("metric", "score", "interval", "n", "denominator", "failed", "prompt_sha256")


@contextlib.contextmanager
def files_of(size):
    """No file may grow beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def asked(tmp_path):
    (tmp_path / "arc_easy.jsonl").write_text("".join(json.dumps(q) + "\n" for q in QUESTIONS))
    seen = []

    def reply(body, number):
        question = body["messages"][-1]["content"]
        if question != "Hello":
            seen.append(question)
        return 200, chat(f"Answer: {'AB'[len(question) % 2]}")

    with Scripted(only_chat(reply)) as server:
        yield ["eval", server.url, "--model", "m", "--task", "arc_easy", "--form", "chat", "--concurrency", "3",
               "--bench", str(tmp_path / "arc_easy.jsonl"), "--json"], seen  # fmt: skip


def results(capsys):
    return [[row[k] for k in KEYS] for row in json.loads(capsys.readouterr().out)["results"]]


def test_a_journal_that_cannot_grow_stops_the_run_and_the_next_one_goes_on(asked, tmp_path, capsys):
    words, seen = asked
    assert main([*words, "--work", str(tmp_path / "whole")]) == 0
    whole = results(capsys)
    seen.clear()
    with files_of(4000):
        assert main([*words, "--work", str(tmp_path / "w")]) == 4
    said = capsys.readouterr().err
    assert f"error: `{tmp_path / 'w' / 'arc_easy.jsonl'}` cannot be written: File too large" in said
    assert "hint: what was answered before is kept: make room and run the same command again" in said
    journal = (tmp_path / "w" / "arc_easy.jsonl").read_bytes()
    assert len(journal) == 4000 and not journal.endswith(b"\n"), "the line that did not fit is torn"
    before = journal.count(b"\n") - 1
    assert 5 < before < 60
    seen.clear()
    assert main([*words, "--work", str(tmp_path / "w")]) == 0
    assert results(capsys) == whole and len(seen) == 60 - before


def test_an_artifact_that_cannot_be_written_leaves_the_answers(asked, tmp_path, capsys):
    words, seen = asked
    assert main([*words, "--out", str(tmp_path / "whole")]) == 0
    whole = results(capsys)
    seen.clear()
    with files_of((tmp_path / "whole" / "report.html").stat().st_size - 2000):
        assert main([*words, "--out", str(tmp_path / "o")]) == 4
    said = capsys.readouterr().err
    assert f"`{tmp_path / 'o.partial' / 'report.html'}`, of `{tmp_path / 'o'}`, cannot be written" in said
    assert len(seen) == 60 and not (tmp_path / "o.partial").exists(), "what is of no use gives its room back"
    assert main([*words, "--out", str(tmp_path / "o")]) == 0
    assert results(capsys) == whole and len(seen) == 60, "nobody was asked again"
    assert verify(tmp_path / "o") == [] and not (tmp_path / "o.work").exists()


def test_an_audit_goes_on_too(tmp_path, capsys):
    seen = []

    def reply(body, number):
        if body["messages"][-1]["content"] != "Hello":
            seen.append(1)
        return 200, chat("I am an AI." * 9)

    figures = []
    with Scripted(only_chat(reply)) as server:
        words = ["audit", server.url, "--model", "m", "--items", "prompt_leak", "--limit", "12", "--json"]
        assert main([*words, "--out", str(tmp_path / "whole")]) == 0
        figures.append(json.loads(capsys.readouterr().out)["results"])
        calls = len(seen)
        with files_of(4000):
            assert main([*words, "--out", str(tmp_path / "a")]) == 4
        assert "cannot be written: File too large" in capsys.readouterr().err
        with files_of((tmp_path / "whole" / "audit.html").stat().st_size - 2000):
            assert main([*words, "--out", str(tmp_path / "a")]) == 4
        assert f"of `{tmp_path / 'a'}`, cannot be written: File too large" in capsys.readouterr().err
        assert main([*words, "--out", str(tmp_path / "a")]) == 0
        figures.append(json.loads(capsys.readouterr().out)["results"])
    assert verify(tmp_path / "a") == [] and len(seen) < 3 * calls
    whole, resumed = ([[row.get(k) for k in KEYS] for row in found] for found in figures)
    assert resumed == whole and whole


def test_a_dossier_and_a_scorecard_say_which_file(tmp_path, capsys):
    with new_artifact(tmp_path / "model", kind="model") as scratch:
        shutil.rmtree(scratch)
        tiny_model_folder(scratch)
    (tmp_path / "c.toml").write_text(
        'title = "t"\n[volume]\nrequests = 1000\ninput_tokens = 10\noutput_tokens = 10\ncached_share = 0.0\n'
        '[[system]]\nname = "Qwen2.5-Max"\nreported = "Qwen2.5-Max"\n'
        '[[system]]\nname = "DeepSeek V3"\nreported = "DeepSeek V3"\n'
    )
    words = {
        "d": ["dossier", str(tmp_path / "model"), "--forms", "annex-xi", "--lang", "en", "--out"],
        "c": ["compare", "run", str(tmp_path / "c.toml"), "--out"],
    }
    for name, asking in words.items():
        out = tmp_path / name
        with files_of(6000):
            assert main([*asking, str(out)]) == 4, name
        said = capsys.readouterr().err
        assert f"error: `{out}.partial/" in said and "cannot be written: File too large" in said
        assert not out.exists() and not Path(f"{out}.partial").exists()
        assert main([*asking, str(out)]) == 0 and verify(out) == []


def test_what_is_no_lack_of_room_stays_what_it_is():
    with pytest.raises(FileNotFoundError), room_for("x"):
        Path("/nowhere/at/all").write_text("a")
    with pytest.raises(DiskFull, match="`/dev/full`, of `x`, cannot be written"), room_for("x"):
        Path("/dev/full").write_text("a")
