"""/v1/models and the card of a served model."""

from typing import Any

from creuset.server.engines.pool import AnyEngine
from creuset.server.engines.upstream import UpstreamEngine
from creuset.server.retrieval.measured import embeddings_of
from creuset.server.routes.router import ModelRoute


def model_object(name: str, engine: AnyEngine | ModelRoute) -> dict[str, Any]:
    """OpenAI's four fields, vLLM's `root` and `max_model_len`, and what one chooses a model by."""
    if isinstance(engine, ModelRoute):
        known = model_object(engine.name, engine.first)
        return {
            "id": name, "object": "model", "alias_of": None if name == engine.name else engine.name,
            "created": known["created"], "owned_by": "creuset", "root": known["root"],
            "max_model_len": known["max_model_len"], "state": engine.state, "route": True,
        }  # fmt: skip
    if isinstance(engine, UpstreamEngine):
        return {
            "id": name,
            "object": "model",
            "alias_of": None if name == engine.name else engine.name,
            "created": engine.created,
            "owned_by": str(engine.listed.get("owned_by") or "upstream"),
            "root": engine.settings.model,
            "max_model_len": engine.context,
            "state": engine.state,
            "upstream": True,
        }
    model = engine.model
    return {
        "id": name,
        "object": "model",
        "alias_of": None if name == model.name else model.name,
        "created": model.created,
        "owned_by": "creuset",
        "root": model.parent or model.name,
        **({"parent": model.parent} if model.parent else {}),
        "max_model_len": model.context,
        "state": engine.state,
        "size_bytes": model.size_bytes,
        "parameters": model.parameters,
        "license": model.licence or None,
        "languages": list(model.languages),
    }


def model_card(engine: AnyEngine | ModelRoute) -> dict[str, Any]:
    """What one talks with: for the page, and for whoever wants to know; of a route, with its first model."""
    if isinstance(engine, ModelRoute):
        return model_card(engine.first)
    if isinstance(engine, UpstreamEngine):
        return {
            "name": engine.name,
            "names": list(engine.names),
            "context": engine.context,
            "created": engine.created,
            "license": None,
            "engine": engine.state,
            "upstream": engine.settings.model,
        }
    model = engine.model
    return {
        "name": model.name,
        "names": list(model.names),
        "sha256": model.sha256,
        "context": model.context,
        "size_bytes": model.size_bytes,
        "parameters": model.parameters,
        "active_parameters": model.active_parameters,
        "family": model.shape.get("model_type"),
        "vocab_size": model.tokenizer.vocab_size,
        "created": model.created,
        "sampling_defaults": dict(model.defaults),
        "license": model.licence or None,
        "languages": list(model.languages),
        "origin": model.origin.as_json() if model.origin else None,
        "card": model.card,
        "embeddings": embeddings_of(model),
        "engine": engine.state,
        "choices": engine.client.facts.get("choices"),
    }
