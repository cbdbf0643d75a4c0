"""What the model writes while it is trained: greedy text after the prompts of the settings.

The weights are those of the run at that step. There is no cache: prompts and samples are short.
"""

from collections.abc import Sequence

import torch

from creuset.model.attention import Packed
from creuset.model.transformer import Transformer
from creuset.text.tokenizer import Tokenizer


@torch.inference_mode()
def sample(model: Transformer, tokenizer: Tokenizer, prompts: Sequence[str], *, tokens: int) -> list[dict[str, str]]:
    """`[{"prompt", "text"}]`: at most `tokens` after each prompt, and never beyond the model's context."""
    device = next(model.parameters()).device
    head = model.model.embed_tokens.weight if model.lm_head is None else model.lm_head.weight
    found = []
    for prompt in prompts:
        ids = list(tokenizer.encode(prompt))
        start = len(ids)
        while ids and len(ids) - start < tokens and len(ids) < model.config.context:
            at_T = torch.tensor(ids, device=device)
            hidden_TC = model(at_T, torch.arange(len(ids), device=device), Packed((len(ids),)))
            ids.append(int((hidden_TC[-1:] @ head.T).argmax()))
        found.append({"prompt": prompt, "text": tokenizer.decode(ids[start:])})
    return found
