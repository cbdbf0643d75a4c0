"""The same model as a folder and behind our own server: the same likelihoods, the same words, the same scores."""

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace

import httpx
import pytest

from creuset.cli import main
from creuset.core.artifact import verify
from creuset.evals.clients.http import CallSettings
from creuset.evals.clients.local import LocalClient
from creuset.evals.clients.open import open_endpoint
from creuset.evals.model import Failure, GenerateRequest, LoglikelihoodRequest
from creuset.server.log import new_log
from creuset.server.model import describe
from creuset.server.run import serve, worker_command
from creuset.server.settings import ServeSettings
from tests.evals.scripted import Scripted, chat, only_chat

PAIRS = [
    LoglikelihoodRequest("The cat sat on", " the mat"),
    LoglikelihoodRequest("", "What is a river?"),
    LoglikelihoodRequest("Le chat est sur la tab", "le. La rivière"),
    LoglikelihoodRequest("What is the capital of France? It is", " Paris."),
    LoglikelihoodRequest("The dog ran. " * 30, " the sea"),
]
ASKS = [
    GenerateRequest(messages=({"role": "user", "content": "What is a river?"},), max_tokens=9),
    GenerateRequest(prompt="The cat", max_tokens=12),
    GenerateRequest(prompt="The dog ran", max_tokens=12, stop=("a", "e", "1", "2", "i", "o")),
    GenerateRequest(prompt="Water flows", max_tokens=900),
]


@pytest.fixture(scope="module")
def served(folder):
    found, listening = {}, threading.Event()

    def run():
        command = worker_command(folder, json.dumps({"dtype": "fp32"}))
        asyncio.run(serve(
            [(describe(folder), command)], ServeSettings(port=0), log=new_log("info", io.StringIO()),
            on_listening=lambda url: (found.update(url=url), listening.set()),
            on_server=lambda stop: found.update(stop=stop),
        ))  # fmt: skip

    thread = threading.Thread(target=run)
    thread.start()
    assert listening.wait(20)
    yield found["url"] + "/v1"
    found["stop"]()
    thread.join(20)


def both(folder, url, prefix):
    async def run():
        local = LocalClient(folder, prefix=prefix)
        # The engine may still be loading: 503 with Retry-After is retried.
        endpoint = await open_endpoint(url, calling=CallSettings(retries=30), prefix=None if prefix else False)
        try:
            assert endpoint.abilities == {"chat", "completion", "loglikelihood"}
            return [(await s.loglikelihood(PAIRS), await s.generate(ASKS)) for s in (local, endpoint)]
        finally:
            await local.close()
            await endpoint.close()

    return asyncio.run(run())


@pytest.mark.parametrize("prefix", [True, False])
def test_likelihoods_and_words_are_the_same(folder, served, prefix):
    (likelihoods, replies), (theirs, said) = both(folder, served, prefix)
    for ours, other in zip(likelihoods[:-1], theirs[:-1], strict=True):
        assert not isinstance(other, Failure), other
        assert other.total == pytest.approx(ours.total, abs=1e-4)
        assert other.token_logprobs == pytest.approx(ours.token_logprobs, abs=1e-4)
        assert (other.greedy, other.tokens, other.cut) == (ours.greedy, ours.tokens, ours.cut)
    # The one that is cut keeps its continuation; the endpoint needs room for a token that it generates.
    assert likelihoods[-1].cut and theirs[-1].cut and theirs[-1].tokens == likelihoods[-1].tokens
    for ours, other in zip(replies, said, strict=True):
        assert not isinstance(other, Failure), other
        assert (other.text, other.finish) == (ours.text, ours.finish)
        assert other.prompt_tokens == ours.prompt_tokens


def test_streamed_words_are_the_same(folder, served):
    async def run(stream):
        subject = await open_endpoint(served, calling=replace(CallSettings(retries=30), stream=stream))
        try:
            return await subject.generate(ASKS[:3])
        finally:
            await subject.close()

    for whole, streamed in zip(asyncio.run(run(False)), asyncio.run(run(True)), strict=True):
        assert (whole.text, whole.finish, whole.completion_tokens) == (
            streamed.text,
            streamed.finish,
            streamed.completion_tokens,
        )
        assert not streamed.text or streamed.first_token_s > 0


