"""Files: what was uploaded comes back, in pieces and in parts; forms as they come; nothing of a client is a path."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from creuset.core.errors import RequestError
from creuset.server.database import Database
from creuset.server.files.multipart import FormReader
from creuset.server.files.store import PIECE, TOGETHER, FileStore, Owner, StoreFull
from creuset.server.files.tables import FILES, PIECES
from creuset.server.files.uploads import UploadStore
from creuset.server.protect.vault.master import SecretMaster
from creuset.server.protect.vault.rotate import rotate
from creuset.server.protect.vault.vault import Vault

from ..conftest import Running, start

ANN = Owner("ann", "org", "proj")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module")
def server(folder: Path, place: Path) -> Iterator[Running]:
    running = start(folder, database=f"sqlite:///{place}/one.db", file_limit_bytes=1 << 20)
    yield running
    running.close()


@pytest.fixture(scope="module")
def client(server: Running) -> openai.OpenAI:
    return strict(server)


def strict(server: Running, key: str = "none") -> openai.OpenAI:
    """The official client, which refuses what its types do not allow."""
    plain = openai.DefaultHttpxClient(verify=False, trust_env=False)
    found = openai.OpenAI(
        base_url=f"{server.url}/v1", api_key=key, max_retries=0, http_client=plain, _strict_response_validation=True
    )
    server.clients.append(found)
    return found


def test_a_file_is_kept_listed_read_and_deleted_by_the_official_client(client: openai.OpenAI, place: Path) -> None:
    before = {path for path in place.rglob("*")}
    name = "../../etc/passwd\\..\\x é.jsonl"
    made = [client.files.create(file=(name, b"abc" * at), purpose="user_data") for at in range(1, 4)]
    assert made[1].filename == name and made[1].bytes == 6 and made[1].expires_at is None
    assert client.files.content(made[2].id).read() == b"abcabcabc"
    told = client.files.with_raw_response.content(made[0].id).headers
    assert told["content-disposition"].startswith("attachment; filename*=UTF-8''..%2F..%2Fetc%2Fpasswd%5C")
    assert told["content-type"] == "application/octet-stream" and told["x-content-type-options"] == "nosniff"
    found = [one.id for one in client.files.list(limit=2, order="asc")]
    assert set(found) == {one.id for one in made}, "pages follow each other"
    assert client.files.retrieve(made[0].id) == made[0]
    assert client.files.delete(made[0].id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(made[0].id)
    lasting = client.files.create(file=b"x", purpose="batch", expires_after={"anchor": "created_at", "seconds": 3600})
    assert lasting.expires_at == lasting.created_at + 3600
    assert {path for path in place.rglob("*")} == before, "no name of a client is a name of a file here"


@pytest.mark.parametrize(
    ("data", "files", "words"),
    [
        ({"purpose": "batch"}, {"other": b"x"}, "`file` is required"),
        ({}, {"file": b"x"}, "`purpose` must be one of assistants, batch"),
        ({"purpose": "fun"}, {"file": b"x"}, 'got "fun"'),
        ({"purpose": "batch", "more": "1"}, {"file": b"x"}, "`more` is not a field"),
        ({"purpose": "batch", "expires_after[seconds]": "7200"}, {"file": b"x"}, "`expires_after.anchor` must be"),
        ({"purpose": "batch", "expires_after[anchor]": "created_at", "expires_after[seconds]": "x"}, {"file": b"x"},
         "`expires_after.seconds` must be an integer"),
        ({"purpose": "batch"}, {"file": ("n" * 256, b"x")}, "visible characters"),
        ({"purpose": "batch"}, [("file", b"x"), ("file", b"y")], "`file` stands there twice"),
    ],
)  # fmt: skip
def test_a_form_that_is_not_what_it_must_be_is_refused_and_leaves_nothing(
    server: Running, place: Path, data: Any, files: Any, words: str
) -> None:
    database = Database(f"sqlite:///{place}/one.db")
    with database.reading() as connection:
        before = connection.execute(select(func.count()).select_from(FILES)).scalar()
    reply = server.own.post("/v1/files", data=data, files=files)
    assert reply.status_code == 400 and words in reply.json()["error"]["message"], reply.text
    with database.reading() as connection:
        assert connection.execute(select(func.count()).select_from(FILES)).scalar() == before
    database.close()


def test_what_is_too_large_or_no_form_is_refused(server: Running) -> None:
    large = server.own.post("/v1/files", data={"purpose": "batch"}, files={"file": b"x" * (1 << 20)})
    assert large.status_code == 413
    assert server.own.post("/v1/files", json={}).status_code == 415
    kind = {"content-type": "multipart/form-data; boundary=x"}
    cut = server.own.post(
        "/v1/files", content=b'--x\r\ncontent-disposition: form-data; name="file"\r\n\r\nab', headers=kind
    )
    assert "the form is cut" in cut.json()["error"]["message"]
    wrong = server.own.post("/v1/files", content=b"nothing of the kind", headers=kind)
    assert wrong.status_code == 400 and "multipart" in wrong.json()["error"]["message"]


async def stream(data: bytes, sizes: list[int]) -> AsyncIterator[bytes]:
    at = 0
    while at < len(data):
        size = sizes[at % len(sizes)]
        yield data[at : at + size]
        at += size


@seed(12)
@settings(max_examples=40, deadline=None)
@given(
    content=st.lists(st.sampled_from([b"\r\n", b"--", b"--bound", b"\r\n--boun", b"a", b"\0", b"\xff"]), max_size=30),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=5),
)
def test_a_form_is_read_as_it_was_written_however_it_is_cut(content: list[bytes], sizes: list[int]) -> None:
    file = b"".join(content).replace(b"\r\n--bound", b"")
    request = httpx.Request(
        "POST", "http://x", files={"file": ("n", file)}, data={"purpose": "batch"},
        headers={"content-type": "multipart/form-data; boundary=bound"},
    )  # fmt: skip
    got = bytearray()

    async def main() -> FormReader:
        async def sink(data: bytes) -> None:
            got.extend(data)

        form = FormReader(request.headers["content-type"], sink, file_field="file")
        await form.read(stream(request.read(), sizes))
        return form

    form = asyncio.run(main())
    assert (bytes(got), form.fields, form.filename) == (file, {"purpose": "batch"}, "n")


def test_a_file_is_written_in_pieces_and_read_from_anywhere() -> None:
    async def main() -> None:
        database = Database()
        files, draw = FileStore(database), random.Random(12)
        data = draw.randbytes(3 * PIECE + 17)
        writing = await files.begin(ANN)
        at = 0
        while at < len(data):
            size = draw.randrange(1, PIECE)
            await writing.add(data[at : at + size])
            assert len(writing._held) < (TOGETHER + 1) * PIECE, "so much is in memory at most"
            at += size
        row = await files.finish(writing, "n", "batch", None)
        assert row.bytes == len(data)
        for _ in range(60):
            begin, size = draw.randrange(len(data) + 9), draw.randrange(1, 2 * PIECE)
            assert await files.read(row.id, begin, size) == data[begin : begin + size]
        assert b"".join([part async for part in files.content(row.id)]) == data
        database.close()

    asyncio.run(main())


def test_files_have_a_limit_for_each_project_and_an_end() -> None:
    now = [1000.0]

    async def put(files: FileStore, data: bytes, owner: Owner = ANN, life: int | None = None) -> str:
        writing = await files.begin(owner)
        await writing.add(data)
        return (await files.finish(writing, "n", "batch", life)).id

    async def main() -> None:
        database = Database()
        files = FileStore(database, clock=lambda: now[0], most=100)
        first = await put(files, b"x" * 60, life=50)
        with pytest.raises(StoreFull, match="at most 40 bytes"):
            await put(files, b"x" * 41, Owner("bob", "org", "proj"))
        await put(files, b"x" * 41, Owner("bob", "org", "other"))
        assert await files.find("bob", first) is None and await files.find("ann", first) is not None
        now[0] += 50
        assert await files.find("ann", first) is None, "its time is over"
        now[0] += 4000
        assert await database.run(files.sweep) == 2, "the file that is over, and the one that was never finished"
        with database.reading() as connection:
            assert connection.execute(select(func.sum(PIECES.c.size))).scalar() == 41
        database.close()

    asyncio.run(main())


def test_an_upload_is_put_together_in_the_order_that_its_client_says(client: openai.OpenAI) -> None:
    data = random.Random(1).randbytes(150_000)
    parts = [data[:70_000], data[70_000:70_001], data[70_001:]]
    upload = client.uploads.create(bytes=len(data), filename="big", mime_type="text/jsonl", purpose="batch")
    made = {at: client.uploads.parts.create(upload.id, data=parts[at]).id for at in (2, 0, 1)}
    spare = client.uploads.parts.create(upload.id, data=b"not named in the end").id
    with pytest.raises(openai.BadRequestError, match="these parts have 80000 bytes; 150000 were announced"):
        client.uploads.complete(upload.id, part_ids=[made[2], made[1]])
    named = [made[at] for at in range(3)]
    with pytest.raises(openai.BadRequestError, match="the MD5 of the file is"):
        client.uploads.complete(upload.id, part_ids=named, md5="0" * 32)
    done = client.uploads.complete(upload.id, part_ids=named, md5=hashlib.md5(data).hexdigest())
    assert done.status == "completed" and done.file is not None and done.file.bytes == len(data)
    assert client.files.content(done.file.id).read() == data
    for call in (lambda: client.uploads.parts.create(upload.id, data=b"x"), lambda: client.uploads.cancel(upload.id)):
        with pytest.raises(openai.BadRequestError, match="this upload is completed"):
            call()
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(spare)
    other = client.uploads.create(bytes=1, filename="o", mime_type="text/plain", purpose="batch")
    assert client.uploads.cancel(other.id).status == "cancelled"
    chunked = client.uploads.upload_file_chunked(
        file=data, filename="c", bytes=len(data), mime_type="x/y", purpose="user_data", part_size=40_000
    )
    assert chunked.file is not None and client.files.content(chunked.file.id).read() == data


def test_what_files_hold_is_sealed_wherever_it_lies() -> None:
    async def main() -> None:
        database = Database()
        vault = Vault(database, SecretMaster(b"m" * 32))
        files, secret = FileStore(database, vault=vault), b"canary " * 20_000
        uploads = UploadStore(files)
        upload = await uploads.create(ANN, size=len(secret), name="n", purpose="batch", seconds=None)
        parts = []
        for data in (secret[:70_000], secret[70_000:]):
            writing = await uploads.part(upload)
            await writing.add(data)
            await uploads.add_part(upload, writing)
            parts.append(writing.id)
        file = await uploads.complete(upload, parts, None)
        assert await files.read(file.id, 0, len(secret)) == secret
        with database.reading() as connection:
            kept = [bytes(body) for body in connection.execute(select(PIECES.c.body)).scalars()]
        assert kept and not [body for body in kept if b"canary" in body]
        newer = Vault(database, SecretMaster(b"n" * 32))
        rotate(vault, newer, lambda _owner: "")
        assert await FileStore(database, vault=newer).read(file.id, 5, 99_999) == secret[5:100_004]
        database.close()

    asyncio.run(main())


def test_an_upload_ends_after_an_hour() -> None:
    now = [1000.0]

    async def main() -> None:
        database = Database()
        files = FileStore(database, clock=lambda: now[0])
        uploads = UploadStore(files)
        upload = await uploads.create(ANN, size=3, name="n", purpose="batch", seconds=None)
        writing = await uploads.part(upload)
        await writing.add(b"abc")
        await uploads.add_part(upload, writing)
        now[0] += 3600
        with pytest.raises(RequestError, match="this upload is expired"):
            await uploads.pending("ann", upload.id)
        await database.run(files.sweep)
        with database.reading() as connection:
            assert connection.execute(select(func.count()).select_from(PIECES)).scalar() == 0
        database.close()

    asyncio.run(main())
