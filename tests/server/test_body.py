"""Bodies that were compressed: decompressed within the limit, or refused by what is wrong with them."""

import gzip
import json
import zlib

import pytest

from creuset.server.settings import ServeSettings

from .test_middleware import HOST, JSON, Asked


@pytest.mark.parametrize("encoding", [b"gzip", b"GZIP ", b"deflate", b"identity", b""])
def test_a_compressed_body_is_decompressed_however_it_is_cut(encoding: bytes) -> None:
    plain = json.dumps({"a": "b" * 500}).encode()
    name = encoding.strip().lower()
    sent = gzip.compress(plain, mtime=0) if name == b"gzip" else zlib.compress(plain) if name == b"deflate" else plain
    for size in (1, 7, len(sent)):
        body = [sent[at : at + size] for at in range(0, len(sent), size)]
        asked = Asked("POST", headers=[HOST, JSON, (b"content-encoding", encoding)], body=body)
        assert (asked.status, asked.text) == (200, f"{len(plain)} bytes")


def test_what_grows_over_the_limit_by_decompression_is_refused() -> None:
    bomb, settings = gzip.compress(b"x" * 10_000_000, mtime=0), ServeSettings(body_limit_bytes=100_000)
    assert len(bomb) < settings.body_limit_bytes
    asked = Asked("POST", headers=[HOST, JSON, (b"content-encoding", b"gzip")], body=[bomb], settings=settings)
    assert asked.status == 413 and "at least 100001 bytes; this server takes 100000" in asked.error["message"]
    exact = gzip.compress(b"x" * 100_000, mtime=0)
    asked = Asked("POST", headers=[HOST, JSON, (b"content-encoding", b"gzip")], body=[exact], settings=settings)
    assert (asked.status, asked.text) == (200, "100000 bytes")


@pytest.mark.parametrize(
    ("encoding", "body", "status", "words"),
    [
        (b"br", b"{}", 415, "the body is compressed as `br`; this server takes gzip and deflate, or none"),
        (b"gzip, gzip", b"{}", 415, "`gzip, gzip`"),
        (b"gzip", b"{}", 400, "the body is no gzip data"),
        (b"gzip", gzip.compress(b"{}", mtime=0)[:-3], 400, "it is cut"),
        (b"gzip", gzip.compress(b"{}", mtime=0) + b"more", 400, "has more behind its gzip data"),
    ],
)
def test_a_body_that_cannot_be_decompressed_is_refused(encoding: bytes, body: bytes, status: int, words: str) -> None:
    asked = Asked("POST", headers=[HOST, JSON, (b"content-encoding", encoding)], body=[body])
    assert asked.status == status and words in asked.error["message"]
