"""Both ends of a link on the loopback, with TLS of a private authority or without."""

import datetime as dt
import gc
import ipaddress
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.internet import ssl
from twisted.internet.task import deferLater
from twisted.web.server import Site

from mcptunnel.net.dial import connect
from tests.net.links import Door, Recorder

WAIT_S = 10.0

_Test = TypeVar("_Test", bound=Callable[..., Awaitable[None]])

in_reactor: Callable[[_Test], _Test] = pytest_twisted.ensureDeferred


class Authority:
    """A private certificate authority."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._sign("authority", self._key, None)

    def _sign(
        self,
        name: str,
        key: ec.EllipticCurvePrivateKey,
        names: x509.SubjectAlternativeName | None,
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        issuer = subject if names is None else self.certificate.subject
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=names is None, path_length=None), critical=True)
        )
        if names is not None:
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def server_options(self, name: x509.GeneralName) -> ssl.CertificateOptions:
        """Return TLS options of a server that is called `name`."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign("server", key, x509.SubjectAlternativeName([name]))
        pem = serialization.Encoding.PEM
        private = key.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        both: Any = ssl.PrivateCertificate.loadPEM(private + certificate.public_bytes(pem))
        options: ssl.CertificateOptions = both.options()
        return options

    def client_options(self, host: str) -> Any:
        """Return TLS options of a client that trusts this authority alone."""
        pem = self.certificate.public_bytes(serialization.Encoding.PEM)
        trusted: Any = ssl.Certificate.loadPEM(pem)
        return ssl.optionsForClientTLS(host, trustRoot=trusted)


LOOPBACK = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


async def until(reactor: Any, condition: Callable[[], bool]) -> None:
    """Turn the reactor until something holds; fail when it does not in time."""
    deadline_s = reactor.seconds() + WAIT_S
    while not condition():
        assert reactor.seconds() < deadline_s, "it never came to be"
        await deferLater(reactor, 0.002)


class Loopback:
    """A relay's end on a port of the loopback."""

    def __init__(self, reactor: Any, port: int, *, tls: Any = None, waits: bool = False) -> None:
        self.reactor = reactor
        self.port = port
        self.server = Recorder()
        self.client = Recorder()
        self.door = Door(self.server, reactor, waits=waits)
        self.site: Any = Site(self.door, reactor=reactor)
        self.is_tls = tls is not None
        if tls is None:
            self.listening = reactor.listenTCP(port, self.site, interface="127.0.0.1")
        else:
            self.listening = reactor.listenSSL(port, self.site, tls, interface="127.0.0.1")

    def dial(self, **options: Any) -> Any:
        """Connect; return the coroutine."""
        scheme = "https" if self.is_tls else "http"
        options.setdefault("headers", {"Authorization": "Bearer secret"})
        return connect(
            f"{scheme}://127.0.0.1:{self.port}/tunnel",
            receiver=self.client,
            reactor=self.reactor,
            **options,
        )

    async def opened(self) -> None:
        """Wait until the relay's end is up: the agent's is first."""
        await until(self.reactor, lambda: bool(self.server.events))

    async def stop(self) -> None:
        """Close the port, and wait until the links are gone on both ends."""
        await self.listening.stopListening()
        for end in (self.client, self.server):
            if end.events and not end.lost:
                end.link.abort()
        await until(
            self.reactor,
            lambda: all(end.lost or not end.events for end in (self.client, self.server)),
        )
        gc.collect()


Opens = Callable[..., Loopback]


def transport_of(end: Recorder) -> Any:
    """Return the Twisted transport under a link."""
    link: Any = end.link
    return link._protocol.transport
