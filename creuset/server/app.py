"""The HTTP application: the routes of each dialect, the server's own, and the middleware before them."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from creuset.core.errors import EngineError
from creuset.server.errors import HANDLERS, error_object
from creuset.server.middleware import Middleware
from creuset.server.openai.routes import Handler, openai_routes
from creuset.server.state import ServerState, context_of, json_response


def create_app(state: ServerState) -> ASGIApp:
    table = [*openai_routes(state), *_own_routes(state)]
    routes = [Route(path, _named(path, handler), methods=[method]) for method, path, handler in table]
    app = Starlette(routes=routes, exception_handlers=HANDLERS)
    app.router.redirect_slashes = False
    return Middleware(app, state.settings, state.keys, state.metrics, state.log)


def _own_routes(state: ServerState) -> list[tuple[str, str, Handler]]:
    async def health(_request: Request) -> Response:
        """200 when every engine can generate. `engine` is the worst state of any."""
        pool = state.engines
        facts = {"engine": pool.state, "engines": [engine.health() for engine in pool.engines]}
        if pool.state == "ready":
            return json_response({"status": "ok", **facts})
        worst = next(engine.client for engine in pool.engines if engine.client.state == pool.state)
        error = error_object(EngineError(worst.why_not()))
        return json_response({"status": "unavailable", **facts, **error}, 503, {"retry-after": "1"})

    async def metrics(_request: Request) -> Response:
        clients = {engine.model.name: engine.client for engine in state.engines.engines}
        text = state.metrics.render(
            open_requests=sum(client.open_requests for client in clients.values()),
            ready=sum(client.state == "ready" for client in clients.values()),
            stats={name: client.stats for name, client in clients.items()},
        )
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def page(_request: Request) -> Response:
        return state.pages.index()

    async def page_file(request: Request) -> Response:
        return state.pages.file(request)

    return [
        ("GET", "/health", health),
        ("GET", "/metrics", metrics),
        ("GET", "/", page),
        ("GET", "/assets/{file:path}", page_file),
        ("GET", "/favicon.svg", page_file),
    ]


def _named(path: str, handler: Handler) -> Callable[[Request], Awaitable[Any]]:
    """`handler`, telling the log and the metrics which route this was."""

    async def named(request: Request) -> Any:
        context_of(request).route = path
        return await handler(request)

    return named
