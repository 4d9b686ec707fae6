"""What is fetched for clients, and what is not (threat 10). Addresses: tests/net/test_http.py."""

import pytest
from twisted.internet.defer import Deferred

from mcptunnel.auth.fetch_urls import HostPolicy
from mcptunnel.auth.rate_limits import Rate
from mcptunnel.net.http import Fetched, Limits
from mcptunnel.relay.oauth.fetching import (
    MAX_AT_ONCE,
    PER_ASKER,
    NotFetchedError,
    TooManyFetchesError,
)
from tests.relay.coroutines import begun, now, result
from tests.relay.oauth.publisher import CLIENT_ID, OWN_HOST, Web

ASKER = "192.0.2.1"
LIMITS = Limits(max_bytes=100, timeout_s=5)


def test_an_object_and_how_long_it_counts() -> None:
    """The limits are handed on."""
    web = Web()
    web.put(CLIENT_ID, {"a": 1}, cache_control="max-age=5")
    assert now(web.fetcher().fetch(CLIENT_ID, LIMITS, asker=ASKER)) == ({"a": 1}, "max-age=5")
    assert web.limits == [LIMITS]


@pytest.mark.parametrize(
    "page",
    [
        Fetched(status=404, media_type="application/json", body=b"{}"),
        Fetched(status=204, media_type="", body=b""),
        Fetched(status=200, media_type="text/html", body=b"{}"),
        Fetched(status=200, media_type="", body=b"{}"),
        Fetched(status=200, media_type="application/json", body=b"[]"),
        Fetched(status=200, media_type="application/json", body=b"{"),
        Fetched(status=200, media_type="application/json", body=b'{"a":1,"a":2}'),
        Fetched(status=200, media_type="application/json", body=b'{"a":"' + b"x" * 100 + b'"}'),
        None,
    ],
)
def test_what_is_no_document(page: Fetched | None) -> None:
    """Wrong status, type, text or size; or nothing at all."""
    web = Web()
    if page is not None:
        web.pages[CLIENT_ID] = page
    with pytest.raises(NotFetchedError):
        now(web.fetcher().fetch(CLIENT_ID, LIMITS, asker=ASKER))


@pytest.mark.parametrize(
    "url",
    [
        "http://app.example.org/client.json",
        "https://app.example.org:8443/client.json",
        "https://app.example.org/",
        "https://app.example.org/client.json?x=1",
        "https://user@app.example.org/client.json",
        "https://127.0.0.1/client.json",
        "https://localhost/client.json",
        "https://printer.local/client.json",
        "https://bad.example.com/client.json",
        f"https://{OWN_HOST}/client.json",
    ],
)
def test_urls_that_are_not_asked(url: str) -> None:
    """Not https, not port 443, no public name, refused by the operator, or the relay's own."""
    web = Web()
    fetcher = web.fetcher(hosts=HostPolicy(refused=("bad.example.com",)))
    assert fetcher.fault(url) is not None
    with pytest.raises(NotFetchedError):
        now(fetcher.fetch(url, LIMITS, asker=ASKER))
    assert web.asked == []


def test_one_host_is_not_asked_too_often() -> None:
    """Paths are endless; other hosts are not concerned."""
    web = Web()
    fetcher = web.fetcher(per_host=Rate(per_s=0.5, burst=2))
    for number in range(2):
        with pytest.raises(NotFetchedError):
            now(fetcher.fetch(f"https://a.example.org/{number}", LIMITS, asker=ASKER))
    with pytest.raises(TooManyFetchesError) as caught:
        now(fetcher.fetch("https://a.example.org/2", LIMITS, asker=ASKER))
    assert caught.value.retry_after_s == 2
    with pytest.raises(NotFetchedError):
        now(fetcher.fetch("https://b.example.org/0", LIMITS, asker=ASKER))
    web.clock.advance(2)
    with pytest.raises(NotFetchedError):
        now(fetcher.fetch("https://a.example.org/3", LIMITS, asker=ASKER))
    assert len(web.asked) == 4


def test_not_too_much_in_all() -> None:
    """Names are endless as well."""
    web = Web()
    fetcher = web.fetcher(overall=Rate(per_s=1, burst=5))
    for number in range(5):
        with pytest.raises(NotFetchedError):
            now(fetcher.fetch(f"https://a{number}.example.org/c", LIMITS, asker=ASKER))
    with pytest.raises(TooManyFetchesError):
        now(fetcher.fetch("https://b.example.org/c", LIMITS, asker=ASKER))
    assert len(web.asked) == 5


def test_threat_10_one_address_does_not_use_up_what_all_may_have_looked_up() -> None:
    """Anybody can name new clients without end; those of all others are still found."""
    web = Web()
    fetcher = web.fetcher()
    for number in range(int(PER_ASKER.burst)):
        with pytest.raises(NotFetchedError):
            now(fetcher.fetch(f"https://a{number}.example.org/c", LIMITS, asker=ASKER))
    with pytest.raises(TooManyFetchesError) as caught:
        now(fetcher.fetch("https://b.example.org/c", LIMITS, asker=ASKER))
    assert caught.value.is_fault_of_client
    assert caught.value.retry_after_s == 1 / PER_ASKER.per_s
    web.put(CLIENT_ID, {"a": 1})
    assert now(fetcher.fetch(CLIENT_ID, LIMITS, asker="192.0.2.2")) == ({"a": 1}, None)


def test_not_too_many_at_once() -> None:
    """Servers that answer slowly hold so many connections, and no more."""
    web = Web()
    web.held = Deferred()
    fetcher = web.fetcher()
    waiting = [
        begun(fetcher.fetch(f"https://a{number}.example.org/c", LIMITS, asker=f"192.0.2.{number}"))
        for number in range(MAX_AT_ONCE)
    ]
    with pytest.raises(TooManyFetchesError):
        now(fetcher.fetch("https://b.example.org/c", LIMITS, asker=ASKER))
    web.held.callback(None)
    for one in waiting:
        with pytest.raises(NotFetchedError):
            result(one)
    with pytest.raises(NotFetchedError):
        now(fetcher.fetch("https://b.example.org/c", LIMITS, asker=ASKER))
