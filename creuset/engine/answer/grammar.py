"""Grammars in the engine: which tokens may come next.

One compiler an engine (`Grammars`), one `TokenMask` a request. A mask says for every token of the vocabulary whether
the answer so far and this token can still become a text of the grammar. It is computed in a thread of its own, from
the moment the last token is known, while the model computes the next logits. Grammars are compiled in another thread,
so that a large one stops nobody's stream.

Shapes: V vocabulary
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from llguidance import LLMatcher, LLParserLimits, LLTokenizer
from numpy.typing import NDArray

from creuset.core.errors import RequestError
from creuset.text.grammar import on_large_stack, plain
from creuset.text.schema.read import MAX_OPTIONAL
from creuset.text.tokenizer import Tokenizer
from creuset.types.generation import Sampling

SMALL_VOCAB = 16_384  # a mask over so few tokens is computed at once: a hand-over to the thread would take longer
LOOSE = 7 / 8  # where so much of a vocabulary is allowed, the next token mostly is, whichever it is
KNOWN_TEXTS = 4096  # whose tokens are remembered
KEPT = 64  # compiled grammars, by their text
Allowed = NDArray[np.bool_]
Compiled = LLMatcher  # at the beginning of an answer; copied for each


class _Vocabulary:
    """A tokenizer as llguidance wants it: the bytes of each token, and which of them no text can spell."""

    is_tokenizer_wrapper = True
    bos_token_id = None

    def __init__(self, tokenizer: Tokenizer, end_ids: Iterable[int], size: int) -> None:
        self.tokens = [tokenizer.token_bytes(id) for id in range(size)]
        # The library wants one: where a model has none, a token that nobody can draw.
        self.eos_token_id = min(end_ids, default=size)
        if self.eos_token_id == size:
            self.tokens.append(b"")
        self.special_token_ids = sorted(id for id in tokenizer.special.values() if id < size)
        self._tokenizer = tokenizer
        self._known: dict[str, list[int]] = {}
        self._id_of: dict[bytes, int] | None = None
        self._longest = 0

    def __call__(self, text: str) -> list[int]:
        """Tokens whose bytes are those of `text`: it stands inside an answer, so nothing may be put before it.

        The library asks for each text that a grammar forces, in every answer: mostly the names of a schema.
        """
        found = self._known.get(text)
        if found is None:
            ids, data = self._tokenizer.encode(text), text.encode()
            found = ids if b"".join(self.tokens[id] for id in ids) == data else self._by_length(data)
            if len(self._known) >= KNOWN_TEXTS:
                self._known.clear()
            self._known[text] = found
        return found

    def _by_length(self, data: bytes) -> list[int]:
        """The longest token at each place, for a vocabulary that begins every text with a space of its own."""
        if self._id_of is None:
            special = set(self.special_token_ids)
            self._id_of = {token: id for id, token in enumerate(self.tokens) if token and id not in special}
            self._longest = max(map(len, self._id_of))
        found: list[int] = []
        at = 0
        while at < len(data):
            size = next((n for n in range(self._longest, 0, -1) if data[at : at + n] in self._id_of), 0)
            if not size:
                return found  # no token can write what is left
            found.append(self._id_of[data[at : at + size]])
            at += size
        return found


class Grammars:
    """Compiles the grammars of one engine, each once."""

    def __init__(self, tokenizer: Tokenizer, *, end_ids: Iterable[int], vocab_size: int) -> None:
        self.vocab_size = vocab_size
        self.end_ids = frozenset(id for id in end_ids if id < vocab_size)
        self._tokenizer = tokenizer
        self._compiled: OrderedDict[str, Future[LLMatcher]] = OrderedDict()
        self._compiler = ThreadPoolExecutor(1, thread_name_prefix="grammar-compile")
        self._masker = ThreadPoolExecutor(1, thread_name_prefix="grammar-mask")
        self._vocabulary: LLTokenizer | None = None  # built by the compiler's thread, when first needed

    def compile(self, grammar: str) -> "Future[LLMatcher]":
        """The compiled grammar, or RequestError, in the future."""
        found = self._compiled.get(grammar)
        if found is None:
            found = self._compiled[grammar] = self._compiler.submit(on_large_stack, self._compile, grammar)
            while len(self._compiled) > KEPT:
                self._compiled.popitem(last=False)
        self._compiled.move_to_end(grammar)
        return found

    def mask(self, compiled: LLMatcher, sampling: Sampling) -> "TokenMask":
        return TokenMask(self, compiled.deep_copy(), sampling)

    def begin(self, matcher: LLMatcher) -> "Callable[[], bytes]":
        """Compute what may come next, beside whatever the caller does; the result waits until it is there."""
        if self.vocab_size <= SMALL_VOCAB:
            bits = matcher.compute_bitmask()
            return lambda: bits
        return self._masker.submit(matcher.compute_bitmask).result

    def _compile(self, grammar: str) -> LLMatcher:
        if self._vocabulary is None:
            wrapped = _Vocabulary(self._tokenizer, self.end_ids, self.vocab_size)
            ends = sorted(self.end_ids) or [wrapped.eos_token_id]
            self._vocabulary = LLTokenizer(wrapped, eos_token=ends)  # type: ignore[arg-type]
        matcher = LLMatcher(self._vocabulary, grammar, log_level=0, limits=LIMITS)
        if matcher.is_error():
            raise RequestError(f"the grammar cannot be enforced: {plain(matcher.get_error())}", param="grammar")
        return matcher


# Rows of the parser hold about four items for each property that may come next.
LIMITS = LLParserLimits(
    max_items_in_row=10 * MAX_OPTIONAL, max_lexer_states=50_000, precompute_large_lexemes=False, verbose_errors=False
)


class TokenMask:
    """Where one answer stands in its grammar."""

    def __init__(self, grammars: Grammars, matcher: LLMatcher, sampling: Sampling) -> None:
        size = grammars.vocab_size
        own = [id for id in sampling.stop_ids if id < size]
        ends = set(own) | (set() if sampling.ignore_eos else grammars.end_ids)
        self._ends = frozenset(ends)  # that end this answer
        self._ignored = grammars.end_ids - ends  # that would, but are ignored
        self._min_tokens, self._emitted = sampling.min_tokens, 0
        self._grammars, self._matcher = grammars, matcher
        self.ahead = True  # whether the next mask is begun before it is asked for
        self._bits: Callable[[], bytes] | None = grammars.begin(matcher)

    def permits(self, token: int) -> bool:
        """Whether `token` may come next. As long as those that are asked for may, no masks are made."""
        if self._bits is not None:
            allowed_V = self.allowed()
            if allowed_V is None or not allowed_V[token]:
                return False
            self.ahead = False
            return True
        if token in self._ends or token in self._ignored:
            return token in self._ends and self._may_end()
        return bool(self._matcher.validate_tokens([token]) == 1)

    def _may_end(self) -> bool:
        return self._emitted >= self._min_tokens and self._matcher.is_accepting()

    def allowed(self) -> Allowed | None:
        """(V) the tokens that may come next; None when the answer can only end, and so has ended.

        End tokens are among them where the answer is already a text of the grammar. Raises RequestError.
        """
        if self._bits is None:
            self._bits = self._grammars.begin(self._matcher)
        packed = np.frombuffer(self._bits(), dtype=np.uint8)
        if self._matcher.is_error():
            raise RequestError(f"the grammar failed: {plain(self._matcher.get_error())}", param="grammar")
        allowed_V = np.unpackbits(packed, count=self._grammars.vocab_size, bitorder="little").view(np.bool_)
        ends = self._may_end()
        for id in self._ends:
            allowed_V[id] = ends
        for id in self._ignored:
            allowed_V[id] = False
        if count := np.count_nonzero(allowed_V):
            self.ahead = bool(count < LOOSE * len(allowed_V))
            return allowed_V
        if self._matcher.is_accepting():
            return None
        raise RequestError("the grammar needs text that no token of this model can write", param="grammar")

    def accept(self, token: int) -> bool:
        """Go on by `token`, which was allowed, and begin with the next mask where one will be needed.

        True when nothing can follow it.
        """
        self._emitted += 1
        if token in self._ends:
            return True
        if not self._matcher.consume_token(token):
            raise RequestError(f"the grammar failed: {plain(self._matcher.get_error())}", param="grammar")
        if self._matcher.is_stopped():
            return True
        self._bits = self._grammars.begin(self._matcher) if self.ahead else None
        return False
