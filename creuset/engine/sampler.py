"""From logits to a token, one request at a time. NumPy only.

Every row is treated by itself, with its own generator: what a request draws depends on its seed and its
logits, never on its neighbours in the batch. One uniform number is drawn a token, and none when the
temperature is 0.

Shapes: V vocabulary
"""

import bisect
import itertools
import math
import random
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from creuset.core.errors import RequestError
from creuset.engine.backend.base import Logits
from creuset.engine.backend.candidates import likeliest
from creuset.text.watermark import Watermark
from creuset.types.generation import Sampling, TokenLogprob

# Where top_p alone is asked for, the likeliest tokens are tried first: sorting a whole vocabulary costs more
# than everything else here, and is nearly never needed.
_HEAD = 256
_FEW = 8  # of how many tokens one at most is allowed, where the others are left out
_HANDFUL = 16
_SLACK = 1e-6  # by how much a sum that a backend made may be wrong
_ROUNDING = 1e-12  # by how much sums of the same numbers in another order may differ


Ids = TypeVar("Ids", NDArray[np.int64], list[int])


class NotFinite(ArithmeticError):
    """The model gave a NaN or an infinity where a logit should be."""


class Sampler:
    """Chooses the tokens of one request, and remembers what its penalties need."""

    def __init__(
        self,
        sampling: Sampling,
        *,
        prompt: list[int],
        vocab_size: int,
        end_ids: frozenset[int],
        seed: int,
        watermark: Watermark | None = None,
        alone: bool = True,
    ) -> None:
        """`alone`: whether rows of logits have `vocab_size` tokens, and none behind them that are never drawn."""
        self._sampling = sampling
        self._random, self._vocab = random.Random(seed), vocab_size
        self._alone = alone
        self._emitted = 0
        held = sorted(end_ids | set(sampling.stop_ids)) if sampling.min_tokens else []
        self._held = np.array([token for token in held if token < vocab_size], dtype=np.int64)
        bias = {token: value for token, value in sampling.logit_bias.items() if token < vocab_size}
        self._bias_ids = np.array(list(bias), dtype=np.int64)
        self._bias = np.array(list(bias.values()), dtype=np.float32)
        counts = bool(sampling.frequency_penalty or sampling.presence_penalty)
        self._counts_V = np.zeros(vocab_size, dtype=np.float32) if counts else None
        self._seen_V = np.zeros(vocab_size, dtype=bool) if sampling.repetition_penalty != 1.0 else None
        if self._seen_V is not None:
            self._seen_V[[token for token in prompt if token < vocab_size]] = True
        marks = watermark is not None and (sampling.temperature > 0 or watermark.greedy)
        self._watermark = watermark if marks else None
        # What the mark of the next token depends on: the last tokens of this request, and nothing else.
        self._recent = prompt[-watermark.width :] if watermark is not None and marks else []
        self._only_V = None if sampling.allowed_ids is None else np.zeros(vocab_size, dtype=bool)
        if self._only_V is not None:
            self._only_V[[token for token in sampling.allowed_ids or () if token < vocab_size]] = True
        self._past: list[int] = []  # the answer, as far as `bad_words` have to look back
        # What the last token was drawn from, where that is asked for: ids (None: all), and a weight for each.
        self._drawn: tuple[NDArray[np.int64] | None, NDArray[np.float64]] | None = None

    def choose(self, logits_V: Logits, allowed_V: NDArray[np.bool_] | None = None) -> int:
        """The next token, out of `allowed_V` where that is given; `logits_V` is not changed.

        Raises NotFinite, and RequestError where what is allowed leaves no token.
        """
        sampling, given_V = self._sampling, logits_V
        if not math.isfinite(logits_V.max()):  # the maximum of a row with a NaN is a NaN
            raise NotFinite("the model's logits are not finite")
        logits_V, ids_V = self._adjusted(logits_V), None
        if allowed_V is not None:
            if np.count_nonzero(allowed_V) * _FEW <= len(allowed_V):  # mostly: the others are left out
                ids_V = allowed_V.nonzero()[0]
                logits_V = logits_V[ids_V]
            else:
                logits_V = np.where(allowed_V, logits_V, np.float32(-np.inf))
        if logits_V is not given_V and not (len(logits_V) and math.isfinite(logits_V.max())):
            raise RequestError("no token is left: min_tokens, allowed_token_ids, bad_words and the form of the answer "
                               "exclude all of them together")  # fmt: skip
        token = self._best(logits_V) if sampling.temperature == 0 else self._draw(logits_V)
        if ids_V is not None:
            token = int(ids_V[token])
            if self._drawn is not None:
                ids, weights = self._drawn
                self._drawn = ids_V if ids is None else ids_V[ids], weights
        self._emitted += 1
        if self._counts_V is not None:
            self._counts_V[token] += 1
        if self._seen_V is not None:
            self._seen_V[token] = True
        if self._watermark is not None:
            self._recent = [*self._recent, token][-self._watermark.width :]
        if sampling.bad_words:
            self._past.append(token)
        return token

    @property
    def uncut(self) -> bool:
        """Whether a token may be drawn first and drawn again where it is forbidden: this gives the same distribution as
        drawing among what is allowed, so long as nothing else is left out."""
        sampling = self._sampling
        return self._plain and (
            sampling.temperature == 0 or (sampling.top_p >= 1 and not sampling.min_p + sampling.top_k)
        )

    @property
    def _plain(self) -> bool:
        """Whether tokens are chosen by the model's own logits, and none is told with its likelihood."""
        sampling = self._sampling
        changed = self._counts_V is not None or self._seen_V is not None or len(self._bias_ids) or len(self._held)
        marked = self._watermark is not None or self._only_V is not None or sampling.bad_words
        return not (changed or marked) and sampling.logprobs is None

    @property
    def enough(self) -> int:
        """How many of the likeliest tokens `pick` mostly needs. 0: all of them, since each token's logit is changed, or
        counts."""
        sampling = self._sampling
        if not self._plain or self._vocab <= _HEAD:
            return 0
        if sampling.temperature == 0:
            return 1
        if sampling.top_k:
            return sampling.top_k if sampling.top_k <= _HEAD else 0
        return _HEAD if sampling.top_p < 1 or sampling.min_p else 0

    def pick(self, ids_K: list[int], logits_K: NDArray[np.float32], logsumexp: float) -> int | None:
        """The token that `choose` would choose, told from the K likeliest alone; None where they do not tell: nothing
        was drawn then.

        `logsumexp` is of the whole row. Only where `enough` is not 0, and K at least that. Raises NotFinite.
        """
        sampling, high = self._sampling, float(logits_K[0])
        if not (math.isfinite(high) and math.isfinite(logsumexp)):
            raise NotFinite("the model's logits are not finite")
        if sampling.temperature == 0:
            return ids_K[0]
        if sampling.top_k:
            logits_K = logits_K[: sampling.top_k]
        scaled_K = (logits_K.astype(np.float64) - high) / sampling.temperature
        weights_K = np.exp(scaled_K)
        last, below = float(scaled_K[-1]), False
        if sampling.min_p:
            floor = math.log(sampling.min_p)
            below = last < floor  # and so is whoever is not here
            weights_K[scaled_K < floor] = 0.0
        if sampling.top_k:
            _, weights_K = _nucleus(ids_K, weights_K, float(weights_K.sum()), sampling.top_p)
        elif sampling.top_p < 1:
            held = float(weights_K.sum())
            least, most = (held, held) if below else self._total(weights_K, logits_K, logsumexp, last)
            mass_K = np.cumsum(weights_K)
            kept = int(np.searchsorted(mass_K, sampling.top_p * least * (1 - _ROUNDING))) + 1
            if kept > len(weights_K) or mass_K[kept - 1] < sampling.top_p * most * (1 + _ROUNDING):
                return None
            weights_K = weights_K[:kept]
        elif below:  # a row is drawn from in the order of its ids
            order: list[int] = np.argsort(ids_K).tolist()
            return ids_K[order[self._drawn_from(weights_K[order])]]
        else:
            return None
        return ids_K[self._drawn_from(weights_K)]

    def _total(
        self, weights_K: NDArray[np.float64], logits_K: NDArray[np.float32], logsumexp: float, last: float
    ) -> tuple[float, float]:
        """Between what the weights of all tokens lie: what is not here has what `logsumexp` leaves at most, under
        temperature 1, and each of it weighs no more than the last one that is here."""
        high, held, temperature = float(logits_K[0]), float(weights_K.sum()), self._sampling.temperature
        plain = held if temperature == 1 else float(np.exp(logits_K.astype(np.float64) - high).sum())
        whole = math.exp(logsumexp - high)
        left = max(0.0, whole * (1 + _SLACK) - plain)
        if temperature > 1:
            return held, held + (self._vocab - len(weights_K)) * math.exp(last)
        if temperature == 1 and self._alone and not self._sampling.min_p:
            return max(held, whole * (1 - _SLACK)), held + left
        return held, held + left * math.exp(last * (1 - temperature))

    def _drawn_from(self, weights: NDArray[np.float64]) -> int:
        mass = np.cumsum(weights)
        place = int(np.searchsorted(mass, self._random.random() * mass[-1], side="right"))
        # A token of weight 0 covers no interval, but rounding at the very end could point behind the last one.
        return place if place < len(weights) else int(np.flatnonzero(weights)[-1])

    def _drawn_by_hand(self, logits: list[float]) -> int:
        """What `_draw` does, for so few that NumPy's calls take longer than their sums."""
        high, temperature = max(logits), self._sampling.temperature
        mass = list(itertools.accumulate(math.exp((logit - high) / temperature) for logit in logits))
        place = bisect.bisect_right(mass, self._random.random() * mass[-1])
        return min(place, bisect.bisect_left(mass, mass[-1]))

    def drawn_logprob(self, token: int, alternatives: int) -> TokenLogprob:
        """Of the last token, under the distribution that it was drawn from. Tokens that could not be drawn are left out
        of the alternatives."""
        assert self._drawn is not None, "only where `logprobs_mode` asks for it"
        ids, weights = self._drawn
        logs = np.log(weights / weights.sum(), out=np.full(len(weights), -np.inf), where=weights > 0)
        place = token if ids is None else int(np.flatnonzero(ids == token)[0])
        top = likeliest(logs, min(alternatives, int((weights > 0).sum()))) if alternatives else ()
        named = tuple((int(at if ids is None else ids[at]), float(logs[at])) for at in top)
        return TokenLogprob(token, float(logs[place]), named)

    def _adjusted(self, logits_V: Logits) -> Logits:
        sampling = self._sampling
        hold = len(self._held) and self._emitted < sampling.min_tokens
        plain = self._counts_V is None and self._seen_V is None and not len(self._bias_ids)
        free = self._only_V is None and not sampling.bad_words
        if not hold and plain and free and self._watermark is None:
            return logits_V
        logits_V = logits_V.copy()
        if self._seen_V is not None:
            penalty = sampling.repetition_penalty
            seen = logits_V[self._seen_V]
            logits_V[self._seen_V] = np.where(seen > 0, seen / penalty, seen * penalty)
        if self._counts_V is not None:
            logits_V -= sampling.frequency_penalty * self._counts_V
            logits_V -= sampling.presence_penalty * (self._counts_V > 0)
        logits_V[self._bias_ids] += self._bias
        if self._watermark is not None:
            logits_V += self._watermark.bias(self._recent, len(logits_V))
        if self._only_V is not None:
            logits_V[~self._only_V] = -np.inf
        for word in sampling.bad_words:
            if word[-1] < len(logits_V) and tuple(self._past[len(self._past) - len(word) + 1 :]) == word[:-1]:
                logits_V[word[-1]] = -np.inf
        if hold:
            logits_V[self._held] = -np.inf
        return logits_V

    def _best(self, logits_V: Logits) -> int:
        if self._sampling.logprobs_mode == "processed_logprobs":
            self._drawn = None, np.exp(logits_V.astype(np.float64) - float(logits_V.max()))
        return int(logits_V.argmax())

    def _draw(self, logits_V: Logits) -> int:
        sampling = self._sampling
        cut = sampling.top_p < 1 or sampling.min_p or 0 < sampling.top_k < len(logits_V)
        if len(logits_V) <= _HANDFUL and not cut and sampling.logprobs_mode == "raw_logprobs":
            return self._drawn_by_hand(logits_V.tolist())
        # In fp64: at a low temperature the exponents are large, and the tail of a sum over 150,000 tokens counts.
        scaled_V = logits_V.astype(np.float64)
        scaled_V -= float(logits_V.max())
        scaled_V /= sampling.temperature
        floor = math.log(sampling.min_p) if sampling.min_p else -math.inf
        if 0 < sampling.top_k < len(scaled_V):
            ids = likeliest(scaled_V, sampling.top_k)
            weights = np.exp(scaled_V[ids])
            weights[scaled_V[ids] < floor] = 0.0
            ids, weights = _nucleus(ids, weights, float(weights.sum()), sampling.top_p)
        elif sampling.top_p < 1:
            weights_V = np.exp(scaled_V)
            weights_V[scaled_V < floor] = 0.0
            total = float(weights_V.sum())
            ids = likeliest(scaled_V, min(_HEAD, len(scaled_V)))
            if weights_V[ids].sum() < sampling.top_p * total:
                ids = likeliest(scaled_V, len(scaled_V))
            ids, weights = _nucleus(ids, weights_V[ids], total, sampling.top_p)
        else:
            weights = np.exp(scaled_V)
            if sampling.min_p:
                weights[scaled_V < floor] = 0.0
            ids = None
        if sampling.logprobs_mode == "processed_logprobs":
            self._drawn = ids, weights
        place = self._drawn_from(weights)
        return place if ids is None else int(ids[place])


