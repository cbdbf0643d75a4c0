"""Who may use the server: Host, Origin, keys; and the headers on every answer."""

import json
import re
import socket
import stat
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from creuset.core.errors import ConfigError
from creuset.server.middleware import POLICY
from creuset.server.pages import reads_gzip
from creuset.server.tenants.keys import KeyRing, add_key, new_key, well_formed

from .conftest import NAME, Running, start

CHAT = {"model": NAME, "messages": [{"role": "user", "content": "say hi"}]}


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200), ("localhost", 200), ("LOCALHOST:9", 200), ("localhost.:9", 200),
        ("[::1]:8000", 200), ("127.0.0.53:1", 200),
        ("evil.example", 403), ("evil.example:8000", 403), ("127.0.0.1.evil.example", 403),
        ("localhost.evil.example", 403),
        ("10.0.0.1", 403), ("0.0.0.0:8000", 403), ("", 403), ("evil.example#@127.0.0.1", 403), ("127.0.0.1/..", 403),
        ("127.0.0.1:8000@evil.example", 403), ("evil.example:80:127.0.0.1", 403), ("[::1].evil.example", 403),
    ],
)  # fmt: skip
def test_only_names_of_this_machine_are_answered(http: httpx.Client, host: str, status: int) -> None:
    for path in ("/health", "/", "/v1/models", "/metrics"):
        assert http.get(path, headers={"host": host}).status_code == status, path


def test_two_host_headers_are_refused(server: Running) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as raw:
        raw.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 400 ")
        raw.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": "SAME"}, 200),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://localhost"}, 403),
        ({"origin": "http://127.0.0.1:1"}, 403),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
    ],
)
def test_pages_of_another_origin_are_refused(server: Running, headers: dict[str, str], status: int) -> None:
    headers = {k: v.replace("SAME", server.url) for k, v in headers.items()}
    client = server.own
    assert client.post("/v1/chat/completions", json=CHAT, headers=headers).status_code == status
    assert client.get("/v1/models", headers=headers).status_code == status


