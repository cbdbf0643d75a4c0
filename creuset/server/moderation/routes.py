"""POST /v1/moderations, in OpenAI's shape, by the lists of method.py; or by an upstream that is named."""

from secrets import token_hex
from typing import Any

from starlette.requests import Request

from creuset.core.errors import NotFound, RequestError
from creuset.server.carry import Answer, Handler
from creuset.server.engines.relay import Relay
from creuset.server.engines.upstream import UpstreamEngine
from creuset.server.moderation.method import NAME, THRESHOLD, scores
from creuset.server.routes.choose import may_use
from creuset.server.schema.retrieval import ModerationBody
from creuset.server.state import ServerState, context_of, json_response, off_loop
from creuset.types.fields import Fields, checked_fields, parse_object, show

MAX_TEXTS = 2048
STANDS_FOR = (NAME, "omni-moderation-latest", "omni-moderation-2024-09-26", "text-moderation-latest",
              "text-moderation-stable")  # fmt: skip


def moderation_routes(state: ServerState) -> list[tuple[str, str, Handler]]:
    """(method, path, handler) of each route."""

    async def moderate(request: Request) -> Answer:
        body = parse_object(await request.body())
        fields, id = checked_fields(body, ModerationBody), "modr-" + token_hex(12)
        name = fields.text("model") or NAME
        if name not in STANDS_FOR:
            context = context_of(request)
            engine = state.engines.known(name)
            if engine is None or not may_use(context.who, engine.names):
                known = f"this server moderates with {NAME}"
                raise NotFound(f"the model {show(name)} is not served here; {known}", param="model",
                               code="model_not_found")  # fmt: skip
            if not isinstance(engine, UpstreamEngine):
                raise fields.refuse("model", f"{show(name)} writes and does not moderate; {NAME} does")
            created = int(state.clock())
            context.facts |= {"reply": id, "model": engine.name}
            return Relay(
                engine, "/moderations", body, reply_id=id, created=created, settings=state.settings, context=context,
                holds="results",
            )  # fmt: skip
        texts = parse_moderation(fields)
        fields.refuse_rest()
        size = sum(len(text) for text in texts)
        results = await off_loop(size, lambda: [_result(text) for text in texts])
        return json_response({"id": id, "model": NAME, "results": results})

    return [("POST", "/v1/moderations", moderate)]


def parse_moderation(fields: Fields) -> list[str]:
    """The texts that each have a result. Parts of one input are one text."""
    value = fields.take("input")
    if type(value) is str:
        return [value]
    if type(value) is not list or not value:
        raise fields.refuse("input", f"is required: a text, or a list of texts or of parts, got {show(value)}")
    if len(value) > MAX_TEXTS:
        raise fields.refuse("input", f"takes at most {MAX_TEXTS} texts, got {len(value)}")
    if type(value[0]) is dict:
        return ["\n".join(_part(one, f"input[{at}]") for at, one in enumerate(value))]
    for at, one in enumerate(value):
        if type(one) is not str:
            raise RequestError(f"`input[{at}]` must be a string, got {show(one)}", param=f"input[{at}]")
    return value


def _part(value: Any, path: str) -> str:
    kind = value.get("type") if type(value) is dict else None
    if kind != "text":
        raise RequestError(
            f'`{path}` must be {{"type": "text", "text": ...}}, since only text is moderated; got {show(value)}',
            param=path,
            code="unsupported_value",
        )
    part = Fields(value, where=f"{path}.")
    part.take("type")
    text = part.text("text")
    if text is None:
        raise part.refuse("text", "is required")
    part.refuse_rest()
    return text


def _result(text: str) -> dict[str, Any]:
    found = scores(text)
    flagged = {category: score >= THRESHOLD for category, score in found.items()}
    return {
        "flagged": any(flagged.values()),
        "categories": flagged,
        "category_scores": found,
        "category_applied_input_types": {category: ["text"] for category in found},
    }
