"""Embeddings and reranking by the official client: of a real engine over a tiny model, and of another server."""

import base64
import json
import struct
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch

from creuset.model.attention import Packed
from creuset.server.engines.upstream import UpstreamSettings
from creuset.server.retrieval.vectors import numbers, shortened
from creuset.testing import tiny_config, tiny_model, tiny_tokenizer

from .conftest import Running, start
from .peer import KEY, Peer

TEXTS = ["The cat sat on the mat.", "Où est l'école ?", "A river is a large stream of water. " * 6]


def definition(text: str) -> list[float]:
    """The mean hidden state behind the final norm, 1 long, by torch."""
    tokenizer = tiny_tokenizer()
    model = tiny_model(tiny_config(vocab_size=tokenizer.vocab_size))
    ids = tokenizer.encode_prompt(text)
    with torch.no_grad():
        hidden_TC = model(torch.tensor(ids), torch.arange(len(ids)), Packed([len(ids)]))
    mean_C = hidden_TC.double().mean(0)
    found: list[float] = (mean_C / mean_C.norm()).tolist()
    return found


def near(a: Any, b: Any) -> bool:
    return bool(list(a) == pytest.approx(list(b), abs=2e-5))


def post(server: Running, body: Any, path: str = "/v1/embeddings") -> httpx.Response:
    return server.own.post(path, json=body)


def test_the_official_client_gets_what_torch_defines_as_numbers_and_in_base64(with_random_model: Running) -> None:
    client = with_random_model.openai()
    coded = client.embeddings.create(model="random", input=TEXTS)  # it asks for base64 by itself
    plain = client.embeddings.create(model="random", input=TEXTS, encoding_format="float")
    assert [one.embedding for one in coded.data] == [one.embedding for one in plain.data]
    assert [one.index for one in plain.data] == [0, 1, 2] and plain.model == "random"
    for text, one in zip(TEXTS, plain.data, strict=True):
        assert near(one.embedding, definition(text))
    tokens = sum(len(tiny_tokenizer().encode_prompt(text)) for text in TEXTS)
    assert (plain.usage.prompt_tokens, plain.usage.total_tokens) == (tokens, tokens)
    raw = post(with_random_model, {"model": "random", "input": TEXTS[0], "encoding_format": "base64"}).json()
    row = base64.b64decode(raw["data"][0]["embedding"])
    assert list(struct.unpack("<32f", row)) == plain.data[0].embedding


def test_tokens_dimensions_and_long_lists(with_random_model: Running) -> None:
    client, ids = with_random_model.openai(), [tiny_tokenizer().encode_prompt(text) for text in TEXTS]
    words = client.embeddings.create(model="random", input=TEXTS).data
    assert [one.embedding for one in client.embeddings.create(model="random", input=ids).data] == [
        one.embedding for one in words
    ]
    assert client.embeddings.create(model="random", input=ids[1]).data[0].embedding == words[1].embedding
    short = client.embeddings.create(model="random", input=TEXTS[0], dimensions=8).data[0].embedding
    whole = words[0].embedding[:8]
    assert len(short) == 8 and sum(x * x for x in short) == pytest.approx(1, abs=1e-6)
    assert near([x * sum(y * y for y in whole) ** 0.5 for x in short], whole)
    many = client.embeddings.create(model="random", input=[TEXTS[i % 2] for i in range(100)]).data  # more than run
    assert [one.index for one in many] == list(range(100))
    assert all(one.embedding == words[one.index % 2].embedding for one in many)
    cut = post(with_random_model, {"model": "random", "input": ids[2], "truncate_prompt_tokens": 5}).json()
    tail = client.embeddings.create(model="random", input=ids[2][-5:]).data[0].embedding
    assert cut["data"][0]["embedding"] == tail and cut["usage"]["prompt_tokens"] == 5


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({}, "input", "is required"),
    ({"input": ""}, "input", "must be a string that is not empty"),
    ({"input": []}, "input", "must not be an empty list"),
    ({"input": ["a", ""]}, "input[1]", "must be a string that is not empty"),
    ({"input": ["a", 3]}, "input[1]", "got 3"),
    ({"input": [[]]}, "input[0]", "got []"),
    ({"input": [1, 999999]}, "input", "must be a token id between 0 and"),
    ({"input": 7}, "input", "got 7"),
    ({"input": ["a"] * 2049}, "input", "at most 2048 texts, got 2049"),
    ({"input": "a", "dimensions": 33}, "dimensions", "between 1 and 32, got 33"),
    ({"input": "a", "dimensions": 0}, "dimensions", "between 1 and 32, got 0"),
    ({"input": "a", "encoding_format": "int8"}, "encoding_format", '"float" or "base64", got "int8"'),
    ({"input": "a", "user": 3}, "user", "must be a string"),
    ({"input": "a", "inputs": 1}, "inputs", "did you mean `input`"),
    ({"input": list(range(5)) * 60}, "input", "maximum context length is 256 tokens; `input` has 300"),
]


