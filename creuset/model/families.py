"""The families of models that run here: a table. No torch here.

One block serves them all (model/transformer.py). What a family does differently has a name in `Traits`; what one model
of a family does differently is a field of `ModelConfig`. A new family is a row below, and code only for what is
really new in it.

`files` says how the family names its tensors where that is not Llama's way: (pattern, replacement) pairs from our name
to the file's. `fused` names tensors of the file that hold several of ours, one after the other.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

RouterScore = Literal["softmax", "sigmoid"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Traits:
    """What every model of a family has in common. The defaults are Llama's."""

    norm: Literal["pre", "post", "both"] = "pre"  # norms before attention and feed-forward layer, after them, or both
    norm_offset: float = 0.0  # norms multiply by `weight + norm_offset`: Gemma's weights are stored minus 1
    output_bias: bool = True  # where config.json has attention_bias, the output projection has one too
    qkv_bias: bool = False  # biases on query, key and value projections whatever config.json says
    qk_norm: Literal["none", "head", "width"] = "none"  # of queries and keys, head by head or all heads together
    activation: Literal["silu", "gelu_tanh", "xielu"] = "silu"
    gated: bool = True  # down(act(gate x) * up x); without: down(act(up x))
    scaled_embedding: bool = False  # embeddings are multiplied by sqrt(hidden)
    sinks: bool = False  # attention may look at nothing: a learned logit a head joins the softmax (gpt-oss)
    moe: bool = False
    shared_expert: Literal["none", "gated", "plain"] = "none"
    router_score: RouterScore = "softmax"
    correction_bias: bool = False  # a bias moves the choice of experts, not their weights (DeepSeek-V3)
    latent: bool = False  # multi-head latent attention (DeepSeek)
    clamped_experts: bool = False  # gpt-oss's activation, and biases in experts and router


@dataclass(frozen=True, kw_only=True, slots=True)
class FamilyRow:
    architecture: str  # Hugging Face's class
    about: str  # published models of this shape
    traits: Traits = Traits()
    # Which layers have the sliding window that config.json may speak of: all, those from `max_window_layers` up, or
    # all but every `pattern`-th one. In "off" it may only say that it is switched off.
    windows: Literal["none", "off", "all", "upper", "pattern"] = "none"
    pattern: int = 0
    model_type: str = ""  # Hugging Face's, where it is not the family's name
    defaults: dict[str, Any] = field(default_factory=dict)  # what a field of config.json is when it is not there
    files: tuple[tuple[str, str], ...] = ()
    fused: dict[str, tuple[str, ...]] = field(default_factory=dict)


_GEMMA = Traits(norm="both", norm_offset=1.0, activation="gelu_tanh", scaled_embedding=True)
_GEMMA_SHAPE = {"head_dim": 256, "query_pre_attn_scalar": 256, "sliding_window": 4096, "tie_word_embeddings": True}
_SWITCH = {"sliding_window": 4096, "max_window_layers": 28}

_SHARED = ((r"\.shared_expert\.", ".shared_experts."),)

Family = Literal[
    "llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3_text", "phi3", "olmo2", "olmo3", "apertus",
    "qwen2_moe", "qwen3_moe", "mixtral", "olmoe", "deepseek_v2", "deepseek_v3", "glm4_moe",
    "gpt_oss",
]  # fmt: skip

