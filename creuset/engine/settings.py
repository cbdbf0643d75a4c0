"""Settings of the engine: how much memory, how many at once. No torch here."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineSettings:
    block_size: int = 16  # tokens a block of the key-value cache
    kv_tokens: int = 0  # tokens the cache holds; 0: `max_running` full contexts, within `kv_mib`
    kv_mib: int = 0  # at most, when `kv_tokens` is 0; 0: half of the memory that is free once the weights are loaded
    context: int = 0  # longest sequence, tokens; 0: the model's own. Longer ones are reached by YaRN (model/context.py)
    max_batch_tokens: int = 512  # tokens a forward pass; longer prompts are read in chunks
    max_running: int = 32  # requests in a batch; others wait
    prefix_cache: bool = True
    lora: str = ""  # the folder of an adapter in PEFT's layout, which is added to the weights
    adapters: tuple[str, ...] = ()  # folders of others, which requests choose by their number from 1 on
    # Who guesses tokens that are then verified together (engine/speculation.py). Answers are the same with all.
    speculation: Literal["auto", "off", "model", "lookup"] = "auto"  # auto: the model's own layer, where it has one
    draft: str = ""  # a smaller model with the same tokens that guesses (engine/draft_model.py): its folder
    draft_tokens: int = 7  # guessed ahead by `lookup` and by a draft model, at most; the model's own layer guesses one
    dtype: Literal["auto", "fp32", "bf16"] = "auto"  # auto: weights as they are stored (docs/guides/serve.md)
    quant: Literal["", "q8", "q4"] = ""  # weights that are plain numbers are rounded to such codes; native core only
    # Who computes: auto is the native core where it was built and knows the family, on a CPU; else torch.
    backend: Literal["auto", "native", "torch"] = "auto"
    threads: int = 0  # 0: chosen for the model
    seed: int | None = None  # for requests that bring none; None: the system's

    def __post_init__(self) -> None:
        if self.block_size not in (1, 2, 4, 8, 16, 32, 64):
            # Attention reads context in multiples of 128 tokens, which must be whole blocks.
            raise ValueError(f"block_size must be a power of two up to 64, got {self.block_size}")
        if self.dtype not in ("auto", "fp32", "bf16"):
            raise ValueError(f"dtype must be auto, fp32 or bf16, got {self.dtype}")
        if self.quant not in ("", "q8", "q4") or (self.quant and self.dtype == "fp32"):
            raise ValueError(
                f"quant must be q8 or q4, beside another dtype than fp32; got {self.quant} in {self.dtype}"
            )
        if self.backend not in ("auto", "native", "torch"):
            raise ValueError(f"backend must be auto, native or torch, got {self.backend}")
        if self.speculation not in ("auto", "off", "model", "lookup"):
            raise ValueError(f"speculation must be auto, off, model or lookup, got {self.speculation}")
        if self.draft and self.speculation == "off":
            raise ValueError(f"a draft model (`{self.draft}`) and speculation `off` exclude each other")
        if self.draft_tokens < 1:
            raise ValueError(f"draft_tokens must be positive, got {self.draft_tokens}")
        for name in ("max_batch_tokens", "max_running"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        for name in ("kv_tokens", "kv_mib", "context", "threads"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if self.max_running > self.max_batch_tokens:
            raise ValueError(
                f"max_running ({self.max_running}) must not exceed max_batch_tokens ({self.max_batch_tokens}): "
                "each running request decodes one token a step"
            )
