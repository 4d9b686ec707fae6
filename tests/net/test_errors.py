"""The sentences that people read, and how refusals are read."""

import errno
import os
from socket import gaierror

import pytest
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet import error

from mcptunnel.net.errors import (
    MAX_REFUSAL_BYTES,
    ConnectFailed,
    ListenFailed,
    RefusalReader,
    UpgradeRefused,
    printable,
)

VERIFY_FAILED = SSL.Error([("SSL routines", "", "certificate verify failed")])
NOT_TLS = SSL.Error([("SSL routines", "", "wrong version number")])


@pytest.mark.parametrize(
    ("reason", "part"),
    [
        (error.DNSLookupError(), "name cannot be resolved"),
        (error.ConnectionRefusedError(), "nothing listens there"),
        (error.TimeoutError(), "no answer in time"),
        (error.TCPTimedOutError(), "cannot connect"),
        (error.NoRouteError(), "cannot connect"),
        (VerificationError(errors=[]), "for another name"),
        (VERIFY_FAILED, "not one that this machine trusts"),
        (NOT_TLS, "TLS failed, wrong version number"),
        (SSL.Error(), "TLS failed, the server hung up"),
        (error.ConnectionLost(), "closed the connection without an answer"),
        (error.ConnectionDone(), "closed the connection without an answer"),
        (gaierror(-2, "strange\x1b"), "strange"),
        (ValueError(), "cannot connect, ValueError"),
    ],
)
def test_each_failure_has_its_sentence(reason: BaseException, part: str) -> None:
    """It names the place and what was wrong, in one printable line."""
    told = str(ConnectFailed.because("relay.test:443", reason))
    assert told.startswith("relay.test:443: ")
    assert part in told
    assert told.isprintable()


@pytest.mark.parametrize(
    ("code", "part"),
    [
        (errno.EADDRINUSE, "port 8787 on any address is taken. Stop the program"),
        (errno.EACCES, "Ports below 1024 need more rights"),
        (errno.EADDRNOTAVAIL, "is not an address of this machine"),
        (errno.EMFILE, "Too many open files"),
    ],
)
def test_a_port_that_cannot_be_had(code: int, part: str) -> None:
    """The sentence names the endpoint and says what to do."""
    reason = error.CannotListenError("", 8787, OSError(code, os.strerror(code)))
    told = str(ListenFailed.because("tcp:8787", reason))
    assert told.startswith("Cannot listen on 'tcp:8787': ")
    assert part in told


def test_a_socket_path_that_cannot_be_had() -> None:
    """The advice about ports is not given for a path."""
    reason = error.CannotListenError(None, "/run/x", OSError(errno.EACCES, "Permission denied"))
    told = str(ListenFailed.because("unix:/run/x", reason))
    assert told == "Cannot listen on 'unix:/run/x': [Errno 13] Permission denied."


def test_a_refusal_in_one_line() -> None:
    """Status, its name, and the start of what the server said."""
    assert str(UpgradeRefused(503, 7.0, "busy")) == (
        "the server answered 503 Service Unavailable: busy"
    )
    assert str(UpgradeRefused(799)) == "the server answered 799"
    assert len(str(UpgradeRefused(500, None, "x" * 4000))) < 300


def read(head: str, *pieces: bytes) -> tuple[list[bool], UpgradeRefused]:
    """Read an answer in pieces; return what each said, and the result."""
    reader = RefusalReader(503, f"HTTP/1.1 503 No\r\n{head}".encode())
    return [reader.is_complete_with(piece) for piece in pieces], reader.error()


def test_a_body_of_known_length() -> None:
    """Complete as soon as it is; what follows is not its."""
    assert read("content-length: 4", b"", b"bus", b"y!!")[0] == [False, False, True]
    assert read("Content-Length:4", b"busy!!")[1].body_text == "busy"
    assert read("content-length: 0", b"")[0] == [True]


def test_a_chunked_body() -> None:
    """Complete at its last chunk, and without the sizes."""
    complete, refusal = read(
        "Transfer-Encoding: chunked", b"3\r\nbus\r\n1;x=", b"y\r\ny\r\n", b"0\r\n\r\n"
    )
    assert complete == [False, False, True]
    assert refusal.body_text == "busy"


def test_an_endless_body_is_cut() -> None:
    """However it is framed."""
    piece = b"x" * (MAX_REFUSAL_BYTES + 1)
    for head in ("", "content-length: 999999999", "content-length: -1"):
        complete, refusal = read(head, piece)
        assert complete == [True]
        assert len(refusal.body_text) == MAX_REFUSAL_BYTES
    assert read("transfer-encoding: chunked", piece)[0] == [True]


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("retry-after: 30", 30.0),
        ("retry-after: 0", 0.0),
        ("retry-after: -1", None),
        ("retry-after: soon", None),
        ("", None),
        (
            "Retry-After: Fri, 20 Nov 2026 10:01:30 GMT\r\nDate: Fri, 20 Nov 2026 10:00:00 GMT",
            90.0,
        ),
        ("Retry-After: Fri, 20 Nov 2026 09:00:00 GMT\r\nDate: Fri, 20 Nov 2026 10:00:00 GMT", 0.0),
        ("Retry-After: Fri, 20 Nov 2026 10:01:30 GMT", None),
        (
            "Retry-After: Fri, 20 Nov 2026 10:01:30 GMT\r\nDate: Fri, 20 Nov 2026 10:00:00 -0000",
            None,
        ),
    ],
)
def test_retry_after(head: str, expected: float | None) -> None:
    """Seconds, or a date against the server's own; anything else is not heeded."""
    assert read(head)[1].retry_after_s == expected


@given(st.text(), st.lists(st.binary()))
def test_any_answer_can_be_read(head: str, pieces: list[bytes]) -> None:
    """No bytes break the reader, and the text is always fit for a terminal."""
    refusal = read(f"transfer-encoding: chunked\r\n{head}", *pieces)[1]
    assert refusal.body_text == printable(refusal.body_text)
    assert str(refusal).isprintable()
