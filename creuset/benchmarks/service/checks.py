"""The service: what can be tested on a server, whatever its model answers. No torch here.

For local weights our own server is started twice on this machine: with a key file, and without a queue. While it is
tested, its processes are watched. An endpoint gets only the tests that work from outside: keys, unknown fields, errors,
headers, TLS. Each test passes or fails, and its evidence is kept. A share has no interval, because the same test
always gives the same answer.

A server that passes has answered these tests correctly. That does not prove that it is secure.
"""

import asyncio
import json
import re
import secrets
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from creuset.benchmarks.part import Found, Room
from creuset.benchmarks.service.server import Server, command, refuses_to_start, start
from creuset.core.errors import CreusetError
from creuset.core.sentences import sentence
from creuset.types.measure import Measure, Status

LEAKS = re.compile(
    r"Traceback|File \"|\.py\b|site-packages|(?<![\w:/])/(?:home|root|usr|var|opt|tmp|srv|app|Users|etc)/|"
    r"0x[0-9a-f]{8,}|"
    r"(?:sqlalchemy|psycopg|starlette|uvicorn|torch)\.\w+", re.IGNORECASE,
)  # fmt: skip
BODY_MB = 1
DEEP = 100_000  # levels of a JSON list
AT_ONCE = 16  # requests to a server that has room for one


@dataclass
class Notes:
    """What was tried, and how it was answered."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)  # bodies of refusals

    def trial(self, what: str, name: str, passed: bool, **evidence: Any) -> None:
        self.rows.append(
            {
                "id": f"{what}/{len(self.rows)}",
                "trial": what,
                "asked": name,
                "correct": int(passed),
                "answer": "pass" if passed else "fail",
                "gold": "pass",
                "extracted": True,
                "failed": False,
                **evidence,
            }
        )

    def reply(self, what: str, name: str, reply: httpx.Response, wanted: Sequence[int], **evidence: Any) -> None:
        if reply.status_code >= 400:
            self.errors.append(reply.text[:2000])
        self.trial(what, name, reply.status_code in wanted, status=reply.status_code, wanted=list(wanted), **evidence)

    def measures(self, untested: Sequence[tuple[str, Status, str]], **common: Any) -> list[Measure]:
        found = []
        for what in dict.fromkeys(row["trial"] for row in self.rows):
            mine = [row for row in self.rows if row["trial"] == what]
            passed = sum(row["correct"] for row in mine)
            found.append(Measure(
                task="service", metric=what, score=passed / len(mine), unit="share of trials passed", n=len(mine),
                denominator=len(mine), interval_by=sentence("core.no_interval_trials"), form="static",
                extra={"failed_trials": [row["asked"] for row in mine if not row["correct"]]}, **common,
            ))  # fmt: skip
        return found + [
            Measure(task="service", metric=what, status=status, why=why, form="static", **common)
            for what, status, why in untested
        ]


async def check(room: Room) -> Found:
    """Our own server for local weights, another's for an endpoint."""
    if room.model is not None:
        return await asyncio.to_thread(_own, room.model, room)
    return await asyncio.to_thread(_other, room)


