"""Names and the addresses that stand for them. Connecting is shown by tests/net/test_http.py."""

from collections.abc import Sequence
from typing import Any

import pytest
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.error import DNSLookupError

from mcptunnel.net.pinning import (
    MAX_ADDRESSES,
    AddressRefusedError,
    Resolver,
    anywhere,
    pinned_addresses,
    system_resolver,
)


def resolver(*addresses: str) -> Resolver:
    async def resolve(_host: str) -> Sequence[str]:
        return addresses

    return resolve


def pinned(host: str, resolve: Resolver, judge: Any = anywhere) -> Any:
    """Return the addresses, or raise."""
    results: list[Any] = []
    done: Deferred[Any] = Deferred.fromCoroutine(pinned_addresses(host, resolve, judge))
    done.addCallbacks(results.append, lambda failure: results.append(failure.value))
    if isinstance(results[0], Exception):
        raise results[0]
    return results[0]


def test_all_addresses_are_judged_together() -> None:
    """The judge sees what will be connected to, and nothing else."""
    seen: list[Any] = []

    def judge(addresses: Any) -> bool:
        seen.append(addresses)
        return True

    resolve = resolver("192.0.2.1", "2001:db8::1")
    assert pinned("a.example", resolve, judge) == seen[0] == ("192.0.2.1", "2001:db8::1")
    with pytest.raises(AddressRefusedError):
        pinned("a.example", resolve, lambda _: False)


def test_no_addresses() -> None:
    """A name without addresses is one that cannot be resolved."""
    with pytest.raises(DNSLookupError):
        pinned("a.example", resolver())


def test_an_address_is_its_own() -> None:
    """It is written in its one spelling."""
    assert pinned("2001:DB8:0::1", resolver()) == ("2001:db8::1",)


def test_endless_answers_of_a_resolver_are_cut() -> None:
    """Nobody needs a thousand addresses."""
    many = [f"192.0.2.{number}" for number in range(200)]
    assert len(pinned("a.example", resolver(*many))) == MAX_ADDRESSES


def test_the_systems_resolver() -> None:
    """Addresses come in order, each once."""

    class Resolving:
        def __init__(self) -> None:
            self.nameResolver = self

        def resolveHostName(self, receiver: Any, host: str) -> None:
            receiver.resolutionBegan(None)
            receiver.addressResolved(IPv6Address("TCP", "2001:db8::1", 0))
            for _ in range(2):
                receiver.addressResolved(IPv4Address("TCP", "192.0.2.1", 0))
            receiver.resolutionComplete()

    assert pinned("a.example", system_resolver(Resolving())) == ("2001:db8::1", "192.0.2.1")
