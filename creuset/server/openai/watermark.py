"""POST /v1/watermark/detect: whether a text carries the mark of this server. Needs the tokenizer and the key only."""

from typing import Any

from creuset.core.errors import NotFound
from creuset.server.model import ServedModel
from creuset.text.watermark import DECISION_P, MIN_SCORED, Detection, Watermark, detect
from creuset.types.fields import Fields


def the_key(mark: Watermark | None) -> Watermark:
    """The key to look with. Refused with 404 where there is none."""
    if mark is None:
        raise NotFound(
            "this server has no watermark key, so it neither marks nor detects",
            code="watermark_off",
            hint="start it with --watermark FILE",
        )
    return mark


def parse_detect(fields: Fields) -> str:
    """The text to examine."""
    text = fields.text("text")
    if not text:
        raise fields.refuse("text", "is required: the text to examine")
    fields.refuse_rest()
    return text


def examine(text: str, model: ServedModel, mark: Watermark) -> Detection:
    """Raises TooShort. Special tokens in `text` are text."""
    return detect(model.tokenizer.encode(text), mark)


def detected(found: Detection, model: ServedModel, mark: Watermark) -> dict[str, Any]:
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