FAMILIES: dict[Family, FamilyRow] = {
    "llama": FamilyRow(architecture="LlamaForCausalLM", about="Llama 2, 3, 3.1 and 3.2; SmolLM2, EuroLLM"),
    "mistral": FamilyRow(
        architecture="MistralForCausalLM",
        about="Mistral",
        windows="all",
        defaults={"num_key_value_heads": 8, "sliding_window": 4096},
    ),
    "qwen2": FamilyRow(
        architecture="Qwen2ForCausalLM",
        about="Qwen 2 and 2.5",
        traits=Traits(qkv_bias=True),
        windows="upper",
        defaults=_SWITCH,
    ),
    "qwen3": FamilyRow(
        architecture="Qwen3ForCausalLM",
        about="Qwen 3",
        traits=Traits(qk_norm="head"),
        windows="upper",
        defaults=_SWITCH | {"head_dim": 128},
    ),
    "gemma2": FamilyRow(
        architecture="Gemma2ForCausalLM",
        about="Gemma 2",
        traits=_GEMMA,
        windows="pattern",
        pattern=2,
        defaults=_GEMMA_SHAPE | {"attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0},
    ),
    "gemma3_text": FamilyRow(
        architecture="Gemma3ForCausalLM",
        about="Gemma 3",
        traits=replace(_GEMMA, qk_norm="head"),
        windows="pattern",
        pattern=6,
        defaults=_GEMMA_SHAPE
        | {
            "rope_theta": 1_000_000.0,
            "rope_local_base_freq": 10_000.0,
            "vocab_size": 262_208,
            "num_attention_heads": 8,
            "num_key_value_heads": 4,
            "max_position_embeddings": 131_072,
        },
    ),
    "phi3": FamilyRow(
        architecture="Phi3ForCausalLM",
        about="Phi 3, 3.5 and 4",
        windows="all",
        defaults={"rms_norm_eps": 1e-5, "original_max_position_embeddings": 4096},
        fused={
            "self_attn.qkv_proj": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
            "mlp.gate_up_proj": ("mlp.gate_proj", "mlp.up_proj"),
        },
    ),
    "olmo2": FamilyRow(
        architecture="Olmo2ForCausalLM",
        about="OLMo 2",
        traits=Traits(norm="post", qk_norm="width"),
        defaults={"rms_norm_eps": 1e-5},
    ),
    "olmo3": FamilyRow(
        architecture="Olmo3ForCausalLM",
        about="OLMo 3",
        traits=Traits(norm="post", qk_norm="width"),
        windows="pattern",
        pattern=4,
        defaults={
            "rms_norm_eps": 1e-5,
            "sliding_window": 4096,
            "rope_theta": 500_000.0,
            "rope_local_base_freq": 500_000.0,
        },
    ),
    "apertus": FamilyRow(
        architecture="ApertusForCausalLM",
        about="Apertus",
        traits=Traits(qk_norm="head", activation="xielu", gated=False),
        defaults={
            "rms_norm_eps": 1e-5,
            "rope_theta": 12_000_000.0,
            "rope_scaling": {
                "rope_type": "llama3",
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 8192,
            },
        },
        files=(
            (r"\.input_layernorm\.", ".attention_layernorm."),
            (r"\.post_attention_layernorm\.", ".feedforward_layernorm."),
        ),
    ),
    "qwen2_moe": FamilyRow(
        architecture="Qwen2MoeForCausalLM",
        about="Qwen 1.5 and 2 MoE",
        traits=Traits(qkv_bias=True, moe=True, shared_expert="gated"),
        windows="off",
    ),
    "qwen3_moe": FamilyRow(
        architecture="Qwen3MoeForCausalLM",
        about="Qwen 3 MoE; our own",
        traits=Traits(qk_norm="head", moe=True),
        windows="off",
    ),
    "mixtral": FamilyRow(
        architecture="MixtralForCausalLM",
        about="Mixtral 8x7B and 8x22B",
        traits=Traits(moe=True),
        windows="all",
        defaults={
            "num_key_value_heads": 8,
            "num_local_experts": 8,
            "num_experts_per_tok": 2,
            "rope_theta": 1e6,
            "rms_norm_eps": 1e-5,
        },
        files=(
            (r"\.mlp\.", ".block_sparse_moe."),
            (r"\.gate_proj\.", ".w1."),
            (r"\.down_proj\.", ".w2."),
            (r"\.up_proj\.", ".w3."),
        ),
    ),
    "olmoe": FamilyRow(
        architecture="OlmoeForCausalLM",
        about="OLMoE",
        traits=Traits(qk_norm="width", moe=True),
        defaults={"num_experts": 64, "num_experts_per_tok": 8, "rms_norm_eps": 1e-5},
    ),
    "deepseek_v2": FamilyRow(
        architecture="DeepseekV2ForCausalLM",
        about="DeepSeek-V2 and V2-Lite",
        traits=Traits(moe=True, shared_expert="plain", latent=True),
        files=_SHARED,
    ),
    "deepseek_v3": FamilyRow(
        architecture="DeepseekV3ForCausalLM",
        about="DeepSeek-V3, V3.1 and R1",
        traits=Traits(moe=True, shared_expert="plain", router_score="sigmoid", correction_bias=True, latent=True),
        defaults={"norm_topk_prob": True},
        files=_SHARED,
    ),
    "glm4_moe": FamilyRow(
        architecture="Glm4MoeForCausalLM",
        about="GLM 4.5, 4.5-Air, 4.6 and 4.7",
        traits=Traits(
            qk_norm="head",
            output_bias=False,
            moe=True,
            shared_expert="plain",
            router_score="sigmoid",
            correction_bias=True,
        ),
        defaults={"norm_topk_prob": True, "partial_rotary_factor": 0.5, "rms_norm_eps": 1e-5},
        files=_SHARED,
    ),
    "gpt_oss": FamilyRow(
        architecture="GptOssForCausalLM",
        about="gpt-oss 20B and 120B",
        traits=Traits(sinks=True, moe=True, clamped_experts=True),
        windows="pattern",
        pattern=2,
        defaults={
            "attention_bias": True,
            "sliding_window": 128,
            "head_dim": 64,
            "rope_theta": 150000.0,
            "rms_norm_eps": 1e-5,
            "rope_scaling": {
                "rope_type": "yarn",
                "factor": 32.0,
                "original_max_position_embeddings": 4096,
                "truncate": False,
            },
        },
        files=((r"\.mlp\.gate\.", ".mlp.router."),),
    ),
}


def family_of(model_type: object) -> Family | None:
    """The family that a config.json with this `model_type` belongs to; None when it does not run here."""
    return next((name for name, row in FAMILIES.items() if (row.model_type or name) == model_type), None)
