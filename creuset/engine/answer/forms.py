"""Grammars that are being compiled: their requests were accepted and wait, beside those that need none."""

from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait

from creuset.engine.answer.grammar import Compiled, Grammars, TokenMask
from creuset.text.tokenizer import Tokenizer
from creuset.types.generation import GenerationRequest

COMPILE_WAIT_S = 0.02  # a step with nothing to compute waits so long for a grammar


class Forms:
    def __init__(self, tokenizer: Tokenizer, *, end_ids: Iterable[int], vocab_size: int) -> None:
        self._tokenizer, self._end_ids, self._vocab = tokenizer, end_ids, vocab_size
        self._grammars: Grammars | None = None  # from the first request on that has one
        self._waiting: dict[str, tuple[GenerationRequest, Future[Compiled]]] = {}

    def __bool__(self) -> bool:
        """Whether anything is being compiled."""
        return bool(self._waiting)

    def begin(self, request: GenerationRequest) -> None:
        """Start to compile the grammar of `request`. Raises RequestError for one that is none."""
        assert request.grammar is not None
        if self._grammars is None:
            self._grammars = Grammars(self._tokenizer, end_ids=self._end_ids, vocab_size=self._vocab)
        self._waiting[request.id] = request, self._grammars.compile(request.grammar)

    def forget(self, id: str) -> bool:
        """Whether the grammar of request `id` was being compiled: it is not waited for any more."""
        return self._waiting.pop(id, None) is not None

    def done(self) -> Iterator[tuple[str, TokenMask | Exception]]:
        """The requests whose grammars are compiled now, or cannot be; the latter are waited for until `forget`."""
        for id, (request, compiled) in list(self._waiting.items()):
            if not compiled.done():
                continue
            assert self._grammars is not None
            try:
                mask = self._grammars.mask(compiled.result(), request.sampling)
            except Exception as error:  # one request's alone, whatever it is
                yield id, error
            else:
                del self._waiting[id]
                yield id, mask

    def wait(self) -> None:
        wait([compiled for _, compiled in self._waiting.values()], timeout=COMPILE_WAIT_S, return_when=FIRST_COMPLETED)