def test_one_command_scores_a_folder_and_an_endpoint_alike(folder, served, bench, tmp_path, capsys):
    rows = []
    for name, words in (("here", [str(folder)]), ("there", [served])):
        assert main(["eval", *words, "--task", "arc_easy,boolq", "--bench", str(bench), "--json",
                     "--out", str(tmp_path / name)]) == 0  # fmt: skip
        rows.append(json.loads(capsys.readouterr().out)["results"])
        assert verify(tmp_path / name) == [] and not (tmp_path / f"{name}.work").exists()
    keys = ("task", "metric", "score", "interval", "n", "prompt_sha256", "data_sha256", "chance")
    assert [[r[k] for k in keys] for r in rows[0]] == [[r[k] for k in keys] for r in rows[1]]


DOCUMENTS = ["The cat sat on the mat. " * 9, "Où est l'école ? Là-bas, 日本 à côté. " * 4, "It is.", "\n A river.\n"]


def without_tokenizer(served):
    """Our server as one that has no /tokenize: log-probabilities of texts are all it tells."""

    def answer(path, body, number):
        if "tokenize" in path:
            return 404, {"error": {"message": "no such route"}}
        said = httpx.post(served.removesuffix("/v1") + path, json=body, trust_env=False, timeout=60)
        return said.status_code, said.text

    return Scripted(answer)


@pytest.mark.parametrize("words", [["--context", "24", "--overlap", "5"], ["--context", "24"]])
def test_bits_per_byte_of_an_endpoint_are_those_of_the_folder(folder, served, tmp_path, capsys, words):
    file = tmp_path / "held.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in DOCUMENTS))
    found = []
    with without_tokenizer(served) as plain:
        for where in ([str(folder)], [served], [plain.url, "--model", folder.name]):
            out = tmp_path / f"out{len(found)}"
            asked = ["eval", *where, "--task", "bpb", "--data", str(file), *words, "--retries", "30", "--out", str(out)]
            assert main([*asked, "--json"]) == 0
            (row,) = json.loads(capsys.readouterr().out)["results"]
            found.append((row, [json.loads(line) for line in (out / "bpb.jsonl").read_text().splitlines()]))
    (here, documents), (there, _), (by_text, read) = found
    assert there["score"] == pytest.approx(here["score"], rel=2e-6)
    for row in (there, by_text):
        assert [row[k] for k in ("n", "bytes", "data_sha256", "prompt_sha256", "caveat")] == [
            here[k] for k in ("n", "bytes", "data_sha256", "prompt_sha256", "caveat")]  # fmt: skip
    assert there["interval"] == pytest.approx(here["interval"], rel=1e-5) and there["tokens"] == here["tokens"]
    # Without a tokenizer a window may begin within a word, whose rest is cut otherwise; what fits in one is the same.
    assert by_text["score"] == pytest.approx(here["score"], rel=0.01)
    for ours, theirs in zip(documents[2:], read[2:], strict=True):
        assert (theirs["bits"], theirs["tokens"]) == (pytest.approx(ours["bits"], rel=2e-6), ours["tokens"])


def test_a_context_that_the_endpoint_does_not_read_is_refused(served, tmp_path, capsys):
    (tmp_path / "a.txt").write_text("The cat. " * 30)
    assert main(["eval", served, "--data", str(tmp_path / "a.txt"), "--context", "47", "--retries", "30"]) == 2
    assert "reads 46 tokens at once, 47 are asked for" in capsys.readouterr().err
    assert main(["eval", served, "--data", str(tmp_path / "a.txt"), "--context", "46"]) == 0


QUESTIONS = [{"query": f"Question: What is {i}?", "choices": ["water", "stone"], "gold": i % 2} for i in range(30)]


