"""The chat page: the files of `creuset/server/static`, and nothing outside that folder."""

import mimetypes
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

STATIC = Path(__file__).parent / "static"
NOT_BUILT = (
    "creuset serves its API under /v1; the chat page is not part of this installation "
    "(web/ builds it into creuset/server/static).\n"
)
FOR_EVER = "public, max-age=31536000, immutable"  # the build puts a hash of the content into each name


class Pages:
    def __init__(self, folder: Path = STATIC) -> None:
        self._folder = folder.resolve()

    def index(self) -> Response:
        found = self._folder / "index.html"
        if not found.is_file():
            return PlainTextResponse(NOT_BUILT)
        return FileResponse(found, media_type="text/html", headers={"cache-control": "no-cache"})

    def file(self, request: Request) -> Response:
        name = request.scope["path"].lstrip("/")
        if "\0" in name:
            raise HTTPException(404)
        found = (self._folder / name).resolve()
        if not found.is_relative_to(self._folder) or not found.is_file() or name == "index.html":
            raise HTTPException(404)
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        cache = FOR_EVER if name.startswith("assets/") else "no-cache"
        return FileResponse(found, media_type=kind, headers={"cache-control": cache})
