"""Fetching from servers on the loopback that behave, and from those that do not (threat 10)."""

import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import DNSLookupError

from mcptunnel.auth.addresses import may_fetch_all
from mcptunnel.net.http import Fetched, Fetcher, FetchError, Limits
from mcptunnel.net.pinning import Judge, anywhere
from tests.conftest import Log
from tests.net.loopback import Authority, in_reactor, until
from tests.net.web_servers import Reply, Visit, WebServer, answer, ca_file, saying

# Twisted hands pyOpenSSL's own certificate objects to pyOpenSSL, which does not like that any more.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

LIMITS = Limits(max_bytes=5 * 1024, timeout_s=5.0)
HURRY = Limits(max_bytes=5 * 1024, timeout_s=0.3)
HERE = ("127.0.0.1",)


class Names:
    """A resolver with answers one after the other; the last stays."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers) or [HERE]
        self.asked: list[str] = []

    async def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


class Stage:
    """A server, a fetcher, and the names that it finds."""

    def __init__(self, reactor: Any, port: int, authority: Authority, folder: Path) -> None:
        self.reactor = reactor
        self._port = port
        self._authority = authority
        self._ca_file = ca_file(authority, folder)
        self._servers: list[WebServer] = []
        self._fetchers: list[Fetcher] = []
        self.names = Names()

    def serve(self, reply: Reply, *, tls: bool = True, **options: Any) -> WebServer:
        authority = self._authority if tls else None
        server = WebServer(self.reactor, self._port, reply, authority=authority, **options)
        self._servers.append(server)
        return server

    def fetcher(self, judge: Judge = anywhere, *, trusts: bool = True) -> Fetcher:
        fetcher = Fetcher(
            self.reactor,
            judge=judge,
            resolve=self.names,
            ca_file=self._ca_file if trusts else None,
        )
        self._fetchers.append(fetcher)
        return fetcher

    def url(
        self, host: str = "docs.example", path: str = "/client.json", *, tls: bool = True
    ) -> str:
        return f"{'https' if tls else 'http'}://{host}:{self._port}{path}"

    async def get(self, reply: Reply, limits: Limits = LIMITS) -> Fetched:
        """Fetch from a server that replies so."""
        self.serve(reply)
        return await self.fetcher().get(self.url(), limits)

    async def refused(self, fetching: Any) -> str:
        """Return the detail of a fetch that has to fail, whose text tells nothing."""
        with pytest.raises(FetchError) as caught:
            await fetching
        assert str(caught.value) == "Nothing could be fetched from there"
        return caught.value.detail

    async def stop(self) -> None:
        for fetcher in self._fetchers:
            await fetcher.stop()
        for server in self._servers:
            await server.stop()


@pytest.fixture
def stage(
    running_reactor: Any, free_port: int, authority: Authority, tmp_path: Path
) -> Iterator[Stage]:
    made = Stage(running_reactor, free_port, authority, tmp_path)
    yield made
    pytest_twisted.blockon(Deferred.fromCoroutine(made.stop()))


@pytest.mark.parametrize(
    ("field", "retry_after_s"),
    [("17", 17.0), ("0", 0.0), ("soon", None), ("-1", None), ("9" * 10, None), ("1.5", None)],
)
@in_reactor
async def test_a_server_may_say_when_to_come_again(
    stage: Stage, field: str, retry_after_s: float | None
) -> None:
    """In seconds; a date, or anything else, is as nothing."""
    reply = saying(answer(b"", f"Retry-After: {field}", status="503 Busy"))
    assert (await stage.get(reply)).retry_after_s == retry_after_s


@in_reactor
async def test_a_document_is_fetched(stage: Stage) -> None:
    """Status, media type, caching and body come back; the server saw its name in TLS and in Host."""
    server = stage.serve(
        saying(
            answer(
                b"{}", "Content-Type: Application/JSON; charset=utf-8", "Cache-Control: max-age=9"
            )
        )
    )
    got = await stage.fetcher().get(stage.url(), LIMITS)
    assert got == Fetched(
        status=200, media_type="application/json", body=b"{}", cache_control="max-age=9"
    )
    assert got.is_json
    assert server.server_names == ["docs.example"]
    (request,) = server.requests
    assert request.startswith(b"GET /client.json HTTP/1.1\r\n")
    assert f"Host: docs.example:{server.port}".encode() in request
    assert stage.names.asked == ["docs.example"]


@in_reactor
async def test_a_form_is_posted_with_headers(stage: Stage) -> None:
    """Token requests are forms; an error status is an answer, too."""
    server = stage.serve(saying(answer(b'{"error":"x"}', status="400 Bad Request")), tls=False)
    got = await stage.fetcher().post(
        stage.url(tls=False), {"a": "1 ü&", "b": "="}, LIMITS, {"Authorization": "Basic eA=="}
    )
    assert (got.status, got.body) == (400, b'{"error":"x"}')
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert body == b"a=1+%C3%BC%26&b=%3D"
    assert b"Content-Type: application/x-www-form-urlencoded" in head
    assert b"Authorization: Basic eA==" in head


@in_reactor
async def test_nothing_of_a_browser(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """No cookie comes back to the server, no proxy is asked, no compression offered, no connection kept."""
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    server = stage.serve(saying(answer(b"{}", "Set-Cookie: a=b; Path=/")))
    fetcher = stage.fetcher()
    for _ in range(2):
        assert (await fetcher.get(stage.url(), LIMITS)).status == 200
    assert len(server.visits) == 2
    for request in server.requests:
        assert b"cookie" not in request.lower()
        assert b"Accept-Encoding: identity\r\n" in request
        assert b"gzip" not in request
    await until(stage.reactor, lambda: all(visit.is_lost for visit in server.visits))


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Again", "304 Not Modified"])
@in_reactor
async def test_a_redirect_is_refused(stage: Stage, status: str) -> None:
    """Also one to the same place: nothing else is asked for."""
    server = stage.serve(
        lambda visit: visit.say(answer(b"", f"Location: {stage.url(path='/other')}", status=status))
    )
    told = await stage.refused(stage.fetcher().get(stage.url(), LIMITS))
    assert "redirect" in told
    assert len(server.visits) == 1


def _endless_chunks(visit: Visit) -> None:
    visit.say(answer(b"", "Transfer-Encoding: chunked", length=False))
    visit.drip(b"400\r\n" + b"x" * 1024 + b"\r\n", 0.001)


def _endless_heads(visit: Visit) -> None:
    visit.say(b"HTTP/1.1 200 OK\r\n")
    visit.drip(b"X-More: " + b"x" * 1024 + b"\r\n", 0.001)


def _endless_interim(visit: Visit) -> None:
    visit.drip(b"HTTP/1.1 103 Early Hints\r\nX: " + b"x" * 1024 + b"\r\n\r\n", 0.001)


@pytest.mark.parametrize(
    "reply",
    [
        saying(answer(b"x" * (5 * 1024 + 1))),
        saying(answer(b"", "Content-Length: 9000000000", length=False) + b"x" * 6000),
        _endless_chunks,
        _endless_heads,
        _endless_interim,
    ],
    ids=["body", "announced", "chunks", "heads", "interim"],
)
@in_reactor
async def test_too_large(stage: Stage, reply: Reply) -> None:
    """Body and heads have bounds, however they come; the connection is dropped at once."""
    server = stage.serve(reply)
    told = await stage.refused(stage.fetcher().get(stage.url(), LIMITS))
    assert "too large" in told
    await until(stage.reactor, lambda: server.visits[0].is_lost)


@in_reactor
async def test_as_large_as_it_may_be(stage: Stage) -> None:
    """The bound itself is allowed."""
    got = await stage.get(saying(answer(b"x" * 5 * 1024)))
    assert len(got.body) == 5 * 1024


def _slow_body(visit: Visit) -> None:
    visit.say(answer(b"", "Content-Length: 4000", length=False))
    visit.drip(b"x", 0.02)


def _slow_head(visit: Visit) -> None:
    visit.say(b"HTTP/1.1 200 OK\r\n")
    visit.drip(b"x", 0.02)


@pytest.mark.parametrize(
    "reply", [_slow_body, _slow_head, lambda _: None], ids=["body", "head", "silent"]
)
@in_reactor
async def test_slow_drip(stage: Stage, reply: Reply) -> None:
    """One deadline for everything: to send a byte now and then gains no time."""
    server = stage.serve(reply)
    told = await stage.refused(stage.fetcher().get(stage.url(), HURRY))
    assert told == "no answer within 0.3 s"
    await until(stage.reactor, lambda: server.visits[0].is_lost)


@in_reactor
async def test_a_resolver_that_never_answers(stage: Stage) -> None:
    """The deadline holds for names, too."""
    never: Deferred[Sequence[str]] = Deferred()
    fetcher = Fetcher(stage.reactor, judge=anywhere, resolve=lambda _: never)
    assert "no answer" in await stage.refused(fetcher.get(stage.url(), HURRY))


@in_reactor
async def test_a_wrong_name_in_the_certificate(stage: Stage) -> None:
    """A certificate of the right authority for another host is no use, and no request is sent."""
    server = stage.serve(saying(answer()), name="other.example")
    told = await stage.refused(stage.fetcher().get(stage.url(), LIMITS))
    assert "for another name" in told
    assert server.requests == []


@in_reactor
async def test_an_authority_that_nobody_knows(stage: Stage) -> None:
    """Without the file, the system's authorities count, and ours is none of them."""
    server = stage.serve(saying(answer()))
    told = await stage.refused(stage.fetcher(trusts=False).get(stage.url(), LIMITS))
    assert "not one that this machine trusts" in told
    assert server.requests == []


