"""Log-probabilities of both kinds, token ids, and the fields of vLLM that choose or cut, over a real tiny model."""

import math
from typing import Any

import httpx
import pytest

from creuset.testing import tiny_tokenizer

from .conftest import Running

END = tiny_tokenizer().im_end
CHAT: dict[str, Any] = {
    "model": "random",
    "messages": [{"role": "user", "content": "The cat sat."}],
    "max_tokens": 6,
    "seed": 1,
}
RAW: dict[str, Any] = {"model": "random", "prompt": "The cat sat on the mat.", "max_tokens": 6, "seed": 1}


@pytest.fixture(scope="module")
def http(with_random_model: Running) -> httpx.Client:
    return with_random_model.client()


def asked(http: httpx.Client, body: dict[str, Any]) -> dict[str, Any]:
    reply = http.post("/v1/chat/completions" if "messages" in body else "/v1/completions", json=body)
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


def test_processed_log_probabilities_are_those_drawn_from(http: httpx.Client) -> None:
    ask = CHAT | {
        "logprobs": True,
        "top_logprobs": 5,
        "top_k": 3,
        "top_p": 1,
        "temperature": 0.7,
        "logit_bias": {str(END): -100},
    }
    raw = asked(http, ask)["choices"][0]["logprobs"]["content"]
    drawn = asked(http, ask | {"logprobs_mode": "processed_logprobs"})["choices"][0]["logprobs"]["content"]
    assert [one["bytes"] for one in raw] == [one["bytes"] for one in drawn]
    for one, other in zip(drawn, raw, strict=True):
        assert len(one["top_logprobs"]) == 3 and len(other["top_logprobs"]) == 5
        assert math.isclose(sum(math.exp(top["logprob"]) for top in one["top_logprobs"]), 1, rel_tol=1e-9)
        assert sum(math.exp(top["logprob"]) for top in other["top_logprobs"]) < 0.99


def test_a_grammar_is_part_of_what_is_drawn_from(http: httpx.Client) -> None:
    ask = RAW | {"logprobs": 3, "guided_choice": ["yes"], "logprobs_mode": "processed_logprobs"}
    scores = asked(http, ask)["choices"][0]["logprobs"]["token_logprobs"]
    assert scores and max(scores) <= 0.0
    first = asked(http, ask | {"guided_choice": ["a", "b"]})["choices"][0]["logprobs"]
    assert math.isclose(sum(math.exp(p) for p in first["top_logprobs"][0].values()), 1, rel_tol=1e-9)


def test_token_ids_come_with_the_end_token(http: httpx.Client) -> None:
    ends = {"logit_bias": {str(END): 100}, "min_tokens": 3, "return_token_ids": True, "temperature": 0}
    for body in (CHAT, RAW):
        whole = asked(http, body | ends | {"n": 2})
        for choice in whole["choices"]:
            assert len(choice["token_ids"]) == 4 and choice["token_ids"][-1] == END
        told = whole if "messages" in body else whole["choices"][0]
        assert len(told["prompt_token_ids"]) == whole["usage"]["prompt_tokens"]
    assert whole["choices"][0]["prompt_token_ids"] == tiny_tokenizer().encode(RAW["prompt"])
    assert "token_ids" not in asked(http, CHAT)["choices"][0]


def test_a_stream_tells_the_same_ids(with_random_model: Running) -> None:
    client = with_random_model.openai()
    for body in (CHAT, RAW):
        calls = client.chat.completions if "messages" in body else client.completions
        ask: dict[str, Any] = {**body, "extra_body": {"return_token_ids": True}}
        whole = calls.create(**ask).to_dict()
        chunks = [chunk.to_dict() for chunk in calls.create(**ask, stream=True)]
        choices = [choice for chunk in chunks for choice in chunk["choices"]]
        assert [id for one in choices for id in one.get("token_ids", [])] == whole["choices"][0]["token_ids"]
        places = (chunks, whole) if "messages" in body else (choices, whole["choices"][0])
        assert places[0][0]["prompt_token_ids"] == places[1]["prompt_token_ids"]


def test_log_probabilities_of_the_prompt(http: httpx.Client) -> None:
    chat = asked(http, CHAT | {"prompt_logprobs": 2, "n": 2, "return_token_ids": True})
    told, ids = chat["prompt_logprobs"], chat["prompt_token_ids"]
    assert told[0] is None and len(told) == len(ids)
    for id, entry in zip(ids[1:], told[1:], strict=True):
        mine = entry[str(id)]
        assert mine["rank"] >= 1 and len(entry) == (2 if mine["rank"] <= 2 else 3)
        assert sorted(one["rank"] for one in entry.values())[:2] == [1, 2]
        assert mine["decoded_token"] == tiny_tokenizer().decode([id])
    raw = asked(http, RAW | {"prompt_logprobs": 0})["choices"][0]
    echoed = asked(http, RAW | {"echo": True, "logprobs": 0})["choices"][0]["logprobs"]["token_logprobs"]
    ids = tiny_tokenizer().encode(RAW["prompt"])
    assert [
        entry and entry[str(id)]["logprob"] for id, entry in zip(ids, raw["prompt_logprobs"], strict=True)
    ] == echoed[: len(ids)]


