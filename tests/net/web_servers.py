"""Web servers on the loopback that say exactly what a test has them say, with TLS or without."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from tests.net.loopback import Authority, until

Reply = Callable[["Visit"], None]


def answer(
    body: bytes = b'{"a":1}', *head: str, status: str = "200 OK", length: bool = True
) -> bytes:
    """Return the bytes of an answer."""
    lines = [f"HTTP/1.1 {status}", *(head or ("Content-Type: application/json",))]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def saying(raw: bytes) -> Reply:
    """Answer each request with these bytes."""
    return lambda visit: visit.say(raw)


class Visit(Protocol):
    """A connection, at the server; once a whole request is there, `reply` is called."""

    def __init__(self, server: "WebServer") -> None:
        self._server = server
        self.request = b""
        self.is_lost = False
        self._replied = False
        self._drip: LoopingCall | None = None

    def dataReceived(self, data: bytes) -> None:
        self.request += data
        head, end, body = self.request.partition(b"\r\n\r\n")
        if self._replied or not (end or self._server.is_hasty):
            return
        length = [
            int(line.partition(b":")[2])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        ]
        if len(body) >= sum(length):
            self._replied = True
            self._server.reply(self)

    def say(self, raw: bytes) -> None:
        assert self.transport is not None
        self.transport.write(raw)

    def drip(self, raw: bytes, interval_s: float = 0.01) -> None:
        """Send the same bytes again and again."""
        self._drip = LoopingCall(self.say, raw)
        self._drip.clock = self._server.reactor
        self._drip.start(interval_s)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.is_lost = True
        if self._drip is not None:
            self._drip.stop()


class WebServer(Factory):
    """A port of the loopback. The certificate is for `name`; without authority, plain text is spoken.

    A hasty one does not wait for the end of the request.
    """

    noisy = False

    def __init__(
        self,
        reactor: Any,
        port: int,
        reply: Reply,
        *,
        authority: Authority | None = None,
        name: str = "docs.example",
        is_hasty: bool = False,
    ) -> None:
        self.reactor = reactor
        self.port = port
        self.reply = reply
        self.is_hasty = is_hasty
        self.visits: list[Visit] = []
        self.server_names: list[str] = []
        if authority is None:
            self._listening = reactor.listenTCP(port, self, interface="127.0.0.1")
        else:
            options: Any = authority.server_options(x509.DNSName(name))
            context = options.getContext()
            context.set_tlsext_servername_callback(self._named)
            self._listening = reactor.listenSSL(port, self, options, interface="127.0.0.1")

    def _named(self, connection: Any) -> None:
        self.server_names.append((connection.get_servername() or b"").decode())

    def buildProtocol(self, _address: object) -> Visit:
        self.visits.append(Visit(self))
        return self.visits[-1]

    @property
    def requests(self) -> list[bytes]:
        return [visit.request for visit in self.visits if visit.request]

    async def stop(self) -> None:
        await self._listening.stopListening()
        for visit in self.visits:
            transport: Any = visit.transport
            if transport is not None and not visit.is_lost:
                transport.abortConnection()
        await until(self.reactor, lambda: all(visit.is_lost for visit in self.visits))


def ca_file(authority: Authority, folder: Path) -> Path:
    """Write the authority's certificate to a file."""
    path = folder / "ca.pem"
    path.write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    return path
