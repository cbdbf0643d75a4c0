"""The cookie of a session, and from which pages it is believed."""

from creuset.core.errors import Forbidden
from creuset.server.settings import is_loopback

NAME, SECURE = "creuset_session", "__Host-creuset_session"
SAFE = ("GET", "HEAD", "OPTIONS")


def cookie_of(header: str, host: str, name: str = "") -> str:
    """The value of a cookie in the header `Cookie`, by default that of the session; empty where it is not there.

    Off this machine only `__Host-` counts: no neighbouring host can have set that one.
    """
    wanted = name or (SECURE if is_secure(host) else NAME)
    for part in header.split(";"):
        found, _, value = part.strip().partition("=")
        if found == wanted:
            return value.strip('"')
    return ""


def is_secure(host: str) -> bool:
    """Whether a page at `host`, of the header Host, must use TLS: everything but this machine."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    return not is_loopback(name)


def set_cookie(host: str, value: str, lasts_s: int, name: str = "") -> str:
    """The header `Set-Cookie`; with no value it ends the cookie."""
    secure = is_secure(host)
    name = name or (SECURE if secure else NAME)
    age = lasts_s if value else 0
    return f"{name}={value}; Max-Age={age}; Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if secure else "")


def check_origin_of_cookie(method: str, origin: str, host: str) -> None:
    """A request that changes something with a cookie must come from a page of this server itself. Raises Forbidden.

    A browser sends Origin with each of these. The scheme may differ: a proxy in front may speak TLS.
    """
    if method not in SAFE and origin.partition("://")[2].lower() != host.lower():
        raise Forbidden("a session counts for pages of this server only", code="origin_not_allowed")