def test_a_prompt_is_cut_at_its_beginning(http: httpx.Client) -> None:
    ids = tiny_tokenizer().encode(RAW["prompt"])
    cut = asked(http, RAW | {"truncate_prompt_tokens": 3, "return_token_ids": True, "echo": True})
    assert cut["choices"][0]["prompt_token_ids"] == ids[-3:] and cut["usage"]["prompt_tokens"] == 3
    assert cut["choices"][0]["text"].startswith(tiny_tokenizer().decode(ids[-3:]))
    long = {"prompt": ids * 100, "max_tokens": 6}
    assert asked(http, RAW | long | {"truncate_prompt_tokens": -1})["usage"]["prompt_tokens"] == 256 - 6
    assert asked(http, CHAT | {"truncate_prompt_tokens": 4})["usage"]["prompt_tokens"] == 4


def test_what_may_and_may_not_be_written(http: httpx.Client) -> None:
    letters = [tiny_tokenizer().encode(letter)[0] for letter in "abc"]
    hot = {"max_tokens": 40, "temperature": 2, "top_p": 1, "ignore_eos": True, "allowed_token_ids": letters}
    hot["logit_bias"] = {str(letters[0]): 2}
    assert set(asked(http, RAW | hot)["choices"][0]["text"]) == set("abc")
    text = asked(http, RAW | hot | {"bad_words": ["a", "bc"]})["choices"][0]["text"]
    assert set(text) == set("bc") and "bc" not in text
    stopped = asked(http, RAW | hot | {"stop": ["b"], "include_stop_str_in_output": True})["choices"][0]
    assert stopped["text"].endswith("b") and stopped["text"].count("b") == 1
    stopped = asked(http, RAW | hot | {"stop_token_ids": letters[:1], "include_stop_str_in_output": True})["choices"][0]
    assert stopped["text"].endswith("a") and stopped["text"].count("a") == 1


def test_special_tokens_are_shown_on_request(http: httpx.Client) -> None:
    only = RAW | {"allowed_token_ids": [tiny_tokenizer().im_start], "max_tokens": 2}
    for hides in ({}, {"skip_special_tokens": True}):
        assert asked(http, only | hides)["choices"][0]["text"] == ""
    assert asked(http, only | {"skip_special_tokens": False})["choices"][0]["text"] == "<|im_start|>" * 2
    only = CHAT | {"allowed_token_ids": [tiny_tokenizer().im_start], "max_tokens": 2}
    for hides, text in (
        ({}, ""),
        ({"skip_special_tokens": True}, ""),
        ({"skip_special_tokens": False}, "<|im_start|>"),
    ):
        assert asked(http, only | hides)["choices"][0]["message"]["content"] == text * 2


def test_the_best_of_several_are_told(http: httpx.Client) -> None:
    every = asked(http, RAW | {"n": 6, "logprobs": 0, "temperature": 1})
    means = [sum(c["logprobs"]["token_logprobs"]) / len(c["logprobs"]["token_logprobs"]) for c in every["choices"]]
    wanted = [every["choices"][at]["text"] for at in sorted(range(6), key=lambda at: -means[at])[:2]]
    told = asked(http, RAW | {"n": 2, "best_of": 6, "temperature": 1})
    assert [choice["text"] for choice in told["choices"]] == wanted and len(set(means)) == 6
    assert told["choices"][0]["logprobs"] is None
    assert told["usage"] == every["usage"] | {"prompt_tokens_details": told["usage"]["prompt_tokens_details"]}


REFUSALS: list[tuple[dict[str, Any], str, str]] = [
    ({"logprobs_mode": "raw_logits"}, "logprobs_mode", '"raw_logits"'),
    ({"allowed_token_ids": []}, "allowed_token_ids", "empty list"),
    ({"allowed_token_ids": [99999]}, "allowed_token_ids", "99999"),
    ({"bad_words": [""]}, "bad_words[0]", "not empty"),
    ({"prompt_logprobs": 21}, "prompt_logprobs", "got 21"),
    ({"prompt_logprobs": 1, "stream": True}, "prompt_logprobs", "`stream: true`"),
    ({"truncate_prompt_tokens": 0}, "truncate_prompt_tokens", "at least 1"),
    ({"best_of": 2, "n": 3}, "best_of", "at least `n` (3)"),
    ({"best_of": 3, "stream": True}, "best_of", "with `stream: true`"),
    ({"prompt_logprobs": 1, "echo": True, "logprobs": 1}, "prompt_logprobs", "beside `echo`"),
]


@pytest.mark.parametrize(("change", "param", "words"), REFUSALS, ids=lambda value: str(value)[:40])
def test_refusals(http: httpx.Client, change: dict[str, Any], param: str, words: str) -> None:
    reply = http.post("/v1/completions", json=RAW | change)
    error = reply.json()["error"]
    assert reply.status_code == 400 and error["param"] == param and words in error["message"], error


def test_what_excludes_every_token_fails_alone(http: httpx.Client) -> None:
    reply = http.post("/v1/completions", json=RAW | {"allowed_token_ids": [5], "guided_regex": "é"})
    assert reply.status_code == 400 and "no token is left" in reply.json()["error"]["message"]
    assert asked(http, RAW)["choices"][0]["finish_reason"] in ("stop", "length")
