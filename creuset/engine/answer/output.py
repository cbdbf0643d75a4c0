"""One answer in the making: tokens come in, events go out.

Text is held back while it may become a stop string, and with it the tokens it belongs to: neither
the text nor the log-probabilities of a stop string ever leave.
"""

from collections import deque
from typing import Any

from creuset.engine.answer.row import PooledRow
from creuset.engine.answer.stop import StopMatcher
from creuset.engine.answer.thinking import ThoughtCounter
from creuset.text.stream import Detokenizer
from creuset.text.tokenizer import Tokenizer
from creuset.types.generation import Event, Finish, GenerationRequest, TokenLogprob


class OutputBuilder:
    def __init__(self, request: GenerationRequest, tokenizer: Tokenizer, *, end_ids: frozenset[int]) -> None:
        self.request = request
        self.count = 0  # tokens the model emitted
        self.limit = request.sampling.max_tokens
        self.prompt_logprobs: list[TokenLogprob | None] = [None]
        self.row = PooledRow(request.embeds) if request.embeds else None
        self._ends = frozenset(request.sampling.stop_ids) | (frozenset() if request.sampling.ignore_eos else end_ids)
        after = request.prompt[-1] if request.prompt else None
        self._detokenizer = Detokenizer(tokenizer, visible=request.visible_ids, after=after)
        self.thoughts = ThoughtCounter(request.thinking) if request.thinking is not None else None
        self._matcher = StopMatcher(request.sampling.stop)
        self._made = self._out = 0  # characters: detokenized, sent
        self._told = False  # `prompt_logprobs` were sent
        self._new: list[int] = []  # emitted since the last event that had something to tell
        # Tokens not sent yet, with where their text begins and ends.
        self._held: deque[tuple[int, TokenLogprob | None, int, int]] = deque()
        sampling = request.sampling
        # Nothing is held back, and nothing but text and tokens told.
        self._simple = not sampling.stop and self.thoughts is None and sampling.logprobs is None
        self._simple = self._simple and sampling.prompt_logprobs is None and not sampling.return_ids
        self._whole, self._prompt_tokens = request.whole, len(request.prompt)
        # Where the whole answer is told at its end: what there was to tell so far.
        self._texts: list[str] = []
        self._tokens: list[int] = []
        self._logprobs: list[TokenLogprob] = []

    @property
    def prompt_done(self) -> bool:
        """Whether all log-probabilities of the prompt that were asked for are known."""
        wanted = self.request.sampling.prompt_logprobs is not None
        return not wanted or len(self.prompt_logprobs) >= len(self.request.prompt)

    def push(self, token: int, logprob: TokenLogprob | None, *, cached: int, complete: bool = False) -> Event | None:
        """Account for one more token; the event says whether the answer ends with it. None: there is nothing to tell.

        `complete`: the token completes the answer by the request's grammar, whatever its other limits say.
        """
        sampling = self.request.sampling
        self.count += 1
        if self._simple and not (token in self._ends or complete or self.count == self.limit):
            piece = self._detokenizer.push(token)
            self._made = self._out = self._made + len(piece)
            if self._whole:
                self._texts.append(piece)
                self._tokens.append(token)
                return None
            return Event(
                id=self.request.id, text=piece, tokens=(token,), prompt_tokens=self._prompt_tokens,
                completion_tokens=self.count, cached_tokens=cached,
            )  # fmt: skip
        self._new.append(token)
        if token in self._ends and self.count > sampling.min_tokens:
            said = sampling.include_stop and token in sampling.stop_ids
            text = self._matcher.finish() + self._piece(token, logprob) if said else ""
            return self.end("stop", cached=cached, text=text, stop_token=token)
        piece = self._piece(token, logprob)
        if self.count > sampling.min_tokens:
            verdict = self._matcher.push(piece)
            if verdict.match is not None:
                text = verdict.text + (verdict.match if sampling.include_stop else "")
                return self._last(text, finish="stop", cached=cached, stop_match=verdict.match)
            piece = verdict.text
        if complete:
            return self.end("stop", cached=cached, text=piece)
        if self.count == sampling.max_tokens:
            return self.end("length", cached=cached, text=piece)
        return self._event(piece, cached=cached)

    def _piece(self, token: int, logprob: TokenLogprob | None) -> str:
        """The text that is certain now."""
        piece = self._detokenizer.push(token)
        if self.thoughts is not None:
            self.thoughts.push(token, piece)
        self._held.append((token, logprob, self._made, self._made + len(piece)))
        self._made += len(piece)
        return piece

    def end(
        self, finish: Finish, *, cached: int, text: str = "", stop_token: int | None = None, error: str | None = None
    ) -> Event:
        """The last event, with what was still held back: no stop string came of it."""
        rest = self._detokenizer.finish()
        self._made += len(rest)
        return self._last(
            text + self._matcher.finish() + rest, finish=finish, cached=cached, stop_token=stop_token, error=error
        )

    def _last(self, text: str, *, finish: Finish, **facts: Any) -> Event:
        event = self._event(text, finish=finish, **facts)
        assert event is not None
        return event

    def _event(
        self,
        text: str,
        *,
        cached: int,
        finish: Finish | None = None,
        stop_match: str | None = None,
        stop_token: int | None = None,
        error: str | None = None,
    ) -> Event | None:
        """None: the answer goes on, and there is nothing to tell yet."""
        self._out += len(text)
        sent: list[tuple[int, TokenLogprob | None, int, int]] = []
        # A token goes out with the last of its text; at the end, with the first of it.
        while self._held and (self._held[0][3] <= self._out or (finish and self._held[0][2] < self._out)):
            sent.append(self._held.popleft())
        tokens = [token for token, *_ in sent]
        logprobs = [logprob for _, logprob, *_ in sent if logprob is not None]
        if self._whole:
            self._texts.append(text)
            self._tokens += tokens
            self._logprobs += logprobs
            text, tokens, logprobs = "".join(self._texts) if finish else "", self._tokens, self._logprobs
        due = self.request.sampling.prompt_logprobs is not None and self.prompt_done and not self._told
        if finish is None and (self._whole or not (text or tokens or due)):
            return None
        self._told = self._told or due
        return Event(
            id=self.request.id,
            text=text,
            tokens=tuple(tokens),
            logprobs=tuple(logprobs) if self.request.sampling.logprobs is not None else None,
            prompt_logprobs=tuple(self.prompt_logprobs) if due else None,
            finish=finish,
            stop_match=stop_match,
            stop_token=stop_token,
            prompt_tokens=self._prompt_tokens,
            completion_tokens=self.count,
            cached_tokens=cached,
            error=error,
            reasoning_tokens=self.thoughts.tokens if self.thoughts is not None else 0,
            emitted=self._emitted(),
            embedding=self.row.unit() if self.row is not None and finish == "length" else None,
        )

    def _emitted(self) -> tuple[int, ...] | None:
        """Tokens since the last event, where they are asked for."""
        if not self.request.sampling.return_ids:
            return None
        new, self._new = tuple(self._new), []
        return new
