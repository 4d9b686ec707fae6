"""https: verified, or as the caller says."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from twisted.internet.ssl import (
    Certificate,
    PrivateCertificate,
    optionsForClientTLS,
    trustRootFromCertificates,
)

from tests.net.http1 import in_reactor, until
from tests.net.http1.conftest import Connect, Serve
from tests.net.http1.test_client import HELLO, STREAM, get, post

# Twisted hands pyOpenSSL's own certificate objects to pyOpenSSL, which does not like that any more.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

URL = "https://127.0.0.1:{}"


def _self_signed(address: str) -> Any:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    return PrivateCertificate.loadPEM(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


@pytest.fixture(scope="module")
def certificate() -> Any:
    return _self_signed("127.0.0.1")


def _trusting(certificate: Any) -> Any:
    own = Certificate(certificate.original)
    return optionsForClientTLS("127.0.0.1", trustRoot=trustRootFromCertificates([own]))


@in_reactor
async def test_a_trusted_server_is_used_again(
    serve: Serve, connect: Connect, certificate: Any
) -> None:
    server = serve(HELLO, ssl=certificate.options())
    client = connect(server, URL, tls_options=_trusting(certificate))
    for _ in range(2):
        _, got = post(client, b"x" * 300_000)
        await got.end()
        assert got.body == b"hello"
    assert len(server.visits) == 1
    (connection,) = client._connections
    assert connection.transport.getTcpNoDelay()
    server.visits[0].hang_up()
    await until(lambda: not client._connections)
    _, got = post(client)
    await got.end()


@in_reactor
async def test_an_unknown_certificate_is_refused_before_anything_is_sent(
    serve: Serve, connect: Connect, certificate: Any
) -> None:
    server = serve(HELLO, ssl=certificate.options())
    client = connect(server, URL)
    _, got = post(client)
    failure = await got.failure()
    assert not failure.may_have_run
    assert "certificate is not one that this machine trusts" in failure.text
    await until(lambda: not client._connections)
    assert [visit.requests for visit in server.visits] in ([], [[]])


@in_reactor
async def test_a_certificate_for_another_host_is_refused(serve: Serve, connect: Connect) -> None:
    other = _self_signed("127.0.0.2")
    server = serve(HELLO, ssl=other.options())
    client = connect(server, URL, tls_options=_trusting(other))
    _, got = post(client)
    failure = await got.failure()
    assert not failure.may_have_run
    assert "certificate is for another name" in failure.text
    await until(lambda: not client._connections)


@in_reactor
async def test_a_server_that_never_shakes_hands_is_given_up(serve: Serve, connect: Connect) -> None:
    server = serve()
    client = connect(server, URL, connect_timeout_s=0.05)
    _, got = post(client)
    failure = await got.failure()
    assert not failure.may_have_run
    assert "no answer in time" in failure.text
    await until(lambda: not client._connections)


@in_reactor
async def test_pause_and_abort_reach_a_server_behind_tls(
    serve: Serve, connect: Connect, certificate: Any
) -> None:
    server = serve(STREAM + b"5\r\nhello\r\n", ssl=certificate.options())
    client = connect(server, URL, tls_options=_trusting(certificate))
    call, got = get(client)
    call.pause()
    await until(lambda: server.visits and server.visits[0].requests)
    assert got.head is None
    call.resume()
    await until(lambda: got.body == b"hello")
    call.abort()
    await until(lambda: server.visits[0].lost)
    assert got.outcome is None


@pytest.mark.parametrize("polite", [True, False])
@in_reactor
async def test_only_a_proper_end_of_tls_ends_a_body_without_length(
    serve: Serve, connect: Connect, certificate: Any, polite: bool
) -> None:
    server = serve(b"HTTP/1.1 200 OK\r\n\r\nhello", ssl=certificate.options())
    _, got = get(connect(server, URL, tls_options=_trusting(certificate)))
    await until(lambda: got.body)
    if polite:
        server.visits[0].hang_up()
        await got.end()
    else:
        server.visits[0].transport.abortConnection()
        assert (await got.failure()).may_have_run