def _own(model: Path, room: Room) -> Found:
    notes = Notes()
    with tempfile.TemporaryDirectory() as folder:
        keys = Path(folder) / "keys.json"
        key = _new_key(command("--new-key", "audit", "--keys", str(keys), "--json"))
        stored = keys.read_text(encoding="utf-8")
        notes.trial("keys_hashed", "the key is not in the key file", key not in stored and key[4:20] not in stored)
        notes.trial(
            "keys_hashed",
            "only its owner may read the key file",
            keys.stat().st_mode & 0o077 == 0,
            mode=oct(keys.stat().st_mode & 0o777),
        )
        code, words = refuses_to_start(["--model", str(model), "--host", "0.0.0.0", "--port", "0"])
        notes.trial(
            "auth_required", "it does not listen beyond this machine without keys", code == 2, status=code, said=words
        )
        room.say("service: starting our server with a key file")
        server = start(model, "--keys", str(keys), "--max-body-mb", str(BODY_MB), "--log-level", "debug")
        try:
            with httpx.Client(base_url=server.url, trust_env=False, timeout=60) as client:
                _keys(notes, client, key)
                _doors(notes, client, key)
                _bodies(notes, client, key)
                _headers(notes, client.get("/"), page=True)
                _log(notes, client, key, server)
            server.look()
        finally:
            server.close()
        notes.trial(
            "no_outbound",
            "no socket of the server's processes leads to another machine",
            not server.outbound,
            looked=server.looked,
            seen=sorted(server.outbound),
        )
        _overload(notes, model, room.say)
    _errors(notes)
    untested: list[tuple[str, Status, str]] = [
        ("rate_limit_per_key", "not_tested", sentence("benchmarks.service_limits")),
        ("tls", "not_applicable", sentence("benchmarks.service_plain_http")),
        ("erasure", "not_applicable", sentence("benchmarks.service_stores_nothing")),
    ]
    if not any(row["trial"] == "overload" for row in notes.rows):
        untested.append(("overload", "not_tested", sentence("benchmarks.service_too_fast")))
    return Found(notes.measures(untested, date=room.date), notes.rows)


def _new_key(words: list[str]) -> str:
    ran = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    if ran.returncode:
        raise CreusetError(f"no key could be made: {ran.stderr.strip()[:200]}")
    return str(json.loads(ran.stdout)["key"])


