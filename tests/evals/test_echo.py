"""Documents read through on somebody else's endpoint: windows, boundaries, what cannot be read, going on."""

import json
import math
import re

import pytest

from creuset.cli import main
from creuset.evals.journal import read
from creuset.model.windows import windows
from tests.evals.scripted import Scripted

EOT = "<|endoftext|>"
TEXTS = ["The cat sat on the mat, and the dog ran to the river. " * 3, "Où est l'école ? Là-bas, à côté.", "It is."]


def cut(text, control):
    return re.findall((re.escape(EOT) + "|" if control else "") + r"\s?\w+|\s|.", text)


class Foreign:
    """A server with words for tokens. ln p of a token is less the farther it is from the beginning of its prompt, so
    that a sum says how a document was cut."""

    def __init__(self, *, control=True, bos="", most=10_000, offsets=True, echo=True, broken=False, tokenizer=False):
        self.control, self.bos, self.most, self.offsets, self.echo, self.broken = (
            control,
            bos,
            most,
            offsets,
            echo,
            broken,
        )
        self.tokenizer, self.words, self.prompts, self.dead = tokenizer, {}, [], False

    def value(self, at):
        return -0.5 - 0.01 * at

    def tokenize(self, text):
        return [self.words.setdefault(word, len(self.words)) for word in cut(text, self.control)]

    def __call__(self, path, body, number):
        if path == "/tokenize" and self.tokenizer and not self.dead:
            return 200, {"tokens": self.tokenize(body["prompt"]), "max_model_len": self.most}
        if path != "/v1/completions" or self.dead:
            return 401 if self.dead else 404, {"error": {"message": "no"}}
        if not self.echo:
            return 200, {"model": "w", "choices": [{"text": "a", "finish_reason": "length", "logprobs": None}]}
        prompt = body["prompt"]
        if isinstance(prompt, list):
            names = {number: word for word, number in self.words.items()}
            prompt = "".join(names[i] for i in prompt[0])
        tokens = [*(["<s>"] if self.bos else []), *cut(prompt, self.control)]
        if len(tokens) > self.most:
            return 400, {"error": {"message": "this model's maximum context length is exceeded"}}
        self.prompts.append(prompt)
        starts, at = [], 0
        for token in tokens:
            starts.append(at)
            at += 0 if token == "<s>" and self.bos == "counts nothing" else len(token)
        values = [None if i == 0 else self.value(i) for i in range(len(tokens))]
        if self.broken and "cat" in prompt:
            values[1] = None
        told = {
            "tokens": [*tokens, "x"],
            "token_logprobs": [*values, -1.0],
            "top_logprobs": [v if v is None else {"t": v} for v in [*values, -1.0]],
            "text_offset": [*starts, at] if self.offsets else [],
        }
        return 200, {
            "model": "w",
            "choices": [{"text": prompt + "x", "finish_reason": "length", "logprobs": told}],
            "usage": {"prompt_tokens": len(tokens), "completion_tokens": 1},
        }


def wanted(foreign, text, context, overlap):
    """(sum of ln p, tokens) by the rule of model/windows.py on all tokens at once."""
    ends = EOT if foreign.control else ""
    row = cut(f"{ends}{text}{ends}", foreign.control)
    before = int(bool(foreign.bos))
    first = before and not foreign.control  # what the server puts before a text gives its first token a probability
    total, count = (foreign.value(1), 1) if first else (0.0, 0)
    for window in windows(len(row) - 1, context=context or len(row), overlap=overlap):
        for target in range(window.scored, window.end):
            total, count = total + foreign.value(target + 1 - window.start + before), count + 1
    return total, count


@pytest.fixture
def held(tmp_path):
    file = tmp_path / "held.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    return file


def run(url, held, capsys, *words, code=0):
    asked = ["eval", url, "--model", "w", "--task", "bpb", "--data", str(held), "--retries", "0", "--json", *words]
    assert main(asked) == code
    said = capsys.readouterr()
    return json.loads(said.out) if code == 0 else said.err


@pytest.mark.parametrize("bos", ["", "counts nothing", "counts three"])
@pytest.mark.parametrize("control", [True, False])
@pytest.mark.parametrize(("context", "overlap"), [(0, 0), (8, 0), (8, 3)])
def test_windows_are_those_of_a_folder_whatever_the_server_puts_before(
    held, tmp_path, capsys, control, bos, context, overlap
):
    foreign = Foreign(control=control, bos=bos)
    with Scripted(foreign) as server:
        words = [] if not context else ["--context", str(context), "--overlap", str(overlap)]
        (row,) = run(server.url, held, capsys, *words, "--out", str(tmp_path / "out"))["results"]
    rows = [json.loads(line) for line in (tmp_path / "out" / "bpb.jsonl").read_text().splitlines()]
    for text, found in zip(TEXTS, rows, strict=True):
        total, tokens = wanted(foreign, text, context, overlap)
        assert (found["bits"] * math.log(2), found["tokens"]) == (pytest.approx(-total), tokens)
        left_out = 0 if control or bos else len(cut(text, control)[0].encode())
        assert found["bytes"] == len(text.encode()) - left_out
    assert row["score"] == pytest.approx(sum(r["bits"] for r in rows) / sum(r["bytes"] for r in rows))
    assert ("does not have" in row["caveat"]) == (not control and not bos)


