"""Requests to other servers: the one place that knows the HTTP library, aiohttp.

Connections are kept and used again. A redirect is not followed, cookies are not kept, and nothing is sent twice.
aiohttp is imported when the first request goes out, and not before; ADR 36 says why it is this library.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl

    import aiohttp

KEEP_S = 3.0  # an idle connection is kept so long; many servers close theirs after five seconds
END_S = 0.05  # how long to wait for the end of a body whose last piece was read, so that its connection can be kept
MOST_BYTES = 16 << 20  # of a reply to GET


class OutgoingError(Exception):
    """The other server broke the connection, or sent what is no HTTP."""


class NotConnected(OutgoingError):
    """No connection was made, so nothing was asked."""


class TimedOut(OutgoingError):
    """Nothing came for too long."""


class IncomingReply:
    """What another server answers: its head, and its body piece by piece."""

    def __init__(self, response: "aiohttp.ClientResponse") -> None:
        self._response = response
        self.status_code: int = response.status
        self.headers: Mapping[str, str] = response.headers
        self.complete = False  # the last piece that matters was read

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body, decompressed, as it comes. Raises OutgoingError."""
        import aiohttp

        try:
            async for piece in self._response.content.iter_any():
                yield piece
        except (TimeoutError, aiohttp.ServerTimeoutError) as error:
            raise TimedOut(str(error)) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise OutgoingError(type(error).__name__) from error
        self.complete = True

    async def aclose(self) -> None:
        """Keep the connection where the body was read to its end; else close it, which ends the request there."""
        content = self._response.content
        if self.complete and not content.at_eof():
            with suppress(Exception):
                async with asyncio.timeout(END_S):
                    await content.readany()
        if self.complete and content.at_eof():
            self._response.release()
        else:
            self._response.close()


class Outgoing:
    """Connections to one server."""

    def __init__(
        self, headers: Mapping[str, str], *, connect_s: float, silence_s: float, keep: int, trust_env: bool,
        context: "ssl.SSLContext | None" = None,
    ) -> None:  # fmt: skip
        """`headers`: of each request. `silence_s`: the longest time without a byte. `keep`: idle connections.
        `context`: of TLS, where it is not the system's."""
        self._headers, self._connect_s, self._silence_s = dict(headers), connect_s, silence_s
        self._keep, self._trust_env, self._context = keep, trust_env, context
        self._session: aiohttp.ClientSession | None = None

    def _opened(self) -> "aiohttp.ClientSession":
        if self._session is None:
            import aiohttp

            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0, keepalive_timeout=KEEP_S, ssl=self._context or True
                ),
                cookie_jar=aiohttp.DummyCookieJar(), headers={"accept-encoding": "identity", **self._headers},
                timeout=aiohttp.ClientTimeout(total=None, connect=self._connect_s, sock_read=self._silence_s),
                trust_env=self._trust_env,
            )  # fmt: skip
        return self._session

    async def post(self, url: str, raw: bytes, headers: Mapping[str, str]) -> IncomingReply:
        """The head of the answer to a POST. Raises OutgoingError."""
        return IncomingReply(await self._sent("POST", url, data=raw, headers=headers))

    async def get(self, url: str, *, within_s: float) -> tuple[int, bytes]:
        """Status and body of the answer to a GET, which must be there in `within_s` seconds. Raises OutgoingError."""
        try:
            async with asyncio.timeout(within_s):
                reply = IncomingReply(await self._sent("GET", url))
                body = b""
                try:
                    async for piece in reply.pieces():
                        body += piece
                        if len(body) > MOST_BYTES:
                            raise OutgoingError("its reply is too long")
                finally:
                    await reply.aclose()
                return reply.status_code, body
        except TimeoutError as error:
            raise TimedOut(str(error)) from error

    async def _sent(self, method: str, url: str, **more: Any) -> "aiohttp.ClientResponse":
        import aiohttp

        try:
            return await self._opened().request(method, url, allow_redirects=False, **more)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise NotConnected(type(error).__name__) from error
        except (TimeoutError, aiohttp.ServerTimeoutError) as error:
            raise TimedOut(str(error)) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise OutgoingError(type(error).__name__) from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
