"""Names and the addresses that stand for them. Connecting is shown by tests/net/test_http.py."""

import socket
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from threading import Event
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import DNSLookupError

from mcptunnel.net.pinning import (
    MAX_ADDRESSES,
    AddressRefusedError,
    Resolver,
    SystemResolver,
    anywhere,
    pinned_addresses,
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


class FromThread:
    """What of a reactor threads need; it keeps what they bring until it is taken."""

    def __init__(self) -> None:
        self._brought: SimpleQueue[Callable[[], None]] = SimpleQueue()

    def callFromThread(self, call: Callable[..., None], *args: Any) -> None:
        self._brought.put(lambda: call(*args))

    def take(self) -> None:
        self._brought.get(timeout=10)()


def test_the_systems_resolver() -> None:
    """Each address comes once."""
    reactor = FromThread()
    found: list[Any] = []
    SystemResolver(reactor)("localhost").addCallback(found.extend)
    reactor.take()
    assert set(found) & {"127.0.0.1", "::1"}
    assert len(found) == len(set(found))


@pytest.mark.parametrize("host", ["a.invalid", "x" * 64 + ".example", ""])
def test_names_that_the_system_does_not_know(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One kind of error, also for what is no name at all."""

    def unknown(name: str, *_: Any, **__: Any) -> Any:
        name.encode("idna")
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("mcptunnel.net.pinning.socket.getaddrinfo", unknown)
    reactor = FromThread()
    failures: list[Any] = []
    looking: Deferred[Any] = SystemResolver(reactor)(host)
    looking.addErrback(failures.append)
    reactor.take()
    assert failures[0].check(DNSLookupError)


def test_slow_names_hold_few_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """With all threads held a name fails at once; who no longer waits does not free the thread."""
    end = Event()

    def slow(*_: Any, **__: Any) -> Any:
        assert end.wait(10)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0))]

    monkeypatch.setattr("mcptunnel.net.pinning.socket.getaddrinfo", slow)
    reactor = FromThread()
    resolve = SystemResolver(reactor, max_threads=2)
    ended: list[Any] = []
    waiting: list[Deferred[Any]] = [resolve("slow.example") for _ in range(2)]
    for one in waiting:
        one.addBoth(ended.append)
    waiting[0].cancel()
    refused: Deferred[Any] = resolve("other.example")
    refused.addBoth(ended.append)
    assert [failure.type for failure in ended] == [CancelledError, DNSLookupError]
    end.set()
    reactor.take()
    reactor.take()
    assert ended[2] == ("192.0.2.1",)
    again: Deferred[Any] = resolve("other.example")
    again.addBoth(ended.append)
    reactor.take()
    assert ended[3] == ("192.0.2.1",)
