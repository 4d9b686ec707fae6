"""An error of the relay's own about a request that it did not read: addressed if that is possible."""

from typing import Final

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.jsonrpc import JsonRpcError, Request
from mcptunnel.relay.web.answers import send_body
from mcptunnel.relay.web.request import RelayRequest

MAX_KEPT_BYTES: Final = 64 * 1024


class Beginning:
    """The start of a request's body; complete, or of no use because it is too long."""

    __slots__ = ("_is_complete", "_parts", "_size")

    def __init__(self) -> None:
        self._parts: list[bytes] | None = []
        self._size = 0
        self._is_complete = False

    @property
    def is_known(self) -> bool:
        """Whether nothing more can be learned."""
        return self._parts is None or self._is_complete

    def add(self, data: bytes) -> None:
        if self._parts is not None:
            self._size += len(data)
            self._parts.append(data)
            if self._size > MAX_KEPT_BYTES:
                self._parts = None

    def end(self) -> None:
        self._is_complete = True

    @property
    def request_id(self) -> jsonrpc.RequestId | None:
        """The id of the JSON-RPC request that it is; None if it is none, or not known to be one."""
        if self._parts is None or not self._is_complete:
            return None
        try:
            message = jsonrpc.parse(b"".join(self._parts))
        except JsonRpcError as error:
            return error.request_id
        return message.id if isinstance(message, Request) else None


class LateError:
    """Answers with an error as soon as it is known whom it answers (`relay.web.body.BodyReceiver`).

    A client that waits for `100 Continue` before it sends the body gets its answer at once.
    """

    def __init__(
        self,
        http: RelayRequest,
        status: int,
        error: JsonRpcError,
        retry_after_s: int | None,
        beginning: Beginning | None = None,
    ) -> None:
        self._http = http
        self._status = status
        self._error = error
        self._retry_after_s = retry_after_s
        self._beginning = beginning or Beginning()
        self._is_over = False

    def when_known(self) -> None:
        """Answer now, or once enough of the body has come."""
        body = self._http.body_in
        if body.wants_continue or self._beginning.is_known:
            self._answer()
        else:
            self._http.when_gone = self._gone
            body.hand_to(self)

    def body_received(self, data: bytes) -> None:
        self._beginning.add(data)
        if self._beginning.is_known:
            self._answer()

    def body_ended(self) -> None:
        self._beginning.end()
        self._answer()

    def _answer(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._http.when_gone = None
        response = self._error.response(self._beginning.request_id)
        again = {} if self._retry_after_s is None else {b"retry-after": b"%d" % self._retry_after_s}
        send_body(self._http, self._status, jsonrpc.encode(response), headers=again)

    def _gone(self) -> None:
        self._is_over = True
