"""One checked request for an answer of a chat, whatever the dialect that it came in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from creuset.server.chat.sampling import StreamOptions
from creuset.server.chat.structure import Structure
from creuset.server.chat.thinking import ThinkingChoice
from creuset.server.chat.tools import ToolUse
from creuset.server.model import ServedModel
from creuset.text.calls.forced import GrammarWriter, Thought
from creuset.types.generation import Sampling
from creuset.types.messages import ChatMessage


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatRequest:
    """A checked request. `max_tokens` None: as many as the context leaves."""

    model: str
    messages: list[ChatMessage]
    use: ToolUse
    thinking: ThinkingChoice
    generates: bool  # the prompt ends where the assistant begins to speak
    continues: bool  # the prompt ends inside the last message, which goes on
    sampling: Sampling
    max_tokens: int | None
    limit: str  # the field that `max_tokens` came in
    choices: int
    stream: bool
    options: StreamOptions
    structure: Structure | None
    keep: int | None  # `truncate_prompt_tokens`
    guarded: bool = False  # guards look at the answer: chat/guarded.py
    shows_special: bool = False  # `skip_special_tokens: false`
    given: Mapping[str, Any] = field(default_factory=dict)  # of sampling and thinking, in OpenAI's names, as it came
    ignored: tuple[str, ...]  # fields that were given and change nothing

    @property
    def constrained(self) -> bool:
        """Whether the answer has a grammar."""
        return self.structure is not None or self.use.constrained


def visible_ids(ask: ChatRequest, model: ServedModel) -> tuple[int, ...]:
    """Special tokens that are shown as text: all, where the client asks for it, or those that the parser needs."""
    if ask.shows_special:
        return tuple(sorted(model.tokenizer.hidden))
    return model.calls.visible_ids(model.tokenizer.special)


def chat_grammar(ask: ChatRequest, model: ServedModel, thought: Thought) -> str | None:
    """What the answer must look like; it may take a while to write. None: it is free. RequestError names a schema."""
    writer = GrammarWriter(model.calls, model.tokenizer.special)
    return ask.use.grammar(writer, thought, ask.structure.write() if ask.structure else None)
