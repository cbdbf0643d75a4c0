"""The chat page: the files of `creuset/serve/static`, listed once when the server starts.

Only listed files can be asked for, so no path can lead outside the folder.
"""

import mimetypes
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

STATIC = Path(__file__).parent / "static"
NOT_BUILT = (
    "creuset serves its API under /v1; the chat page is not part of this installation "
    "(web/ builds it into creuset/serve/static).\n"
)
FOR_EVER = "public, max-age=31536000, immutable"  # the build puts a hash of the content into each name


class Pages:
    def __init__(self, folder: Path = STATIC) -> None:
        self._files = {f.relative_to(folder).as_posix(): f for f in folder.rglob("*") if f.is_file()}

    def index(self) -> Response:
        if "index.html" not in self._files:
            return PlainTextResponse(NOT_BUILT)
        return FileResponse(self._files["index.html"], media_type="text/html", headers={"cache-control": "no-cache"})

    def file(self, request: Request) -> Response:
        name = request.scope["path"].lstrip("/")
        found = self._files.get(name)
        if found is None or name == "index.html":
            raise HTTPException(404)
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        cache = FOR_EVER if name.startswith("assets/") else "no-cache"
        return FileResponse(found, media_type=kind, headers={"cache-control": cache})
