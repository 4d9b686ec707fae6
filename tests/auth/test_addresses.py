"""Addresses that may be fetched from (threat 10)."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcptunnel.auth.addresses import may_fetch, may_fetch_all


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "93.184.215.14",
        "2606:4700:4700::1111",
        "2a00:1450::1",
        "64:ff9b::101:101",
        "::ffff:1.1.1.1",
    ],
)
def test_global_unicast_may_be_fetched_from(address: str) -> None:
    """Also IPv4 through NAT64, which is the only way out of some networks."""
    assert may_fetch(address)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.254",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:a9fe:a9fe",
        "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:2::1",
        "2001:20::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:101:101::",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "2606:4700::1%eth0",
        "fec0::1",
        "ff02::1",
    ],
)
def test_row_10_all_else_may_not(address: str) -> None:
    """Private, loopback, link-local, metadata services, shared, documentation, multicast, tunnels."""
    assert not may_fetch(address)


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_row_10_an_ipv4_address_is_itself_in_every_dress(address: IPv4Address) -> None:
    """Mapped and NAT64 are judged as the address inside; 6to4, Teredo and compatible never pass."""
    number = int(address)
    assert not may_fetch(str(address)) or address.is_global
    assert may_fetch(str(IPv6Address(0xFFFF << 32 | number))) == may_fetch(str(address))
    nat64 = int(IPv6Address("64:ff9b::"))
    assert may_fetch(str(IPv6Address(nat64 | number))) == may_fetch(str(address))
    for prefix in (0x2002 << 112 | number << 80, 0x20010000 << 96 | number, number):
        assert not may_fetch(str(IPv6Address(prefix)))


@given(st.integers(0, 2**128 - 1).map(IPv6Address))
def test_row_10_ipv6_is_never_laxer_than_the_registry(address: IPv6Address) -> None:
    assert not may_fetch(str(address)) or address.is_global or address.ipv4_mapped is not None


@given(st.text())
def test_any_other_text_is_no_address(text: str) -> None:
    assert isinstance(may_fetch(text), bool)
    assert not may_fetch(f"{text} ")


def test_row_10_one_bad_address_spoils_a_name() -> None:
    """DNS that answers with a good and a bad address is how rebinding begins."""
    assert may_fetch_all(["1.1.1.1", "2606:4700::1"])
    assert not may_fetch_all(["1.1.1.1", "127.0.0.1"])
    assert not may_fetch_all([])
