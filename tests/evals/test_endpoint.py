"""Endpoints that behave, and endpoints that do not: each ends in an answer, a Failure with its reason, or one error."""

import asyncio
import json
from dataclasses import replace

import pytest

from creuset.core.errors import ConfigError, EngineError
from creuset.evals.clients.echo import boundary
from creuset.evals.clients.http import CallSettings
from creuset.evals.clients.open import open_endpoint
from creuset.evals.model import Failure, GenerateRequest, LoglikelihoodRequest, NotTestable, Reply
from creuset.evals.prices import load
from tests.evals.scripted import Scripted, chat, only_chat

QUESTION = GenerateRequest(messages=({"role": "user", "content": "Capital of France?"},), max_tokens=4)
FAST = CallSettings(concurrency=1, retries=2, timeout_s=5.0)


def asked(server, asks=(QUESTION,), *, calling=FAST, dialect="openai", model="m", key=None, waits=None):
    """The replies of `server` to `asks`, waits between attempts noted and not waited."""

    async def sleep(seconds):
        if waits is not None:
            waits.append(seconds)

    async def run():
        subject = await open_endpoint(
            server.url, model=model, dialect=dialect, calling=calling, sleep=sleep, now=lambda: 784111777.0
        )
        try:
            return await subject.generate(list(asks)), subject
        finally:
            await subject.close()

    return asyncio.run(run())


def after_probe(reply):
    """The probe is answered well; `reply` gets the questions behind it, counted from 1."""
    count = 0

    def by_number(body, number):
        nonlocal count
        if body["messages"] != list(QUESTION.messages):
            return 200, chat("Hi")
        count += 1
        return reply(body, count)

    return only_chat(by_number)


def test_log_probabilities_one_place_off_are_not_read():
    """As llama-cpp-python gives them: the last entry of the prompt is about the token behind it, which has none."""

    def echoed(more):
        tokens, best = ["Hello", " world", *(["!"] if more else [])], [None, {"x": -1.0}, {"!": -0.5}]
        n = len(tokens)
        told = {
            "tokens": tokens,
            "token_logprobs": [None, -7.5, -0.5][:n],
            "text_offset": [0, 5, 11][:n],
            "top_logprobs": best if more else [None, {"!": -0.5}],
        }
        return 200, {
            "model": "m",
            "choices": [{"text": "Hello world!", "finish_reason": "length", "logprobs": told}],
            "usage": {"prompt_tokens": 2, "completion_tokens": 1},
        }

    for more in (True, False):

        def answer(path, body, number, more=more):
            if path == "/v1/completions":
                return echoed(more)
            return (200, chat("Hi")) if path == "/v1/chat/completions" else (404, {"error": {"message": "not here"}})

        with Scripted(answer) as server:
            _, subject = asked(server)
        assert ("loglikelihood" in subject.abilities) == more
        assert more or "one place later" in subject.why_not["loglikelihood"]


def test_a_chat_endpoint_says_what_it_cannot():
    with Scripted(after_probe(lambda body, n: (200, chat(reasoning_content="hm")))) as server:
        (reply,), subject = asked(server)
    assert isinstance(reply, Reply) and reply.text == "Paris" and reply.reasoning == "hm" and reply.warnings == ()
    assert (reply.prompt_tokens, reply.completion_tokens, reply.finish, reply.model) == (5, 2, "stop", "m-1")
    assert subject.abilities == {"chat"} and "nothing at this address" in subject.why_not["completion"]
    body = server.seen[-1][1]
    assert body["temperature"] == 0 and body["max_tokens"] == 4 and body["seed"] == 1234 and "stop" not in body
    with pytest.raises(NotTestable, match="log-probabilities"):
        asyncio.run(subject.loglikelihood([LoglikelihoodRequest("a", " b")]))
    with pytest.raises(NotTestable, match="answers no completion"):
        asyncio.run(subject.generate([GenerateRequest(prompt="x")]))


