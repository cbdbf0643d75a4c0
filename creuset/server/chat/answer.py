"""One choice of an answer, whatever the dialect: events of the engine in; words, thoughts and calls out."""

import json
from dataclasses import dataclass, field
from typing import Any, Protocol

from creuset.server.chat.custom import CustomCalls
from creuset.server.chat.logprobs import chat_logprobs
from creuset.server.chat.request import ChatRequest
from creuset.server.model import ServedModel
from creuset.text.calls.forced import Thought
from creuset.text.calls.formats import schemas_of
from creuset.text.output import CallBegun, Content, OutputParser, OutputPiece, Reasoning
from creuset.types.generation import Event


class PieceReader(Protocol):
    """Reads the events of one choice."""

    calls: int  # that have begun

    def pieces(self, event: Event) -> list[OutputPiece]:
        """What `event` adds to the answer."""

    def logprobs(self, event: Event) -> list[dict[str, Any]]:
        """Log-probabilities of the tokens of `event`, as OpenAI has them."""


@dataclass(slots=True)
class AnswerReader:
    """Of an engine of ours: its text is parsed in the form that the model writes."""

    ask: ChatRequest
    model: ServedModel
    thought: Thought = "none"
    calls: int = 0
    _parser: OutputParser = field(init=False)
    _custom: CustomCalls = field(init=False)

    def __post_init__(self) -> None:
        ask = self.ask
        self._custom = CustomCalls(ask.use.custom)
        self._parser = OutputParser(
            self.model.calls,
            tools=ask.use.tools,
            thinking=self.thought != "none",
            opened=self.thought == "opened",
            one_call=ask.use.one,
        )

    def pieces(self, event: Event) -> list[OutputPiece]:
        """What `event` adds to the answer."""
        pieces = self._parser.push(event.text)
        if event.finish is not None:
            rest = self._parser.finish()
            if event.finish == "length" and self._is_cut_call(rest):
                rest = [piece for piece in rest if not isinstance(piece, Content)]
            pieces += rest
        pieces = self._custom.read(pieces, ended=event.finish is not None)
        if not self.ask.thinking.shown:
            pieces = [piece for piece in pieces if not isinstance(piece, Reasoning)]
        self.calls += sum(isinstance(piece, CallBegun) for piece in pieces)
        return pieces

    def logprobs(self, event: Event) -> list[dict[str, Any]]:
        return chat_logprobs(event.logprobs or (), self.model.tokenizer)

    def _is_cut_call(self, rest: list[OutputPiece]) -> bool:
        """Whether what was held back to the end is a call that the limit cut before its arguments began.

        Known only where the grammar lets nothing else begin like a call. It has no name yet, so it is left out.
        """
        use, said = self.ask.use, "".join(piece.text for piece in rest if isinstance(piece, Content)).lstrip()
        begins = self.model.calls.opening
        if self.model.calls.name == "llama3":  # whose calls have no mark
            begins += tuple(f'{{"name": {json.dumps(name)}' for name in schemas_of(use.tools))
        return use.forced or (use.constrained and said.startswith(begins))
