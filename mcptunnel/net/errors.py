"""Errors of links and listening ports, and the sentences that people read about them.

LinkError
 ├─ ConnectFailed    temporary: DNS, refused, timeout, TLS, an answer that is not ours
 ├─ UpgradeRefused   the server answered with an HTTP status other than 101
 └─ BadHandshake     a request that cannot become a link; we answer with an HTTP status
ListenFailed         a port, or a socket path, that cannot be had
"""

import errno
import json
from http import HTTPStatus
from pathlib import Path

from OpenSSL import SSL
from service_identity import CertificateError, VerificationError
from twisted.internet import error

from mcptunnel.errors import McpTunnelError

QUOTED_CHARS = 200
SHOWN_CHARS = 500
"""Of a text of others' making a log shows no more than this."""


class LinkError(McpTunnelError):
    """A link that could not be made."""


class ConnectFailed(LinkError):
    """No link could be made, but a later attempt may succeed; `str()` says what was wrong.

    `speaks_tls` says that TLS failed with a peer that speaks it.
    """

    speaks_tls = False

    @classmethod
    def because(cls, where: str, reason: BaseException | None) -> "ConnectFailed":
        """Tell a failure of Twisted's or OpenSSL's in our words; `where` is `host:port`."""
        failed = cls(f"{where}: {_sentence(reason)}")
        is_tls_error = isinstance(reason, (SSL.Error, VerificationError, CertificateError))
        failed.speaks_tls = is_tls_error and not _is_not_tls(reason)
        return failed


class UpgradeRefused(LinkError):
    """The server answered, but not with a WebSocket.

    `retry_after_s` is its Retry-After in seconds, or None. `body_text` is the start of its answer,
    printable; `said` what it has to say to people, "" if that is a page or nothing. `wants_bearer`
    says that it asked for a bearer token, as a relay does that takes no other (RFC 6750, section 3).
    """

    def __init__(
        self,
        status: int,
        retry_after_s: float | None = None,
        body_text: str = "",
        *,
        wants_bearer: bool = False,
    ) -> None:
        self.said = _said(body_text)[:QUOTED_CHARS].rstrip(". ")
        told = f": {self.said}" if self.said else ""
        super().__init__(f"the server answered {status} {_phrase(status)}".rstrip() + told)
        self.status = status
        self.retry_after_s = retry_after_s
        self.body_text = body_text
        self._wants_bearer = wants_bearer

    @property
    def is_credential_refused(self) -> bool:
        """Whether it was the credential that was refused: to try again with it is no use.

        What stands before a relay may answer 403 by itself, such as while that is down.
        """
        is_refusal = self.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
        return is_refusal and self._wants_bearer

    @property
    def is_foreign(self) -> bool:
        """Whether it looks like the answer of some other web server, or of a wrong path of it."""
        return self.status < HTTPStatus.BAD_REQUEST or self.status in _NO_SUCH_ENDPOINT


class BadHandshake(LinkError):
    """A request that is no opening handshake of ours.

    `status` and `headers` are for the answer, `code` is a word for programs, `str()` for people.
    """

    def __init__(
        self, status: HTTPStatus, code: str, text: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.headers = headers or {}


class ListenFailed(McpTunnelError):
    """A port or socket path cannot be listened on; `str()` says which, why, and what to do."""

    @classmethod
    def because(cls, description: str, reason: BaseException | None) -> "ListenFailed":
        """Tell why the endpoint `description` cannot be had."""
        if not isinstance(reason, error.CannotListenError):
            return cls(f"Cannot listen on {description!r}: {reason}")
        remedy = "{cause}."
        if isinstance(reason.port, str) and not Path(reason.port).parent.is_dir():
            remedy = f"the directory {Path(reason.port).parent} is not there. Make it."
        if isinstance(reason.port, int):  # it may be a socket path
            remedy = _REMEDIES.get(getattr(reason.socketError, "errno", 0), remedy)
        told = remedy.format(
            port=reason.port, interface=reason.interface or "any address", cause=reason.socketError
        )
        return cls(f"Cannot listen on {description!r}: {told}")


def printable(text: str, max_chars: int = SHOWN_CHARS) -> str:
    """Return a peer's words fit for a log or a terminal: one line without control characters, cut."""
    if len(text) > max_chars:
        text = text[:max_chars] + "…"
    if not text.isprintable():
        text = "".join(char if char.isprintable() else " " for char in text)
    return text.strip()


_NO_SUCH_ENDPOINT = (
    HTTPStatus.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.GONE,
    HTTPStatus.NOT_IMPLEMENTED,
)


def _said(body_text: str) -> str:
    """Return the words in an answer: a JSON-RPC error's, an OAuth error's, or a plain text."""
    try:
        found = json.loads(body_text)
    except (ValueError, RecursionError):
        return "" if body_text.startswith(("<", "{", "[")) else body_text
    error = found.get("error") if isinstance(found, dict) else None
    if isinstance(error, dict):
        words = error.get("message")
    else:
        words = found.get("error_description") if isinstance(found, dict) else None
    return printable(words) if isinstance(words, str) else ""


_SENTENCES: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((error.DNSLookupError,), "the name cannot be resolved"),
    ((error.ConnectionRefusedError,), "nothing listens there, the connection was refused"),
    ((error.TimeoutError,), "no answer in time"),
    (
        (VerificationError, CertificateError),
        "TLS failed, the server's certificate is for another name",
    ),
    (
        (error.ConnectionLost, error.ConnectionDone),
        "the server closed the connection without an answer",
    ),
)

_REMEDIES = {
    errno.EADDRINUSE: "port {port} on {interface} is taken. Stop the program that has it "
    "(`lsof -i :{port}` names it), or change `listen` to another port.",
    errno.EACCES: "port {port} is not allowed for this user. Ports below 1024 need more rights: "
    "change `listen` to a higher port, or give the capability CAP_NET_BIND_SERVICE.",
    errno.EADDRNOTAVAIL: "{interface} is not an address of this machine. Change the interface in "
    "`listen`, or leave it out.",
}


def _sentence(reason: BaseException | None) -> str:
    for kinds, sentence in _SENTENCES:
        if isinstance(reason, kinds):
            return sentence
    if isinstance(reason, SSL.Error):
        return f"TLS failed, {_tls_sentence(reason)}"
    return f"cannot connect, {printable(str(reason)) or type(reason).__name__}"


def _tls_sentence(reason: SSL.Error) -> str:
    told = _openssl_words(reason)
    if told == "certificate verify failed":
        return "the server's certificate is not one that this machine trusts, or has expired"
    return "the answer is not TLS" if told in _NOT_TLS else told or "the server hung up"


def _is_not_tls(reason: BaseException | None) -> bool:
    return isinstance(reason, SSL.Error) and _openssl_words(reason) in _NOT_TLS


def _openssl_words(reason: SSL.Error) -> str:
    queue = reason.args[0] if reason.args and isinstance(reason.args[0], list) else []
    return str(queue[-1][-1]) if queue else ""


_NOT_TLS = ("wrong version number", "packet length too long", "http request")
"""What OpenSSL makes of an answer in plain text."""


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