@pytest.mark.parametrize(
    ("headers", "wait"),
    [({"retry-after": "7"}, 7.0), ({"retry-after": "Sun, 06 Nov 1994 08:49:47 GMT"}, 10.0),
     ({"retry-after-ms": "250"}, 0.25), ({"retry-after": "99999"}, 120.0), ({"retry-after": "soon"}, None), ({}, None)],
)  # fmt: skip
def test_retry_after_is_honoured_and_bounded(headers, wait):
    waits = []
    busy = {"error": {"message": "slow down"}}
    script = after_probe(lambda body, n: (429, busy, headers) if n < 3 else (200, chat()))
    with Scripted(script) as server:
        (reply,), _ = asked(server, waits=waits)
    assert isinstance(reply, Reply) and reply.attempts == 3
    if wait is not None:
        assert waits == [wait, wait]
    else:
        assert 0.25 <= waits[0] <= 0.5 <= waits[1] <= 1.0
        again = []
        with Scripted(script_again()) as server:
            asked(server, waits=again)
        assert again == waits  # the jitter is the seed's


def script_again():
    return after_probe(lambda body, n: (429, {"error": {"message": "slow down"}}) if n < 3 else (200, chat()))


@pytest.mark.parametrize(
    ("said", "reason", "attempts"),
    [
        ((500, {"error": {"message": "oops"}}), "http_500", 3),
        ((529, {"error": {"message": "overloaded"}}), "http_529", 3),
        ((200, '{"choices": [{"mess'), "broken_json", 3),
        ((200, "[]"), "broken_json", 3),
        ((200, ""), "broken_json", 3),
        ((200, {"choices": []}), "broken_json", 1),
        (None, "disconnected", 3),
        ((400, {"error": {"message": "no such field"}}), "refused_400", 1),
        ((401, {"error": {"message": "bad key"}}), "refused_401", 1),
        ((404, "<html>gone</html>"), "refused_404", 1),
        ((301, "", {"location": "elsewhere"}), "refused_301", 1),
        ((400, {"error": {"message": "too long", "code": "context_length_exceeded"}}), "context_length", 1),
        ((429, {"error": {"message": "pay first", "code": "insufficient_quota"}}), "quota", 1),
    ],
)
def test_what_goes_wrong_is_a_failure_with_its_reason(said, reason, attempts):
    with Scripted(after_probe(lambda body, n: said)) as server:
        (failure,), _ = asked(server)
    assert isinstance(failure, Failure), failure
    assert (failure.reason, failure.attempts) == (reason, attempts) and failure.detail


def test_an_endpoint_that_is_slow_is_given_up():
    import threading

    gate = threading.Event()
    with Scripted(after_probe(lambda body, n: gate.wait(20) and (200, chat()))) as server:
        (failure,), _ = asked(server, calling=replace(FAST, timeout_s=0.3, retries=1))
        gate.set()
    assert failure.reason == "timeout" and failure.attempts == 2 and "0.3 s" in failure.detail


def test_an_endpoint_that_is_down_is_one_error():
    with Scripted(only_chat(lambda body, n: (200, chat()))) as server:
        url = server.url
    waits = []

    async def sleep(seconds):
        waits.append(seconds)

    with pytest.raises(EngineError, match="answers neither a chat nor a completion: connection"):
        asyncio.run(open_endpoint(url, model="m", calling=FAST, sleep=sleep))
    assert len(waits) == 4


def test_a_refused_key_is_one_error_and_is_never_repeated(monkeypatch, capsys):
    monkeypatch.setenv("SOME_KEY", "sk-very-secret")
    refusal = {"error": {"message": "Incorrect API key provided: sk-very-secret"}}
    calling = replace(FAST, key_env="SOME_KEY")
    with Scripted(lambda path, body, n: (401, refusal)) as server, pytest.raises(EngineError) as error:
        asked(server, calling=calling)
    assert "Incorrect API key provided: (key)" in str(error.value) and "secret" not in str(error.value)
    assert server.seen[0][2]["authorization"] == "Bearer sk-very-secret"
    with Scripted(after_probe(lambda body, n: (400, refusal))) as server:
        (failure,), subject = asked(server, calling=calling)
    kept = json.dumps(subject.identity()) + repr(subject.client) + repr(calling) + repr(failure)
    assert "secret" not in kept and "sk-" not in capsys.readouterr().err
    monkeypatch.delenv("SOME_KEY")
    with pytest.raises(ConfigError, match="the environment has no `SOME_KEY`"):
        asyncio.run(open_endpoint("http://127.0.0.1:9/v1", model="m", calling=calling))