@in_reactor
async def test_plain_text_where_tls_should_be(stage: Stage) -> None:
    """https stays https."""
    stage.serve(saying(answer()), tls=False, is_hasty=True)
    assert "not TLS" in await stage.refused(stage.fetcher().get(stage.url(), HURRY))


PRIVATE = [
    "127.0.0.1",
    "10.0.0.1",
    "169.254.169.254",
    "::1",
    "fe80::1",
    "fd00::1",
    "::ffff:127.0.0.1",
    "::ffff:10.1.2.3",
    "2002:7f00:1::",
    "2001:0:53aa:64c:0:fbff:80ff:fffe",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "0.0.0.0",
]


@pytest.mark.parametrize("address", PRIVATE)
@in_reactor
async def test_private_addresses_are_refused(stage: Stage, address: str) -> None:
    """Loopback, private, link-local, and those inside v4-mapped, 6to4, Teredo and NAT64 ones."""
    server = stage.serve(saying(answer()))
    stage.names = Names([address])
    told = await stage.refused(stage.fetcher(may_fetch_all).get(stage.url(), LIMITS))
    assert "must not be connected to" in told
    assert server.visits == []


@in_reactor
async def test_one_bad_address_spoils_all(stage: Stage) -> None:
    """A name with a public and a private address is not asked at either."""
    server = stage.serve(saying(answer()))
    stage.names = Names(["8.8.8.8", "127.0.0.1"])
    told = await stage.refused(stage.fetcher(may_fetch_all).get(stage.url(), LIMITS))
    assert "must not be connected to" in told
    assert server.visits == []


