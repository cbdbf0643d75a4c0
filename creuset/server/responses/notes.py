"""Notes of a conversation as text that is sent and comes back: what a `compaction` item holds."""

import base64
import zlib

from creuset.core.errors import RequestError

MOST_BYTES = 1 << 20  # of notes that come back
_MARK = "creuset1."


def pack(notes: str) -> str:
    return _MARK + base64.urlsafe_b64encode(zlib.compress(notes.encode(), 9)).decode()


def unpack(content: str) -> str:
    """RequestError for what no compaction of ours is."""
    refusal = RequestError("`encrypted_content` is not of a compaction that this server made", param="input")
    if not content.startswith(_MARK):
        raise refusal
    try:
        reading = zlib.decompressobj()
        found = reading.decompress(base64.urlsafe_b64decode(content.removeprefix(_MARK)), MOST_BYTES)
        if not reading.eof or reading.unused_data:
            raise refusal
        return found.decode()
    except (ValueError, zlib.error):
        raise refusal from None
