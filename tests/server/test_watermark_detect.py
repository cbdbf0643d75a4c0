"""/v1/watermark/detect: who may ask, what is refused, what is said; and that the key goes nowhere."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from creuset.cli import main
from creuset.server.tenants.keys import add_key
from creuset.testing import tiny_tokenizer
from creuset.text.watermark import Watermark, load_watermark

from .conftest import NAME, Running, start

MARK = Watermark(key=bytes(range(100, 132)))
PATH = "/v1/watermark/detect"


def text(share: float, *, count: int = 120) -> str:
    """Words of one token each, of which about `share` more than chance are green behind the one before."""
    tokenizer, draw = tiny_tokenizer(), np.random.default_rng(8)
    usable = np.array(
        [
            i
            for i in range(300, tokenizer.vocab_size - 26)
            if tokenizer.encode(tokenizer.decode([i])) == [i] and tokenizer.decode([i]).startswith(" ")
        ]
    )
    ids = [int(usable[0])]
    while len(ids) < count:
        green = usable[MARK.bias(ids, tokenizer.vocab_size)[usable] > 0]
        pool = green if len(green) and draw.random() < share else usable
        ids.append(int(draw.choice(pool)))
    return tokenizer.decode(ids)


@pytest.fixture(scope="module")
def guarded(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, dict[str, str]]]:
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    key = add_key(file, "ann")
    running = start(folder, keys=file, watermark=MARK)
    yield running, {"authorization": f"Bearer {key}"}
    running.close()


def test_a_marked_text_is_found_and_another_is_not(guarded: tuple[Running, dict[str, str]]) -> None:
    server, headers = guarded
    client = server.client(headers=headers)
    found = client.post(PATH, json={"model": NAME, "text": text(0.8)}).json()
    assert found["object"] == "watermark.detection" and found["model"] == NAME and found["key_id"] == MARK.id
    assert found["watermarked"] and found["z_score"] > 4 and found["p_value"] < 1e-3
    assert 25 <= found["scored"] <= found["tokens"] - 1 and found["green"] <= found["scored"]
    plain = client.post(PATH, json={"text": text(0.0)}).json()
    assert not plain["watermarked"] and plain["z_score"] < 4 and plain["p_value"] > 1e-3
    assert MARK.key.hex() not in server.log.getvalue()


def test_who_may_not_ask_is_refused_first(guarded: tuple[Running, dict[str, str]]) -> None:
    server, _ = guarded
    reply = server.own.post(PATH, json={"text": text(0.8)})
    assert reply.status_code == 401 and reply.json()["error"]["code"] == "invalid_api_key"


@pytest.mark.parametrize(
    ("body", "param", "code", "words"),
    [
        ({"text": "too short"}, "text", "text_too_short", "at least 25 are needed"),
        ({"text": "la " * 500}, "text", "text_too_short", "different sequences of 2 tokens"),
        ({"text": ""}, "text", None, "is required"),
        ({}, "text", None, "is required"),
        ({"text": 5}, "text", None, "must be a string, got 5"),
        ({"text": "x", "key": "00"}, "key", "unknown_parameter", "not a field"),
    ],
)
def test_what_cannot_be_examined_is_refused(
    guarded: tuple[Running, dict[str, str]], body: dict[str, object], param: str, code: str | None, words: str
) -> None:
    server, headers = guarded
    reply = server.own.post(PATH, json=body, headers=headers)
    error = reply.json()["error"]
    assert (reply.status_code, error["param"], error["code"]) == (400, param, code)
    assert words in error["message"] and error["type"] == "invalid_request_error"


def test_a_server_without_a_key_says_that_it_has_none(http: httpx.Client) -> None:
    reply = http.post(PATH, json={"text": text(0.8)})
    assert reply.status_code == 404 and reply.json()["error"]["code"] == "watermark_off"


def test_the_key_is_in_its_file_and_nowhere_else(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mark.json"
    assert main(["serve", "--new-watermark", str(file)]) == 0
    secret = json.loads(file.read_text())["key"]
    assert load_watermark(file).id in capsys.readouterr().out
    monkeypatch.setenv("CREUSET_WATERMARK", str(file))
    for given in ([], ["--watermark", str(file)]):
        assert main(["serve", "--model", str(folder), "--dry-run", *given]) == 0
        said = capsys.readouterr().out
        assert json.loads(said)["engine"]["watermark"] == str(file.resolve()) and secret not in said
    assert main(["serve", "--new-watermark", str(file)]) == 2
    assert secret not in capsys.readouterr().err
    file.write_text(json.dumps({"key": secret, "gamma": 7}))
    assert main(["serve", "--model", str(folder), "--watermark", str(file)]) == 2
    assert secret not in capsys.readouterr().err
