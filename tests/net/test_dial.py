"""The agent's end: addresses and headers, what is sent, and attempts that come to nothing."""

import pytest
from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionRefusedError as RefusedError
from twisted.protocols import tls
from twisted.python.failure import Failure

from mcptunnel.net.dial import LinkAddress, check_headers
from tests.net.links import Dialled, Raw, Recorder, dial_and_answer, memory_reactor


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://relay.test", LinkAddress(False, "relay.test", 80, "/")),
        ("ws://relay.test/ws", LinkAddress(False, "relay.test", 80, "/ws")),
        ("https://Relay.test/tunnel?a=b#c", LinkAddress(True, "relay.test", 443, "/tunnel?a=b")),
        ("wss://[::1]:8443/t", LinkAddress(True, "::1", 8443, "/t")),
    ],
)
def test_urls(url: str, expected: LinkAddress) -> None:
    """Schemes, default ports, path and query; a fragment stays here."""
    assert LinkAddress.parse(url) == expected


@pytest.mark.parametrize(
    "url",
    ["", "relay.test", "ftp://relay.test", "http://", "http:///x", "http://a/ä", "http://a:99999/"],
)
def test_what_is_no_address(url: str) -> None:
    """Everything else is a ValueError."""
    with pytest.raises(ValueError):  # noqa: PT011 - the standard library raises some of them
        LinkAddress.parse(url)


def test_a_credential_in_a_url_is_refused_and_not_repeated() -> None:
    """It would end up in logs."""
    with pytest.raises(ValueError, match="must not carry") as caught:
        LinkAddress.parse("https://user:hunter2@relay.test/")
    assert "hunter2" not in str(caught.value)


def test_how_an_address_is_written() -> None:
    """IPv6 addresses get their brackets."""
    assert str(LinkAddress.parse("http://[::1]")) == "[::1]:80"
    assert str(LinkAddress.parse("https://relay.test")) == "relay.test:443"


@pytest.mark.parametrize("headers", [{"A": "b\nc"}, {"A": "b\0"}, {"A:": "b"}, {"": "b"}])
def test_headers_that_would_break_a_request(headers: dict[str, str]) -> None:
    """No line can be smuggled into the request."""
    with pytest.raises(ValueError, match="cannot be sent"):
        check_headers(headers)


def test_a_header_that_cannot_be_sent_is_not_repeated() -> None:
    """Its value may be a credential."""
    with pytest.raises(ValueError, match="Authorization") as caught:
        check_headers({"Authorization": "Bearer hunter2\n"})
    assert "hunter2" not in str(caught.value)


def test_ordinary_headers_pass() -> None:
    """What HTTP allows is allowed."""
    check_headers({"Authorization": "Bearer abc~+/=", "X-Empty": ""})


def test_the_request_that_is_sent() -> None:
    """The path with its query, our headers, our subprotocol, no Origin."""
    _, server, _ = dial_and_answer()
    lines = server.received.decode().split("\r\n")
    assert lines[0] == "GET /tunnel?a=b HTTP/1.1"
    assert "Host: relay.test:80" in lines
    assert "Authorization: Bearer secret" in lines
    assert "Sec-WebSocket-Protocol: mcptunnel.1" in lines
    assert "Sec-WebSocket-Version: 13" in lines
    assert not [line for line in lines if line.lower().startswith(("origin", "sec-websocket-ext"))]


def test_a_hanging_server_is_given_up_in_time() -> None:
    """TCP comes up and then nothing: the deadline holds for the whole of it."""
    dialled, server, receiver = dial_and_answer(timeout_s=4.0)
    dialled.reactor.advance(3.9)
    assert dialled.outcome == []
    dialled.reactor.advance(0.2)
    assert str(dialled.error) == "relay.test:80: connected, but no answer within 4 s"
    dialled.pump.flush()
    assert server.is_lost
    assert receiver.events == []
    assert dialled.reactor.getDelayedCalls() == []


def test_a_silent_network_is_given_up_in_time() -> None:
    """No TCP connection comes up at all."""
    dialled = Dialled(Recorder(), timeout_s=4.0)
    dialled.reactor.advance(4.1)
    assert str(dialled.error) == "relay.test:80: no connection within 4 s"


def test_a_server_that_does_not_answer_tls_may_not_speak_it() -> None:
    """As a web server without TLS, which waits for the end of a line."""
    dialled, server = Dialled(Recorder(), url="https://relay.test/", timeout_s=4.0), Raw()
    dialled.join(server)
    dialled.reactor.advance(4.1)
    assert str(dialled.error) == (
        "relay.test:443: connected, but no answer within 4 s."
        " Does the relay speak https there? If not, write http://relay.test:443"
    )


def test_a_name_that_cannot_be_resolved() -> None:
    """The text says that it was the name."""
    dialled = Dialled(Recorder(), memory_reactor(finds=False))
    assert str(dialled.error) == "relay.test:80: the name cannot be resolved"


def test_a_refused_connection() -> None:
    """The text says that nothing listens."""
    dialled = Dialled(Recorder())
    factory = dialled.reactor.tcpClients[-1][2]
    factory.clientConnectionFailed(None, Failure(RefusedError()))
    dialled.reactor.advance(1)
    assert "nothing listens there" in str(dialled.error)


@pytest.mark.parametrize("joined", [False, True])
def test_cancelling_drops_the_connection(joined: bool) -> None:
    """Before TCP is up and after; the receiver hears nothing, and no timer is left."""
    receiver, server = Recorder(), Raw()
    dialled = Dialled(receiver)
    if joined:
        dialled.join(server)
    dialled.deferred.cancel()
    assert isinstance(dialled.error, CancelledError)
    if joined:
        dialled.pump.flush()
        assert server.is_lost
    assert receiver.events == []
    assert dialled.reactor.getDelayedCalls() == []


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("ftp://relay.test/", {}),
        ("http://user:secret@relay.test/", {}),
        ("http://relay.test/", {"A": "b\r\nC: d"}),
        ("http://relay.test/", {"A b": "c"}),
    ],
)
def test_what_cannot_be_dialled_is_a_mistake(url: str, headers: dict[str, str]) -> None:
    """A bad URL or header is a ValueError that quotes no secret."""
    dialled = Dialled(Recorder(), url=url, headers=headers)
    assert isinstance(dialled.error, ValueError)
    assert "secret" not in str(dialled.error)


def test_tls_keeps_to_the_given_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twisted's TLS collects small writes with a timer, by default on the global reactor."""
    asked: list[str] = []
    monkeypatch.setattr(tls, "_get_default_clock", lambda: asked.append("the global reactor"))
    dialled = Dialled(Recorder(), url="https://relay.test/")
    server = Raw()
    dialled.join(server)
    assert server.received.startswith(b"\x16\x03")  # a TLS handshake
    assert asked == []
    dialled.deferred.cancel()
