"""The browser comes back once; strangers change nothing, and the page loads nothing from elsewhere."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.error import ConnectError
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from mcptunnel.agent.sign_in import redirect
from mcptunnel.agent.sign_in.answers import RefusedError
from mcptunnel.agent.sign_in.redirect import Arrival, MixUpError, RedirectPort
from mcptunnel.auth.errors import OAuthError
from tests.agent import done, error_of, in_reactor, the_reactor, until
from tests.agent.sign_in import RELAY
from tests.conftest import Log

STATE = "state-of-this-sign-in"
GOOD = {"code": "the-code", "state": STATE, "iss": RELAY}


class _Reader(Protocol):
    """Reads until the server closes."""

    def __init__(self) -> None:
        self.whole: Deferred[bytes] = Deferred()
        self._got = b""

    def dataReceived(self, data: bytes) -> None:
        self._got += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.whole.callback(self._got)


async def send(authority: str, raw: bytes) -> bytes:
    """Send bytes to a port of this machine and return all that comes."""
    reader = _Reader()
    port = int(authority.rpartition(":")[2])
    endpoint = TCP4ClientEndpoint(the_reactor(), "127.0.0.1", port)
    protocol = await connectProtocol(endpoint, reader)
    assert protocol.transport is not None
    protocol.transport.write(raw)
    return await reader.whole


async def browse(url: str, *, method: str = "GET", host: str | None = None) -> tuple[int, str, str]:
    """Ask for a URL of this machine as a browser does; return status, head and body."""
    authority, _, path = url.removeprefix("http://").partition("/")
    raw = f"{method} /{path} HTTP/1.1\r\nHost: {host or authority}\r\nConnection: close\r\n\r\n"
    head, _, body = (await send(authority, raw.encode())).partition(b"\r\n\r\n")
    return int(head.split()[1]), head.decode().lower(), body.decode()


async def come_back(
    port: RedirectPort, parameters: dict[str, str] | str, **options: str
) -> tuple[int, str, str]:
    query = parameters if isinstance(parameters, str) else urlencode(parameters)
    return await browse(f"{port.redirect_uri}?{query}", **options)


@pytest.fixture
def opened(running_reactor: Any) -> Callable[[], RedirectPort]:
    return lambda: RedirectPort(running_reactor, state=STATE, issuer=RELAY)


@in_reactor
async def test_it_listens_on_the_loopback_alone(opened: Callable[[], RedirectPort]) -> None:
    """On a port that the system chose, and no longer than it has to."""
    port = opened()
    assert port._port.getHost().host == "127.0.0.1"
    assert port.redirect_uri == f"http://127.0.0.1:{port._port.getHost().port}/callback"
    await port.close()
    await port.close()
    with pytest.raises(ConnectError):
        await browse(port.redirect_uri)


@in_reactor
async def test_the_browser_brings_a_code_and_gets_its_page_afterwards(
    opened: Callable[[], RedirectPort], log: Log
) -> None:
    """The page waits for the end of the sign-in; the code is in no log."""
    port = opened()
    page = Deferred.fromCoroutine(come_back(port, GOOD))
    arrival: Arrival = await port.arrived
    assert arrival.code == "the-code"
    assert not done(page)
    arrival.show("Signed in", "Go <back>.")
    await port.close()
    status, head, body = await page
    assert (status, "<h1>Signed in</h1><p>Go &lt;back&gt;.</p>" in body) == (200, True)
    for needed in (
        "content-security-policy: default-src 'none'; frame-ancestors 'none'",
        "cache-control: no-store",
        "referrer-policy: no-referrer",
        "x-content-type-options: nosniff",
        "connection: close",
    ):
        assert needed in head
    for foreign in ("http://", "https://", "src=", "href=", "<script", "<style"):
        assert foreign not in body
    assert "the-code" not in body
    assert "the-code" not in log


@pytest.mark.parametrize(
    "parameters",
    [
        {**GOOD, "state": "another"},
        {**GOOD, "state": "ß"},
        {"code": "the-code", "iss": RELAY},
        {"error": "access_denied", "iss": RELAY, "state": "x"},
        f"code=c&state={STATE}&state={STATE}",
        "%ff=1",
        "",
    ],
)
@in_reactor
async def test_an_answer_to_another_sign_in_changes_nothing(
    opened: Callable[[], RedirectPort], parameters: dict[str, str] | str
) -> None:
    """Wrong or no `state`: any page on the net can send a browser here. The right one still counts."""
    port = opened()
    status, _, body = await come_back(port, parameters)
    assert (status, "Nothing has happened" in body) == (400, True)
    assert not done(port.arrived)
    right = Deferred.fromCoroutine(come_back(port, GOOD))
    (await port.arrived).show("ok", "ok")
    assert (await right)[0] == 200
    await port.close()


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"iss": "https://evil.test"}, MixUpError, "did not come from the relay that was asked"),
        ({"iss": f"{RELAY}/"}, MixUpError, "did not come from the relay that was asked"),
        ({"iss": ""}, MixUpError, "did not come from the relay that was asked"),
        ({"code": ""}, OAuthError, "The answer has no code"),
        ({"error": "access_denied"}, RefusedError, "access_denied"),
        ({"error": "server_error", "error_description": "Üble <b>"}, RefusedError, "Üble <b>"),
    ],
)
@in_reactor
async def test_a_bad_answer_ends_the_sign_in(
    opened: Callable[[], RedirectPort], change: dict[str, str], kind: type, said: str
) -> None:
    """An answer with our `state` from another server is a mix-up (RFC 9207); an error is told."""
    port = opened()
    status, _, body = await come_back(port, {**GOOD, **change})
    assert (status, "Nobody was signed in" in body) == (200, True)
    assert "<b>" not in body
    caught = error_of(port.arrived)
    assert isinstance(caught, kind)
    assert said in str(caught)
    with pytest.raises(ConnectError):
        await come_back(port, GOOD)
    await port.close()


@in_reactor
async def test_it_answers_once(opened: Callable[[], RedirectPort]) -> None:
    port = opened()
    first = Deferred.fromCoroutine(come_back(port, GOOD))
    arrival = await port.arrived
    with pytest.raises(ConnectError):
        await come_back(port, {**GOOD, "code": "another"})
    arrival.show("Signed in", "")
    assert (await first)[0] == 200
    await port.close()


@pytest.mark.parametrize(
    ("path", "method", "host", "status"),
    [
        ("/favicon.ico", "GET", None, 404),
        ("/", "GET", None, 404),
        ("/callback/", "GET", None, 404),
        ("/callback", "POST", None, 405),
        ("/callback", "HEAD", None, 405),
        ("/callback", "GET", "evil.test", 404),
        ("/callback", "GET", "localhost:1", 404),
    ],
)
@in_reactor
async def test_nothing_else_is_there(
    opened: Callable[[], RedirectPort], path: str, method: str, host: str | None, status: int
) -> None:
    """Nor under another name: a page elsewhere may let its own name lead here."""
    port = opened()
    url = f"http://{port.authority}{path}?{urlencode(GOOD)}"
    assert (await browse(url, method=method, host=host))[0] == status
    assert not done(port.arrived)
    await port.close()


@in_reactor
async def test_a_browser_that_does_not_read_is_not_waited_for(
    opened: Callable[[], RedirectPort], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor one that asks for nothing."""
    monkeypatch.setattr(redirect, "LEAVING_S", 0.05)
    port = opened()
    reader = _Reader()
    endpoint = TCP4ClientEndpoint(the_reactor(), "127.0.0.1", int(port.authority[10:]))
    await connectProtocol(endpoint, reader)
    await until(lambda: port._connections.protocols)
    await port.close()
    assert await reader.whole == b""


@in_reactor
async def test_a_browser_that_went_away_is_not_written_to(
    opened: Callable[[], RedirectPort],
) -> None:
    port = opened()
    page = Deferred.fromCoroutine(_leave(port))
    arrival = await port.arrived
    await page
    await until(lambda: arrival._request.channel is None)
    arrival.show("Signed in", "")
    await port.close()


async def _leave(port: RedirectPort) -> None:
    """Send a request, and close without reading the answer."""
    endpoint = TCP4ClientEndpoint(the_reactor(), "127.0.0.1", port._port.getHost().port)
    protocol = await connectProtocol(endpoint, _Reader())
    raw = f"GET /callback?{urlencode(GOOD)} HTTP/1.1\r\nHost: {port.authority}\r\n\r\n"
    transport = protocol.transport
    assert transport is not None
    transport.write(raw.encode())
    await until(lambda: port.arrived.called)
    transport.abortConnection()
    await protocol.whole
