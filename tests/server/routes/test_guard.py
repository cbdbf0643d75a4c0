"""Addresses that somebody gives: none leads into this machine, its networks, or to the secrets of a cloud."""

import asyncio
import ipaddress
from collections.abc import Sequence

import pytest

from creuset.server.routes.guard import UnsafeAddress, pinned, redirected, why_unsafe

UNSAFE = [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
    "169.254.0.1", "100.64.0.1", "100.100.100.200", "192.0.0.192", "168.63.129.16", "224.0.0.1", "240.0.0.1",
    "255.255.255.255", "198.18.0.1", "192.0.2.1", "::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1",
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a00:1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:c0a8:101::", "::127.0.0.1", "::10.0.0.1",
    "2001:0:7f00:1::", "2001:db8::1", "fec0::1",
]  # fmt: skip
SAFE = ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", UNSAFE)
def test_an_address_of_our_own_networks_is_refused(address: str) -> None:
    assert why_unsafe(ipaddress.ip_address(address))
    with pytest.raises(UnsafeAddress, match="leads to an address that"):
        asyncio.run(pinned("https://x.example/v1", resolver=leads(["8.8.8.8", address])))


@pytest.mark.parametrize("address", SAFE)
def test_a_public_address_is_asked(address: str) -> None:
    found = asyncio.run(pinned("https://x.example:8443/v1", resolver=leads([address])))
    assert (found.address, found.host, found.port) == (address, "x.example", 8443)


def leads(*answers: Sequence[str]):
    """A resolver that answers each question with the next of `answers`, the last one for ever."""
    left = list(answers)

    async def resolver(host: str, port: int) -> Sequence[str]:
        return left.pop(0) if len(left) > 1 else left[0]

    return resolver


@pytest.mark.parametrize("url", [
    "http://x.example/", "ftp://x.example/", "file:///etc/passwd", "https://", "https://a:b@x.example/",
    "https://x.example\\@127.0.0.1/", "https://x.example/\r\nhost: y", "https://x%2eexample/", "https://[::1",
    "https://x.example:99999/", "x.example",
])  # fmt: skip
def test_what_is_no_plain_address_is_refused_before_it_is_resolved(url: str) -> None:
    async def never(host: str, port: int) -> Sequence[str]:
        raise AssertionError("it was resolved")

    with pytest.raises(UnsafeAddress):
        asyncio.run(pinned(url, resolver=never))


def test_a_name_is_resolved_once_and_the_connection_goes_there() -> None:
    found = asyncio.run(pinned("https://x.example/", resolver=leads(["8.8.8.8"], ["127.0.0.1"])))
    assert found.address == "8.8.8.8", "what the name says a moment later does not matter"


def test_a_redirect_is_looked_at_again() -> None:
    async def run(location: str, *answers: Sequence[str]) -> str:
        before = await pinned("https://x.example/v1", resolver=leads(["8.8.8.8"]))
        return (await redirected(before, location, resolver=leads(*answers))).url

    assert asyncio.run(run("/v2", ["8.8.8.8"])) == "https://x.example/v2"
    for location, answer in (("https://y.example/", "10.0.0.1"), ("//metadata/", "169.254.169.254"),
                             ("/x", "127.0.0.1"), ("http://x.example/", "8.8.8.8")):  # fmt: skip
        with pytest.raises(UnsafeAddress):
            asyncio.run(run(location, [answer]))


def test_a_name_without_an_address_is_refused() -> None:
    async def none(host: str, port: int) -> Sequence[str]:
        raise OSError("no such name")

    with pytest.raises(UnsafeAddress, match=r"`x.example` has no address"):
        asyncio.run(pinned("https://x.example/", resolver=none))
