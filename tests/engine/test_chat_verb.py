"""`creuset chat`, as a person and as a script use it."""

import json
import os
import signal
import subprocess
import sys

import pytest

from creuset.cli import main
from creuset.testing import tiny_model_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_model_folder(tmp_path_factory.mktemp("chat") / "tiny")


@pytest.fixture
def chat(folder, monkeypatch, capsys):
    def talk(*lines, **options):
        words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
        monkeypatch.setattr("sys.stdin", iter_of(lines))
        code = main(["chat", "--model", str(folder), "--json", *words])
        out, err = capsys.readouterr()
        return code, [json.loads(line) for line in out.splitlines()], err

    return talk


def iter_of(lines):
    import io

    return io.StringIO("".join(line + "\n" for line in lines))


def test_each_line_is_a_turn_and_the_conversation_is_cached(chat):
    code, turns, err = chat("What is a river?", "", "And the sea?", temperature=0, max_tokens=5, system="Be short.")
    assert code == 0 and len(turns) == 2
    assert turns[1]["prompt_tokens"] > turns[0]["prompt_tokens"] and turns[1]["cached_tokens"] >= 16
    assert err.count("tokens/s") == 2 and "first after" in err


def test_a_conversation_can_begin_anew(chat):
    _, turns, _ = chat("What is a river?", "/reset", "What is a river?", "/quit", "never asked", seed=4, max_tokens=5)
    assert [turn["prompt_tokens"] for turn in turns] == [turns[0]["prompt_tokens"]] * 2
    _, systems, _ = chat("/system You are a cat.", "What is a river?", seed=4, max_tokens=5)
    assert systems[0]["prompt_tokens"] > turns[0]["prompt_tokens"]


def test_the_same_seed_gives_the_same_conversation(chat):
    first, second = (chat("What is a cat?", "Why?", seed=7, max_tokens=6)[1] for _ in range(2))
    assert [turn["content"] for turn in first] == [turn["content"] for turn in second]


def test_a_conversation_longer_than_the_context_forgets_its_oldest_exchanges(chat):
    code, turns, err = chat(*["The cat ran to the river and the dog ran after the cat."] * 9, max_tokens=20, seed=1)
    assert code == 0 and len(turns) == 9 and "oldest exchanges are forgotten" in err
    assert all(turn["prompt_tokens"] + 20 <= 256 for turn in turns)


def test_what_is_refused_does_not_end_the_conversation(chat):
    code, turns, err = chat("/fly", "The river " * 300, "Still there?", max_tokens=3)
    assert code == 0 and len(turns) == 1
    assert "`/fly` is not a command" in err and "error: this model's context is 256 tokens" in err


def test_an_unknown_model_and_a_wrong_setting_are_refused(folder, capsys):
    assert main(["chat", "--model", str(folder) + "x"]) == 3
    assert "did you mean" in capsys.readouterr().err
    assert main(["chat", "--model", str(folder), "--temperature", "-1"]) != 0
    assert "`temperature` must be between 0 and 100, got -1" in capsys.readouterr().err


def test_ctrl_c_stops_the_answer_and_not_the_program(folder):
    """Streams to a pipe; the signal comes after the first characters of an answer that would go on and on."""
    program = (
        "import sys; from creuset.cli import chat as cli; from creuset.cli import main\n"
        "cli.recommended_sampling = lambda path: {'ignore_eos': True, 'seed': 3}\n"
        "sys.exit(main(['chat', '--model', sys.argv[1], '--max-tokens', '200']))"
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", program, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env=environment,
    ) as process:  # fmt: skip
        assert process.stdin and process.stdout and process.stderr
        process.stdin.write(b"Go on.\n")
        process.stdin.flush()
        assert process.stdout.read(1)
        process.send_signal(signal.SIGINT)
        assert process.stderr.readline().startswith(b"loading ")
        said = process.stderr.readline()
        assert said.startswith(b"[cancelled: "), said
        process.stdin.write(b"/quit\n")
        process.stdin.close()
        assert process.wait(300) == 0