@pytest.mark.parametrize("control", [True, False])
@pytest.mark.parametrize("words", [(), ("--context", "8"), ("--context", "8", "--overlap", "3"), ("--context", "9")])
def test_a_tokenizer_that_can_be_asked_gives_the_tokens(held, tmp_path, capsys, control, words):
    foreign = Foreign(control=control, tokenizer=True, most=10)
    with Scripted(foreign) as server:
        if words[-1:] == ("9",):
            assert "reads 8 tokens at once, 9 are asked for" in run(server.url, held, capsys, *words, code=2)
            return
        (row,) = run(server.url, held, capsys, *words, "--out", str(tmp_path / "out"))["results"]
    overlap = 3 if "3" in words else 0
    rows = [json.loads(line) for line in (tmp_path / "out" / "bpb.jsonl").read_text().splitlines()]
    for text, found in zip(TEXTS, rows, strict=True):  # without --context: as many as the server reads, less two
        total, tokens = wanted(foreign, text, 8, overlap)
        assert (found["bits"] * math.log(2), found["tokens"]) == (pytest.approx(-total), tokens)
        assert found["bytes"] == len(text.encode()) - (0 if control else len(cut(text, control)[0].encode()))
    assert ("does not have" in row["caveat"]) != control
    usage = [o for r in rows for o in r["outcomes"]]
    read = sum(len(cut(prompt, control)) for prompt in foreign.prompts[1:])
    assert sum(o["prompt_tokens"] for o in usage) == read, "what was read is what is billed, the probe apart"


@pytest.mark.parametrize("most", [10, 12])
def test_pieces_that_are_too_long_close_in_on_the_window(held, tmp_path, capsys, most):
    with Scripted(foreign := Foreign(most=most)) as server:
        run(server.url, held, capsys, "--context", "8", "--out", str(tmp_path / "out"))
        rows = [json.loads(line) for line in (tmp_path / "out" / "bpb.jsonl").read_text().splitlines()]
        assert [r["bits"] * math.log(2) for r in rows] == pytest.approx(
            [-wanted(foreign, text, 8, 0)[0] for text in TEXTS]
        )
        # Without a context only what fits at once is read, and what does not is a failed document.
        (row,) = run(server.url, held, capsys)["results"]
    assert (row["n"], row["denominator"], row["failed"]) == (1, 3, 2)


@pytest.mark.parametrize("way", [{"offsets": False}, {"broken": True}])
def test_what_the_reply_does_not_tell_is_a_failed_document(held, tmp_path, capsys, way):
    with Scripted(Foreign(**way)) as server:  # 5: not one call was answered
        run(server.url, held, capsys, "--out", str(tmp_path / "out"), code=0 if "broken" in way else 5)
    (row,) = json.loads((tmp_path / "out" / "results.json").read_text())["results"]
    rows = [json.loads(line) for line in (tmp_path / "out" / "bpb.jsonl").read_text().splitlines()]
    failed = [r["id"] for r in rows if r["failed"]]
    if "broken" in way:
        assert (row["n"], row["failed"], failed) == (2, 1, ["0/held/0"])
        assert rows[0]["outcomes"][0]["reason"] == "no_logprobs"
    else:
        assert row["status"] == "not_tested" and row["why"].startswith("every call failed: 3 no_logprobs")
        assert len(failed) == 3


def test_an_endpoint_without_echo_says_so(held, capsys):
    with Scripted(Foreign(echo=False)) as server:
        (row,) = run(server.url, held, capsys)["results"]
    assert row["status"] == "not_testable" and "log-probabilities of a prompt (echo with logprobs)" in row["why"]


def test_a_run_goes_on_where_it_stopped_and_is_scored_again(held, tmp_path, capsys):
    foreign = Foreign()
    with Scripted(foreign) as server:
        whole = run(server.url, held, capsys)["results"]
        journal = tmp_path / "work" / "bpb.jsonl"
        words = ["--work", str(tmp_path / "work"), "--concurrency", "1"]
        run(server.url, held, capsys, *words)
        lines = journal.read_text().splitlines(keepends=True)
        journal.write_text("".join(lines[:2]) + lines[2][:40])  # torn: killed while the second was written
        foreign.prompts.clear()
        assert run(server.url, held, capsys, *words)["results"][0]["score"] == whole[0]["score"]
        asked = [p for p in foreign.prompts if p.startswith(EOT) and p.endswith(EOT)]
        assert asked == [f"{EOT}{text}{EOT}" for text in TEXTS[1:]], "the first was not asked again"
        assert "its context is 0, this one's 9" in run(server.url, held, capsys, *words, "--context", "9", code=2)
        held.write_text(json.dumps({"text": TEXTS[0]}) + "\n")
        assert "its data_sha256 is" in run(server.url, held, capsys, *words, code=2)
    head, entries = read(journal)
    assert head["context"] == 0 and len(entries) == 3
    held.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    assert main(["eval", "--rescore", str(tmp_path / "work"), "--data", str(held), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)["results"]
    assert [again[0][k] for k in ("score", "interval", "n")] == [whole[0][k] for k in ("score", "interval", "n")]
