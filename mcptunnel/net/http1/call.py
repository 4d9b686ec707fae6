"""A request under way, as its sender sees it."""

from dataclasses import dataclass
from typing import Protocol

from twisted.logger import Logger

from mcptunnel.model import ResponseHead
from mcptunnel.net.http1.upload import Upload


@dataclass(frozen=True, slots=True)
class RequestFailed:
    """Why there is no (whole) response; `may_have_run` is False only if that is certain."""

    text: str
    may_have_run: bool


class ResponseReceiver(Protocol):
    """Who wants a response. Nothing is called before `Client.request` returned, or after `abort`.

    Either `ended` or `failed` comes last, exactly once; `failed` may come at any point.
    """

    def head_received(self, head: ResponseHead) -> None:
        """Take status and fields, as they came: fields about the connection are among them."""

    def data_received(self, data: bytes) -> None:
        """Take a piece of the body; all that was read at once is one piece."""

    def ended(self) -> None:
        """Know that the response is complete."""

    def failed(self, reason: RequestFailed) -> None:
        """Know that no more will come."""


class Carrier(Protocol):
    """The connection that a call is on."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def close(self) -> None: ...


class CallOwner(Protocol):
    """Who looks for a connection for a call."""

    def withdraw(self, call: "Call") -> None: ...


class _Nobody(ResponseReceiver):
    """Takes the place of the receiver of a call that is over."""

    def head_received(self, head: ResponseHead) -> None:
        return

    def data_received(self, data: bytes) -> None:
        return

    def ended(self) -> None:
        return

    def failed(self, reason: RequestFailed) -> None:
        return


_NOBODY = _Nobody()


class Call:
    """A request under way. After `ended` or `failed` all methods are no-ops.

    A call that is over lets go of its receiver, which mostly holds the call: what they keep is freed at
    once, and not only when the garbage is looked for.
    """

    _log = Logger()

    __slots__ = (
        "_connection",
        "_owner",
        "done",
        "method",
        "paused",
        "receiver",
        "request",
        "upload",
    )

    def __init__(
        self,
        owner: CallOwner,
        receiver: ResponseReceiver,
        method: str,
        request: bytes,
        upload: Upload | None = None,
    ) -> None:
        self._owner = owner
        self._connection: Carrier | None = None
        self.receiver = receiver
        self.method = method
        self.request = request
        self.upload = upload
        self.paused = False
        self.done = False

    def pause(self) -> None:
        """Read no more of the response. What was read already (at most 64 KiB) still comes."""
        if not self.paused and not self.done:
            self.paused = True
            if self._connection:
                self._connection.pause()

    def resume(self) -> None:
        """Read again."""
        if self.paused and not self.done:
            self.paused = False
            if self._connection:
                self._connection.resume()

    def abort(self) -> None:
        """Drop the request: its connection is closed, which is how the server learns of it."""
        if not self.done:
            connection = self._connection
            self.over()
            if connection:
                connection.close()
            else:
                self._owner.withdraw(self)

    def attach(self, connection: Carrier) -> None:
        """Know the connection that carries this call; for the client only."""
        self._connection = connection

    def fail(self, text: str, *, may_have_run: bool) -> None:
        """End the call without a (whole) response; for the client only."""
        if not self.done:
            receiver = self.receiver
            self.over()
            try:
                receiver.failed(RequestFailed(text, may_have_run))
            except Exception:  # noqa: BLE001  it must not stop the connection
                self._log.failure("The receiver of a response failed")

    def over(self) -> None:
        """Note the end; for the client only, who knows the receiver."""
        self.done = True
        self.receiver = _NOBODY
        self.upload = self._connection = None
