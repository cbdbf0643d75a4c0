"""POST /v1/watermark/detect: whether a text carries the mark of this server. Needs the tokenizer and the key only."""

from typing import Any

from creuset.core.errors import NotFound
from creuset.engine.watermark import DECISION_P, MIN_SCORED, Detection, Watermark, detect
from creuset.server.model import Model
from creuset.server.openai.fields import Fields
from creuset.server.openai.sampling import check_model


def parse_detect(body: dict[str, Any], model: Model, mark: Watermark | None) -> str:
    """The text to examine. Refused with 404 where no key is there to look with."""
    if mark is None:
        raise NotFound(
            "this server has no watermark key, so it neither marks nor detects", code="watermark_off",
            hint="start it with --watermark FILE",
        )  # fmt: skip
    fields = Fields(body)
    if "model" in body:
        check_model(fields, model)
    text = fields.text("text")
    if not text:
        raise fields.refuse("text", "is required: the text to examine")
    fields.refuse_rest()
    return text


def examine(text: str, model: Model, mark: Watermark) -> Detection:
    """Raises TooShort. Special tokens in `text` are text."""
    return detect(model.tokenizer.encode(text), mark)


def detected(found: Detection, model: Model, mark: Watermark) -> dict[str, Any]:
    return {
        "object": "watermark.detection",
        "model": model.name,
        "key_id": mark.id,
        "scheme": "kgw",
        "gamma": mark.gamma,
        "width": mark.width,
        "tokens": found.tokens,
        "scored": found.scored,
        "green": found.green,
        "z_score": round(found.z, 4),
        "p_value": found.p_value,
        "decision_p": DECISION_P,
        "min_scored": MIN_SCORED,
        "watermarked": found.marked,
    }
