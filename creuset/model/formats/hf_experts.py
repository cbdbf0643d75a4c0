"""Experts and latent attention in config.json <-> ModelConfig, in each family's own words. No torch here."""

from typing import Any

from creuset.core.errors import ArtifactError
from creuset.model.config import LatentShape, ModelConfig
from creuset.model.families import FAMILIES, Family
from creuset.model.formats.hf_fields import ConfigFields
from creuset.model.rope_scaling import RopeScaling

# What the number of routed experts is called, where it is not `num_experts`.
_COUNT = {
    "mixtral": "num_local_experts", "gpt_oss": "num_local_experts",
    "deepseek_v2": "n_routed_experts", "deepseek_v3": "n_routed_experts", "glm4_moe": "n_routed_experts",
}  # fmt: skip
# Families whose every layer has experts, as wide as `intermediate_size`.
_ALL_SPARSE = ("mixtral", "olmoe", "gpt_oss")
# Families whose first layers are dense, and whose shared experts are as wide as routed ones.
_FIRST_DENSE = ("deepseek_v2", "deepseek_v3", "glm4_moe")


def read_experts(fields: ConfigFields, family: Family) -> dict[str, Any]:
    """The fields of ModelConfig that say which experts there are and how they are chosen."""
    name = _COUNT.get(family, "num_experts")
    width = "intermediate_size" if family in _ALL_SPARSE else "moe_intermediate_size"
    out: dict[str, Any] = {
        "experts": fields.integer(name, "num_experts", "num_local_experts"),
        "experts_per_token": fields.integer("num_experts_per_tok"),
        "expert_ffn": fields.integer(width),
        "balance_coef": fields.number("router_aux_loss_coef", 0.001),
    }
    if family in ("mixtral", "gpt_oss"):
        out["norm_topk"] = True
    elif family == "deepseek_v2":
        out["norm_topk"] = False  # transformers reads the field and does not obey it; published configs say false
        fields.only("norm_topk_prob", False, family)
    else:
        out["norm_topk"] = fields.flag("norm_topk_prob")
    if family in ("qwen2_moe", "qwen3_moe"):
        out["sparse_step"] = fields.integer("decoder_sparse_step", default=1)
        out["dense_layers"] = tuple(fields.get("mlp_only_layers", ()))
    if family == "qwen2_moe":
        out["shared_ffn"] = fields.integer("shared_expert_intermediate_size")
    if family == "glm4_moe":
        out["qk_norms"] = fields.flag("use_qk_norm")
    if family == "olmoe":
        out["clip_qkv"] = fields.number("clip_qkv", 0.0)
    if family == "gpt_oss":
        # Two fields that say again what others say.
        fields.only("experts_per_token", out["experts_per_token"], family)
        fields.get("initial_context_length")
        out["swiglu_limit"] = fields.number("swiglu_limit", 7.0)
        out["swiglu_alpha"] = fields.number("swiglu_alpha", 1.702)
    if family in _FIRST_DENSE:
        out |= _grouped(fields, family, out["expert_ffn"])
    return out


def _grouped(fields: ConfigFields, family: Family, width: int) -> dict[str, Any]:
    fields.only("scoring_func", FAMILIES[family].traits.router_score, family)
    fields.only("moe_layer_freq", 1, family)
    method = fields.get("topk_method")
    known = ("greedy", "group_limited_greedy") if family == "deepseek_v2" else (None, "noaux_tc")
    if method not in known:
        raise ArtifactError(
            f"config.json: topk_method = {method!r} is not supported in {family}, only {' or '.join(map(repr, known))}"
        )
    groups, kept = fields.integer("n_group", default=1), fields.integer("topk_group", default=1)
    if method == "greedy":
        groups = kept = 1
    return {
        "shared_ffn": fields.integer("n_shared_experts", default=0) * width,
        "dense_layers": tuple(range(fields.integer("first_k_dense_replace", default=0))),
        "expert_groups": groups,
        "groups_per_token": kept,
        "router_scale": fields.number("routed_scaling_factor", 1.0),
        # Of several only the first is used; published models have one.
        "next_layers": min(1, fields.integer("num_nextn_predict_layers", default=0)),
    }


def read_latent(fields: ConfigFields, scaling: RopeScaling | None) -> dict[str, Any]:
    """Multi-head latent attention: its widths, and what scores are multiplied by."""
    widths = {
        "q_rank": fields.integer("q_lora_rank", default=0),
        "kv_rank": fields.integer("kv_lora_rank"),
        "nope": fields.integer("qk_nope_head_dim"),
        "rope": fields.integer("qk_rope_head_dim"),
        "value": fields.integer("v_head_dim"),
    }
    try:
        shape = LatentShape(**widths, interleaved=fields.flag("rope_interleave", True))
    except ValueError as error:
        raise ArtifactError(f"config.json: {error}") from error
    for name, only in (("head_dim", shape.rope), ("qk_head_dim", shape.nope + shape.rope)):
        if (got := fields.get(name, only)) != only:
            raise ArtifactError(f"config.json: {name} is {got!r}, but the widths of the heads say {only}")
    stretch = 1.0 if scaling is None else scaling.score_factor
    return {"latent": shape, "query_scale": (shape.nope + shape.rope) ** -0.5 * stretch}


def write_experts(config: ModelConfig) -> dict[str, Any]:
    family = config.family
    out: dict[str, Any] = {
        _COUNT.get(family, "num_experts"): config.experts,
        "num_experts_per_tok": config.experts_per_token,
        "router_aux_loss_coef": config.balance_coef,
        "output_router_logits": False,
    }
    if family not in _ALL_SPARSE:
        out["moe_intermediate_size"] = config.expert_ffn
    if family not in ("mixtral", "gpt_oss"):
        out["norm_topk_prob"] = config.norm_topk
    if family in ("qwen2_moe", "qwen3_moe"):
        out |= {"decoder_sparse_step": config.sparse_step, "mlp_only_layers": list(config.dense_layers)}
    if family == "qwen2_moe":
        out |= {"shared_expert_intermediate_size": config.shared_ffn, "qkv_bias": True}
    if family == "glm4_moe":
        out["use_qk_norm"] = config.qk_norms
    if family == "olmoe":
        out["clip_qkv"] = config.clip_qkv or None
    if family == "gpt_oss":
        out |= {"swiglu_limit": config.swiglu_limit, "swiglu_alpha": config.swiglu_alpha}
    if family in _FIRST_DENSE:
        out |= {
            "n_shared_experts": config.shared_ffn // config.expert_ffn,
            "first_k_dense_replace": len(config.dense_layers),
            "n_group": config.expert_groups,
            "topk_group": config.groups_per_token,
            "routed_scaling_factor": config.router_scale,
            "num_nextn_predict_layers": config.next_layers,
        }
        grouped = "group_limited_greedy" if config.expert_groups > 1 else "greedy"
        out["topk_method"] = grouped if family == "deepseek_v2" else "noaux_tc"
        out["scoring_func"] = config.traits.router_score
    if (shape := config.latent) is not None:
        out |= {
            "q_lora_rank": shape.q_rank or None,
            "kv_lora_rank": shape.kv_rank,
            "qk_nope_head_dim": shape.nope,
            "qk_rope_head_dim": shape.rope,
            "v_head_dim": shape.value,
            "rope_interleave": shape.interleaved,
        }
    return out