@pytest.mark.parametrize("url", ["nowhere", "ftp://x/v1", "https://user:secret@host/v1", "https://host/v1?key=secret"])
def test_a_url_that_cannot_be_or_holds_a_key_is_refused(url):
    with pytest.raises(ConfigError) as error:
        asyncio.run(open_endpoint(url, model="m"))
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (chat(completion=0), "usage_zero"),
        (chat(prompt=0), "usage_zero"),
        (chat(completion=400), "usage_over"),
        (chat() | {"usage": None}, "usage_missing"),
        (chat(""), "empty"),
        (chat(None, completion=0), "empty"),
        (chat(model="m-2"), "model_changed"),
        (chat(completion="many"), "usage_missing"),
    ],
)
def test_what_is_odd_is_said(reply, kind):
    with Scripted(after_probe(lambda body, n: (200, reply if n == 2 else chat()))) as server:
        (good, odd), _ = asked(server, (QUESTION, QUESTION))
    assert good.warnings == () and isinstance(odd, Reply)
    assert [w.partition(":")[0] for w in odd.warnings] == [kind]


def test_stop_strings_beyond_four_are_applied_to_the_reply():
    ask = replace(QUESTION, stop=("1", "2", "3", "4", "is"))
    with Scripted(after_probe(lambda body, n: (200, chat("It is Paris", finish="length")))) as server:
        (reply,), _ = asked(server, (ask,))
    assert server.seen[-1][1]["stop"] == ["1", "2", "3", "4"]
    assert reply.text == "It " and reply.finish == "stop"


def test_newer_models_take_another_name_for_the_limit():
    def picky(body, number):
        if "max_tokens" in body:
            return 400, {"error": {"message": "'max_tokens' is not supported. Use 'max_completion_tokens' instead."}}
        return 200, chat()

    with Scripted(only_chat(picky)) as server:
        (reply,), _ = asked(server)
    assert isinstance(reply, Reply) and server.seen[-1][1]["max_completion_tokens"] == 4


def test_the_price_cap_begins_no_further_call():
    price = load().find("gpt-4o")
    calling = replace(FAST, price=price, price_cap=0.01)
    with Scripted(after_probe(lambda body, n: (200, chat(prompt=1000, completion=3)))) as server:
        replies, subject = asked(server, (QUESTION,) * 9, calling=calling)
    done = [r for r in replies if isinstance(r, Reply)]
    assert len(done) == 4 and {r.reason for r in replies[4:]} == {"price_cap"}
    assert subject.client.budget.spent == pytest.approx(4 * 1000 * 2.5e-6 + 12 * 1e-5)
    assert "of 0.0100 USD" in replies[-1].detail
    with pytest.raises(ValueError, match="a price cap needs a price"):
        CallSettings(price_cap=1.0)


def sse(*events, done=True):
    text = "".join(f"data: {json.dumps(e)}\n\n" for e in events) + ("data: [DONE]\n\n" if done else "")
    return 200, text, {"content-type": "text/event-stream"}


def piece(text, finish=None):
    return {"model": "m-1", "choices": [{"delta": {"content": text}, "finish_reason": finish}]}


USED = {"model": "m-1", "choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}}


def test_a_stream_is_joined_and_its_first_token_timed():
    streamed = replace(FAST, stream=True)
    with Scripted(after_probe(lambda body, n: sse(piece(""), piece("Par"), piece("is", "stop"), USED))) as server:
        (reply,), _ = asked(server, calling=streamed)
    assert reply.text == "Paris" and reply.completion_tokens == 2 and 0 < reply.first_token_s <= reply.seconds
    assert server.seen[-1][1]["stream_options"] == {"include_usage": True}
    with Scripted(after_probe(lambda body, n: sse(piece("Par"), done=False))) as server:
        (cut,), _ = asked(server, calling=streamed)
    assert cut.reason == "truncated" and cut.attempts == 3
    with Scripted(after_probe(lambda body, n: sse({"error": {"message": "engine died"}}))) as server:
        (broken,), _ = asked(server, calling=streamed)
    assert broken.reason == "stream_error" and "engine died" in broken.detail
    with Scripted(after_probe(lambda body, n: (200, chat()))) as server:
        (whole,), _ = asked(server, calling=streamed)
    assert whole.text == "Paris" and whole.warnings == ("not_streamed: a stream was asked for",)


def messages(text="Paris", stop="end_turn"):
    return 200, {
        "model": "c-1",
        "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": text}],
        "stop_reason": stop,
        "usage": {"input_tokens": 9, "output_tokens": 3},
    }


