"""A GGUF file's metadata -> the config.json, end ids and sampling that a Hugging Face folder would have. No torch here.

llama.cpp keeps a model's shape under keys that begin with its architecture (`qwen3moe.block_count`). Here they become
Hugging Face's names, and hf_config.py reads those as it reads any config.json: a family is described once.

Reading order: `config_json`, `end_ids`. What single architectures add is in families.py.
"""

from collections.abc import Mapping
from typing import Any

from creuset.core.errors import ArtifactError
from creuset.core.gguf import GgufFile
from creuset.model.formats.gguf.families import MORE, ArchKeys, model_type_of, shortest
from creuset.model.formats.gguf.rope import llama3_scaling

# Tokens that end an answer besides `eos`: end of turn, end of message.
END_KEYS = ("eos_token_id", "eot_token_id", "eom_token_id")
ENDS = (
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<end_of_turn>", "<|endoftext|>", "<|eom_id|>",
    "<|end_of_text|>", "<｜end▁of▁sentence｜>",
)  # fmt: skip
CONTROL = 3  # the type of control tokens


def config_json(file: GgufFile) -> dict[str, Any]:
    """What config.json would say of the model. ArtifactError names the key that is missing or cannot be told."""
    keys = ArchKeys(file)
    model_type = model_type_of(keys)
    heads, hidden = keys.number("attention.head_count"), keys.number("embedding_length")
    if "token_embd.weight" not in file.tensors:
        raise ArtifactError(f"`{file.path}`: tensor `token_embd.weight` is missing")
    found: dict[str, Any] = {
        "model_type": model_type,
        "vocab_size": file.tensors["token_embd.weight"].shape[0],
        "hidden_size": hidden,
        "num_hidden_layers": keys.number("block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": keys.number("attention.head_count_kv", heads),
        "head_dim": keys.number("attention.key_length", hidden // heads),
        "intermediate_size": keys.number("feed_forward_length", keys.number("expert_feed_forward_length", 0)),
        "max_position_embeddings": keys.number("context_length"),
        "rms_norm_eps": shortest(keys.get("attention.layer_norm_rms_epsilon", 1e-6)),
        "rope_theta": shortest(float(keys.get("rope.freq_base", 10_000.0))),
        "tie_word_embeddings": not keys.has("output.weight"),
        "hidden_act": "silu",
        "torch_dtype": "float32",
    }
    found["rope_scaling"] = _scaling(keys, found["rope_theta"], found["head_dim"])
    if keys.arch in ("llama", "qwen3", "qwen3moe"):
        found["attention_bias"] = keys.has("blk.0.attn_q.bias")
    if keys.arch == "llama":
        found["mlp_bias"] = keys.has("blk.0.ffn_down.bias")
    if more := MORE.get(model_type):
        found |= more(keys, found)
    return found


def _scaling(keys: ArchKeys, theta: float, width: int) -> dict[str, Any] | None:
    """`rope_scaling`, from the keys; Llama 3's from the divisors among the tensors."""
    kind = keys.get("rope.scaling.type", "none")
    if keys.has("rope_freqs.weight") and keys.arch == "llama":
        divisors = keys.file.raw("rope_freqs.weight").view("<f4")
        if (divisors == 1).all():
            return None
        found = llama3_scaling(divisors.tolist(), theta, keys.number("rope.dimension_count", width))
        if found is None or kind != "none":
            raise ArtifactError(f"`{keys.file.path}`: the divisors in `rope_freqs.weight` are not those of Llama 3")
        return found
    factor = keys.get("rope.scaling.factor")
    if kind in ("none", "longrope") or factor in (None, 0.0):  # LongRoPE is a family's own
        return None
    if kind == "linear":
        return {"rope_type": "linear", "factor": shortest(factor)}
    if kind != "yarn":
        raise ArtifactError(f"`{keys.file.path}`: {keys.arch}.rope.scaling.type `{kind}` is not supported")
    found = {"rope_type": "yarn", "factor": shortest(factor)}
    for name, key in YARN.items():
        if (value := keys.get(f"rope.scaling.{key}")) is not None:
            found[name] = shortest(value)
    return found


YARN = {
    "original_max_position_embeddings": "original_context_length",
    "beta_fast": "yarn_beta_fast",
    "beta_slow": "yarn_beta_slow",
    "attention_factor": "yarn_attn_factor",
}


def end_ids(metadata: Mapping[str, Any]) -> set[int]:
    """Ids of the tokens that end an answer: those the file names, and those whose text says it.

    Most files name one id, where generation_config.json has two or three; llama.cpp goes by the text too.
    """
    found = {metadata.get(f"tokenizer.ggml.{key}") for key in END_KEYS}
    tokens, types = metadata.get("tokenizer.ggml.tokens") or [], metadata.get("tokenizer.ggml.token_type") or []
    texts = {text: id for id, (text, kind) in enumerate(zip(tokens, types, strict=False)) if kind == CONTROL}
    found |= {texts[text] for text in ENDS if text in texts}
    if "<|return|>" in texts and "<|call|>" in texts:  # in gpt-oss <|end|> ends a message, not the answer
        found.discard(texts.get("<|end|>"))
    return {id for id in found if type(id) is int}


def sampling(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The sampling that the file recommends, under the names of generation_config.json."""
    names = {"temp": "temperature", "top_p": "top_p", "top_k": "top_k", "min_p": "min_p"}
    found = {ours: metadata.get(f"general.sampling.{theirs}") for theirs, ours in names.items()}
    return {name: shortest(value) for name, value in found.items() if value is not None}