@in_reactor
async def test_addresses_in_urls_are_judged_as_well(stage: Stage) -> None:
    """No name is resolved, and the address is refused all the same."""
    for host in ("127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"):
        told = await stage.refused(stage.fetcher(may_fetch_all).get(stage.url(host), LIMITS))
        assert "must not be connected to" in told
    assert stage.names.asked == []


@in_reactor
async def test_dns_rebinding(stage: Stage) -> None:
    """What was judged is what is connected to: a second answer of the resolver is never asked for."""
    server = stage.serve(saying(answer()))
    stage.names = Names(HERE, ["192.0.2.1"])
    judged: list[Sequence[str]] = []

    def judge(addresses: Any) -> bool:
        judged.append(tuple(addresses))
        return True

    assert (await stage.fetcher(judge).get(stage.url(), LIMITS)).status == 200
    assert (stage.names.asked, judged) == (["docs.example"], [HERE])
    assert len(server.visits) == 1


@in_reactor
async def test_the_next_address_is_tried(stage: Stage) -> None:
    """Nobody listens at the first one."""
    stage.serve(saying(answer()))
    stage.names = Names(["127.0.0.2", "127.0.0.1"])
    assert (await stage.fetcher().get(stage.url(), LIMITS)).status == 200


def _gzip_bomb(visit: Visit) -> None:
    visit.say(answer(gzip.compress(b" " * 4_000_000), "Content-Encoding: gzip"))


