"""The one place where guards look at a chat, whatever its dialect: its messages, and its answer as it comes.

`guard_chat` gives the request that the model may read. Where answers are guarded too, `GuardedAnswer` is between the
engine and the dialect: it takes the engine's text apart, lets each part through the guards, and gives events that hold
the parts. So no dialect sees what a guard has not passed, streamed or not.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import msgspec

from creuset.server.chat.answer import PieceReader
from creuset.server.chat.request import ChatRequest
from creuset.server.chat.upstream import PieceEvent
from creuset.server.middleware import RequestContext
from creuset.server.protect.guards.body import chain_of
from creuset.server.protect.guards.chain import GuardChain, finished, pushed, refuse_tokens
from creuset.server.protect.guards.hooks import TextFilter
from creuset.server.stream import EventSource
from creuset.text.output import CallArguments, CallBegun, Content, OutputPiece, Reasoning
from creuset.types.generation import Event
from creuset.types.messages import ChatMessage, ToolCall

if TYPE_CHECKING:
    from creuset.server.protect.protection import Protection


async def guard_chat(chain: GuardChain, ask: ChatRequest) -> ChatRequest:
    """`ask` as the model may read it. GuardRefused, GuardFailed."""
    if not chain.guards or ask.guarded:
        return ask
    messages = [await _guarded(chain, message) for message in ask.messages]
    tools = tuple([await chain.json(tool) for tool in ask.use.tools])
    ask = replace(ask, messages=messages, use=replace(ask.use, tools=tools))
    if not chain.changes_answers:
        return ask
    for given, name in (
        (ask.sampling.logprobs is not None, "logprobs"), (ask.sampling.prompt_logprobs is not None, "prompt_logprobs"),
        (ask.sampling.return_ids, "return_token_ids"),
    ):  # fmt: skip
        if given:
            raise refuse_tokens(name)
    return replace(ask, guarded=True)


async def _guarded(chain: GuardChain, message: ChatMessage) -> ChatMessage:
    (content,) = await chain.texts([message.content])
    thought = None if message.reasoning is None else (await chain.texts([message.reasoning]))[0]
    calls = [ToolCall(call.name, await chain.arguments(call.arguments), call.id) for call in message.tool_calls]
    return msgspec.structs.replace(message, content=content, reasoning=thought, tool_calls=tuple(calls))


@dataclass(slots=True)
class _Choice:
    reader: PieceReader | None  # None: raw text, as completions have it
    kind: type[OutputPiece] | None = None  # of the part that is being written
    filters: list[TextFilter] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)  # of the call that is being written: JSON, looked at as a whole


class GuardedAnswer:
    """An `EventSource` around another one. `reader`: of a choice; None leaves the text of events as text."""

    def __init__(self, source: EventSource, chain: GuardChain, reader: Callable[[], PieceReader | None]) -> None:
        self._source, self._chain, self._reader = source, chain, reader
        self._choices: dict[int, _Choice] = {}

    @property
    def unread(self) -> bool:
        return self._source.unread

    def hang_up(self) -> None:
        self._source.hang_up()

    def cancel(self) -> None:
        self._source.cancel()

    async def batch(self, wait_s: float) -> list[tuple[int, Event]]:
        """As the source's, with what the guards let pass. Raises GuardRefused, GuardFailed."""
        found: list[tuple[int, Event]] = []
        for index, event in await self._source.batch(wait_s):
            choice = self._choices.get(index)
            if choice is None:
                choice = self._choices[index] = _Choice(self._reader())
            new = await self._text(choice, event) if choice.reader is None else await self._pieces(choice, event)
            if new is not None:
                found.append((index, new))
        return found

    async def _text(self, choice: _Choice, event: Event) -> Event | None:
        choice.filters = choice.filters or self._chain.filters()
        last = event.finish is not None
        text = await (finished if last else pushed)(choice.filters, event.text)
        if not text and not last:
            return None
        return msgspec.structs.replace(event, text=text, tokens=(), logprobs=None, emitted=None)

    async def _pieces(self, choice: _Choice, event: Event) -> Event | None:
        assert choice.reader is not None
        pieces: list[OutputPiece] = []
        for piece in choice.reader.pieces(event):
            pieces += await self._piece(choice, piece)
        if event.finish is not None:
            pieces += await self._end(choice)
        elif not pieces:
            return None
        said = {name: getattr(event, name) for name in Event.__struct_fields__ if name not in _TOKENS}
        return PieceEvent(pieces=tuple(pieces), **said)

    async def _piece(self, choice: _Choice, piece: OutputPiece) -> list[OutputPiece]:
        found: list[OutputPiece] = []
        if choice.kind is not type(piece) or isinstance(piece, CallBegun):
            found = await self._end(choice)
            choice.kind = type(piece)
        match piece:
            case Content() | Reasoning():
                choice.filters = choice.filters or self._chain.filters()
                text = await pushed(choice.filters, piece.text)
                found += [type(piece)(text)] if text else []
            case CallBegun():
                found.append(piece)
            case CallArguments():
                choice.arguments.append(piece.text)
        return found

    async def _end(self, choice: _Choice) -> list[OutputPiece]:
        """What the part that was written until now still holds back."""
        found: list[OutputPiece] = []
        if choice.filters and choice.kind in (Content, Reasoning):
            text = await finished(choice.filters)
            found += [Content(text) if choice.kind is Content else Reasoning(text)] if text else []
        if choice.arguments:
            text = await guarded_arguments(self._chain, "".join(choice.arguments))
            found.append(CallArguments(text))
        choice.filters, choice.arguments, choice.kind = [], [], None
        return found


def text_around(protection: "Protection | None", context: RequestContext) -> Callable[[EventSource], EventSource]:
    """What stands between an engine and a completion, which is text without parts."""
    chain = chain_of(protection, context)
    return lambda source: GuardedAnswer(source, chain, lambda: None) if chain.changes_answers else source


_TOKENS = {"text", "tokens", "logprobs", "prompt_logprobs", "emitted"}


async def guarded_arguments(chain: GuardChain, text: str) -> str:
    """The arguments of a call in an answer: each text in them, so that JSON stays JSON."""
    try:
        value = json.loads(text)
    except ValueError:
        return await chain.answered(text)

    async def inside(value: object) -> object:
        if isinstance(value, str):
            return await chain.answered(value)
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, int | float):
            told = await chain.answered(str(value))
            return value if told == str(value) else told
        if isinstance(value, list):
            return [await inside(one) for one in value]
        if isinstance(value, dict):
            return {await chain.answered(name): await inside(one) for name, one in value.items()}
        return value

    new = await inside(value)
    return text if new == value else json.dumps(new, ensure_ascii=False)
