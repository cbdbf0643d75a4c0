"""Whether an address that somebody gives through the API may be asked: no way into this machine or its networks.

A name is resolved once, every address that it has is looked at, and the connection goes to one of them: a name that
leads elsewhere a moment later changes nothing. Redirects are not followed; whoever follows one looks at it here first.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from creuset.core.errors import RequestError

IP = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
SIX_TO_FOUR, TEREDO = ipaddress.IPv6Network("2002::/16"), ipaddress.IPv6Network("2001::/32")
# Where clouds tell a machine its secrets; most are link-local, these are not.
METADATA = frozenset({"100.100.100.200", "192.0.0.192", "168.63.129.16", "fd00:ec2::254"})
SHARED = ipaddress.IPv4Network("100.64.0.0/10")  # of carriers, RFC 6598


class UnsafeAddress(RequestError):
    code = "unsafe_address"


@dataclass(frozen=True, slots=True)
class PinnedAddress:
    """`url` as it was given, and the one address that its connections go to."""

    url: str
    host: str
    port: int
    address: str


def embedded(found: IP) -> list[IP]:
    """`found`, and every IPv4 address that it carries: v4-mapped, NAT64, 6to4, Teredo, v4-compatible."""
    every: list[IP] = [found]
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            every.append(found.ipv4_mapped)
        if found in SIX_TO_FOUR and found.sixtofour is not None:
            every.append(found.sixtofour)
        if found in TEREDO and found.teredo is not None:
            every += found.teredo
        low = int(found) & 0xFFFFFFFF
        if any(found in network for network in NAT64) or (int(found) >> 32 == 0 and low > 1):
            every.append(ipaddress.IPv4Address(low))
    return every


def why_unsafe(found: IP) -> str:
    """Why this address may not be asked; empty: it may."""
    for one in embedded(found):
        if str(one) in METADATA:
            return "tells machines of a cloud their secrets"
        if one.is_loopback or one.is_unspecified:
            return "is this machine"
        if one.is_link_local:
            return "is of the local link, where clouds tell machines their secrets"
        if isinstance(one, ipaddress.IPv6Address) and one.is_site_local:
            return "is of a private network"
        if one.is_multicast:
            return "is of a group of machines"
        if isinstance(one, ipaddress.IPv4Address) and one in SHARED:
            return "is of a private network"
        carries = one is found and len(embedded(found)) > 1  # judged by what it carries
        if (one.is_private or one.is_reserved or not one.is_global) and not carries:
            return "is of a private network"
    return ""


async def resolve(host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    rows = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(row[4][0]) for row in rows))


async def pinned(url: str, *, resolver: Resolve = resolve, plain: bool = False) -> PinnedAddress:
    """Where `url` leads. UnsafeAddress where any of its addresses may not be asked. `plain`: http is let through."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise UnsafeAddress("the address of the upstream is none", param="url") from None
    host = (parts.hostname or "").rstrip(".")
    if parts.scheme not in ("https", "http") if plain else parts.scheme != "https":
        raise UnsafeAddress("the address of an upstream begins with https://", param="url")
    if not host or parts.username is not None or parts.password is not None:
        raise UnsafeAddress(
            "the address of an upstream is https://HOST/PATH, without a name and a password", param="url"
        )
    if any(ord(letter) < 33 or ord(letter) > 126 for letter in url) or "\\" in url or "%" in host:
        raise UnsafeAddress("the address of an upstream has letters, digits and the signs of URLs only", param="url")
    try:
        found = await resolver(host, port)
    except OSError:
        raise UnsafeAddress(f"`{host}` has no address", param="url") from None
    if not found:
        raise UnsafeAddress(f"`{host}` has no address", param="url")
    for one in found:
        try:
            why = why_unsafe(ipaddress.ip_address(one.partition("%")[0]))
        except ValueError:
            why = "is none"
        if why:
            raise UnsafeAddress(f"`{host}` leads to an address that {why}", param="url")
    return PinnedAddress(url, host, port, found[0])


async def redirected(before: PinnedAddress, location: str, *, resolver: Resolve = resolve) -> PinnedAddress:
    """Where a redirect leads: looked at as the first address was, and never from https to http."""
    return await pinned(urljoin(before.url, location), resolver=resolver)
