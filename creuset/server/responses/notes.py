"""What a `compaction` item holds: the messages that stand for a conversation, as text that is sent and comes back."""

import base64
import zlib
from collections.abc import Sequence
from typing import Literal

import msgspec

from creuset.core.errors import RequestError

MOST_BYTES = 1 << 20  # of what comes back
_MARK = "creuset1."


class Note(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    role: Literal["system", "user", "assistant"]
    text: str


def pack(notes: Sequence[Note]) -> str:
    return _MARK + base64.urlsafe_b64encode(zlib.compress(msgspec.json.encode(list(notes)), 9)).decode()


def unpack(content: str) -> list[Note]:
    """RequestError for what no compaction of ours is."""
    refusal = RequestError("`encrypted_content` is not what /v1/responses/compact of this server packs", param="input")
    if not content.startswith(_MARK):
        raise refusal
    try:
        reading = zlib.decompressobj()
        found = reading.decompress(base64.urlsafe_b64decode(content.removeprefix(_MARK)), MOST_BYTES)
        if not reading.eof or reading.unused_data:
            raise refusal
        return msgspec.json.decode(found, type=list[Note])
    except (ValueError, zlib.error, msgspec.DecodeError):
        raise refusal from None
