"""The body of a request as it comes off the wire: bounded in size, and decompressed where it was compressed."""

import zlib

from starlette.types import Message, Receive

from creuset.core.errors import RequestError
from creuset.server.errors import TooLarge, WrongMediaType

SERVED = ("gzip", "deflate")


def too_large(size: int, limit: int) -> TooLarge:
    return TooLarge(
        f"the body has at least {size} bytes; this server takes {limit}", hint="start it with --max-body-mb for more"
    )


def limited(receive: Receive, limit: int, encoding: str = "") -> Receive:
    """`receive`, refusing a body that grows over `limit` bytes, as sent or decompressed, whatever it said of itself.

    `encoding`: the header Content-Encoding. Reading raises RequestError for data that are damaged or cut.
    """
    encoding = encoding.strip().lower()
    return _decompressed(receive, limit, encoding) if encoding in SERVED else _counted(receive, limit)


def refuse_encoding(encoding: str) -> None:
    """Raises WrongMediaType for a Content-Encoding that is not served."""
    encoding = encoding.strip().lower()
    if encoding not in ("", "identity", *SERVED):
        raise WrongMediaType(
            f"the body is compressed as `{encoding[:40]}`; this server takes {' and '.join(SERVED)}, or none"
        )


def _counted(receive: Receive, limit: int) -> Receive:
    total = 0

    async def counted() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > limit:
            raise too_large(total, limit)
        return message

    return counted


def _decompressed(receive: Receive, limit: int, encoding: str) -> Receive:
    counted = _counted(receive, limit)
    decompressor = zlib.decompressobj(wbits=31 if encoding == "gzip" else 15)
    total = 0

    async def decompressed() -> Message:
        nonlocal total
        message = await counted()
        if message["type"] != "http.request":
            return message
        try:
            data = decompressor.decompress(message.get("body", b""), limit + 1 - total)
        except zlib.error as error:
            raise RequestError(f"the body is no {encoding} data: {error}") from None
        total += len(data)
        if total > limit:
            raise too_large(total, limit)
        if not message.get("more_body", False) and not decompressor.eof:
            raise RequestError(f"the body is no {encoding} data: it is cut")
        if decompressor.unused_data:
            raise RequestError(f"the body has more behind its {encoding} data")
        return {**message, "body": data}

    return decompressed
