"""TLS on every hop, with certificates of both sides where they are given.

A server with `cert` and `key` speaks HTTPS; with `client_ca` it answers only those who show a certificate of that CA.
What it asks itself (other servers, guards, receivers of the audit log) is shown `client_cert`, and must show a
certificate of `ca`. PostgreSQL and Redis have the same in their addresses: `sslmode=verify-full&sslcert=...`,
`rediss://...?ssl_certfile=...`.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from creuset.core.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class TlsFiles:
    """Files of certificates and keys, PEM; None: not given."""

    cert: Path | None = None
    key: Path | None = None
    client_ca: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None
    ca: Path | None = None

    def __post_init__(self) -> None:
        if (self.cert is None) != (self.key is None):
            raise ValueError("--tls-cert and --tls-key belong together")
        if self.client_ca is not None and self.cert is None:
            raise ValueError("--tls-client-ca needs --tls-cert and --tls-key")
        if (self.client_cert is None) != (self.client_key is None):
            raise ValueError("--tls-client-cert and --tls-client-key belong together")

    def incoming(self) -> dict[str, Any]:
        """The options of uvicorn. ConfigError for a file that is none."""
        if self.cert is None:
            return {}
        _load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), self.cert, self.key, self.client_ca)
        options: dict[str, Any] = {"ssl_certfile": str(self.cert), "ssl_keyfile": str(self.key)}
        if self.client_ca is not None:
            options |= {"ssl_ca_certs": str(self.client_ca), "ssl_cert_reqs": ssl.CERT_REQUIRED}
        return options

    def outgoing(self) -> ssl.SSLContext | None:
        """For connections to others; None: what the system trusts, and no certificate of our own."""
        if self.client_cert is None and self.ca is None:
            return None
        context = ssl.create_default_context(cafile=None if self.ca is None else _there(self.ca))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return _load(context, self.client_cert, self.client_key, None)


NO_TLS = TlsFiles()


def _load(context: ssl.SSLContext, cert: Path | None, key: Path | None, ca: Path | None) -> ssl.SSLContext:
    if cert is not None:
        try:
            context.load_cert_chain(_there(cert), None if key is None else _there(key))
        except ssl.SSLError as error:
            raise ConfigError(f"`{cert}` and `{key}` are no certificate and its key: {error.reason}") from None
    if ca is not None:
        try:
            context.load_verify_locations(_there(ca))
        except ssl.SSLError as error:
            raise ConfigError(f"`{ca}` holds no certificate: {error.reason}") from None
    return context


def _there(file: Path) -> str:
    if not file.is_file():
        raise ConfigError(f"the file `{file}` of --tls is not there")
    return str(file)
