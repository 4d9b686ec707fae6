"""Bearer tokens in requests (RFC 6750): from the header only, never from the URL."""

from collections.abc import Callable
from typing import Final, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from mcptunnel.auth.keys import Scope
from mcptunnel.mcp.reading import only_reads
from mcptunnel.net.errors import printable
from mcptunnel.net.listen import address_text
from mcptunnel.net.pace import TokenBucket
from mcptunnel.relay.access import Access
from mcptunnel.relay.credentials import Credentials
from mcptunnel.relay.in_use import InUse
from mcptunnel.relay.web.answers import error_body, send_body
from mcptunnel.relay.web.realm import Realm
from mcptunnel.relay.web.request import RelayRequest

UNAUTHORIZED: Final = 401
FORBIDDEN: Final = 403
TOO_MANY: Final = 429
UNAVAILABLE: Final = 503
ACCESS_DENIED: Final = -32600

REFUSALS_BURST: Final = 10
REFUSALS_PER_S: Final = 0.2
"""How many refusals of an endpoint are logged; who guesses tokens must not fill the log."""

_log = Logger()

Answer = Callable[[RelayRequest, Access, bytes], object]
"""Answers a request that was let in; the last argument is its body."""


class Gate(Protocol):
    """What decides who may use an endpoint."""

    def admit(self, http: RelayRequest, passed: Callable[[RelayRequest, Access], object]) -> None:
        """Call `passed`, now or later, if the request may pass; answer it otherwise."""

    def take(self, http: RelayRequest, access: Access, body: bytes, answer: Answer) -> None:
        """Call `answer` if the access that let a request in is enough for its body; refuse it otherwise."""


class BearerGate(Gate):
    """Lets a request pass whose token has the scope; answers all others itself.

    What passes is noted as `in_use`: it ends when its access does. With `reading`, a narrower scope, a
    token lets in that has only that; what then asks for more than to read is refused.
    """

    def __init__(
        self,
        credentials: Credentials,
        in_use: InUse,
        realm: Realm,
        scope: Scope,
        reading: str | None = None,
    ) -> None:
        self._credentials = credentials
        self._in_use = in_use
        self._realm = realm
        self._scope = scope
        self._least = reading or scope
        self._told = TokenBucket(REFUSALS_BURST, REFUSALS_PER_S)

    def admit(self, http: RelayRequest, passed: Callable[[RelayRequest, Access], object]) -> None:
        """Call `passed`, now or once the store was asked, if the request may pass."""
        token = _token(http)
        if token is None:
            challenge = self._realm.unauthorized(http.path, token_presented=False)
            self._refuse(http, UNAUTHORIZED, challenge, "A bearer token is needed")
            return
        access = self._credentials.cached(token)
        if access is not None:
            self._decide(http, access, passed)
            return
        gone = False

        def note() -> None:
            nonlocal gone
            gone = True

        def decide(found: Access | None) -> None:
            http.when_gone = None
            if not gone:
                self._decide(http, found, passed)

        http.when_gone = note
        checking = Deferred.fromCoroutine(self._credentials.check(token))
        checking.addCallback(decide)
        checking.addErrback(lambda failure: _cannot_check(http, failure, gone=gone))

    def take(self, http: RelayRequest, access: Access, body: bytes, answer: Answer) -> None:
        # Only the bodies of those who have less are read twice.
        if self._realm.allows(access, self._scope) or only_reads(body):
            answer(http, access, body)
        else:
            self._refuse_scope(http, access)

    def _decide(
        self,
        http: RelayRequest,
        access: Access | None,
        passed: Callable[[RelayRequest, Access], object],
    ) -> None:
        realm, path = self._realm, http.path
        if access is None:
            self._refuse_token(http, "This token is not known, has expired, or was revoked")
        elif not realm.is_for(access, path):
            self._refuse_token(http, "This token is for another endpoint")
        elif not realm.allows(access, self._least):
            self._refuse_scope(http, access)
        elif not (self._scope is Scope.AGENT or self._in_use.has_room(access.principal)):
            refuse_too_many(http)
        else:
            http.let_in(access, self._in_use)
            passed(http, access)

    def _refuse_token(self, http: RelayRequest, message: str) -> None:
        challenge = self._realm.unauthorized(http.path, token_presented=True)
        self._refuse(http, UNAUTHORIZED, challenge, message)

    def _refuse_scope(self, http: RelayRequest, access: Access) -> None:
        self._refuse(
            http,
            FORBIDDEN,
            self._realm.insufficient_scope(http.path, access, self._scope),
            f"This token has the scope {' '.join(sorted(access.scopes))!r}; "
            f"here one with {self._scope.value!r} is needed",
        )

    def _refuse(self, http: RelayRequest, status: int, challenge: bytes, message: str) -> None:
        if self._told.take(self._credentials.now_s()):
            _log.info(
                "refused {peer} at {path}: {reason}",
                peer=address_text(http.getClientAddress()),
                path=printable(http.path.decode("latin-1")),
                reason=message,
            )
        send_body(
            http,
            status,
            error_body(ACCESS_DENIED, message),
            headers={b"www-authenticate": challenge, b"cache-control": b"no-store"},
        )


def refuse_too_many(http: RelayRequest) -> None:
    """Tell a client that its user has too much open: calls and streams of all clients together."""
    send_body(
        http,
        TOO_MANY,
        error_body(-32603, "Too many requests of this user are open; let some end first"),
        headers={b"retry-after": b"1"},
    )


def _token(http: RelayRequest) -> str | None:
    values = http.requestHeaders.getRawHeaders(b"authorization")
    if values is None or len(values) != 1:
        return None
    scheme, _, token = values[0].partition(b" ")
    if scheme.lower() != b"bearer":
        return None
    return token.strip().decode("ascii", "replace")


def _cannot_check(http: RelayRequest, failure: Failure, *, gone: bool) -> None:
    _log.failure("cannot check a token", failure)
    if not gone:
        send_body(
            http,
            UNAVAILABLE,
            error_body(-32603, "The relay cannot check tokens at the moment"),
            headers={b"retry-after": b"5"},
        )
