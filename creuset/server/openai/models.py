"""/v1/models and the card of a served model."""

from typing import Any

from creuset.server.engines.pool import EnginePool, ServedEngine
from creuset.server.model import ServedModel


def model_object(name: str, model: ServedModel) -> dict[str, Any]:
    return {
        "id": name,
        "object": "model",
        "created": model.created,
        "owned_by": "creuset",
        "root": model.name,
        "max_model_len": model.context,
    }


def model_list(engines: EnginePool) -> dict[str, Any]:
    models = [engine.model for engine in engines.engines]
    return {"object": "list", "data": [model_object(name, model) for model in models for name in model.names]}


def model_card(engine: ServedEngine) -> dict[str, Any]:
    """What one talks with: for the page, and for whoever wants to know."""
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
        "card": model.card,
        "engine": engine.client.state,
        "choices": engine.client.facts.get("choices"),
    }
