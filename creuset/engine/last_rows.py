"""The rows of a step that tokens are chosen from: as whole logits, or as candidates where these are enough for all.

Which of the two changes no token: where the likeliest candidates do not tell which one `choose` would choose, the whole
row is asked for (engine/sampler.py).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from creuset.engine.answer.grammar import Allowed
from creuset.engine.answer.output import OutputBuilder
from creuset.engine.backend.base import Logits, Runner
from creuset.engine.live import Live
from creuset.engine.sampler import token_logprob

HEAD_ROWS = 64  # rows of logits made at once where many are wanted: bounds their memory


class LastRows:
    """Of one step: rows `rows` of its batch, in that order; `place` counts in them."""

    def __init__(self, runner: Runner, rows: Sequence[int], *, enough: int, vocab: int) -> None:
        """`enough`: candidates that are enough for each; 0: some row needs its whole logits."""
        self._runner, self._rows, self._vocab = runner, rows, vocab
        self._logits_RV: Logits | None = None
        if enough:
            found = runner.candidates(rows, enough, vocab)
            self._ids: list[list[int]] = found.ids_RK.tolist()
            self._logits_RK, self._sums_R = found.logits_RK, found.logsumexp_R.tolist()
        else:
            self._logits_RV = runner.logits(rows)

    def token(self, live: Live, place: int) -> int | None:
        """The next token of a request; None where its grammar lets nothing follow. Raises NotFinite, RequestError."""
        if live.mask is not None and live.tries and (live.greedy or not live.mask.ahead):
            token = self._chosen(live, place)
            if live.mask.permits(token):
                return token
        allowed_V = None
        if live.mask is not None and (allowed_V := live.mask.allowed()) is None:
            return None
        return self._chosen(live, place, self._forced(live.answer, allowed_V))

    def _chosen(self, live: Live, place: int, allowed_V: Allowed | None = None) -> int:
        """The next token, out of `allowed_V` where that is given: by candidates, where these tell."""
        found = None
        if self._logits_RV is None:
            found = live.sampler.pick(self._ids[place], self._logits_RK[place], self._sums_R[place])
            if allowed_V is not None:  # then it is greedy
                found = next((id for id in self._ids[place] if allowed_V[id]), None)
        return live.sampler.choose(self.logits(place)[: self._vocab], allowed_V) if found is None else found

    def logits(self, place: int) -> Logits:
        whole_RV = self._runner.logits([self._rows[place]]) if self._logits_RV is None else self._logits_RV[place:]
        row_V: Logits = whole_RV[0]
        return row_V

    def _forced(self, answer: OutputBuilder, allowed_V: Allowed | None) -> Allowed | None:
        """`allowed_V`, or one token alone: the next of the mark that closes a thought whose budget is used up."""
        token = answer.thoughts.next_token if answer.thoughts is not None else None
        if token is None:
            return allowed_V
        if allowed_V is not None and not allowed_V[token]:
            assert answer.thoughts is not None
            answer.thoughts.postpone()
            return allowed_V
        only_V: NDArray[np.bool_] = np.zeros(self._vocab, dtype=np.bool_)
        only_V[token] = True
        return only_V


def read_prompt(runner: Runner, answer: OutputBuilder, at: int, count: int, begin: int) -> None:
    """Log-probabilities of the prompt, as far as it was read in this step: `count` tokens from position `at` on, which
    are rows from `begin` on."""
    prompt, alternatives = answer.request.prompt, answer.request.sampling.prompt_logprobs or 0
    # Row i of them tells of the prompt's token at + i + 1.
    first, last = len(answer.prompt_logprobs) - 1 - at, min(count, len(prompt) - 1 - at)
    for start in range(first, last, HEAD_ROWS):
        rows = list(range(start, min(start + HEAD_ROWS, last)))
        for row, logits_V in zip(rows, runner.logits([begin + row for row in rows]), strict=True):
            answer.prompt_logprobs.append(token_logprob(logits_V, prompt[at + row + 1], alternatives, ranked=True))
