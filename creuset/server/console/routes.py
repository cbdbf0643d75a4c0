"""The page of administration: a shell without data. What it shows it asks of the API, as whoever has signed on."""

from functools import cache
from pathlib import Path

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from creuset.core.sentences import LANGS, table
from creuset.server.carry import Handler
from creuset.server.state import ServerState

PAGE = Path(__file__).parent / "page"
KIT = Path(__file__).parents[2] / "report" / "assets" / "base.css"  # the style of all pages
KINDS = {".js": "text/javascript", ".css": "text/css"}


def console_routes(_state: ServerState) -> list[tuple[str, str, Handler]]:
    """(method, path, handler) of each route."""

    async def shell(_request: Request) -> Response:
        return Response(
            (PAGE / "index.html").read_bytes(), media_type="text/html", headers={"cache-control": "no-cache"}
        )

    async def file(request: Request) -> Response:
        name = request.path_params["file"]
        if name not in files():
            raise HTTPException(404)
        kind, content = files()[name]
        return Response(content, media_type=kind, headers={"cache-control": "no-cache"})

    return [("GET", "/admin", shell), ("GET", "/admin/{file}", file)]


@cache
def files() -> dict[str, tuple[str, bytes]]:
    """Media type and content by name: a name that is not here is no file, whatever it says."""
    found = {one.name: (KINDS[one.suffix], one.read_bytes()) for one in PAGE.iterdir() if one.suffix in KINDS}
    found["base.css"] = "text/css", KIT.read_bytes()
    rows = table("console")
    words = {lang: {name: row[lang] for name, row in rows.items()} for lang in LANGS}
    found["words.json"] = "application/json", msgspec.json.encode(words)
    return found
