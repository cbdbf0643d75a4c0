"""Rotary embeddings in config.json <-> ModelConfig: base, kind of scaling, base of layers with a window. No torch here.

transformers 5 writes `rope_parameters`, older versions `rope_theta` and `rope_scaling`; families whose layers differ
have one set of parameters for each kind of layer.
"""

import math
from dataclasses import dataclass
from typing import Any

from creuset.core.errors import ArtifactError
from creuset.model.config import ModelConfig
from creuset.model.families import FAMILIES
from creuset.model.formats.hf_fields import ConfigFields
from creuset.model.rope_scaling import RopeScaling

FULL, SLIDING = "full_attention", "sliding_attention"


@dataclass(frozen=True, slots=True)
class Rope:
    theta: float
    scaling: RopeScaling | None
    local_theta: float | None
    partial: float  # share of a head that is rotated


def read_rope(fields: ConfigFields, *, context: int, local: float | None) -> Rope:
    """`local`: the base that layers with a window have when config.json is silent; None: they are as all others."""
    theta, partial = fields.get("rope_theta"), fields.get("partial_rotary_factor", 1.0)
    scaling, original = fields.get("rope_scaling"), fields.get("original_max_position_embeddings")
    # Apertus has a scaling where config.json says null.
    found: dict[str, Any] = fields.get("rope_parameters") or scaling or fields.defaults.get("rope_scaling") or {}
    local_theta = None
    if local is not None:
        local_theta = float(fields.get("rope_local_base_freq", local))
    if local is not None and (FULL in found or SLIDING in found):
        sliding = found.get(SLIDING) or {}
        if (kind := _kind(sliding)) != "default":
            raise ArtifactError(
                f"{fields.where}: rotary scaling `{kind}` of layers with a sliding window is not supported"
            )
        local_theta = float(sliding.get("rope_theta") or local_theta or 0)
        found = found.get(FULL) or {}
    if not isinstance(found, dict):
        raise ArtifactError(f"{fields.where}: rope_scaling is {found!r}, not an object")
    rope = ConfigFields(found, {}, f"{fields.where}: rope_scaling")
    theta = float(rope.get("rope_theta") or theta or fields.get("rope_theta", 10_000.0))
    partial = float(rope.get("partial_rotary_factor", partial))
    scale = _scaling(rope, context=context, original=original)
    rope.refuse_the_rest(f"`{_kind(found)}`")
    return Rope(theta, scale, local_theta, partial)


def _kind(found: dict[str, Any]) -> str:
    return str(found.get("rope_type") or found.get("type") or "default")


def _scaling(rope: ConfigFields, *, context: int, original: int | None) -> RopeScaling | None:
    kind = _kind(rope.found)
    rope.get("rope_type"), rope.get("type")
    original = int(rope.get("original_max_position_embeddings") or original or context)
    try:
        if kind == "default":
            return None
        if kind == "linear":
            return RopeScaling(kind="linear", factor=rope.number("factor"))
        if kind == "llama3":
            low, high = rope.number("low_freq_factor"), rope.number("high_freq_factor")
            return RopeScaling(
                kind="llama3",
                factor=rope.number("factor"),
                original_context=original,
                low_freq_factor=low,
                high_freq_factor=high,
            )
        if kind == "yarn":
            return _yarn(rope, context=context, original=original)
        if kind == "dynamic":
            if original != context:
                told = f"original_max_position_embeddings is {original} and max_position_embeddings {context}"
                raise ArtifactError(f"{rope.where}: {told}: from where a `dynamic` scaling stretches is not clear")
            return RopeScaling(kind="dynamic", factor=rope.number("factor"), original_context=context)
        if kind in ("longrope", "su"):
            return _longrope(rope, context=context, original=original)
    except ValueError as error:
        raise ArtifactError(f"{rope.where}: {error}") from error
    raise ArtifactError(
        f"config.json: rotary scaling `{kind}` is not supported", hint="linear, llama3, yarn, longrope and dynamic are"
    )


def _yarn(rope: ConfigFields, *, context: int, original: int) -> RopeScaling:
    factor = rope.number("factor", None if rope.get("factor") is not None else context / original)
    attention = rope.get("attention_factor")
    return RopeScaling(
        kind="yarn",
        factor=factor,
        original_context=original,
        beta_fast=float(rope.get("beta_fast") or 32.0),
        beta_slow=float(rope.get("beta_slow") or 1.0),
        attention_factor=None if attention is None else float(attention),
        mscale=float(rope.get("mscale") or 0.0),
        mscale_all_dim=float(rope.get("mscale_all_dim") or 0.0),
        truncate=rope.flag("truncate", True),
    )


def _longrope(rope: ConfigFields, *, context: int, original: int) -> RopeScaling:
    lists = []
    for name in ("short_factor", "long_factor"):
        values = rope.get(name)
        if not isinstance(values, list) or not all(isinstance(v, int | float) for v in values):
            raise rope.wrong(name, "is not a list of numbers")
        lists.append(tuple(float(v) for v in values))
    factor = float(rope.get("factor") or context / original)
    wanted = rope.get("attention_factor")
    if wanted is None:
        wanted = 1.0 if factor <= 1 else math.sqrt(1 + math.log(factor) / math.log(original))
    return RopeScaling(
        kind="longrope",
        short_factor=lists[0],
        long_factor=lists[1],
        original_context=original,
        attention_factor=float(wanted),
    )


def write_rope(config: ModelConfig) -> dict[str, Any]:
    """`rope_theta` and `rope_scaling`, which every version of transformers reads."""
    scaling = _written(config.rope_scaling)
    if scaling is None and "rope_scaling" in FAMILIES[config.family].defaults:
        scaling = {"rope_type": "default"}
    out: dict[str, Any] = {"rope_theta": config.rope_theta, "rope_scaling": scaling}
    if config.rope_scaling is not None and config.rope_scaling.kind == "longrope":
        out["original_max_position_embeddings"] = config.rope_scaling.original_context
    if config.rotary_dim or "partial_rotary_factor" in FAMILIES[config.family].defaults:
        out["partial_rotary_factor"] = config.rotated / config.head_dim
    if config.local_rope_theta is not None:
        out["rope_local_base_freq"] = config.local_rope_theta
    return out


def _written(scaling: RopeScaling | None) -> dict[str, Any] | None:
    if scaling is None:
        return None
    if scaling.kind in ("linear", "dynamic"):
        return {"rope_type": scaling.kind, "type": scaling.kind, "factor": scaling.factor}
    if scaling.kind == "longrope":
        return {
            "rope_type": "longrope",
            "type": "longrope",
            "short_factor": list(scaling.short_factor),
            "long_factor": list(scaling.long_factor),
            "original_max_position_embeddings": scaling.original_context,
            "attention_factor": scaling.attention_factor,
        }
    out: dict[str, Any] = {"factor": scaling.factor, "original_max_position_embeddings": scaling.original_context}
    if scaling.kind == "llama3":
        low, high = scaling.low_freq_factor, scaling.high_freq_factor
        return out | {"rope_type": "llama3", "low_freq_factor": low, "high_freq_factor": high}
    out |= {"rope_type": "yarn", "type": "yarn", "beta_fast": scaling.beta_fast, "beta_slow": scaling.beta_slow}
    if scaling.mscale or scaling.mscale_all_dim:
        out |= {"mscale": scaling.mscale, "mscale_all_dim": scaling.mscale_all_dim}
    if not scaling.truncate:
        out["truncate"] = False
    return out if scaling.attention_factor is None else out | {"attention_factor": scaling.attention_factor}
