"""How a server may be set up, and which names mean this machine only."""

from typing import Any

import pytest

from creuset.server.settings import ServeSettings, is_loopback


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"port": -1}, "port must be between 0 and 65535, got -1"),
        ({"port": 65536}, "port must be between 0 and 65535, got 65536"),
        ({"max_concurrency": 0}, "max_concurrency must be at least 1, got 0"),
        ({"body_limit_bytes": 0}, "body_limit_bytes must be at least 1, got 0"),
        ({"max_queue": -1}, "max_queue must not be negative, got -1"),
        ({"heartbeat_s": 0}, "heartbeat_s must be positive, got 0"),
        ({"send_timeout_s": -2.5}, "send_timeout_s must be positive, got -2.5"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_with_its_value(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError) as refused:
        ServeSettings(**changes)
    assert str(refused.value) == words


@pytest.mark.parametrize(
    "changes", [{"port": 0}, {"port": 65535}, {"max_queue": 0}, {"max_concurrency": 1}, {"body_limit_bytes": 1}]
)
def test_the_ends_of_each_range_are_allowed(changes: dict[str, Any]) -> None:
    assert ServeSettings(**changes)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True), ("LOCALHOST", True), ("localhost.", True), ("127.0.0.1", True), ("127.8.9.10", True),
        ("::1", True), ("[::1]", True),
        ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("192.168.1.2", False), ("example.org", False),
        ("localhost.example.org", False), ("127.0.0.1.example.org", False), ("", False), ("1", False),
    ],
)  # fmt: skip
def test_only_addresses_of_this_machine_are_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
    assert ServeSettings(host=host).loopback is expected
