"""What the mark costs a reader, without the noise of sampling: the expected surprise of each next token.

In the contexts of the marked texts, let p be the model's distribution, p_T the one that is sampled from at temperature
T, and q_T the same with the mark. The cost of a token is E_q[-ln p] - E_p_T[-ln p]; exp of its mean is a ratio of
perplexities. To compare sampled texts would say the same with far wider intervals: two that begin alike soon differ.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from creuset.evals.clients.weights import Continuation, Watermark, Weights

Floats = NDArray[np.float64]


def expected(logs_TV: Floats, bias_TV: Floats, temperature: float) -> Floats:
    """(T) nats that the mark adds to each token on average; `logs_TV` are ln p, up to a constant in each row."""
    logs_TV = logs_TV - _log_sum(logs_TV)
    if temperature == 0:
        rows = np.arange(len(logs_TV))
        found: Floats = logs_TV.max(axis=1) - logs_TV[rows, (logs_TV + bias_TV).argmax(axis=1)]
        return found
    plain, marked = ((logs_TV + add) / temperature for add in (np.zeros_like(bias_TV), bias_TV))
    shares = np.exp(plain - _log_sum(plain)) - np.exp(marked - _log_sum(marked))
    # A token of no probability has no weight either: 0 times minus infinity is nothing.
    spent: Floats = (shares * np.where(shares == 0, 0.0, logs_TV)).sum(axis=1)
    return spent


def _log_sum(rows: Floats) -> Floats:
    most = rows.max(axis=1, keepdims=True)
    found: Floats = most + np.log(np.exp(rows - most).sum(axis=1, keepdims=True))
    return found


def read(
    weights: Weights, prompts: Sequence[list[int]], said: Sequence[Continuation], mark: Watermark, *,
    temperature: float, progress: Callable[[int], None] = lambda done: None,
) -> list[float]:  # fmt: skip
    """Mean cost of each text, in nats a token."""
    found = []
    for prompt, one in zip(prompts, said, strict=True):
        whole = [*prompt, *one.ids]
        logs_TV = weights.last_rows(whole[:-1], len(one.ids))
        size = logs_TV.shape[1]
        bias_TV = np.stack([mark.bias(whole[:at], size) for at in range(len(prompt), len(whole))]).astype(np.float64)
        found.append(float(expected(logs_TV, bias_TV, temperature).mean()))
        progress(1)
    return found
