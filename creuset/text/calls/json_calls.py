"""Calls written as JSON objects: `{"name": "f", "arguments": {...}}`, one or several, alone or in a list.

The head of a call, up to the brace that opens its arguments, is read as a whole: until then it may turn out to be no
call, and is then text. From there on the arguments are passed on as they come. What is wrong in them after that is the
call's, as written, up to the mark that closes it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import msgspec

from creuset.text.calls.pieces import CallArguments, CallBegun, OutputPiece, Steps
from creuset.text.calls.reader import JsonScan, Reader

ARGUMENTS = ("arguments", "parameters")
OTHER_KEYS = ("id", "type", "index")  # which models write beside name and arguments, and nobody needs

Say = Callable[[str], Iterable[OutputPiece]]


@dataclass(frozen=True, kw_only=True, slots=True)
class JsonStyle:
    """How a family writes JSON calls."""

    close: str = ""  # the mark behind a call or a list of calls; "" where there is none
    known: frozenset[str] | None = None  # only these names are calls, with arguments and no strange keys; None: any


def json_calls(reader: Reader, opening: str, style: JsonStyle, say: Say) -> Steps[bool]:
    """The calls behind `opening`, which was taken. False where there is none: `opening` was then said as text."""
    between = yield from reader.space("[")
    called = False
    while (yield from json_call(reader, style)):
        called = True
        between = yield from reader.space(",;]}")  # a bracket too many is no reason to say anything
        if style.close and (yield from reader.starts(style.close)):
            reader.take(len(style.close))
            return True
        if reader.ended and not reader.text:
            return True
    if not called:
        yield from say(opening + between)
    return called


def json_call(reader: Reader, style: JsonStyle) -> Steps[bool]:
    """One object. False when it is no call: then nothing was taken."""
    while (head := _head(reader.text, style)) is None:
        enough = len(reader.text) * 17 // 16  # a long head is not read again at every letter
        if not (yield from reader.more()):
            return False
        while len(reader.text) < enough and (yield from reader.more()):
            pass
    if head is False:
        return False
    reader.take(head.length)
    yield CallBegun(head.name)
    if head.arguments is not None:
        yield CallArguments(head.arguments)
    elif (yield from json_arguments(reader, style.close)):
        yield from _tail(reader)
    return True


def json_arguments(reader: Reader, close: str) -> Steps[bool]:
    """Pass on the JSON object that begins here. False where it was no JSON: then all up to `close`, as written."""
    scan = JsonScan(close)
    while not (scan.done or scan.broken):
        keep = 0 if reader.ended else scan.holds(reader.text)
        taken = reader.take(scan.feed(reader.text[: len(reader.text) - keep]))
        if taken:
            yield CallArguments(taken)
        if not (scan.done or scan.broken or (yield from reader.more()) or reader.text):
            return False
    if scan.broken:
        yield from reader.until_left((close,) if close else (), _pass_on)
    return scan.done


def _pass_on(text: str) -> Iterable[OutputPiece]:
    return [CallArguments(text)] if text else []


@dataclass(frozen=True, slots=True)
class _Head:
    name: str
    length: int  # characters up to where the arguments begin, or to the end of the object when they were read whole
    arguments: str | None = None  # where they came before the name, or as JSON text in a string, or not at all


def _head(text: str, style: JsonStyle) -> _Head | Literal[False] | None:
    """The beginning of a call. None: not known yet; False: this is no call."""
    at = _skip(text, 0)
    if at == len(text):
        return None
    if text[at] != "{":
        return False
    name: str | None = None
    arguments: str | None = None
    at = _skip(text, at + 1)
    while at < len(text):
        if text[at] == "}" and name and (arguments or style.known is None):
            return _Head(name, at + 1, arguments or "{}")
        pair = _key(text, at)
        if not pair:
            return pair
        key, at = pair
        if at == len(text):
            return None
        if key in ARGUMENTS and name and text[at] == "{":
            return _Head(name, at)
        value = _value(text, at)
        if not value:
            return value
        raw, at = value
        if key == "name":
            name = _string(raw)
            if not name or (style.known is not None and name not in style.known):
                return False
        elif key in ARGUMENTS:
            arguments = _whole_arguments(raw)
            if arguments is None:
                return False
        elif key not in OTHER_KEYS and style.known is not None:
            return False
        at = _skip(text, at)
        if at < len(text) and text[at] == ",":
            at = _skip(text, at + 1)
        elif at < len(text) and text[at] != "}":
            return False
    return None


def _tail(reader: Reader) -> Steps[None]:
    """What comes between the arguments and the brace that closes the call. Left where it is anything strange."""
    while True:
        at = _skip(reader.text, 0)
        while at < len(reader.text) and reader.text[at] == ",":
            pair = _key(reader.text, _skip(reader.text, at + 1))
            value = _value(reader.text, pair[1]) if pair else pair
            if value is False:
                return
            at = _skip(reader.text, value[1]) if value else len(reader.text)
        if at < len(reader.text):
            reader.take(at + 1 if reader.text[at] == "}" else 0)
            return
        if not (yield from reader.more()):
            return


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def _value(text: str, at: int) -> tuple[str, int] | Literal[False] | None:
    """The JSON value that begins at `at`, and where it ends."""
    scan = JsonScan()
    end = at + scan.feed(text[at:])
    if scan.done:
        return text[at:end], end
    return False if scan.broken else None


def _key(text: str, at: int) -> tuple[str, int] | Literal[False] | None:
    """The key at `at`, and where its value begins."""
    if at < len(text) and text[at] != '"':
        return False
    raw = _value(text, at)
    if not raw:
        return raw
    at = _skip(text, raw[1])
    if at < len(text) and text[at] != ":":
        return False
    return (_string(raw[0]), _skip(text, at + 1)) if at < len(text) else None


def _string(raw: str) -> str:
    """What a JSON string says; "" when it is none."""
    try:
        return msgspec.json.decode(raw, type=str)
    except msgspec.DecodeError:
        return ""


def _whole_arguments(raw: str) -> str | None:
    """Arguments that were read as a whole, as the text of an object; None when they are no object."""
    if raw == "null":
        return "{}"
    text = _string(raw) if raw.startswith('"') else raw  # some models write them as JSON text already
    try:
        return text if type(msgspec.json.decode(text)) is dict else None
    except (msgspec.DecodeError, RecursionError):
        return None
