"""Endpoints for people: pages out, forms in; only from this origin, and only by the session that was asked."""

from abc import abstractmethod
from collections.abc import Collection, Mapping
from functools import partial
from typing import ClassVar, Final, Generic, Protocol, TypeVar

from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from mcptunnel.auth.errors import OAuthError
from mcptunnel.auth.parameters import MAX_BYTES, Parameters, parse_form, parse_parameters
from mcptunnel.relay.oauth.limits import Limited, RequestLimits
from mcptunnel.relay.oauth.throttling import BusyError
from mcptunnel.relay.web.addresses import ClientAddresses
from mcptunnel.relay.web.answers import send_body
from mcptunnel.relay.web.guard import Guard
from mcptunnel.relay.web.later import Send, answer_later
from mcptunnel.relay.web.oauth.programs import STORE_RETRY_S, retry_after
from mcptunnel.relay.web.pages.kinds import AnyPage
from mcptunnel.relay.web.pages.messages import message_for
from mcptunnel.relay.web.pages.render import Pages
from mcptunnel.relay.web.request import RelayRequest
from mcptunnel.relay.web.root import single
from mcptunnel.store.errors import StoreError

_SEE_OTHER: Final = 303
_BAD_REQUEST: Final = 400
_NOT_FOUND: Final = 404
_NOT_ALLOWED: Final = 405
_TOO_MANY: Final = 429
_INTERNAL: Final = 500
_UNAVAILABLE: Final = 503

_log = Logger()


class PeopleWeb(Protocol):
    """What every endpoint for people needs."""

    @property
    def guard(self) -> Guard: ...

    @property
    def pages(self) -> Pages: ...

    @property
    def addresses(self) -> ClientAddresses: ...

    @property
    def limits(self) -> RequestLimits: ...


W = TypeVar("W", bound=PeopleWeb)


class ForPeople(Resource, Generic[W]):
    """One page, and the form on it."""

    isLeaf = True
    methods: ClassVar[tuple[bytes, ...]] = (b"GET", b"POST")
    limited: ClassVar[Limited]

    def __init__(self, web: W) -> None:
        super().__init__()
        self.web = web

    def render(self, request: RelayRequest) -> object:
        request.refuse_with = self._refuse
        host = self.web.guard.refusal(single(request, b"host"), None)
        if host is not None:
            return self.message(host[0])(request)
        if request.postpath:
            return self.message(_NOT_FOUND)(request)
        if request.method not in self.methods:
            return self._with(request, {b"allow": b", ".join(self.methods)}).message(_NOT_ALLOWED)(
                request
            )
        wait_s = self.web.limits.wait_s(self.limited, self.web.addresses.of(request))
        if wait_s:
            return self._with(request, retry_after(wait_s)).message(_TOO_MANY)(request)
        request.max_body_bytes = min(request.max_body_bytes, MAX_BYTES)
        request.read_body(partial(self._work, request))
        return NOT_DONE_YET

    @abstractmethod
    async def work(self, request: RelayRequest, parameters: Parameters) -> Send:
        """Return what sends the answer to a request with these parameters. Raises BusyError."""

    def page(self, status: int, page: AnyPage, *, form_action: Collection[str] = ()) -> Send:
        """Return what sends a page."""
        return partial(self.web.pages.send, status=status, page=page, form_action=form_action)

    def message(self, status: int, happened: str = "", next_step: str = "") -> Send:
        """Return what sends the page that says why there is no other one."""
        return self.page(status, message_for(status, happened=happened, next_step=next_step))

    def _work(self, request: RelayRequest, body: bytes) -> None:
        answer_later(request, self._answered(request, body), partial(self.message, _INTERNAL))

    async def _answered(self, request: RelayRequest, body: bytes) -> Send:
        try:
            parameters = self._parameters(request, body)
        except OAuthError as error:
            return self.message(_BAD_REQUEST, f"{error}.")
        try:
            return await self.work(request, parameters)
        except StoreError:
            _log.failure("cannot answer {path}", path=request.path)
            self._with(request, retry_after(STORE_RETRY_S))
            return self.message(_UNAVAILABLE)
        except BusyError as error:
            status = _TOO_MANY if error.is_fault_of_client else _UNAVAILABLE
            self._with(request, retry_after(error.retry_after_s))
            return self.message(status)

    def _parameters(self, request: RelayRequest, body: bytes) -> Parameters:
        if request.method == b"POST":
            return parse_form(body, single(request, b"content-type"))
        return parse_parameters(request.uri.partition(b"?")[2])

    def _with(self, request: RelayRequest, headers: Mapping[bytes, bytes]) -> "ForPeople[W]":
        for name, value in headers.items():
            request.setHeader(name, value)
        return self

    def _refuse(
        self, request: RelayRequest, status: int, _message: str, headers: Mapping[bytes, bytes]
    ) -> object:
        return self._with(request, headers).message(status)(request)


def redirect(location: str) -> Send:
    """Return what sends the browser elsewhere, with GET (RFC 9700, 4.12), and tells nobody from where."""
    headers = {
        b"location": location.encode(),
        b"cache-control": b"no-store",
        b"referrer-policy": b"no-referrer",
    }

    def send(request: RelayRequest) -> int:
        return send_body(
            request, _SEE_OTHER, b"", content_type=b"text/plain; charset=utf-8", headers=headers
        )

    return send
