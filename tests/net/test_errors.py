"""The sentences that people read about links and ports."""

import errno
import os
from socket import gaierror

import pytest
from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet import error

from mcptunnel.net.errors import ConnectFailed, ListenFailed, UpgradeRefused, printable

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
        (NOT_TLS, "TLS failed, the answer is not TLS"),
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


def test_a_socket_path_without_its_directory() -> None:
    """The system says only that something is not there."""
    reason = error.CannotListenError(None, "/no/such/x", OSError(errno.ENOENT, "No such file"))
    told = str(ListenFailed.because("unix:/no/such/x", reason))
    assert told == (
        "Cannot listen on 'unix:/no/such/x': the directory /no/such is not there. Make it."
    )


def test_a_refusal_in_one_line() -> None:
    """Status, its name, and the start of what the server said."""
    assert str(UpgradeRefused(503, 7.0, "busy")) == (
        "the server answered 503 Service Unavailable: busy"
    )
    assert str(UpgradeRefused(799)) == "the server answered 799"
    assert len(str(UpgradeRefused(500, None, "x" * 4000))) < 300


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"error": "x", "error_description": "Browsers may not connect here."}', "Browsers may"),
        ('{"jsonrpc": "2.0", "id": null, "error": {"code": 1, "message": "wrong scope"}}', "wrong"),
        ("busy\x1b", "busy"),
    ],
)
def test_the_words_in_a_refusal_are_told(body: str, said: str) -> None:
    """Of an OAuth error, of a JSON-RPC error, and of what is no page."""
    error = UpgradeRefused(403, None, body)
    assert error.said.startswith(said)
    assert str(error) == f"the server answered 403 Forbidden: {error.said}"


@pytest.mark.parametrize(
    "body",
    ["", "<!DOCTYPE html><p>no", '{"error": "x', '{"error": {"message": 1}}', "[" * 4000, '"x"'],
)
def test_pages_and_data_are_not_told(body: str) -> None:
    """Neither HTML nor JSON that is nobody's sentence."""
    error = UpgradeRefused(502, None, body)
    assert (error.said, str(error)) == ("", "the server answered 502 Bad Gateway")


@pytest.mark.parametrize(
    ("status", "foreign"),
    [(200, True), (301, True), (404, True), (405, True), (401, False), (426, False), (502, False)],
)
def test_which_refusals_look_like_those_of_another_web_server(status: int, foreign: bool) -> None:
    """Not what a relay says, nor what a proxy says of one that is down."""
    assert UpgradeRefused(status).is_foreign is foreign


def test_the_words_of_others_are_one_line_of_bounded_length() -> None:
    """No terminal sequence, no forged line of a log, and no log full of one text."""
    assert printable("\x1b[2Jred\rFORGED\nline\u202e") == "[2Jred FORGED line"
    assert printable("x" * 500) == "x" * 500
    assert printable("x" * 501) == "x" * 500 + "…"
    assert printable("x" * 501, 1000) == "x" * 501
