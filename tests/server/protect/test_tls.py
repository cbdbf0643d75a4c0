"""Certificates of both sides on every hop: clients to the server, the server to another one, guards, the audit log."""

import http.server
import json
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from creuset.core.errors import ConfigError
from creuset.server.database import Database
from creuset.server.engines.upstream import UpstreamSettings
from creuset.server.protect.audit.outlet import read_outlet, send_new
from creuset.server.protect.settings import ProtectSettings
from creuset.server.protect.tls import TlsFiles
from tests.services import Postgres, postgres_programs, redis_program

from ..conftest import NAME, Running, start
from .authority import Authority
from .conftest import House


@dataclass
class Pki:
    ours: Authority
    other: Authority
    server: tuple[Path, Path]
    client: tuple[Path, Path]
    stranger: tuple[Path, Path]  # of another authority

    def context(self, pair: tuple[Path, Path] | None) -> ssl.SSLContext:
        found = ssl.create_default_context(cafile=str(self.ours.file))
        if pair is not None:
            found.load_cert_chain(*map(str, pair))
        return found

    def listening(self) -> ssl.SSLContext:
        """Of a server that wants a certificate from whoever asks."""
        found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        found.load_cert_chain(*map(str, self.server))
        found.load_verify_locations(str(self.ours.file))
        found.verify_mode = ssl.CERT_REQUIRED
        return found

    @property
    def outgoing(self) -> dict[str, Any]:
        return {"client_cert": self.client[0], "client_key": self.client[1], "ca": self.ours.file}


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    home = tmp_path_factory.mktemp("pki")
    ours, other = Authority(home), Authority(home, "other-ca")
    return Pki(ours, other, ours.issue("server"), ours.issue("client"), other.issue("stranger"))


@pytest.fixture(scope="module")
def far(folder: Path, pki: Pki) -> Iterator[Running]:
    """A server that answers only those who show a certificate of our authority."""
    files = TlsFiles(cert=pki.server[0], key=pki.server[1], client_ca=pki.ours.file)
    running = start(folder, protect=ProtectSettings(tls=files), verify=pki.context(pki.client))
    yield running
    running.close()


def test_a_server_answers_only_those_whose_certificate_it_knows(far: Running, pki: Pki) -> None:
    assert far.url.startswith("https://")
    body = {"model": NAME, "input": "say hi"}
    for pair in (None, pki.stranger):
        with httpx.Client(verify=pki.context(pair), trust_env=False) as stranger, pytest.raises(httpx.TransportError):
            stranger.post(f"{far.url}/v1/responses", json=body)
    context = ssl.create_default_context(cafile=str(pki.other.file))
    failed = pytest.raises(httpx.ConnectError, match="certificate verify failed")
    with httpx.Client(verify=context, trust_env=False) as wrong, failed:
        wrong.get(f"{far.url}/health")
    plain = far.url.replace("https", "http")
    with httpx.Client(trust_env=False, verify=False) as http, pytest.raises(httpx.TransportError):
        http.get(f"{plain}/health")
    assert far.own.post("/v1/responses", json=body).status_code == 200


@pytest.mark.parametrize("shown", [True, False])
def test_a_model_of_another_server_is_asked_with_our_certificate(
    far: Running, pki: Pki, folder: Path, shown: bool
) -> None:
    there = UpstreamSettings(url=f"{far.url}/v1", model=NAME, names=("far",), retries=0)
    files = TlsFiles(**pki.outgoing) if shown else TlsFiles(ca=pki.ours.file)
    server = start(folder, protect=ProtectSettings(tls=files), upstreams=[there])
    try:
        reply = server.own.post("/v1/responses", json={"model": "far", "input": "say hi"})
        assert (reply.status_code == 200) == shown, reply.text
    finally:
        server.close()