def _chat(model: str, words: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": words}], "max_tokens": 8} | more


def _auth(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"} if key else {}


def _keys(notes: Notes, client: httpx.Client, key: str) -> None:
    """Every route but the page and the health needs a key. A wrong key gets 401 and no further information."""
    for path in ("/v1/models", "/v1/creuset/model", "/metrics", "/tokenizer_info"):
        notes.reply("auth_required", f"GET {path} without a key", client.get(path), [401])
    body = _chat("any", "hello")
    for path in ("/v1/chat/completions", "/v1/completions", "/tokenize"):
        notes.reply("auth_required", f"POST {path} without a key", client.post(path, json=body), [401])
    for name, wrong in (
        ("another key", "crs-" + secrets.token_hex(20)),
        ("the key and one letter more", key + "x"),
        ("the key in capitals", key.upper()),
        ("an empty key", ""),
    ):
        notes.reply("wrong_key", f"GET /v1/models with {name}", client.get("/v1/models", headers={
            "authorization": f"Bearer {wrong}".strip()}), [401])  # fmt: skip
    notes.reply("wrong_key", "GET /v1/models with the right key", client.get("/v1/models", headers=_auth(key)), [200])


def _doors(notes: Notes, client: httpx.Client, key: str) -> None:
    """A web page elsewhere must not reach the server through the reader's browser."""
    for host in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80"):
        reply = client.get("/health", headers={"host": host})
        notes.reply("host_checked", f"Host: {host}", reply, [400, 403, 421])
    for origin in ("https://evil.example", "null", "http://localhost.evil.example"):
        reply = client.get("/v1/models", headers={"origin": origin, **_auth(key)})
        notes.reply(
            "origin_checked",
            f"Origin: {origin}",
            reply,
            [403],
            allowed=reply.headers.get("access-control-allow-origin"),
        )
    cross = client.get("/v1/models", headers={"sec-fetch-site": "cross-site", **_auth(key)})
    notes.reply("origin_checked", "Sec-Fetch-Site: cross-site", cross, [403])


def _bodies(notes: Notes, client: httpx.Client, key: str) -> None:
    name = client.get("/v1/models", headers=_auth(key)).json()["data"][0]["id"]
    head = {"content-type": "application/json", **_auth(key)}

    def post(raw: bytes | Callable[[], Any], path: str = "/v1/chat/completions") -> httpx.Response:
        return client.post(path, content=raw if isinstance(raw, bytes) else raw(), headers=head)

    big = json.dumps(_chat(name, "a" * (BODY_MB * 2**20 + 10))).encode()
    notes.reply("body_limit", "a body over the limit", post(big), [413], bytes=len(big))
    notes.reply("body_limit", "a body over the limit that does not say its size", post(
        lambda: iter([big[i : i + 65536] for i in range(0, len(big), 65536)])), [413])  # fmt: skip
    deep = b'{"model":"x","messages":' + b"[" * DEEP + b"]" * DEEP + b"}"
    notes.reply("depth_limit", f"lists {DEEP:,} deep", post(deep), [400], bytes=len(deep))
    notes.reply("depth_limit", "objects 50,000 deep", post(b'{"a":' * 50_000 + b"1" + b"}" * 50_000), [400])
    for field_name in ("temprature", "messages_", "__class__"):
        reply = post(json.dumps(_chat(name, "hello", **{field_name: 1})).encode())
        notes.reply("unknown_field", f"field `{field_name}`", reply, [400], named=field_name in reply.text)
    for label, raw in (
        ("no JSON", b"{"),
        ("a list", b"[]"),
        ("invalid UTF-8", b'{"model": "\xff"}'),
        ("a negative length", json.dumps(_chat(name, "x") | {"max_tokens": -1}).encode()),
    ):
        notes.reply("bad_body", label, post(raw), [400])
    notes.reply("bad_body", "no such address", client.get("/v1/../../etc/passwd", headers=_auth(key)), [400, 404])
    notes.reply(
        "bad_body",
        "a file outside the page's folder",
        client.get("/assets/..%2f..%2f..%2fcli.py", headers=_auth(key)),
        [400, 404],
    )


def _headers(notes: Notes, reply: httpx.Response, *, page: bool) -> None:
    policy = reply.headers.get("content-security-policy", "")
    notes.trial("headers", "X-Content-Type-Options: nosniff", reply.headers.get("x-content-type-options") == "nosniff")
    notes.trial("headers", "the server does not say what it runs on", not re.search(
        r"\d", reply.headers.get("server", "") + reply.headers.get("x-powered-by", "")),
        server=reply.headers.get("server"))  # fmt: skip
    if page:
        notes.trial(
            "headers",
            "Content-Security-Policy without inline or foreign scripts",
            "default-src 'none'" in policy and "unsafe" not in policy,
            policy=policy,
        )
        notes.trial(
            "headers",
            "it cannot be framed",
            "frame-ancestors 'none'" in policy or reply.headers.get("x-frame-options", "").upper() == "DENY",
        )
        notes.trial("headers", "Referrer-Policy", reply.headers.get("referrer-policy") == "no-referrer")


def _log(notes: Notes, client: httpx.Client, key: str, server: Server) -> None:
    """A prompt with a word that occurs nowhere else; then neither it, nor the reply, nor the key may be in the log."""
    mark = "zanzibar" + secrets.token_hex(6)
    name = client.get("/v1/models", headers=_auth(key)).json()["data"][0]["id"]
    said = []
    for path, body in (
        ("/v1/chat/completions", _chat(name, f"Say {mark}", max_tokens=24)),
        ("/v1/completions", {"model": name, "prompt": f"The word {mark} means", "max_tokens": 24}),
        ("/v1/chat/completions", _chat(name, mark, max_tokens="many")),  # a refusal must not log it either
    ):
        reply = client.post(path, json=body, headers=_auth(key))
        server.look()
        if reply.status_code == 200:
            choice = reply.json()["choices"][0]
            said.append(str(choice.get("text") or choice.get("message", {}).get("content") or ""))
    client.get(f"/v1/models/{mark}", headers=_auth(key))
    client.get("/v1/models", headers=_auth("crs-" + mark))
    log = "\n".join(server.log)
    notes.trial("log_content", "the log has lines of these requests", log.count('"event"') > 3, lines=len(server.log))
    notes.trial("log_content", "no word of a prompt, a wrong key or an address", mark not in log)
    notes.trial("log_content", "no reply", not any(len(t.strip()) > 15 and t.strip() in log for t in said))
    notes.trial("log_content", "no key", key not in log)


def _overload(notes: Notes, model: Path, say: Callable[[str], None]) -> None:
    """One place and no queue: of many requests at once, those that find no room are told when to come back."""
    say("service: starting our server with one place and no queue")
    server = start(model, "--max-concurrency", "1", "--max-queue", "0")
    try:
        with httpx.Client(base_url=server.url, trust_env=False, timeout=60) as client:
            name = client.get("/v1/models").json()["data"][0]["id"]
            body = _chat(name, "Tell a long story.", max_tokens=64)
            with ThreadPoolExecutor(AT_ONCE) as together:
                replies = list(together.map(lambda _: client.post("/v1/chat/completions", json=body), range(AT_ONCE)))
        turned = [reply for reply in replies if reply.status_code == 429]
        notes.errors += [reply.text[:2000] for reply in turned[:1]]
        strange = sorted({reply.status_code for reply in replies} - {200, 429})
        if turned or strange:  # all served: they did not overlap, and nothing was tried
            notes.trial(
                "overload",
                f"{AT_ONCE} requests at once, room for one",
                bool(turned) and not strange,
                served=len(replies) - len(turned),
                turned_away=len(turned),
                strange=strange,
            )
            notes.trial("overload", "it says when to come back", all("retry-after" in r.headers for r in turned))
        server.look()
    finally:
        server.close()


def _errors(notes: Notes) -> None:
    for at, body in enumerate(notes.errors):
        hit = LEAKS.search(body)
        notes.trial(
            "error_content",
            f"refusal {at + 1} tells nothing of the inside",
            hit is None,
            found=hit[0] if hit else "",
            body=body[:300],
        )


def _other(room: Room) -> Found:
    """An endpoint of somebody else's: a handful of small requests, none of which can do harm."""
    notes, base = Notes(), room.endpoint.rstrip("/")
    who = room.subject.identity()
    name = str(who.get("model") or who.get("name") or "any")  # an unknown model would be refused for being unknown
    with httpx.Client(trust_env=False, timeout=30, follow_redirects=False) as client:
        try:
            plain = client.get(f"{base}/models")
            wrong = client.get(f"{base}/models", headers=_auth(secrets.token_hex(20)))
            posted = client.post(f"{base}/chat/completions", json=_chat(name, "hello"))
            strange = client.post(
                f"{base}/chat/completions", json=_chat(name, "hello", temprature=1), headers=_auth(room.key)
            )
            broken = client.post(f"{base}/chat/completions", content=b"{", headers={
                "content-type": "application/json", **_auth(room.key)})  # fmt: skip
        except httpx.HTTPError as error:
            raise CreusetError(f"`{base}` does not answer: {type(error).__name__}") from None
    local = not room.key and urlsplit(base).hostname in ("localhost", "127.0.0.1", "::1")
    if not local:
        notes.reply("auth_required", "GET models without a key", plain, [401, 403])
        notes.reply("auth_required", "POST chat/completions without a key", posted, [401, 403])
        notes.reply("wrong_key", "GET models with a wrong key", wrong, [401, 403])
    notes.reply("unknown_field", "field `temprature`", strange, [400, 422], named="temprature" in strange.text)
    notes.reply("bad_body", "no JSON", broken, [400, 401, 403, 422])
    _headers(notes, broken, page=False)
    secure = urlsplit(base).scheme == "https"
    notes.trial("tls", "the address is https", secure or urlsplit(base).hostname in ("localhost", "127.0.0.1", "::1"))
    _errors(notes)
    inside = sentence("benchmarks.service_inside")
    untested: list[tuple[str, Status, str]] = [
        ("keys_hashed", "not_testable", inside),
        ("log_content", "not_testable", inside),
        ("no_outbound", "not_testable", inside),
        ("host_checked", "not_tested", sentence("benchmarks.service_own_machine")),
        ("body_limit", "not_tested", sentence("benchmarks.service_megabytes")),
        ("depth_limit", "not_tested", sentence("benchmarks.service_bodies")),
        ("overload", "not_tested", sentence("benchmarks.service_overload")),
    ]
    if local:
        open_here = sentence("benchmarks.service_open")
        untested += [(what, "not_applicable", open_here) for what in ("auth_required", "wrong_key")]
    return Found(notes.measures(untested, date=room.date), notes.rows)