@pytest.mark.parametrize(("more", "param", "words"), REFUSED, ids=lambda value: str(value)[:40])
def test_each_wrong_field_is_refused_by_its_name(
    with_random_model: Running, more: dict[str, Any], param: str, words: str
) -> None:
    found = post(with_random_model, {"model": "random"} | more)
    error = found.json()["error"]
    assert found.status_code == 400 and error["param"] == param and words in error["message"], error


def test_documents_are_ordered_by_the_cosine_of_the_same_vectors(with_random_model: Running) -> None:
    body = {"model": "random", "query": "Where does water flow?", "documents": [TEXTS[0], {"text": TEXTS[1]}, TEXTS[2]]}
    rows = with_random_model.openai().embeddings.create(model="random", input=[body["query"], *TEXTS]).data
    query, *documents = [one.embedding for one in rows]
    cosines = [sum(x * y for x, y in zip(query, document, strict=True)) for document in documents]
    for path in ("/v1/rerank", "/v2/rerank", "/rerank"):
        found = post(with_random_model, body, path).json()
        told = {one["index"]: one["relevance_score"] for one in found["results"]}
        assert near([told[at] for at in range(3)], cosines)
        assert list(told) == sorted(range(3), key=lambda at: -cosines[at])
        assert found["usage"]["total_tokens"] == sum(
            len(tiny_tokenizer().encode_prompt(text)) for text in (str(body["query"]), *TEXTS)
        )
    best = post(with_random_model, body | {"top_n": 1, "return_documents": True}, "/v1/rerank").json()["results"]
    assert len(best) == 1 and best[0]["document"]["text"] == TEXTS[best[0]["index"]]
    for more, param in (
        ({"query": ""}, "query"), ({"documents": []}, "documents"), ({"documents": ["a", 2]}, "documents[1]"),
        ({"top_n": 0}, "top_n"), ({"topn": 1}, "topn"), ({"documents": ["a"] * 1001}, "documents"),
    ):  # fmt: skip
        refused = post(with_random_model, body | more, "/v1/rerank")
        assert refused.status_code == 400 and refused.json()["error"]["param"] == param


def test_the_card_says_how_embeddings_are_made(with_random_model: Running) -> None:
    card = with_random_model.own.get("/v1/creuset/model?model=random").json()["embeddings"]
    assert card["dimensions"] == 32 and "mean" in card["method"] and card["trained_for_retrieval"] is False
    assert card["measured"] is None  # nobody measured a random model


def test_an_engine_that_sends_none_is_an_error_and_not_an_empty_row(with_random_model: Running) -> None:
    found = post(with_random_model, {"model": "tiny", "input": "no row"})
    assert found.status_code == 503 and "sent no embedding" in found.json()["error"]["message"]


def test_models_of_other_servers_are_asked_there(folder: Path) -> None:
    peer = Peer()
    running = start(folder, upstreams=[UpstreamSettings(url=peer.url, model="theirs", names=("far",), key=KEY)])
    try:
        running.logged('"state": "ready", "event": "upstream"')
        rows = running.openai().embeddings.create(model="far", input=["a", "b"], dimensions=4)
        assert [one.embedding for one in rows.data] == [[1.0, 2.0], [1.0, 2.0]] and rows.model == "far"
        path, _, body = peer.asked[-1]
        assert path == "/v1/embeddings" and (body["model"], body["dimensions"]) == ("theirs", 4)
        ranked = post(running, {"model": "far", "query": "q", "documents": ["a"]}, "/v1/rerank")
        assert ranked.json()["results"] == [{"index": 0, "relevance_score": 0.5}]
        assert peer.asked[-1][0] == "/v1/rerank" and KEY not in running.log.getvalue()
        wrong = post(running, {"model": "far", "input": "refuse"})
        assert wrong.status_code == 502 and "input" not in json.dumps(wrong.json()["error"]["param"])
    finally:
        running.close()
        peer.close()


def test_a_shortened_row_is_one_long_again() -> None:
    raw = struct.pack("<4f", 0.5, 0.5, 0.5, 0.5)
    assert numbers(shortened(raw, 1)) == (1.0,) and shortened(raw, None) == shortened(raw, 4) == raw
    zero = struct.pack("<2f", 0.0, 1.0)
    assert numbers(shortened(zero, 1)) == (0.0,)
