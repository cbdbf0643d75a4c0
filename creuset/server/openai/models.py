"""/v1/models and the card of the served model."""

from typing import Any

from creuset.core.errors import NotFound
from creuset.server.model import Model
from creuset.server.openai.fields import show


def model_object(name: str, model: Model) -> dict[str, Any]:
    return {
        "id": name,
        "object": "model",
        "created": model.created,
        "owned_by": "creuset",
        "root": model.name,
        "max_model_len": model.context,
    }


def model_list(model: Model) -> dict[str, Any]:
    return {"object": "list", "data": [model_object(name, model) for name in model.names]}


def one_model(name: str, model: Model) -> dict[str, Any]:
    if name not in model.names:
        raise NotFound(
            f"the model {show(name)} is not served here; this server has {', '.join(model.names)}",
            param="model",
            code="model_not_found",
        )
    return model_object(name, model)


def model_card(model: Model) -> dict[str, Any]:
    """What one talks with: for the page, and for whoever wants to know."""
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
    }
