"""transformers' `generate`, eager, greedy. `hugging_face.py MODEL THREADS DTYPE STREAMS CONTEXT`."""

import sys
import warnings
from typing import Any

import torch
import transformers
from protocol import answer, clock


class HuggingFace:
    def __init__(self, model: str, threads: int, dtype: str) -> None:
        torch.set_num_threads(threads)
        warnings.simplefilter("ignore")
        transformers.logging.set_verbosity_error()
        kind = torch.float32 if dtype == "fp32" else torch.bfloat16
        self.model = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=kind).eval()

    def about(self) -> dict[str, Any]:
        return {"version": transformers.__version__, "torch": torch.__version__, "dtype": str(self.model.dtype)}

    def _seconds(self, prompts: list[list[int]], tokens: int) -> float:
        ids = torch.tensor(prompts)
        begun = clock()
        with torch.inference_mode():
            self.model.generate(
                ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=tokens,
                min_new_tokens=tokens, pad_token_id=0,
            )  # fmt: skip
        return clock() - begun

    def decode(self, prompts: list[list[int]], tokens: int) -> tuple[int, float]:
        """All tokens but the first, whose time is that of the same prompts with one token."""
        first = self._seconds(prompts, 1)
        return (tokens - 1) * len(prompts), self._seconds(prompts, tokens) - first

    def prefill(self, prompt: list[int]) -> float:
        return self._seconds([prompt], 1)


if __name__ == "__main__":
    path, threads, dtype, _, _ = sys.argv[1:]
    answer(lambda: HuggingFace(path, int(threads), dtype))