def test_the_messages_dialect(monkeypatch):
    monkeypatch.setenv("SOME_KEY", "sk-ant")
    turns = (
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "One."},
        {"role": "user", "content": "Two."},
    )
    ask = GenerateRequest(messages=turns, max_tokens=7, stop=("\n\n", "END"), top_p=0.5)
    calling = replace(FAST, key_env="SOME_KEY")
    with Scripted(lambda path, body, n: messages("Yes\n\nNo", "max_tokens")) as server:
        (reply,), subject = asked(server, (ask,), calling=calling, dialect="anthropic")
    path, body, headers = server.seen[-1]
    assert path == "/v1/messages" and headers["x-api-key"] == "sk-ant" and headers["anthropic-version"] == "2023-06-01"
    assert body == {
        "model": "m",
        "max_tokens": 7,
        "temperature": 0.0,
        "top_p": 0.5,
        "system": "Be brief.",
        "messages": [{"role": "user", "content": "One.\n\nTwo."}],
        "stop_sequences": ["END"],
    }
    assert (reply.text, reply.finish, reply.reasoning) == ("Yes", "stop", "hm")
    assert (reply.prompt_tokens, reply.completion_tokens, reply.model) == (9, 3, "c-1")
    assert subject.abilities == {"chat"}
    with pytest.raises(NotTestable, match="no log-probabilities"):
        asyncio.run(subject.loglikelihood([LoglikelihoodRequest("a", "b")]))


def test_the_messages_dialect_streamed():
    start = {"type": "message_start", "message": {"model": "c-1", "usage": {"input_tokens": 9, "output_tokens": 1}}}
    text = {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Paris"}}
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}}
    for events, good in (((start, text, end, {"type": "message_stop"}), True), ((start, text), False)):
        said = sse(*events, done=False)
        with Scripted(lambda path, body, n, s=said: s if body.get("stream") else messages()) as server:
            (reply,), _ = asked(server, calling=replace(FAST, stream=True), dialect="anthropic")
        if good:
            assert (reply.text, reply.finish, reply.prompt_tokens, reply.completion_tokens) == ("Paris", "stop", 9, 3)
            assert reply.first_token_s is not None
        else:
            assert reply.reason == "truncated"


def test_which_model_is_asked_when_none_is_named():
    def serving(many):
        def answer(path, body, number):
            if path == "/v1/models":
                return 200, {"data": [{"id": "a"}, {"id": "b"}][:many]}
            return after_probe(lambda body, n: (200, chat()))(path, body, number)

        return answer

    for many, words in ((2, "serves several models: a, b"), (0, "lists no model")):
        with Scripted(serving(many)) as server, pytest.raises(ConfigError, match=words):
            asked(server, model="")
    with Scripted(serving(1)) as server:
        _, subject = asked(server, model="")
    assert subject.identity()["name"] == "a"


@pytest.mark.parametrize(
    ("offsets", "told", "found"),
    [
        ([0, 3, 7, 11], {}, (2, 3)),  # "The| cat| sat" and one generated
        ([0, 3, 7, 11], {"prompt_tokens": 3}, (2, 3)),
        ([0, 15, 18, 22, 26], {"prompt_tokens": 4}, (3, 4)),  # a token of the server's own in front
        ([0, 3, 11], {"prompt_tokens": 2}, (1, 2)),  # the cut joins context and continuation
    ],
)
def test_the_boundary_in_text(offsets, told, found):
    assert boundary(offsets, LoglikelihoodRequest("The cat", " sat"), told) == found


def test_an_endpoint_that_is_not_ready_is_said_to_be_there():
    with (
        Scripted(lambda path, body, n: (503, {"error": {"message": "loading"}})) as server,
        pytest.raises(EngineError, match="http_503") as refused,
    ):
        asyncio.run(open_endpoint(server.url, model="m", calling=CallSettings(retries=0)))
    assert "not ready" in refused.value.hint
