"""The routes of embeddings and reranking. Models of other servers are asked there."""

import base64
from collections.abc import Callable
from secrets import token_hex
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from creuset.server.carry import Answer, Handler
from creuset.server.engines.client import ClientDisconnected
from creuset.server.engines.pool import AnyEngine
from creuset.server.engines.relay import Relay
from creuset.server.engines.upstream import UpstreamEngine
from creuset.server.middleware import CLIENT_GONE
from creuset.server.model import ServedModel
from creuset.server.protect.guards.body import guard_body
from creuset.server.retrieval.requests import EmbeddingsAsk, RerankAsk, parse_embeddings, parse_rerank
from creuset.server.retrieval.vectors import TokenText, cosine, embed, numbers, shortened
from creuset.server.routes.choose import answered
from creuset.server.schema.retrieval import EmbeddingsBody, RerankBody
from creuset.server.state import ServerState, context_of, off_loop, salt_of
from creuset.types.fields import Fields, parse_object

Ask = TypeVar("Ask", EmbeddingsAsk, RerankAsk)
NUMBERS_A_CHARACTER = 4  # work on so many numbers takes as long as on a character of a prompt, roughly


def retrieval_routes(state: ServerState) -> list[tuple[str, str, Handler]]:
    """(method, path, handler) of each route."""

    def reading(
        path: str,
        holds: str,
        body_kind: type[msgspec.Struct],
        parse: Callable[[Fields, ServedModel], Ask],
        texts: Callable[[Ask], list[TokenText]],
        written: Callable[[str, str, Ask, list[bytes]], bytes],
    ) -> Handler:
        """A route whose texts are only read. `holds`: the list in the reply of another server."""

        async def answer(request: Request) -> Answer:
            raw = await request.body()
            body = await guard_body(state.protection, context_of(request), parse_object(raw))

            async def once(fields: Fields, name: str, engine: AnyEngine) -> Answer:
                return await read_once(request, len(raw), body, fields, name, engine)

            return await answered(state, request, body, body_kind, once)

        async def read_once(
            request: Request, size: int, body: dict[str, Any], fields: Fields, name: str, engine: AnyEngine
        ) -> Answer:
            reply_id = f"{'embd' if holds == 'data' else 'rerank'}-{token_hex(12)}"
            if isinstance(engine, UpstreamEngine):
                return await _relay(request, engine, path, body | {"model": name}, reply_id, holds)
            salt = salt_of(request, fields, state.settings)
            ask = await off_loop(size, parse, fields, engine.model)
            context_of(request).ignored = ask.ignored
            try:
                kind = "embeddings" if holds == "data" else "rerank"
                rows = await embed(state, request, engine, texts(ask), reply_id=reply_id, salt=salt, kind=kind)
            except ClientDisconnected:
                return Response(status_code=CLIENT_GONE)
            work = len(rows) * engine.model.config.hidden // NUMBERS_A_CHARACTER
            return Response(await off_loop(work, written, name, reply_id, ask, rows), media_type="application/json")

        return answer

    async def _relay(
        request: Request, engine: UpstreamEngine, path: str, body: dict[str, Any], reply_id: str, holds: str
    ) -> Relay:
        context = context_of(request)
        body = await guard_body(state.protection, context, body, relayed=True)
        context.facts |= {"reply": reply_id, "model": engine.name}
        created = int(state.clock())
        return Relay(
            engine, path, body, reply_id=reply_id, created=created, settings=state.settings, context=context,
            holds=holds, gate=state.gate,
        )  # fmt: skip

    embeddings = reading("/embeddings", "data", EmbeddingsBody, parse_embeddings, lambda ask: ask.texts, _embeddings)
    rerank = reading("/rerank", "results", RerankBody, parse_rerank, lambda ask: [ask.query, *ask.documents], _reranked)
    return [
        ("POST", "/v1/embeddings", embeddings),
        ("POST", "/v1/rerank", rerank),
        ("POST", "/v2/rerank", rerank),
        ("POST", "/rerank", rerank),
    ]


def _embeddings(name: str, _reply_id: str, ask: EmbeddingsAsk, rows: list[bytes]) -> bytes:
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
