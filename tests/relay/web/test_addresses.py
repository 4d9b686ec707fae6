"""Where a request comes from: the peer, unless a proxy that is trusted says otherwise."""

from typing import Any

import pytest
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.web.server import Request
from twisted.web.test.requesthelper import DummyChannel

from mcptunnel.relay.web.addresses import UNKNOWN, ClientAddresses

PROXY = "10.0.0.1"


def request(peer: Any, *forwarded: str) -> Request:
    made = Request(DummyChannel())
    made.client = peer
    for value in forwarded:
        made.requestHeaders.addRawHeader(b"x-forwarded-for", value.encode())
    return made


def tcp(host: str) -> Any:
    kind = IPv6Address if ":" in host else IPv4Address
    return kind("TCP", host, 1)


def test_without_trust_the_peer_counts() -> None:
    addresses = ClientAddresses()
    assert addresses.of(request(tcp("203.0.113.9"), "1.2.3.4")) == "203.0.113.9"
    assert addresses.of(request(tcp("2001:db8::1"))) == "2001:db8::1"


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        ((), PROXY),
        (("203.0.113.9",), "203.0.113.9"),
        (("1.2.3.4, 203.0.113.9",), "203.0.113.9"),
        (("1.2.3.4", "203.0.113.9"), "203.0.113.9"),
        (("203.0.113.9, 10.0.0.2",), "203.0.113.9"),
        (("nonsense, 10.0.0.2",), "10.0.0.2"),
        (("203.0.113.9, nonsense",), PROXY),
        (("::ffff:203.0.113.9",), "203.0.113.9"),
        (("[2001:db8::1]",), "2001:db8::1"),
        (("",), PROXY),
    ],
)
def test_of_what_proxies_say_the_last_stranger_counts(
    forwarded: tuple[str, ...], expected: str
) -> None:
    """What stands before that is whatever the stranger wrote."""
    addresses = ClientAddresses(["10.0.0.0/8"])
    assert addresses.of(request(tcp(PROXY), *forwarded)) == expected


def test_a_unix_socket_is_a_proxy_if_that_is_said() -> None:
    peer = UNIXAddress(b"")
    assert ClientAddresses().of(request(peer, "1.2.3.4")) == UNKNOWN
    assert ClientAddresses(["unix"]).of(request(peer, "1.2.3.4")) == "1.2.3.4"
    assert ClientAddresses(["unix"]).of(request(peer)) == UNKNOWN


def test_what_has_no_address_is_unknown() -> None:
    assert ClientAddresses(["10.0.0.0/8"]).of(request(None)) == UNKNOWN
