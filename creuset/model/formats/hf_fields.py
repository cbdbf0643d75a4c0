"""Reading a config.json so that nothing in it is ignored: who asks for a field notes that it was understood.

Fields that nobody asked for and that are not known to be harmless are refused by name at the end: they could change
what the model computes.
"""

from typing import Any

from creuset.core.errors import ArtifactError

# Fields of transformers that say nothing of the computation: names, training, generation, classes of a classifier.
HARMLESS = frozenset({
    "architectures", "model_type", "transformers_version", "torch_dtype", "dtype", "use_cache", "auto_map",
    "initializer_range", "bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id",
    "decoder_start_token_id", "forced_eos_token_id", "attention_dropout", "hidden_dropout", "embd_pdrop",
    "resid_pdrop", "attn_pdrop", "dropout", "classifier_dropout", "hidden_dropout_prob", "pretraining_tp",
    "output_router_logits", "output_attentions", "output_hidden_states", "return_dict",
    "return_dict_in_generate", "router_aux_loss_coef", "router_jitter_noise", "aux_loss_alpha", "seq_aux",
    "cache_implementation", "torchscript", "chunk_size_feed_forward", "id2label", "label2id", "num_labels",
    "problem_type", "finetuning_task", "task_specific_params", "prefix", "tokenizer_class", "max_length",
    "min_length", "do_sample", "temperature", "top_k", "top_p", "typical_p", "num_beams", "num_beam_groups",
    "diversity_penalty", "repetition_penalty", "length_penalty", "no_repeat_ngram_size",
    "encoder_no_repeat_ngram_size", "bad_words_ids", "num_return_sequences", "output_scores", "early_stopping",
    "exponential_decay_length_penalty", "suppress_tokens", "begin_suppress_tokens", "remove_invalid_values",
    "is_llama_config", "transformers.js_config", "unsloth_fixed", "unsloth_version", "ep_size",
    "forced_bos_token_id", "unk_token_id", "mask_token_id", "cls_token_id", "max_new_tokens",
    "attn_implementation", "gradient_checkpointing", "max_sequence_length", "model_max_length", "name_or_path",
    "license", "tokenizer_version",
})  # fmt: skip
# Switches that some exporters write, at the only value that changes nothing here.
EXPECTED = {
    "rope_interleaved": False, "full_attn_mod": 1, "interpolate_factor": 1, "post_norm": False,
    "finetuned": True, "extrapolation_factor": 1, "attn_factor": 1,  # of the first models with YaRN
}  # fmt: skip


class ConfigFields:
    def __init__(
        self, found: dict[str, Any], defaults: dict[str, Any] | None = None, where: str = "config.json"
    ) -> None:
        self.found, self.defaults, self.where = found, defaults or {}, where
        self._asked: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self.found

    def get(self, name: str, default: Any = None) -> Any:
        """The value, the family's default where the field is missing, `default` where that is None as well."""
        self._asked.add(name)
        value = self.found.get(name, self.defaults.get(name))
        return default if value is None else value

    def integer(self, *names: str, default: int | None = None) -> int:
        """The first of `names` that is there."""
        for name in names:
            if isinstance(value := self.get(name, default), int) and not isinstance(value, bool):
                return value
        raise self.wrong(names[0], "is missing or not a whole number")

    def number(self, name: str, default: float | None = None) -> float:
        if isinstance(value := self.get(name, default), int | float) and not isinstance(value, bool):
            return float(value)
        raise self.wrong(name, "is missing or not a number")

    def flag(self, name: str, default: bool = False) -> bool:
        if isinstance(value := self.get(name, default), bool):
            return value
        raise self.wrong(name, "is neither true nor false")

    def only(self, name: str, value: Any, family: str) -> None:
        """Refuse the field when it is there with another value."""
        if (got := self.get(name, value)) != value:
            raise ArtifactError(f"{self.where}: {name} = {got!r} is not supported in {family}, only {value!r}")

    def wrong(self, name: str, why: str) -> ArtifactError:
        return ArtifactError(f"{self.where}: `{name}` {why}, got {self.found.get(name)!r}")

    def refuse_the_rest(self, family: str) -> None:
        """ConfigFields that nobody understood, unless they are empty, switched off or known to change nothing."""
        for name, value in self.found.items():
            if name in self._asked or name in HARMLESS or name.startswith("_") or not value:
                continue
            if EXPECTED.get(name, self) != value:
                raise ArtifactError(
                    f"{self.where}: {name} = {value!r} is not known for {family}: it may change what is computed",
                    hint="where it changes nothing, remove the field",
                )
