"""gpt-oss's form: messages in channels.

    <|channel|>analysis<|message|>thought<|end|><|start|>assistant<|channel|>commentary to=functions.f
    <|constrain|>json<|message|>{...}<|call|>

`analysis` is thought, `final` is the answer, and so is `commentary` that is addressed to nobody. The prompt ends with
`<|start|>assistant`, so an answer begins with what follows that.
"""

import re
from collections.abc import Iterable

from creuset.text.calls.formats import CHANNEL, CONSTRAIN, HARMONY_ENDS, MESSAGE, START
from creuset.text.calls.json_calls import Say
from creuset.text.calls.pieces import CallArguments, CallBegun, OutputPiece, Reasoning, Steps
from creuset.text.calls.reader import Reader

_CHANNEL = re.compile(re.escape(CHANNEL) + r"\s*(\w+)")
_RECIPIENT = re.compile(r"\bto=([\w.-]+)")


def harmony(reader: Reader, say: Say, *, tools: bool) -> Steps[None]:
    """A whole answer. Without `tools`, calls are words."""
    while True:
        head, found = yield from reader.before(MESSAGE)
        if not found:
            rest = head.removeprefix(START).removeprefix("assistant")
            yield from say(rest if CHANNEL not in rest and CONSTRAIN not in rest else "")
            return
        channel, recipient = _CHANNEL.search(head), _RECIPIENT.search(head)
        name = recipient[1] if recipient else ""
        if tools and name.startswith("functions."):
            ended = yield from _call(reader, name.removeprefix("functions."), say)
        elif (channel and channel[1] == "analysis") or name:
            ended = yield from reader.until(HARMONY_ENDS, _think)
        else:
            ended = yield from reader.until(HARMONY_ENDS, say)
        if ended in (START, CHANNEL):
            reader.text = ended + reader.text
        if not ended:
            return


def _call(reader: Reader, name: str, say: Say) -> Steps[str]:
    space = yield from reader.space()
    if not reader.text.startswith("{"):
        none = yield from reader.starts(*HARMONY_ENDS)
        if not none and not (reader.ended and not reader.text):
            yield from say(space)
            return (yield from reader.until(HARMONY_ENDS, say))
        yield CallBegun(name)
        yield CallArguments("{}")
        reader.take(len(none))
        return none
    yield CallBegun(name)
    return (yield from reader.until(HARMONY_ENDS, _pass_on))


def _pass_on(text: str) -> Iterable[OutputPiece]:
    return [CallArguments(text)] if text else []


def _think(text: str) -> Iterable[OutputPiece]:
    return [Reasoning(text)] if text else []