def _nucleus(ids: Ids, weights: NDArray[np.float64], total: float, top_p: float) -> tuple[Ids, NDArray[np.float64]]:
    """The smallest beginning of `ids` whose share of `total` is at least `top_p` (arXiv:1904.09751)."""
    if top_p >= 1:
        return ids, weights
    kept = int(np.searchsorted(np.cumsum(weights), top_p * total)) + 1
    return ids[:kept], weights[:kept]


def token_logprob(logits_V: Logits, token: int, alternatives: int, *, ranked: bool = False) -> TokenLogprob:
    """Log-probability of `token` and of the `alternatives` likeliest tokens; with `ranked`, its place among all."""
    high = float(logits_V.max())
    if not math.isfinite(high):
        raise NotFinite("the model's logits are not finite")
    scaled_V = logits_V.astype(np.float64) - high
    norm = math.log(float(np.exp(scaled_V).sum()))
    top = likeliest(scaled_V, min(alternatives, len(scaled_V))) if alternatives else np.empty(0, dtype=np.int64)
    named = tuple((int(one), float(scaled_V[one]) - norm) for one in top)
    rank = 1 + int((scaled_V > scaled_V[token]).sum()) if ranked else 0
    return TokenLogprob(token, float(scaled_V[token]) - norm, named, rank)
