"""A watermark in sampled text: a keyed hash of the preceding tokens favours a part of the vocabulary. No torch.

Kirchenbauer et al. 2023 (arXiv:2301.10226), soft form. Before a token is drawn, each token v of the vocabulary is
green or red by a hash of (key, the `width` tokens before it, v); the logits of green ones get `delta` more. Whoever
has the key counts the green tokens of a text: without the mark a share of `gamma` is green, with it more.

Unlike the paper's, the green list is not a permutation cut at gamma: each token is green by itself with probability
gamma, so that a detector computes one hash a token and needs neither the vocabulary's size nor the model.

What it cannot do: text with little entropy (recitation, code, greedy answers) carries little of the mark, and
rewriting removes it. The key says what is marked: who has it can mark, detect, and forge.

Reading order: `Watermark` (the key and its lists), `Watermark.bias` (the sampler's side), `detect` (the other side).
"""

import hashlib
import json
import math
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from creuset.core.errors import ConfigError, RequestError

MIN_SCORED = 25  # different n-grams below which nothing is said: a z of 4 would need 16 of 25 green
DECISION_P = 1e-3  # a text is called marked at this false positive rate
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIELDS = {"key", "gamma", "delta", "width", "greedy"}


class TooShort(RequestError):
    code = "text_too_short"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watermark:
    key: bytes = field(repr=False)  # 32 bytes; never printed, never in a manifest
    gamma: float = 0.25  # expected share of green tokens in the vocabulary
    delta: float = 2.0  # added to green logits, before the temperature
    width: int = 1  # preceding tokens that choose the list: fewer survive more edits
    greedy: bool = False  # whether answers at temperature 0 are marked too

    def __post_init__(self) -> None:
        if len(self.key) != 32:
            raise ValueError(f"the key of a watermark has 32 bytes, got {len(self.key)}")
        if not 0 < self.gamma < 1:
            raise ValueError(f"gamma must be between 0 and 1, got {self.gamma}")
        if not 0 < self.delta <= 100:
            raise ValueError(f"delta must be above 0 and at most 100, got {self.delta}")
        if not 1 <= self.width <= 8:
            raise ValueError(f"width must be between 1 and 8, got {self.width}")

    @property
    def id(self) -> str:
        """Tells one key from another without saying anything of it."""
        return hashlib.blake2b(b"id", key=self.key, digest_size=6).hexdigest()

    def bias(self, before: Sequence[int], vocab_size: int) -> NDArray[np.float32]:
        """(V) what is added to the logits of the token behind `before`, of which the last `width` count."""
        seeds = np.full(vocab_size, self._seed(before[-self.width :]), dtype=np.uint64)
        green = self._green(seeds, np.arange(vocab_size, dtype=np.uint64))
        return np.where(green, np.float32(self.delta), np.float32(0))

    def _seed(self, context: Sequence[int]) -> int:
        packed = np.asarray(context, dtype="<u4").tobytes()
        return int.from_bytes(hashlib.blake2b(packed, key=self.key, digest_size=8).digest(), "little")

    def _green(self, seeds: NDArray[np.uint64], tokens: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Whether the token-th number of splitmix64 (Steele et al. 2014) started at the seed is below gamma."""
        x = seeds + (tokens + np.uint64(1)) * _GOLDEN  # uint64 arrays wrap silently
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
        green: NDArray[np.bool_] = (x >> np.uint64(11)) < np.uint64(int(self.gamma * 2**53))
        return green

    def hits(self, grams: Sequence[tuple[int, ...]]) -> NDArray[np.bool_]:
        """For each (context of `width` tokens, token): whether the token is green there."""
        seeds: dict[tuple[int, ...], int] = {}
        for gram in grams:
            if gram[:-1] not in seeds:
                seeds[gram[:-1]] = self._seed(gram[:-1])
        of = np.fromiter((seeds[gram[:-1]] for gram in grams), dtype=np.uint64, count=len(grams))
        return self._green(of, np.fromiter((gram[-1] for gram in grams), dtype=np.uint64, count=len(grams)))


@dataclass(frozen=True, slots=True)
class Detection:
    tokens: int  # of the text
    scored: int  # different n-grams of it: each counts once, however often it is repeated
    green: int
    z: float  # standard deviations above the expected gamma * scored
    p_value: float  # chance that as many are green without the mark: exact binomial tail

    @property
    def marked(self) -> bool:
        return self.p_value < DECISION_P


def detect(ids: Sequence[int], mark: Watermark, *, min_scored: int = MIN_SCORED) -> Detection:
    """Look for `mark` in the tokens of a text, cut anew by the model's tokenizer. Raises TooShort.

    The first `width` tokens have no complete context in the text and are not scored. A repeated n-gram has the same
    colour each time: counted more than once it would make any repetitive text look marked, or never.
    """
    width = mark.width
    grams = list(dict.fromkeys(tuple(ids[i - width : i + 1]) for i in range(width, len(ids))))
    if len(grams) < min_scored:
        raise TooShort(
            f"the text has {len(grams)} different sequences of {width + 1} tokens; at least {min_scored} are needed "
            "to say anything", param="text",
        )  # fmt: skip
    green, n = int(mark.hits(grams).sum()), len(grams)
    z = (green - mark.gamma * n) / math.sqrt(n * mark.gamma * (1 - mark.gamma))
    return Detection(len(ids), n, green, z, binomial_tail(green, n, mark.gamma))


def binomial_tail(least: int, n: int, p: float) -> float:
    """P(X >= least) of a binomial(n, p), by its terms: right where a normal approximation is not."""
    if least <= 0:
        return 1.0
    k = np.arange(least, n + 1)
    logs = math.lgamma(n + 1) - _lgamma(k + 1) - _lgamma(n - k + 1) + k * math.log(p) + (n - k) * math.log1p(-p)
    return min(1.0, float(np.exp(logs).sum()))


def _lgamma(x: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.fromiter((math.lgamma(v) for v in x), dtype=np.float64, count=len(x))


def new_watermark(file: Path, **changes: float | int | bool) -> Watermark:
    """Make a key, write it to `file`, which only its owner can read. Raises ConfigError when there is one already."""
    mark = Watermark(key=secrets.token_bytes(32), **changes)  # type: ignore[arg-type]
    said = {"key": mark.key.hex(), "gamma": mark.gamma, "delta": mark.delta, "width": mark.width, "greedy": mark.greedy}
    try:
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
            stream.write(json.dumps(said, indent=2) + "\n")
    except FileExistsError:
        raise ConfigError(
            f"`{file}` already exists", hint="text marked with a key is found with that key only: keep it"
        ) from None
    except OSError as error:
        raise ConfigError(f"`{file}` cannot be written: {error.strerror}") from None
    return mark


def load_watermark(file: Path) -> Watermark:
    """Read a key file. Messages never repeat what is in it."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"the watermark key `{file}` cannot be read: {error.strerror}") from None
    except ValueError:
        raise ConfigError(f"the watermark key `{file}` is not JSON") from None
    if not isinstance(found, dict) or not isinstance(found.get("key"), str) or set(found) - _FIELDS:
        raise ConfigError(f"`{file}` is not a watermark key", hint="make one: creuset serve --new-watermark FILE")
    try:
        return Watermark(**{**found, "key": bytes.fromhex(found["key"])})
    except (ValueError, TypeError):
        raise ConfigError(f"`{file}` is not a watermark key: a value of it is out of range") from None
