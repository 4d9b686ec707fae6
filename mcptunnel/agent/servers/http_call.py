"""The calls that are open on one local HTTP server, each a POST of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from mcptunnel.agent.servers.http_handshake import Agreed
from mcptunnel.agent.servers.http_one_way import OneWayPosts
from mcptunnel.agent.servers.http_response import MessageResponse
from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import JsonRpcError, Message, Notification, Request, Response
from mcptunnel.mcp.server_half import http as rules
from mcptunnel.mcp.server_half import translate
from mcptunnel.mcp.server_half.actions import Deliver
from mcptunnel.mcp.server_half.calls import OpenCalls as OwnIds
from mcptunnel.mcp.server_half.handshake import DISCOVER, shown
from mcptunnel.model import Headers, Outcome, ResponseHead
from mcptunnel.net.http1 import Call, Client, RequestError, RequestFailed

# Statuses of a bad moment: how to talk to the server is still the same.
_PASSING: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})

# What servers of the official SDKs say of an unknown session, with 400 where 404 is meant.
_UNKNOWN_SESSION: Final = -32000


@dataclass(frozen=True, slots=True)
class Ended:
    """A call that will not be answered.

    `ask_again` if it must be found out afresh how to talk to the server; `session_lost` if it does
    not know our session any more and so did not look at the call.
    """

    key: int
    request: Request
    detail: str
    outcome: Outcome
    ask_again: bool = False
    session_lost: bool = False


class Calls:
    """Makes calls as one `Agreed` says. `deliver` and `ended` hear what becomes of them."""

    def __init__(
        self,
        reactor: Any,
        client: Client,
        headers: Headers,
        agreed: Agreed,
        *,
        deliver: Callable[[Deliver], None],
        ended: Callable[[Ended], None],
    ) -> None:
        self._client = client
        self._one_way = OneWayPosts(reactor, client)
        self._headers = headers
        self.agreed = agreed
        self._deliver = deliver
        self._ended = ended
        self._ids = OwnIds()
        self._ids.new_id()  # `initialize` and the probe had the first one
        self._posts: dict[int, Call] = {}

    def call(self, key: int, request: Request) -> None:
        """POST a request; a legacy server is not asked what it said already in its handshake."""
        if request.method == DISCOVER and self.agreed.session is not None:
            known = Response(request.id, translate.discover_result(self.agreed.info))
            self._deliver(Deliver(key, known))
            return
        try:
            body = self._ids.open(key, request, self.agreed.info.era)
            fields = self._fields(request)
        except JsonRpcError as error:
            self._ids.forget(key)
            self._deliver(Deliver(key, error.response(request.id)))
            return
        receiver = MessageResponse(
            self._message,
            lambda head, rest, failure: self._over(key, request, head, rest, failure),
        )
        try:
            receiver.call = self._client.request("POST", "", fields, body, receiver)
        except RequestError as error:
            self._ids.forget(key)
            self._ended(Ended(key, request, f"cannot be asked: {error}", Outcome.NOT_DELIVERED))
            return
        self._posts[key] = receiver.call

    def cancel(self, key: int, reason: str) -> None:
        """Give up a call: by closing its stream, and in a legacy session by saying so first."""
        own = self._ids.forget(key)
        post = self._posts.pop(key, None)
        if own is not None and self.agreed.session is not None:
            params = {"requestId": jsonrpc.raw(own), "reason": jsonrpc.raw(reason)}
            self._tell(Notification("notifications/cancelled", params))
        if post is not None:
            post.abort()

    def pause(self, key: int) -> None:
        """Read no more of the response to a call."""
        if key in self._posts:
            self._posts[key].pause()

    def resume(self, key: int) -> None:
        """Read again."""
        if key in self._posts:
            self._posts[key].resume()

    def _fields(self, request: Request) -> Headers:
        session = self.agreed.session
        if session is None:
            return (*self._headers, *rules.modern_headers(request, self.agreed.info))
        return (*self._headers, *rules.legacy_headers(session))

    def _tell(self, message: Notification | Response) -> None:
        """POST what has no answer."""
        session = self.agreed.session
        if session is not None:
            fields = (*self._headers, *rules.legacy_headers(session))
            self._one_way.post(fields, jsonrpc.encode(message))

    def _message(self, message: Message) -> None:
        if isinstance(message, Response):
            delivery = self._ids.answer(message, self.agreed.info)
            if delivery is not None:
                self._posts.pop(delivery.key, None)
                self._deliver(delivery)
        elif isinstance(message, Notification):
            progress = self._ids.progress(message)
            if progress is not None:
                self._deliver(progress)
        elif self.agreed.session is not None:
            refusal = JsonRpcError(jsonrpc.METHOD_NOT_FOUND, f"Method not found: {message.method}")
            is_ping = message.method == "ping"
            pong = Response(message.id, jsonrpc.raw({}))
            self._tell(pong if is_ping else refusal.response(message.id))

    def _over(
        self,
        key: int,
        request: Request,
        head: ResponseHead | None,
        rest: bytes,
        failure: RequestFailed | None,
    ) -> None:
        """The response ended; if the call was not answered in it, it never will be."""
        self._posts.pop(key, None)
        status = 0 if head is None else head.status
        answer = None if failure is not None else _response(rest)
        session_lost = failure is None and self._is_session_lost(status, answer)
        if answer is not None and not session_lost:
            self._message(answer)
        if self._ids.forget(key) is None:
            return
        if failure is not None:
            ran = failure.may_have_run
            detail = f"{'gave no whole answer' if ran else 'cannot be reached'}: {failure.text}"
            outcome = Outcome.UNKNOWN if ran else Outcome.NOT_DELIVERED
            self._ended(Ended(key, request, detail, outcome, ask_again=True))
            return
        error = None if answer is None else jsonrpc.error_of(answer)
        said = "" if error is None else f" ({shown(error.message)})"
        detail = f"answered with HTTP {status} and no result{said}"
        outcome = Outcome.NOT_DELIVERED if session_lost else Outcome.UNKNOWN
        ask_again = status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _PASSING
        self._ended(Ended(key, request, detail, outcome, ask_again, session_lost))

    def _is_session_lost(self, status: int, answer: Response | None) -> bool:
        if self.agreed.session is None:
            return False
        if status == HTTPStatus.BAD_REQUEST and answer is not None:
            error = jsonrpc.error_of(answer)
            return error is not None and error.code == _UNKNOWN_SESSION
        return status == HTTPStatus.NOT_FOUND


def _response(body: bytes) -> Response | None:
    """Read a body that should be the answer; None if it is something else."""
    try:
        message = jsonrpc.parse(body)
    except JsonRpcError:
        return None
    return message if isinstance(message, Response) else None
