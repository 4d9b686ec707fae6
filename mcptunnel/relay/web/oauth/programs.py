"""Endpoints for programs: JSON out, any origin may call, errors are OAuth's (RFC 6749, 5.2)."""

from abc import abstractmethod
from collections.abc import Mapping
from functools import partial
from math import ceil
from typing import Any, ClassVar, Final

from twisted.logger import Logger
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from mcptunnel.auth.client_authentication import BASIC_CHALLENGE
from mcptunnel.auth.errors import ErrorCode, OAuthError
from mcptunnel.auth.parameters import MAX_BYTES, Parameters, parse_form
from mcptunnel.net.errors import printable
from mcptunnel.net.pace import TokenBucket
from mcptunnel.relay.oauth.limits import Limited
from mcptunnel.relay.oauth.throttling import BusyError
from mcptunnel.relay.web.answers import send_json
from mcptunnel.relay.web.cors import EVERYONE, answer_preflight, let_read
from mcptunnel.relay.web.later import Send, answer_later
from mcptunnel.relay.web.oauth.surroundings import OAuthWeb
from mcptunnel.relay.web.request import RelayRequest
from mcptunnel.relay.web.root import single
from mcptunnel.store.errors import StoreError

NOT_STORED: Final = {b"cache-control": b"no-store", b"pragma": b"no-cache"}
"""RFC 6749, section 5.1."""

MAX_BODY_BYTES: Final = 2 * MAX_BYTES

_NAMES: Final = {
    400: "invalid_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "invalid_request",
    421: "invalid_request",
    429: "too_many_requests",
    500: "server_error",
    503: "temporarily_unavailable",
}
_TOO_MANY: Final = 429
_UNAVAILABLE: Final = 503
_UNAUTHORIZED: Final = 401

STORE_RETRY_S: Final = 5.0
"""When the store fails, the next request may come after so long."""

REFUSALS_BURST: Final = 10
REFUSALS_PER_S: Final = 0.2
"""How many refusals of an endpoint are logged; strangers must not fill the log."""

_NO_NEWS: Final = (ErrorCode.AUTHORIZATION_PENDING, ErrorCode.SLOW_DOWN)

_log = Logger()


def json_answer(status: int, value: Any, headers: Mapping[bytes, bytes] | None = None) -> Send:
    """Return what sends JSON that nobody may store."""
    return partial(_send, status=status, value=value, headers=NOT_STORED | dict(headers or {}))


def error_answer(
    status: int, description: str, headers: Mapping[bytes, bytes] | None = None
) -> Send:
    """Return what sends an error that OAuth has no code for."""
    value = {"error": _NAMES.get(status, "invalid_request"), "error_description": description}
    return json_answer(status, value, headers)


def busy_answer(error: BusyError) -> Send:
    """Return what tells a program to come back later."""
    status = _TOO_MANY if error.is_fault_of_client else _UNAVAILABLE
    return error_answer(status, str(error), retry_after(error.retry_after_s))


def retry_after(seconds: float) -> dict[bytes, bytes]:
    """Return the header field that says when to come back."""
    return {b"retry-after": b"%d" % max(1, ceil(seconds))}


class ForPrograms(Resource):
    """One endpoint: Host, method and pace are checked; then it answers."""

    isLeaf = True
    methods: ClassVar[tuple[bytes, ...]] = (b"POST",)
    limited: ClassVar[Limited | None] = None
    takes_paths: ClassVar[bool] = False

    def __init__(self, web: OAuthWeb) -> None:
        super().__init__()
        self.web = web

    def render(self, request: RelayRequest) -> object:
        let_read(request, EVERYONE)
        request.refuse_with = _refuse
        host = self.web.guard.refusal(single(request, b"host"), None)
        if host is not None:
            return error_answer(*host)(request)
        if request.method == b"OPTIONS":
            return answer_preflight(request)
        if request.postpath and not self.takes_paths:
            return error_answer(404, "There is nothing at this path")(request)
        if request.method not in self.methods:
            allow = {b"allow": b", ".join([*self.methods, b"OPTIONS"])}
            return error_answer(405, "This method is not for this endpoint", allow)(request)
        if self.limited is not None:
            wait_s = self.web.limits.wait_s(self.limited, self.web.addresses.of(request))
            if wait_s:
                text = "There are too many requests from this address"
                return error_answer(_TOO_MANY, text, retry_after(wait_s))(request)
        return self.answer(request)

    @abstractmethod
    def answer(self, request: RelayRequest) -> object:
        """Answer a request that may be answered; its body is still to come."""


class ForPosts(ForPrograms):
    """An endpoint that reads a body and works the answer out in a coroutine."""

    def __init__(self, web: OAuthWeb) -> None:
        super().__init__(web)
        self._told = TokenBucket(REFUSALS_BURST, REFUSALS_PER_S)

    def answer(self, request: RelayRequest) -> object:
        request.max_body_bytes = min(request.max_body_bytes, MAX_BODY_BYTES)
        request.read_body(partial(self._work, request))
        return NOT_DONE_YET

    def _work(self, request: RelayRequest, body: bytes) -> None:
        answer_later(
            request,
            self._answered(request, body),
            lambda: error_answer(500, "The relay made a mistake; it is noted in its log"),
        )

    async def _answered(self, request: RelayRequest, body: bytes) -> Send:
        try:
            return await self.work(request, body)
        except OAuthError as error:
            self._tell(request, error)
            headers = {}
            if error.status == _UNAUTHORIZED:
                headers = {b"www-authenticate": self.challenge(request)}
            return json_answer(error.status, error.body(), headers)
        except BusyError as error:
            return busy_answer(error)
        except StoreError:
            _log.failure("cannot answer {path}", path=request.path)
            return busy_answer(BusyError("The relay cannot do this at the moment", STORE_RETRY_S))

    def _tell(self, request: RelayRequest, error: OAuthError) -> None:
        if error.code not in _NO_NEWS and self._told.take(self.web.now_s()):
            _log.info(
                "refused {peer} at {path}: {code}: {error}",
                peer=self.web.addresses.of(request),
                path=printable(request.path.decode("latin-1")),
                code=error.code.value,
                error=str(error),
            )

    def challenge(self, request: RelayRequest) -> bytes:
        """Return what a client is asked for that did not prove itself."""
        return BASIC_CHALLENGE.encode()

    @abstractmethod
    async def work(self, request: RelayRequest, body: bytes) -> Send:
        """Return what sends the answer. Raises OAuthError, BusyError."""

    def form(self, request: RelayRequest, body: bytes) -> Parameters:
        """Return the parameters of a form. Raises OAuthError."""
        return parse_form(body, single(request, b"content-type"))


def single_authorization(request: Request) -> str | None:
    """Return the Authorization header. Raises OAuthError if it comes twice."""
    values = request.requestHeaders.getRawHeaders(b"authorization", [])
    if len(values) > 1:
        raise OAuthError(ErrorCode.INVALID_REQUEST, "There are two Authorization headers")
    return values[0].decode("latin-1") if values else None


def _send(request: RelayRequest, *, status: int, value: Any, headers: Mapping[bytes, bytes]) -> int:
    return send_json(request, status, value, headers=headers)


def _refuse(
    request: RelayRequest, status: int, message: str, headers: Mapping[bytes, bytes]
) -> object:
    return error_answer(status, message, headers)(request)
