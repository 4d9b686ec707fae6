"""The calls that are open on one local HTTP server, each a POST of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mcptunnel.agent.servers.http_handshake import Agreed
from mcptunnel.agent.servers.http_response import MessageResponse
from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import JsonRpcError, Message, Notification, Request, Response
from mcptunnel.mcp.server_half import http as rules
from mcptunnel.mcp.server_half.actions import Deliver
from mcptunnel.mcp.server_half.calls import OpenCalls as OwnIds
from mcptunnel.model import Headers, Outcome, ResponseHead
from mcptunnel.net.http1 import Call, Client, RequestError, RequestFailed

NOT_FOUND: Final = 404


@dataclass(frozen=True, slots=True)
class Ended:
    """A call that will not be answered; `session_lost` if the server no longer knows ours."""

    key: int
    request: Request
    detail: str
    outcome: Outcome
    session_lost: bool = False
    unreachable: bool = False


class Calls:
    """Makes calls as one `Agreed` says. `deliver` and `ended` hear what becomes of them."""

    def __init__(
        self,
        client: Client,
        headers: Headers,
        agreed: Agreed,
        *,
        deliver: Callable[[Deliver], None],
        ended: Callable[[Ended], None],
    ) -> None:
        self._client = client
        self._headers = headers
        self.agreed = agreed
        self._deliver = deliver
        self._ended = ended
        self._ids = OwnIds()
        self._ids.new_id()  # `initialize` and the probe had the first one
        self._posts: dict[int, Call] = {}

    def call(self, key: int, request: Request) -> None:
        """POST a request."""
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

    def _fields(self, request: Request) -> Headers:
        session = self.agreed.session
        if session is None:
            return (*self._headers, *rules.modern_headers(request, self.agreed.info))
        return (*self._headers, *rules.legacy_headers(session))

    def _tell(self, message: Notification | Response) -> None:
        """POST what has no answer; that it fails changes nothing."""
        session = self.agreed.session
        if session is not None:
            nobody = MessageResponse(lambda _message: None, lambda *_over: None)
            fields = (*self._headers, *rules.legacy_headers(session))
            self._client.request("POST", "", fields, jsonrpc.encode(message), nobody)

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
        if failure is None and rest:
            self._read(rest)
        if self._ids.forget(key) is None:
            return
        if failure is not None:
            self._ended(
                Ended(
                    key,
                    request,
                    failure.text if failure.may_have_run else f"cannot be reached: {failure.text}",
                    Outcome.UNKNOWN if failure.may_have_run else Outcome.NOT_DELIVERED,
                    unreachable=True,
                )
            )
            return
        status = 0 if head is None else head.status
        gone = status == NOT_FOUND and self.agreed.session is not None
        self._ended(
            Ended(
                key,
                request,
                f"answered with HTTP {status} and no result",
                Outcome.NOT_DELIVERED if gone else Outcome.UNKNOWN,
                session_lost=gone and self.agreed.session is not None,
            )
        )

    def _read(self, body: bytes) -> None:
        try:
            message = jsonrpc.parse(body)
        except JsonRpcError:
            return
        if isinstance(message, Response | Notification):
            self._message(message)
