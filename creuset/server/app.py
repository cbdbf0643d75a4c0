"""The HTTP application: the routes of each dialect, the server's own, and the middleware before them."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Scope

from creuset.core.errors import EngineError
from creuset.server.accounting.energy import EnergyTold
from creuset.server.accounting.routes import accounting_routes
from creuset.server.accounting.traffic import SeenRequest
from creuset.server.admin.routes import admin_routes
from creuset.server.anthropic.errors import DIALECT as MESSAGES
from creuset.server.anthropic.routes import anthropic_routes
from creuset.server.batches.routes import batch_routes
from creuset.server.carry import Handler
from creuset.server.console.routes import console_routes
from creuset.server.document import openapi
from creuset.server.engines.overload import OverloadGuard
from creuset.server.engines.pool import worst_of
from creuset.server.errors import HANDLERS, error_object, handle, nothing_at
from creuset.server.files.routes import TAKES_FILES, file_routes
from creuset.server.idempotency import Idempotency
from creuset.server.middleware import POLLED, Middleware, RequestContext
from creuset.server.moderation.routes import moderation_routes
from creuset.server.openai.routes import openai_routes
from creuset.server.protect.audit.keep import READS
from creuset.server.protect.routes import privacy_routes
from creuset.server.responses.compact import compact_routes
from creuset.server.responses.conversations import conversation_routes
from creuset.server.responses.routes import response_routes
from creuset.server.responses.socket import PATH, response_socket
from creuset.server.retrieval.routes import retrieval_routes
from creuset.server.routes.admin import route_routes
from creuset.server.scim.routes import DIALECT as SCIM
from creuset.server.scim.routes import scim_routes
from creuset.server.state import ServerState, context_of, json_response
from creuset.server.tenants.me import me_route
from creuset.server.tenants.money.routes import money_routes

# What counts against limits and budgets.
METERED = frozenset({
    "/v1/chat/completions", "/chat/completions", "/v1/completions", "/completions", "/v1/responses",
    "/v1/responses/compact", "/v1/messages", "/v1/embeddings", "/v1/rerank", "/v2/rerank", "/rerank",
})  # fmt: skip
ALIASED = ("/v1/chat/completions", "/v1/completions", "/v1/models", "/v1/models/{name:path}")


def create_app(state: ServerState) -> ASGIApp:
    table = [
        *openai_routes(state), *response_routes(state), *compact_routes(state), *conversation_routes(state),
        *anthropic_routes(state), *retrieval_routes(state), *moderation_routes(state), *money_routes(state),
        me_route(state), *file_routes(state), *accounting_routes(state), *console_routes(state), *batch_routes(state),
        *admin_routes(state), *privacy_routes(state), *scim_routes(state), *route_routes(state), *_own_routes(state),
    ]  # fmt: skip
    table = [
        (method, path, _noted(state, path, handler) if method == "GET" else handler) for method, path, handler in table
    ]
    routes = [Route(path, _named(path, handler), methods=[method]) for method, path, handler in table]
    # Clients are often given an address without /v1.
    short = [(method, path.removeprefix("/v1"), path, handler) for method, path, handler in table if path in ALIASED]
    routes += [Route(alias, _named(path, handler), methods=[method]) for method, alias, path, handler in short]
    listed = [(method, path) for method, path, _ in table] + [(method, path) for method, path, *_ in short]
    document = openapi([*listed, ("GET", "/openapi.json")], keys=state.keys is not None)

    async def described(_request: Request) -> Response:
        return json_response(document)

    routes.append(Route("/openapi.json", _named("/openapi.json", described), methods=["GET"]))
    posts = {route.path for route in routes if "POST" in (route.methods or ())}

    async def not_found(request: Request, error: Exception) -> Response:
        nothing = nothing_at(request.url.path, [(m, path) for m, path, _ in table])
        return await handle(request, nothing)

    app = Starlette(routes=routes, exception_handlers=HANDLERS | {404: not_found})
    app.router.redirect_slashes = False
    if state.batches is not None:
        state.batches.serve(app)

    def route_of(scope: Scope) -> str:
        matched = (route.path for route in routes if route.matches(scope)[0] is Match.FULL)
        return next(matched, "unmatched")

    def places() -> tuple[int, int]:
        """Of the fullest model: places that it has, and those that are free."""
        limit = state.settings.max_concurrency + state.settings.max_queue
        return limit, limit - max((engine.gauges().open for engine in state.engines.engines), default=0)

    def seen(context: RequestContext, status: int, seconds: float) -> None:
        model = str(context.facts.get("model", state.engines.engines[0].name if state.engines.alone else ""))
        if state.telemetry is not None:
            state.telemetry.note(context, model, status, seconds)
        if context.who is not None and context.route not in POLLED:
            state.traffic.note(context.who.organization, SeenRequest(context.route, model, status, seconds))

    guarded = Middleware(
        EnergyTold(Idempotency(app, route=route_of), state.energy),
        state.settings, state.keys, state.metrics, state.log, posts=posts,
        dialects=(MESSAGES, SCIM), places=places, gate=state.gate, metered=METERED, files=TAKES_FILES, seen=seen,
        sockets={PATH: response_socket},
    )  # fmt: skip
    each = state.settings.max_concurrency + state.settings.max_queue
    return OverloadGuard(
        guarded, METERED, lambda: each * len(state.engines.engines), state.metrics, state.log, dialects=(MESSAGES,)
    )


def _own_routes(state: ServerState) -> list[tuple[str, str, Handler]]:
    async def health(request: Request) -> Response:
        """200 when every engine can generate, or those that `model` names. `engine` is the worst state of any.

        A model that is not loaded is well, since it is loaded when somebody asks; so is one being loaded beside others.
        """
        pool = state.engines
        name = request.query_params.get("model")
        engines = pool.engines if name is None else (pool.find(name),)
        if not engines:  # routes to other servers alone
            return json_response({"status": "ok", "engine": "ready", "engines": [], "memory": pool.memory()})
        worst = worst_of(engines)
        facts: dict[str, Any] = {"engine": worst.state, "engines": [engine.health() for engine in engines]}
        facts["memory"] = pool.memory()
        if worst.state in ("ready", "unloaded") or (worst.state == "starting" and not pool.single):
            return json_response({"status": "ok", **facts})
        error = error_object(EngineError(worst.why_not()))
        return json_response({"status": "unavailable", **facts, **error}, 503, {"retry-after": "1"})

    async def metrics(_request: Request) -> Response:
        text = state.metrics.render({engine.name: engine.gauges() for engine in state.engines.engines})
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def page(request: Request) -> Response:
        return state.pages.index(request)

    async def page_file(request: Request) -> Response:
        return state.pages.file(request)

    return [
        ("GET", "/health", health),
        ("GET", "/metrics", metrics),
        ("GET", "/", page),
        ("GET", "/assets/{file:path}", page_file),
        ("GET", "/favicon.svg", page_file),
    ]


def _noted(state: ServerState, path: str, handler: Handler) -> Handler:
    """`handler`; the audit log gets that somebody has read what is kept."""
    if path not in READS or state.protection is None:
        return handler
    protection = state.protection

    async def noted(request: Request) -> Any:
        reply = await handler(request)
        address = str(request.client.host) if request.client else ""
        protection.read(context_of(request).who, address, path, request.path_params)
        return reply

    return noted


def _named(path: str, handler: Handler) -> Callable[[Request], Awaitable[Any]]:
    """`handler`, telling the log and the metrics which route this was."""

    async def named(request: Request) -> Any:
        context_of(request).route = path
        return await handler(request)

    return named