def test_a_run_that_was_killed_goes_on_where_it_stopped(tmp_path, capsys):
    """`kill -9` in the middle; the second run asks only what is missing, and the scores are those of one whole run."""
    (tmp_path / "arc_easy.jsonl").write_text("".join(json.dumps(q) + "\n" for q in QUESTIONS))
    asked, killing = [], {}

    def reply(body, number):
        question = body["messages"][-1]["content"]
        if question == "Hello":
            return 200, chat("Hi")
        asked.append(question)
        if len(asked) == 12 and killing:
            os.kill(killing.pop("pid"), signal.SIGKILL)
        return 200, chat(f"Answer: {'AB'[len(question) % 2]}")

    with Scripted(only_chat(reply)) as server:
        words = ["eval", server.url, "--model", "m", "--task", "arc_easy", "--form", "chat", "--concurrency", "2",
                 "--bench", str(tmp_path / "arc_easy.jsonl"), "--work"]  # fmt: skip
        assert main([*words, str(tmp_path / "whole"), "--json"]) == 0
        whole = json.loads(capsys.readouterr().out)["results"]
        asked.clear()
        run = subprocess.Popen([sys.executable, "-m", "creuset", *words, str(tmp_path / "cut")],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        killing["pid"] = run.pid
        assert run.wait(60) == -signal.SIGKILL
        before = len((tmp_path / "cut" / "arc_easy.jsonl").read_bytes().splitlines()) - 1
        assert 0 < before < 30
        asked.clear()
        assert main([*words, str(tmp_path / "cut"), "--json"]) == 0
        resumed = json.loads(capsys.readouterr().out)["results"]
        assert 30 - before <= len(asked) <= 30 - before + 1  # a torn last line is asked anew
    keys = ("metric", "score", "interval", "n", "failed", "prompt_sha256")
    assert [[r[k] for k in keys] for r in resumed] == [[r[k] for k in keys] for r in whole]
    # The server is gone; what it said is scored again.
    again = ["eval", "--rescore", str(tmp_path / "cut"), "--task", "arc_easy", "--form", "chat",
             "--bench", str(tmp_path / "arc_easy.jsonl"), "--json"]  # fmt: skip
    assert main(again) == 0
    rescored = json.loads(capsys.readouterr().out)
    assert [[r[k] for k in keys] for r in rescored["results"]] == [[r[k] for k in keys] for r in whole]
    assert rescored["subject"]["name"] == "m" and rescored["usage"]["calls"] == 30


def test_the_price_cap_counts_what_an_earlier_run_spent(tmp_path, capsys):
    (tmp_path / "arc_easy.jsonl").write_text("".join(json.dumps(q) + "\n" for q in QUESTIONS))
    (tmp_path / "prices.toml").write_text(
        'as_of = "today"\n[[price]]\nid = "m"\nname = "m"\nprovider = "us"\ninput = 1000.0\noutput = 0.0\n'
    )
    with Scripted(only_chat(lambda body, n: (200, chat("Answer: A", prompt=10)))) as server:
        words = ["eval", server.url, "--model", "m", "--task", "arc_easy", "--form", "chat", "--concurrency", "1",
                 "--bench", str(tmp_path / "arc_easy.jsonl"), "--work", str(tmp_path / "w"), "--prices",
                 str(tmp_path / "prices.toml"), "--price-cap"]  # fmt: skip
        for cap, answers in (("0.095", 10), ("0.095", 10), ("0.195", 20)):
            assert main([*words, cap]) == 5
            assert "USD are spent" in capsys.readouterr().err
            assert len((tmp_path / "w" / "arc_easy.jsonl").read_text().splitlines()) == 1 + answers
        assert main([*words, "9"]) == 0
        assert "30 calls, 0 failed, 0 retried; 300 + 60 tokens, 0.3000 USD" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["{folder}", "--task", "arc_easy", "--bench", "{bench}", "--price-cap", "1"], "is no URL"),
        (
            ["http://127.0.0.1:9/v1", "--model", "m", "--task", "arc_easy", "--bench", "{bench}", "--price-cap", "1"],
            "a price cap needs the price of each endpoint",
        ),
        (["{folder}", "--task", "mt_bench", "--bench", "{bench}"], "needs a judge"),
        (["{folder}", "--task", "boolq", "--bench", "{bench}", "--fewshot", "-1"], "--fewshot: must be at least 0"),
        (["{folder}", "--rescore", "{bench}"], "--rescore asks no model"),
        (["--rescore", "{bench}", "--task", "arc_easy"], "has no journal of arc_easy"),
        ([], "one model at a time, got none"),
    ],
)
def test_what_cannot_be_asked_is_refused(folder, bench, words, said, capsys):
    try:
        code = main(["eval", *(w.format(folder=folder, bench=bench) for w in words)])
    except SystemExit as ended:  # a number out of its range, which the parser of arguments refuses
        code = ended.code
    assert code == 2
    assert said in capsys.readouterr().err


def test_the_list_of_tasks(capsys):
    assert main(["eval", "--list", "--json"]) == 0
    rows = {row["task"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["mmlu"]["forms"] == ["loglikelihood", "generate", "chat"] and rows["mmlu"]["licence"] == "MIT"
    assert main(["eval", "--list"]) == 0 and "arc_easy" in capsys.readouterr().out
