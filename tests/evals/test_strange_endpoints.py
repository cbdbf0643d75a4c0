"""Endpoints that are right in ways of their own: parts, calls of other shapes, refused parameters, streams."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from creuset.cli import main
from creuset.core.errors import ConfigError
from creuset.evals.clients import http
from creuset.evals.clients.open import ClientSettings, open_client
from creuset.evals.model import Failure, GenerateRequest, Reply
from creuset.evals.runner import PlaySettings, _Watch
from creuset.evals.usage import usage_of
from tests.evals.scripted import Scripted, chat, only_chat
from tests.evals.test_endpoint import FAST, QUESTION, after_probe, asked, messages, sse

THINKING = [{"type": "thinking", "thinking": [{"type": "text", "text": "Let me see."}]}, {"type": "text", "text": "B"}]
CSV = "question,answer\n" + "".join(f"What is {n}?,{n}\n" for n in range(3))
TOOLS = ({"type": "function", "function": {"name": "f"}},)


@pytest.mark.parametrize(
    ("content", "text", "thought"),
    [
        (THINKING, "B", "Let me see."),
        ([{"type": "text", "text": "B"}], "B", ""),
        ([{"type": "reasoning", "text": "hm"}, {"type": "output_text", "text": "B"}, "!"], "B!", "hm"),
        ([{"type": "refusal", "refusal": "No."}, {"type": "image_url", "image_url": {}}], "No.", ""),
        ([], "", ""),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_content_may_be_a_list_of_parts(content, text, thought, stream):
    deltas = [{"model": "m-1", "choices": [{"delta": {"content": [part]}}]} for part in content]
    end = {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 5, "completion_tokens": 2}}
    said = sse(*deltas, end) if stream else (200, chat(content))
    with Scripted(after_probe(lambda body, n: said)) as server:
        (reply,), _ = asked(server, calling=replace(FAST, stream=stream))
    assert isinstance(reply, Reply) and (reply.text, reply.reasoning) == (text, thought)


@pytest.mark.parametrize("content", [{"text": "B"}, 5, [7], True])
def test_content_that_is_neither_is_a_failure_and_no_traceback(content):
    for said, calling in (
        ((200, chat(content)), FAST),
        (sse({"choices": [{"delta": {"content": content}, "finish_reason": "stop"}]}), replace(FAST, stream=True)),
    ):
        with Scripted(after_probe(lambda body, n, said=said: said)) as server:
            (failure,), _ = asked(server, calling=calling)
        assert isinstance(failure, Failure) and failure.reason == "broken_json"


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        ([{"function": {"name": "f", "arguments": {"a": 1}}}], [("call_0", "f", '{"a": 1}')]),
        ([{"id": None, "function": {"name": "f", "arguments": '{"a": 1}'}}], [("call_0", "f", '{"a": 1}')]),
        ([{"id": "x", "type": "function", "function": {"name": "f"}}], [("x", "f", "")]),
        (
            [
                {"function": {"name": "f", "arguments": {"é": [1]}}},
                {"id": "y", "function": {"name": "g", "arguments": "{}"}},
            ],
            [("call_0", "f", '{"é": [1]}'), ("y", "g", "{}")],
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("stream", [False, True])
def test_calls_of_every_shape_are_read(calls, expected, stream):
    event = {"choices": [{"delta": {"tool_calls": calls}, "finish_reason": "tool_calls"}]}
    said = sse(event) if stream else (200, chat(None, finish="tool_calls", tool_calls=calls))
    with Scripted(after_probe(lambda body, n: said)) as server:
        (reply,), _ = asked(server, (replace(QUESTION, tools=TOOLS),))
    found = [(c["id"], c["function"]["name"], c["function"]["arguments"]) for c in reply.tool_calls]
    assert found == expected and all(c["type"] == "function" for c in reply.tool_calls)


def test_a_call_without_a_name_is_a_failure():
    with Scripted(after_probe(lambda body, n: (200, chat(None, tool_calls=[{"id": "x", "function": {}}])))) as server:
        (failure,), _ = asked(server, (replace(QUESTION, tools=TOOLS),))
    assert failure.reason == "broken_json" and "tool call 0 has no name" in failure.detail


def test_pieces_of_streamed_calls_are_put_together():
    def piece(index, id=None, name=None, text=None):
        return {"index": index, "id": id, "function": {"name": name, "arguments": text}}

    pieces = [piece(0, "a", "f", ""), piece(0, text='{"a"'), piece(1, "b", "g", "{}"), piece(0, text=": 1}")]
    events = [{"choices": [{"delta": {"tool_calls": [one]}}]} for one in pieces]
    events.append({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]})
    with Scripted(after_probe(lambda body, n: sse(*events))) as server:
        (reply,), _ = asked(server, (replace(QUESTION, tools=TOOLS),))
    found = [(c["id"], c["function"]["name"], c["function"]["arguments"]) for c in reply.tool_calls]
    assert found == [("a", "f", '{"a": 1}'), ("b", "g", "{}")]


UNSUPPORTED = "Unsupported value: '{}' does not support {} with this model."
WORDS = {
    "temperature": UNSUPPORTED.format("temperature", 0),
    "top_p": "`temperature` and `top_p` cannot both be specified for this model.",
    "stop": "Unsupported parameter: 'stop' is not supported with this model.",
    "seed": "Unrecognized request argument supplied: seed",
    "max_tokens": "Extra inputs are not permitted: max_tokens",
}


@pytest.mark.parametrize(
    "refused", [["temperature"], ["seed"], ["stop"], ["max_tokens"], ["temperature", "seed", "stop"]]
)
@pytest.mark.parametrize("named", [False, True])
def test_a_refused_parameter_is_left_out_asked_again_and_said(refused, named):
    def picky(body, number):
        for name in refused:
            if name in body:
                return 400, {"error": {"message": WORDS[name], "param": name if named else None}}
        return 200, chat("It is Paris, indeed")

    with Scripted(only_chat(picky)) as server:
        replies, _ = asked(server, (replace(QUESTION, stop=("indeed",)),) * 3)
    assert all(isinstance(reply, Reply) for reply in replies)
    usage = usage_of(replies)
    assert usage.failed == 0 and usage.warnings["parameter_dropped"] == 3
    assert set(usage.examples["parameter_dropped"].partition(" (")[0].split(", ")) == set(refused)
    assert WORDS[refused[0]] in usage.examples["parameter_dropped"]
    assert replies[0].text == "It is Paris, " or "stop" not in refused, "what it does not stop at is cut here"


def test_what_is_refused_once_is_not_sent_again():
    def picky(body, number):
        return (400, {"error": {"message": WORDS["seed"]}}) if "seed" in body else (200, chat())

    async def run(url):
        client = await open_client(url, ClientSettings(model="m", retries=0))
        try:
            return [(await client.generate([QUESTION]), len(server.seen))[1] for _ in range(3)]
        finally:
            await client.close()

    with Scripted(only_chat(picky)) as server:
        first, *others = asyncio.run(run(server.url))
    assert others == [first + 1, first + 2]


def test_which_of_two_is_refused_is_told_by_the_error():
    def picky(body, number):
        if "top_p" in body:
            return 400, {"error": {"message": WORDS["top_p"], "param": "top_p"}}
        return 200, chat()

    with Scripted(only_chat(picky)) as server:
        asked(server)
    assert "temperature" in server.seen[-1][1] and "top_p" not in server.seen[-1][1]


@pytest.mark.parametrize(
    "message",
    [
        "max_tokens is too large: 4096, at most 2048",
        "temperature is 3, it must be at most 2",
        "the prompt names a stop",
    ],
)
def test_a_value_that_is_wrong_is_not_left_out(message):
    with Scripted(after_probe(lambda body, n: (400, {"error": {"message": message}}))) as server:
        (failure,), _ = asked(server, (replace(QUESTION, stop=("x",)),))
    assert failure.reason == "refused_400" and message in failure.detail


def test_the_messages_dialect_leaves_out_what_is_refused_too():
    def picky(path, body, number):
        if "temperature" in body:
            return 400, {"type": "error", "error": {"message": "`temperature` is deprecated for this model."}}
        return messages()

    with Scripted(picky) as server:
        (reply,), _ = asked(server, dialect="anthropic")
    assert reply.text == "Paris" and [w.partition(":")[0] for w in reply.warnings] == ["parameter_dropped"]


STREAMED = sse({"model": "m-1", "choices": [{"delta": {"content": "Paris"}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 5, "completion_tokens": 2}})  # fmt: skip


@pytest.mark.parametrize("refuses", [True, False])
def test_a_server_that_only_streams_is_asked_for_a_stream(refuses):
    def streaming(body, number):
        if refuses and not body.get("stream"):
            return 400, {"error": {"message": "This model only supports streaming: `stream` must be true."}}
        return STREAMED

    with Scripted(only_chat(streaming)) as server:
        (reply,), _ = asked(server)
    assert (reply.text, reply.completion_tokens, reply.warnings) == ("Paris", 2, ())
    assert bool(server.seen[-1][1].get("stream")) is refuses


@pytest.mark.parametrize("stream", [False, True])
def test_a_reply_has_a_largest_size(stream, monkeypatch):
    monkeypatch.setattr(http, "REPLY_BYTES", 1 << 20)
    monkeypatch.setattr(http, "STREAM_BYTES", 2 << 20)
    long = "x" * 100_000
    one = {"choices": [{"delta": {"content": long}}]}
    many = sse(*[one] * 25, {"choices": [{"delta": {}, "finish_reason": "stop"}]})
    line = sse({"choices": [{"delta": {"content": long * 20}, "finish_reason": "stop"}]})
    for said in (many, line) if stream else [(200, chat(long * 12))]:
        with Scripted(after_probe(lambda body, n, said=said: said)) as server:
            (failure,), _ = asked(server, calling=replace(FAST, stream=stream))
        assert isinstance(failure, Failure) and (failure.reason, failure.attempts) == ("too_large", 1)
    with Scripted(after_probe(lambda body, n: (200, chat(long * 9)))) as server:
        (reply,), _ = asked(server)
    assert len(reply.text) == 900_000
    with Scripted(after_probe(lambda body, n: (400, long * 20))) as server:
        (failure,), _ = asked(server)
    assert failure.reason == "refused_400" and len(failure.detail) < 1000


def test_an_address_as_azure_has_them(monkeypatch):
    monkeypatch.setenv("AZURE_KEY", "azure-secret-1")

    async def run(url):
        to = ClientSettings(
            model="m", headers={"api-key": "env:AZURE_KEY"}, query={"api-version": "2024-10-21"}, retries=0
        )
        client = await open_client(url, to)
        try:
            return await client.generate([QUESTION]), client.identity(), repr(to) + repr(client.client.calling)
        finally:
            await client.close()

    def by_path(path, body, number):
        if path != "/openai/deployments/d/chat/completions?api-version=2024-10-21":
            return 404, {"error": {"message": "not here"}}
        return (
            (200, chat())
            if body["messages"] != list(QUESTION.messages)
            else (400, {"error": {"message": "key azure-secret-1"}})
        )

    with Scripted(by_path) as server:
        url = server.url.removesuffix("/v1") + "/openai/deployments/d"
        (failure,), identity, shown = asyncio.run(run(url + "/chat/completions"))
    assert server.seen[-1][2]["api-key"] == "azure-secret-1"
    assert failure.detail == "HTTP 400: key (key)" and identity["url"] == url
    assert "secret" not in json.dumps(identity) and "secret" not in shown
    monkeypatch.delenv("AZURE_KEY")
    with pytest.raises(ConfigError, match="the environment has no `AZURE_KEY`"):
        asyncio.run(run(url))


def test_settings_stand_in_the_place_of_the_tasks_own_and_are_told():
    calling = replace(
        FAST, temperature=0.6, max_tokens=99, system="Be brief.", extra_body={"reasoning_effort": "low", "top_k": 5}
    )
    ask = GenerateRequest(messages=({"role": "system", "content": "Of the task."}, *QUESTION.messages), max_tokens=4)
    with Scripted(only_chat(lambda body, n: (200, chat(completion=50)))) as server:
        (reply,), subject = asked(server, (ask,), calling=calling)
    body = server.seen[-1][1]
    assert (body["temperature"], body["max_tokens"], body["reasoning_effort"], body["top_k"]) == (0.6, 99, "low", 5)
    assert (
        body["messages"][0] == {"role": "system", "content": "Be brief.\n\nOf the task."} and len(body["messages"]) == 2
    )
    assert reply.warnings == (), "50 tokens are within the limit that was sent"
    with_them = {"temperature": 0.6, "max_tokens": 99, "system": "Be brief.", "extra_body": calling.extra_body}
    assert subject.identity()["asked_with"] == with_them
    with Scripted(only_chat(lambda body, n: (200, chat()))) as server:
        _, plain = asked(server)
    assert "asked_with" not in plain.identity(), "journals of before go on"


def test_a_thought_that_takes_all_the_room_says_what_to_raise():
    cut = chat("", finish="length", reasoning_content="Let me think")
    with Scripted(after_probe(lambda body, n: (200, cut))) as server:
        (reply,), _ = asked(server)
    assert any(w.startswith("no_room: 4 tokens") for w in reply.warnings)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--header", "api-key"], "--header must be NAME=VALUE; of `api-key` there is no value"),
        (["--query", "=x"], "--query must be NAME=VALUE"),
        (["--extra-body", "{"], "--extra-body is not JSON"),
        (["--extra-body", "[1]"], "--extra-body must be a JSON object, got [1]"),
        (["--header", "a b=c"], "`a b` is not the name of a header"),
    ],
)
def test_options_that_cannot_be_are_refused(arguments, words, tmp_path, capsys):
    file = tmp_path / "q.csv"
    file.write_text(CSV)
    assert main(["eval", "http://127.0.0.1:9/v1", "--csv", str(file), "--model", "m", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_a_folder_takes_none_of_them(tmp_path, capsys):
    (tmp_path / "q.csv").write_text(CSV)
    assert main(["eval", "mini", "--csv", str(tmp_path / "q.csv"), "--max-tokens", "5"]) == 2
    assert "--max-tokens and --system are for endpoints" in capsys.readouterr().err


@pytest.mark.parametrize(("good", "code"), [(0, 5), (1, 0), (3, 0)])
def test_a_run_in_which_every_call_failed_ends_with_5(good, code, tmp_path: Path, capsys):
    (tmp_path / "q.csv").write_text(CSV)
    count = 0

    def picky(body, number):
        nonlocal count
        if body["messages"][0]["content"] == "Hello":
            return 200, chat("Hi")
        count += 1
        return (200, chat("1")) if count <= good else (400, {"error": {"message": "no"}})

    with Scripted(only_chat(picky)) as server:
        argv = ["eval", server.url, "--csv", str(tmp_path / "q.csv"), "--model", "m", "--concurrency", "1"]
        assert main(argv) == code
    said = capsys.readouterr().err
    assert ("error: none of 3 calls was answered, so nothing was measured" in said) is (code == 5)


def test_rates_are_said_when_they_are_known(capsys):
    """Eight are in play and each takes ten seconds: the true rate is 0.8 a second from the first answer to the last."""

    lines: list[str] = []
    time, nothing = 0.0, SimpleNamespace(entries={})
    watch = _Watch("t", 80, 0, nothing, PlaySettings(), lambda: time, width=8)
    watch._line.show = lambda text, final=False: lines.append(text)
    for done in range(1, 81):
        time = 10.0 * ((done - 1) // 8 + 1)
        watch.count([Reply(text="x", finish="stop")])
    assert lines[0] == "t: 1/80 samples" and "/s" not in "".join(lines[:7])
    assert lines[7] == "t: 8/80 samples, 0.8/s, 1 min 30 s left"
    assert lines[-1] == "t: 80/80 samples, 0.8/s"
    quick = _Watch("t", 80, 0, nothing, PlaySettings(), iter([0.0, 0.01, 0.02]).__next__, width=1)
    quick._line.show = lambda text, final=False: lines.append(text)
    quick.count([Reply(text="x", finish="stop")])
    assert lines[-1] == "t: 1/80 samples", "one answer after ten milliseconds is no rate of 100 a second"
