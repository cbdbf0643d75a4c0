"""Another context than a model's own: shorter as asked, longer by YaRN. No torch here."""

from dataclasses import replace

from creuset.core.errors import ConfigError
from creuset.model.config import ModelConfig
from creuset.model.rope_scaling import yarn


def stretching(config: ModelConfig, context: int) -> str:
    """A sentence where the context is reached by stretching, with the numbers; "" where it is not."""
    own, wanted = config.context, with_context(config, context)
    if wanted.context > own and config.rope_scaling is not None:
        return (
            f"config.json states {own} tokens from before its own YaRN, whose factor is "
            f"{config.rope_scaling.factor:.3g}: the context is {wanted.context}; every text is computed with it"
        )
    if config.rope_scaling == wanted.rope_scaling or wanted.rope_scaling is None:
        return ""
    return (
        f"the model's own context is {own} tokens: YaRN stretches it {wanted.rope_scaling.factor:.3g} times, to "
        f"{wanted.context}; every text is computed with it, which costs some quality, the more the further"
    )


def with_context(config: ModelConfig, context: int) -> ModelConfig:
    """`config` for sequences of up to `context` tokens; for 0 its own, which a YaRN in the file may have stretched.

    A longer context than the model's own is reached by YaRN (arXiv:2309.00071), as Qwen documents it for its models:
    factor = wanted / own context, with the other values of the paper. YaRN is static, so short texts are computed
    with it too, at a small cost in quality: ask for no more than is needed. Raises ConfigError where a model cannot be
    stretched: it has a scaling of its own, or layers with a sliding window.
    """
    if context < 0:
        raise ConfigError(f"the context must be positive, got {context} tokens")
    own, scaling = config.context, config.rope_scaling
    if scaling is not None and scaling.kind == "yarn":
        # Qwen's files may state the context from before the stretching, and the factor beside it.
        own = max(own, int(scaling.factor * scaling.original_context))
        if context == 0 and config.context == scaling.original_context:
            context = own
    if context == 0 or context <= own:
        return replace(config, context=context or config.context)
    if scaling is not None:
        raise ConfigError(
            f"a context of {context} tokens cannot be had: the model has the rope scaling `{scaling.kind}` of its own, "
            f"which reaches {own} tokens"
        )
    if config.window:
        raise ConfigError(
            f"a context of {context} tokens cannot be had: the model has layers with a sliding window of "
            f"{config.window} tokens, which YaRN does not stretch; its own context is {own} tokens"
        )
    return replace(config, context=context, rope_scaling=yarn(context / own, own))