@in_reactor
async def test_a_gzip_bomb_is_not_unpacked(stage: Stage) -> None:
    """What is compressed, though nobody asked for it, is refused unread."""
    assert "compressed" in await stage.refused(stage.get(_gzip_bomb))


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH_9\r\n\r\n",
        b"HTTP/1.1 x OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\x00\xff\r\n\r\n",
    ],
)
@in_reactor
async def test_what_is_not_http(stage: Stage, raw: bytes) -> None:
    """Whatever a server says, one kind of error comes of it."""
    await stage.refused(stage.get(saying(raw), HURRY))


@in_reactor
async def test_a_body_that_is_cut_off(stage: Stage) -> None:
    """Half an answer is none."""

    def cut(visit: Visit) -> None:
        visit.say(answer(b"", "Content-Length: 10", length=False) + b"12345")
        assert visit.transport is not None
        visit.transport.loseConnection()

    await stage.refused(stage.get(cut))


@pytest.mark.parametrize(
    "url", ["ftp://docs.example/", "https:///x", "docs.example", "https://docs.example/ü", ""]
)
@in_reactor
async def test_what_is_no_url(stage: Stage, url: str) -> None:
    """Nothing is resolved for it."""
    await stage.refused(stage.fetcher().get(url, LIMITS))
    assert stage.names.asked == []


@in_reactor
async def test_names_that_cannot_be_resolved(stage: Stage) -> None:
    """No addresses, or an error of the resolver."""
    stage.names = Names([])
    assert "cannot be resolved" in await stage.refused(stage.fetcher().get(stage.url(), LIMITS))

    async def fails(_host: str) -> Sequence[str]:
        raise DNSLookupError

    fetcher = Fetcher(stage.reactor, judge=anywhere, resolve=fails)
    assert "cannot be resolved" in await stage.refused(fetcher.get(stage.url(), LIMITS))


@in_reactor
async def test_the_systems_resolver_is_the_usual_one(stage: Stage) -> None:
    """`localhost` is known everywhere."""
    server = stage.serve(saying(answer()), tls=False)
    fetcher = Fetcher(stage.reactor, judge=anywhere)
    url = f"http://localhost:{server.port}/"
    assert (await fetcher.get(url, LIMITS)).status == 200
    assert "must not" in await stage.refused(
        Fetcher(stage.reactor, judge=may_fetch_all).get(url, LIMITS)
    )


@in_reactor
async def test_stop_drops_what_is_under_way(stage: Stage) -> None:
    """Who waits is told, the connection is gone by the end of `stop`, and nothing begins after it."""
    server = stage.serve(lambda _: None)
    fetcher = stage.fetcher()
    told: list[str] = []
    for _ in range(2):
        fetching = Deferred.fromCoroutine(stage.refused(fetcher.get(stage.url(), LIMITS)))
        fetching.addCallback(told.append)
    await until(stage.reactor, lambda: len(server.requests) == 2)
    await fetcher.stop()
    await until(stage.reactor, lambda: told == ["the program stops"] * 2)
    await until(stage.reactor, lambda: all(visit.is_lost for visit in server.visits))
    assert await stage.refused(fetcher.get(stage.url(), LIMITS)) == "the program stops"


@in_reactor
async def test_a_caller_who_goes_away(stage: Stage) -> None:
    """Cancelling drops the connection."""
    server = stage.serve(lambda _: None)
    fetching: Deferred[Any] = Deferred.fromCoroutine(stage.fetcher().get(stage.url(), LIMITS))
    ended: list[Any] = []
    fetching.addErrback(ended.append)
    await until(stage.reactor, lambda: len(server.requests) == 1)
    fetching.cancel()
    await until(stage.reactor, lambda: bool(ended) and server.visits[0].is_lost)
    assert ended[0].check(CancelledError)


@in_reactor
async def test_nothing_is_logged(stage: Stage, log: Log) -> None:
    """Neither of connections that come and go, nor of strangers' answers: the caller says what matters."""
    stage.serve(saying(answer()))
    assert (await stage.fetcher().get(stage.url(), LIMITS)).status == 200
    await stage.refused(stage.fetcher(trusts=False).get(stage.url(), LIMITS))
    assert [line for line in log.lines if not line.startswith("WebServer")] == []
