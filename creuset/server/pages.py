"""The chat page: the files of `creuset/server/static`, and nothing outside that folder."""

import gzip
import mimetypes
import re
from functools import lru_cache
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

STATIC = Path(__file__).parent / "static"
NOT_BUILT = (
    "creuset serves its API under /v1; the chat page is not part of this installation "
    "(web/ builds it into creuset/server/static).\n"
)
COMPRESSED = (
    "text/html",
    "text/css",
    "text/javascript",
    "application/javascript",
    "image/svg+xml",
)  # fonts are already
FOR_EVER = "public, max-age=31536000, immutable"  # the build puts a hash of the content into each name


class Pages:
    def __init__(self, folder: Path = STATIC) -> None:
        self._folder = folder.resolve()

    def index(self, request: Request) -> Response:
        found = self._folder / "index.html"
        if not found.is_file():
            return PlainTextResponse(NOT_BUILT)
        return _send(request, found, "text/html", "no-cache")

    def file(self, request: Request) -> Response:
        name = request.scope["path"].lstrip("/")
        if "\0" in name:
            raise HTTPException(404)
        found = (self._folder / name).resolve()
        if not found.is_relative_to(self._folder) or not found.is_file() or name == "index.html":
            raise HTTPException(404)
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        cache = FOR_EVER if name.startswith("assets/") else "no-cache"
        return _send(request, found, kind, cache)


def _send(request: Request, file: Path, kind: str, cache: str) -> Response:
    """`file`, compressed where that makes it smaller and the client reads gzip."""
    if kind not in COMPRESSED:
        return FileResponse(file, media_type=kind, headers={"cache-control": cache})
    headers = {"cache-control": cache, "vary": "accept-encoding"}
    if not reads_gzip(request.headers.get("accept-encoding", "")):
        return FileResponse(file, media_type=kind, headers=headers)
    content = _gzipped(file, file.stat().st_mtime_ns)
    return Response(content, media_type=kind, headers={**headers, "content-encoding": "gzip"})


@lru_cache(maxsize=64)
def _gzipped(file: Path, changed: int) -> bytes:
    """Compressed once for each content of the file; `changed` is when that was written, in nanoseconds."""
    return gzip.compress(file.read_bytes(), compresslevel=9, mtime=0)


def reads_gzip(accepted: str) -> bool:
    """Whether `accepted`, an Accept-Encoding header, allows gzip (RFC 9110, section 12.5.3)."""
    found: dict[str, bool] = {}
    for part in accepted.lower().split(","):
        name, _, weight = part.partition(";")
        found[name.strip()] = _NEVER.fullmatch(weight.replace(" ", "")) is None
    return found.get("gzip", found.get("x-gzip", found.get("*", False)))


_NEVER = re.compile(r"q=0(?:\.0*)?")
