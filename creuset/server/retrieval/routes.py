"""The routes of embeddings and reranking. Models of other servers are asked there."""

import base64
from secrets import token_hex
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from creuset.server.carry import Answer, Handler
from creuset.server.engines.client import ClientDisconnected
from creuset.server.engines.upstream import UpstreamEngine
from creuset.server.middleware import CLIENT_GONE
from creuset.server.openai.upstream import Relay
from creuset.server.retrieval.requests import EmbeddingsAsk, RerankAsk, parse_embeddings, parse_rerank
from creuset.server.retrieval.vectors import cosine, embed, numbers, shortened
from creuset.server.state import ServerState, context_of, off_loop, salt_of
from creuset.types.fields import Fields, parse_object

NUMBERS_A_CHARACTER = 4  # work on so many numbers takes as long as on a character of a prompt, roughly


def retrieval_routes(state: ServerState) -> list[tuple[str, str, Handler]]:
    """(method, path, handler) of each route."""

    async def embeddings(request: Request) -> Answer:
        raw = await request.body()
        body = parse_object(raw)
        fields = Fields(body)
        name, engine = state.engines.chosen_by(fields)
        if isinstance(engine, UpstreamEngine):
            return _relay(request, engine, "/embeddings", body, "data")
        salt = salt_of(request, fields, state.settings)
        ask = await off_loop(len(raw), parse_embeddings, fields, engine.model)
        context_of(request).ignored = ask.ignored
        try:
            rows = await embed(state, request, engine, ask.texts, reply_id="embd-" + token_hex(12), salt=salt)
        except ClientDisconnected:
            return Response(status_code=CLIENT_GONE)
        size = len(rows) * engine.model.config.hidden // NUMBERS_A_CHARACTER
        return Response(await off_loop(size, _embeddings, name, ask, rows), media_type="application/json")

    async def rerank(request: Request) -> Answer:
        raw = await request.body()
        body = parse_object(raw)
        fields = Fields(body)
        name, engine = state.engines.chosen_by(fields)
        if isinstance(engine, UpstreamEngine):
            return _relay(request, engine, "/rerank", body, "results")
        salt = salt_of(request, fields, state.settings)
        ask = await off_loop(len(raw), parse_rerank, fields, engine.model)
        context_of(request).ignored = ask.ignored
        reply_id = "rerank-" + token_hex(12)
        try:
            rows = await embed(state, request, engine, [ask.query, *ask.documents], reply_id=reply_id, salt=salt)
        except ClientDisconnected:
            return Response(status_code=CLIENT_GONE)
        size = len(rows) * engine.model.config.hidden // NUMBERS_A_CHARACTER
        return Response(await off_loop(size, _reranked, name, reply_id, ask, rows), media_type="application/json")

    def _relay(request: Request, engine: UpstreamEngine, path: str, body: dict[str, Any], holds: str) -> Relay:
        context, reply_id = context_of(request), ("embd-" if holds == "data" else "rerank-") + token_hex(12)
        context.facts |= {"reply": reply_id, "model": engine.name}
        created = int(state.clock())
        return Relay(
            engine, path, body, reply_id=reply_id, created=created, settings=state.settings, context=context,
            holds=holds,
        )  # fmt: skip

    return [
        ("POST", "/v1/embeddings", embeddings),
        ("POST", "/v1/rerank", rerank),
        ("POST", "/v2/rerank", rerank),
        ("POST", "/rerank", rerank),
    ]


def _embeddings(name: str, ask: EmbeddingsAsk, rows: list[bytes]) -> bytes:
    data = []
    for at, row in enumerate(rows):
        raw = shortened(row, ask.dimensions)
        value = base64.b64encode(raw).decode() if ask.encoding == "base64" else numbers(raw)
        data.append({"object": "embedding", "index": at, "embedding": value})
    usage = {"prompt_tokens": ask.tokens, "total_tokens": ask.tokens}
    return msgspec.json.encode({"object": "list", "data": data, "model": name, "usage": usage})


def _reranked(name: str, reply_id: str, ask: RerankAsk, rows: list[bytes]) -> bytes:
    query, *documents = [numbers(row) for row in rows]
    scores = [cosine(query, document) for document in documents]
    order = sorted(range(len(scores)), key=lambda at: -scores[at])[: ask.top_n]  # of equals, the earlier first
    results = [
        {"index": at, "relevance_score": scores[at]} | ({"document": {"text": ask.texts[at]}} if ask.returns else {})
        for at in order
    ]
    usage = {"prompt_tokens": ask.tokens, "total_tokens": ask.tokens}
    return msgspec.json.encode({"id": reply_id, "object": "list", "model": name, "results": results, "usage": usage})
