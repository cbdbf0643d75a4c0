"""A dialogue for fine-tuning under any template: its ids, and a mask of what the assistant says.

Ours is written with its mask. A template with `{% generation %}` blocks says itself what the assistant's words are. Of
any other, each turn of the assistant is found by its prompt: the ids of the messages before it, with the generation
prompt. They must be what the whole begins with, so that the model learns to write exactly behind what it will be given;
what follows, through the first token that ends an answer, is the turn. Where this does not hold, the dialogue is
refused and says why.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from creuset.core.errors import RequestError
from creuset.text.chat import Encoded, encode_chat
from creuset.text.template import ChatTemplate
from creuset.types.messages import ChatMessage, parse_messages

_MARKED = re.compile(r"\{%-?\+?\s*generation\b")


def encode_dialogue(
    template: ChatTemplate, messages: Sequence[Mapping[str, Any] | ChatMessage], ends: frozenset[int]
) -> Encoded:
    """Ids and mask. `ends`: the ids that end an answer. RequestError where the mask cannot be known to be right."""
    if template.is_ours:
        return encode_chat(template.tokenizer, messages)
    parsed = parse_messages(messages, "lenient")
    if _MARKED.search(template.source):
        return _by_blocks(template, parsed)
    return _by_prompts(template, parsed, ends)


def _by_blocks(template: ChatTemplate, messages: list[ChatMessage]) -> Encoded:
    ids, spans = template.encode_spans(messages)
    said = [message for message in messages if message.role == "assistant"]
    if len(spans) != len(said):
        raise RequestError(
            f"the chat template marks {len(spans)} turns of the assistant, the dialogue has {len(said)}",
            param="messages",
        )
    mask = [0] * len(ids)
    for (begin, end), message in zip(spans, said, strict=True):
        mask[begin:end] = [int(message.weight > 0)] * (end - begin)
    return Encoded(ids, mask)


def _by_prompts(template: ChatTemplate, messages: list[ChatMessage], ends: frozenset[int]) -> Encoded:
    ids = template.encode(messages).ids
    mask = [0] * len(ids)
    for at, message in enumerate(messages):
        if message.role != "assistant":
            continue
        where = f"messages[{at}]"
        prompt = template.encode(messages[:at], add_generation_prompt=True).ids if at else []
        begin = len(prompt)
        if not prompt or ids[:begin] != prompt:
            raise RequestError(f"`{where}`: the dialogue does not begin with the prompt of this turn", param=where)
        end = next((i for i in range(begin, len(ids)) if ids[i] in ends), None)
        if end is None:
            raise RequestError(f"`{where}`: no token ends this turn under the model's chat template", param=where)
        if message.content.strip() not in template.tokenizer.decode(ids[begin:end]):
            raise RequestError(f"`{where}`: the model's chat template does not show all of this turn", param=where)
        mask[begin : end + 1] = [int(message.weight > 0)] * (end + 1 - begin)
    return Encoded(ids, mask)
