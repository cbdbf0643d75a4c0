"""Bytes as text, whatever they were written in: marks, UTF-8, UTF-16, and the older encodings, found by statistics.

A file that is not UTF-8 is converted and its encoding is counted (`RawRecord.encoding`, in the report). Latin-1 is read
as windows-1252, which has the same letters and more, as browsers do. What is neither is told apart by uchardet (in the
resiliparse package); docs/adr/0025 says why not by charset-normalizer. Few bytes are no statistics: under
`_FEW` letters that are not ASCII, a text is taken for windows-1252.
"""

import codecs
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from creuset.core.compressed import BrokenArchive

SAMPLE = 1 << 20  # bytes at the head of a file that decide
_FEW = 4
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"),
)  # fmt: skip
_WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")  # a line feed is more than one byte in these
_SEQUENCE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_HIGH = re.compile(rb"[\x80-\xff]")
_AS_WRITTEN = {"latin-1": "cp1252", "iso8859-1": "cp1252", "iso8859-15": "iso8859-15", "ascii": "cp1252"}


@dataclass(frozen=True, slots=True)
class Decoded:
    text: str
    encoding: str  # "utf-8" where nothing had to be converted


def detect(head: bytes, *, complete: bool = True) -> tuple[str, int]:
    """(encoding, bytes of its mark) of a file that begins with `head`; `complete` where that is all of it.

    "utf-8" stands also for files of which a few lines are something else: `line` looks at those.
    """
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name, len(mark)
    if wide := _wide(head):
        return wide, 0
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, final=complete)
        return "utf-8", 0
    except UnicodeDecodeError:
        pass
    sequences = _SEQUENCE.findall(head)
    alone = len(_HIGH.findall(head)) - sum(map(len, sequences))
    return ("utf-8", 0) if len(sequences) >= alone else (legacy(head), 0)


def _wide(head: bytes) -> str:
    """UTF-16 or UTF-32 without a mark: most of the bytes at every other place are zero, and hardly any beside them."""
    sample = head[:4096]
    if b"\0" not in sample or len(sample) < 8:
        return ""
    zeros = [sample[at::4].count(0) / len(sample[at::4]) for at in range(4)]
    match [share > 0.6 for share in zeros]:
        case [False, True, True, True]:
            return "utf-32-le"
        case [True, True, True, False]:
            return "utf-32-be"
        case [False, True, False, True]:
            return "utf-16-le"
        case [True, False, True, False]:
            return "utf-16-be"
    return ""


def legacy(raw: bytes) -> str:
    """The most likely encoding of bytes that are not UTF-8."""
    if len(_HIGH.findall(raw)) < _FEW:
        return "cp1252"
    from resiliparse.parse.encoding import detect_encoding

    guess = str(detect_encoding(raw, from_html_meta=False))
    name = known(guess)
    return "cp1252" if name in ("", "utf-8") else name


def known(name: str) -> str:
    """Python's name of an encoding as a page or a detector calls it, "" where there is none for text."""
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError):
        return ""
    if not found._is_text_encoding or found.name in ("utf-7", "idna", "punycode", "unicode_escape"):
        return ""
    return _AS_WRITTEN.get(found.name, found.name)


def decode(raw: bytes, declared: str = "") -> Decoded:
    """A whole file as text; never fails. `declared` is believed where the bytes are not UTF-8 and it can be true."""
    encoding, mark = detect(raw)
    body = raw[mark:]
    if encoding == "utf-8":
        try:
            return Decoded(body.decode("utf-8"), "utf-8")
        except UnicodeDecodeError:
            encoding = ""
    if declared and encoding not in _WIDE and (name := known(declared)) and name != "utf-8":
        try:
            return Decoded(body.decode(name), name)
        except UnicodeDecodeError:
            pass
    if not encoding:  # UTF-8 with damage: what can be read is
        return Decoded(body.decode("utf-8", "replace"), "utf-8, damaged")
    return Decoded(_decoded(body, encoding), encoding)


def _decoded(raw: bytes, encoding: str) -> str:
    if encoding == "cp1252":  # five of its bytes mean nothing; Latin-1 has control characters there
        return "".join(_CP1252[byte] for byte in raw) if _UNUSED.search(raw) else raw.decode("cp1252")
    return raw.decode(encoding, "replace")


_UNUSED = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
_CP1252 = [bytes([b]).decode("cp1252", "ignore") or bytes([b]).decode("latin-1") for b in range(256)]


def line(raw: bytes, encoding: str) -> Decoded | None:
    """One line of a file of `encoding`; None where it is UTF-8 with damage.

    A line that is not UTF-8 in a file that is was pasted from an older file, if none of its letters are UTF-8.
    """
    if encoding != "utf-8":
        return Decoded(_decoded(raw, encoding), encoding)
    try:
        return Decoded(raw.decode("utf-8"), "utf-8")
    except UnicodeDecodeError:
        if _SEQUENCE.search(raw):
            return None
        name = legacy(raw)
        return Decoded(_decoded(raw, name), name)


def as_utf8(blocks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """A stream of UTF-16 or UTF-32, its mark included, as UTF-8."""
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    for block in blocks:
        yield decoder.decode(block).encode("utf-8", "replace")
    yield decoder.decode(b"", final=True).encode("utf-8", "replace")


def is_wide(encoding: str) -> bool:
    return encoding in _WIDE


def unified(stream: Iterator[bytes]) -> tuple[str, Iterator[bytes]]:
    """(encoding, the stream without its mark); UTF-16 and UTF-32 come as UTF-8, so that lines can be split."""
    head, rest = b"", stream
    try:
        for block in stream:
            head += block
            if len(head) >= SAMPLE:
                break
    except BrokenArchive as error:
        rest = _raising(error)  # after what is good
    found, mark = detect(head, complete=len(head) < SAMPLE)
    whole = itertools.chain((head[mark:] if is_wide(found) else head,), rest)
    return found, as_utf8(whole, found) if is_wide(found) else whole


def _raising(error: BrokenArchive) -> Iterator[bytes]:
    yield from ()
    raise error