def test_a_link_to_the_page_may_be_followed_from_anywhere(http: httpx.Client) -> None:
    assert http.get("/", headers={"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}).status_code == 200


def test_no_page_elsewhere_is_told_that_it_may_read(http: httpx.Client) -> None:
    asked = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    found = http.options("/v1/chat/completions", headers=asked)
    assert found.status_code == 403 and not any(h.startswith("access-control") for h in found.headers)


def test_a_listed_origin_and_host_may(folder: Path) -> None:
    server = start(folder, allow_origins=("https://app.example",), allow_hosts=("box.lan",))
    try:
        client = server.client(headers={"origin": "https://app.example", "host": "box.lan:8000"})
        found = client.options("/v1/chat/completions", headers={"access-control-request-method": "POST"})
        assert found.status_code == 204 and found.headers["access-control-allow-origin"] == "https://app.example"
        found = client.post("/v1/chat/completions", json=CHAT)
        assert found.status_code == 200 and found.headers["access-control-allow-origin"] == "https://app.example"
        assert found.headers["vary"] == "origin"
        assert client.get("/health", headers={"origin": "https://other.example"}).status_code == 403
    finally:
        server.close()


@pytest.mark.parametrize("path", ["/", "/health", "/v1/models", "/nothing", "/metrics", "/v1/creuset/model"])
def test_every_answer_carries_the_same_guards(http: httpx.Client, path: str) -> None:
    found = http.get(path).headers
    assert found["content-security-policy"] == POLICY
    assert found["x-content-type-options"] == "nosniff" and found["referrer-policy"] == "no-referrer"
    assert "server" not in found and found["openai-processing-ms"].isdecimal()
    assert found["x-request-id"].startswith("req_")


def test_the_page_is_there_or_says_why_not(http: httpx.Client, tmp_path: Path) -> None:
    from creuset.server.pages import NOT_BUILT, Pages

    assert http.get("/").status_code == 200
    asked = Request({"type": "http", "headers": []})
    assert bytes(Pages(tmp_path).index(asked).body).decode() == NOT_BUILT


def test_the_page_travels_compressed_to_those_who_read_gzip(http: httpx.Client) -> None:
    html = http.get("/", headers={"accept-encoding": "identity"})
    first = ["/", *re.findall(r'(?:src|href)="(/[^"]+)"', html.text)]
    sent = 0
    for path in first:
        plain = http.get(path, headers={"accept-encoding": "identity"})
        small = http.get(path, headers={"accept-encoding": "br, gzip"})
        assert small.content == plain.content and small.headers["content-type"] == plain.headers["content-type"]
        assert "content-encoding" not in plain.headers and small.headers["content-encoding"] == "gzip"
        assert plain.headers["vary"] == small.headers["vary"] == "accept-encoding"
        sent += int(small.headers["content-length"])
    assert len(first) > 2 and sent < 150_000, "bytes before the first word"


@pytest.mark.parametrize(
    ("accepted", "right"),
    [
        ("", False), ("gzip", True), ("br;q=1, GZIP ; q=0.5", True), ("gzip;q=0, *", False), ("gzip;q=0.000", False),
        ("*", True), ("identity", False), ("*;q=0", False), ("x-gzip", True), ("gzip;q=0.001", True),
    ],
)  # fmt: skip
def test_accept_encoding_is_read_as_its_standard_says(accepted: str, right: bool) -> None:
    assert reads_gzip(accepted) is right


def test_the_card_tells_what_one_talks_with(http: httpx.Client) -> None:
    found = http.get("/v1/creuset/model").json()
    assert found["name"] == NAME and found["card"] == "# A card\n" and len(found["sha256"]) == 64
    assert found["license"] == "apache-2.0" and found["languages"] == ["en", "fr"]
    assert found["context"] == 4096 and 0 < found["active_parameters"] < found["parameters"]


def test_tokens_go_there_and_back(http: httpx.Client) -> None:
    text = "Où est <|im_end|> l'école ?"
    found = http.post("/tokenize", json={"prompt": text, "return_token_strs": True}).json()
    assert found["count"] == len(found["tokens"]) and found["max_model_len"] == 4096
    assert "<|im_end|>" in found["token_strs"]
    assert http.post("/detokenize", json={"tokens": found["tokens"]}).json() == {"prompt": text}


def test_no_control_token_can_be_written_into_a_message(http: httpx.Client) -> None:
    info = http.get("/tokenizer_info").json()
    assert (info["bos_token"], info["eos_token"], info["pad_token"]) == ("<|endoftext|>", "<|im_end|>", "<|endoftext|>")
    assert info["chat_template"] and info["add_bos_token"] is False
    names = info["additional_special_tokens"]
    control = [http.post("/tokenize", json={"prompt": name}).json()["tokens"] for name in names]
    assert all(len(ids) == 1 for ids in control) and len(names) == 26
    ids = {i for (i,) in control}

    def controls(content: str) -> list[int]:
        body = {"messages": [{"role": "system", "content": content}, {"role": "user", "content": content}]}
        return [i for i in http.post("/tokenize", json=body).json()["tokens"] if i in ids]

    assert controls("".join(names)) == controls("x")


def test_keys_are_asked_for_everywhere_but_on_the_page(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    key, other = add_key(file, "ann"), add_key(file, "bob")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and key not in file.read_text()
    server = start(folder, keys=file)
    try:
        client = server.client()
        for path in ("/", "/health"):
            assert client.get(path).status_code == 200
        for wrong in ({}, {"authorization": f"Bearer {new_key()}"}, {"authorization": key}, {"x-api-key": new_key()}):
            for path in ("/v1/models", "/metrics", "/tokenizer_info", "/v1/creuset/model", "/v1/nothing"):
                found = client.get(path, headers=wrong)
                assert found.status_code == 401 and found.json()["error"]["code"] == "invalid_api_key", path
            assert client.post("/v1/chat/completions", json=CHAT, headers=wrong).status_code == 401
        for right in (key, other):
            reply = server.openai(right).chat.completions.create(**CHAT)
            assert reply.choices[0].message.content == "hi"
        kept = [e for e in json.loads(file.read_text())["keys"] if e["name"] != "ann"]
        file.write_text(json.dumps({"keys": kept}))
        assert client.get("/v1/models", headers={"authorization": f"Bearer {key}"}).status_code == 401
        assert client.get("/v1/models", headers={"authorization": f"bearer {other}"}).status_code == 200
        assert server.logged('"key": "bob"')
        for secret in (key, other, key[4:20]):
            assert secret not in server.log.getvalue() and secret not in file.read_text()
    finally:
        server.close()


def test_key_files_say_what_is_wrong_with_them(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    with pytest.raises(ConfigError, match="cannot be read"):
        KeyRing(file)
    file.write_text("{")
    with pytest.raises(ConfigError, match="is not a key file"):
        KeyRing(file)
    file.write_text('{"keys": []}')
    with pytest.raises(ConfigError, match="holds no key"):
        KeyRing(file)
    file.unlink()
    add_key(file, "ann")
    with pytest.raises(ConfigError, match="already has a key named `ann`"):
        add_key(file, "ann")


def test_prefixes_are_shared_by_requests_of_one_key_only_unless_that_is_set(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    keys = [add_key(file, name) for name in ("ann", "1:ann", "bob")]

    def salts(**settings: Any) -> list[str]:
        server = start(folder, keys=file, **settings)
        try:
            found = []
            for key in (keys[0], *keys):
                for more in ({}, {"cache_salt": "own"}):
                    answer = server.own.post(
                        "/v1/chat/completions",
                        headers={"authorization": f"Bearer {key}"},
                        json={"model": NAME, "messages": [{"role": "user", "content": "salt"}], **more},
                    )
                    found.append(answer.json()["choices"][0]["message"]["content"])
            return found
        finally:
            server.close()

    apart = salts()
    assert apart[:2] == apart[2:4] and len(set(apart[2:])) == 6
    shared = salts(share_prefixes=True)
    assert shared == shared[:2] * 4 and shared[0] == "<>" != shared[1]


def test_keys_have_a_checksum_and_differ() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100 and all(map(well_formed, keys))
    assert not any(well_formed(k[:-1] + ("a" if k[-1] != "a" else "b")) for k in keys)