class Allow(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        raw = json.dumps({"action": "allow"}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: Any) -> None:
        pass


class Quiet(http.server.ThreadingHTTPServer):
    def handle_error(self, *_: Any) -> None:
        """A client that shows no certificate is no fault of a test."""


@pytest.mark.parametrize("shown", [True, False])
def test_a_guard_and_a_receiver_of_the_audit_log_are_shown_it_too(
    pki: Pki, folder: Path, house: House, tmp_path: Path, shown: bool
) -> None:
    listener = Quiet(("127.0.0.1", 0), Allow)
    listener.socket = pki.listening().wrap_socket(listener.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=listener.serve_forever)
    thread.start()
    files = TlsFiles(**pki.outgoing) if shown else TlsFiles(ca=pki.ours.file)
    (tmp_path / "g.toml").write_text(
        f'[[guard]]\nkind = "http"\nurl = "https://127.0.0.1:{listener.server_port}/"\nstages = ["before"]\n'
    )
    server = start(folder, protect=ProtectSettings(tls=files, guards=tmp_path / "g.toml"))
    try:
        reply = server.own.post("/v1/responses", json={"model": NAME, "input": "say hi"})
        assert reply.status_code == (200 if shown else 503), reply.text
        outlet = read_outlet(f"otlp+https://127.0.0.1:{listener.server_port}")
        context = files.outgoing()
        assert context is not None
        if shown:
            assert send_new(house.directory.database, outlet, context=lambda: context) > 0
        else:
            with pytest.raises(Exception, match="cannot be asked"):
                send_new(house.directory.database, outlet, context=lambda: context)
    finally:
        server.close()
        listener.shutdown()
        thread.join()
        listener.server_close()


def test_syslog_over_tls_shows_our_certificate(pki: Pki, house: House) -> None:
    found: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def take() -> None:
            plain, _ = listener.accept()
            with pki.listening().wrap_socket(plain, server_side=True) as stream:
                assert stream.getpeercert()
                while data := stream.recv(65536):
                    found.append(data)

        thread = threading.Thread(target=take)
        thread.start()
        context = TlsFiles(**pki.outgoing).outgoing()
        assert context is not None
        outlet = read_outlet(f"syslog+tls://127.0.0.1:{listener.getsockname()[1]}")
        assert send_new(house.directory.database, outlet, context=lambda: context) > 0
        thread.join(10)
    assert b"<109>1 " in b"".join(found)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"cert": "server"}, "belong together"), ({"client_cert": "client"}, "belong together"),
        ({"client_ca": "ca"}, "needs --tls-cert"),
    ],
)  # fmt: skip
def test_files_that_belong_together_are_asked_for(pki: Pki, given: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        TlsFiles(**{name: pki.ours.folder / f"{file}.pem" for name, file in given.items()})


def test_a_file_that_is_none_is_named(pki: Pki, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("no certificate")
    with pytest.raises(ConfigError, match="is not there"):
        TlsFiles(cert=tmp_path / "none", key=pki.server[1]).incoming()
    with pytest.raises(ConfigError, match="are no certificate and its key"):
        TlsFiles(cert=pki.server[0], key=pki.client[1]).incoming()
    with pytest.raises(ConfigError, match="holds no certificate"):
        TlsFiles(cert=pki.server[0], key=pki.server[1], client_ca=tmp_path / "x").incoming()


@pytest.mark.slow
@pytest.mark.skipif(postgres_programs() is None, reason="PostgreSQL is not installed: apt-get install postgresql")
def test_postgresql_is_shown_it_by_its_address(pki: Pki) -> None:
    programs = postgres_programs()
    assert programs is not None
    with tempfile.TemporaryDirectory(dir="/tmp") as home, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        folder = Path(home)
        folder.chmod(0o755)
        server = Postgres(programs, folder)
        server.make()
        for name, file in (("server.crt", pki.server[0]), ("server.key", pki.server[1]), ("root.crt", pki.ours.file)):
            shutil.copy(file, folder / "data" / name)
            shutil.chown(folder / "data" / name, (folder / "data").owner())
            (folder / "data" / name).chmod(0o600)
        (folder / "data" / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 cert map=creuset\n")
        (folder / "data" / "pg_ident.conf").write_text("creuset client postgres\n")
        options = f"-k {folder} -p {port} -c listen_addresses=127.0.0.1 -c ssl=on -c ssl_ca_file=root.crt"
        server._run("pg_ctl", "-D", folder / "data", "-w", "-l", folder / "log", "-o", options, "start")
        try:
            url = f"postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=verify-full&sslrootcert={pki.ours.file}"
            shown = f"&sslcert={pki.client[0]}&sslkey={pki.client[1]}"
            database = Database(url + shown)
            with database.reading() as connection:
                found = connection.execute(text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"))
                assert found.scalar() is True
            database.close()
            with pytest.raises(ConfigError, match="cannot be used"):
                Database(url)
        finally:
            server.stop()


@pytest.mark.slow
@pytest.mark.skipif(redis_program() is None, reason="Redis is not installed: apt-get install redis-server")
def test_redis_is_shown_it_by_its_address(pki: Pki, tmp_path: Path) -> None:
    import redis

    program = redis_program()
    assert program is not None
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ["--port", "0", "--tls-port", port, "--tls-cert-file", pki.server[0], "--tls-key-file", pki.server[1],
             "--tls-ca-cert-file", pki.ours.file, "--dir", tmp_path, "--save", ""]  # fmt: skip
    process = subprocess.Popen([program, *map(str, words)], stdout=subprocess.DEVNULL)
    try:
        url = f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={pki.ours.file}"
        with redis.Redis.from_url(f"{url}&ssl_certfile={pki.client[0]}&ssl_keyfile={pki.client[1]}") as link:
            for _ in range(100):
                try:
                    assert link.ping()
                    break
                except redis.ConnectionError:
                    time.sleep(0.05)
            else:
                raise AssertionError("Redis did not answer")
        with redis.Redis.from_url(url) as stranger, pytest.raises(redis.RedisError):
            stranger.ping()
    finally:
        process.terminate()
        process.wait(10)
