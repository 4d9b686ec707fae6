"""A local HTTP server in memory: what was asked of it, and answers piece by piece."""

from typing import Any

from mcptunnel.agent.servers.interfaces import Passage
from mcptunnel.model import Headers, ResponseHead
from mcptunnel.net.http1 import RequestError, RequestFailed, ResponseReceiver, Upload


class Socket:
    """The transport of an upload; `take` empties it, up to then it is full after `room_bytes`."""

    def __init__(self, room_bytes: int) -> None:
        self.sent = b""
        self.waiting_bytes = 0
        self._room_bytes = room_bytes
        self._producer: Any = None
        self._paused = False

    def registerProducer(self, producer: Any, *, streaming: bool) -> None:
        assert streaming
        assert self._producer is None
        self._producer = producer

    def unregisterProducer(self) -> None:
        self._producer = None

    def writeSequence(self, pieces: Any) -> None:
        self.write(b"".join(pieces))

    def write(self, data: bytes) -> None:
        self.sent += data
        self.waiting_bytes += len(data)
        if self.waiting_bytes > self._room_bytes and self._producer and not self._paused:
            self._paused = True
            self._producer.pauseProducing()

    def take(self) -> None:
        """Be read by the server."""
        self.waiting_bytes = 0
        if self._paused:
            self._paused = False
            if self._producer:
                self._producer.resumeProducing()


class Asked:
    """One request, and its response while it is made (`agent.servers.interfaces.UnderWay`)."""

    def __init__(
        self,
        method: str,
        path: str,
        headers: Headers,
        body: bytes | Upload,
        receiver: ResponseReceiver,
    ) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body
        self.paused = self.aborted = False
        self._receiver = receiver
        self._waiting: list[bytes] = []
        self._ended = False

    def answer(self, status: int = 200, *fields: tuple[str, str]) -> None:
        self._receiver.head_received(ResponseHead(status, fields))

    def send(self, data: bytes) -> None:
        """Send a piece; while the receiver has paused us it waits."""
        if self.paused:
            self._waiting.append(data)
        elif not self.aborted:
            self._receiver.data_received(data)

    def end(self) -> None:
        self._ended = True
        self._go_on()

    def fail(self, text: str, *, may_have_run: bool) -> None:
        self._receiver.failed(RequestFailed(text, may_have_run))

    def _go_on(self) -> None:
        while self._waiting and not self.paused and not self.aborted:
            self._receiver.data_received(self._waiting.pop(0))
        if self._ended and not self._waiting and not self.aborted:
            self._receiver.ended()

    @property
    def unread_bytes(self) -> int:
        """What was sent and is held back."""
        return sum(map(len, self._waiting))

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False
        self._go_on()

    def abort(self) -> None:
        self.aborted = True


class LocalHttp:
    """The server (`agent.servers.interfaces.Requester`); `passage` is the way to it.

    A body that is an upload begins when the test calls `connect`.
    """

    def __init__(self, headers: Headers = ()) -> None:
        self.asked: list[Asked] = []
        self.passage = Passage(self, headers)
        self.refusal = ""

    @property
    def last(self) -> Asked:
        return self.asked[-1]

    def request(
        self,
        method: str,
        path: str,
        headers: Headers,
        body: bytes | Upload,
        receiver: ResponseReceiver,
    ) -> Asked:
        if self.refusal:
            raise RequestError(self.refusal)
        self.asked.append(Asked(method, path, headers, body, receiver))
        return self.last

    def connect(self, room_bytes: int = 64 * 1024) -> Socket:
        """Let the last request's upload begin."""
        socket = Socket(room_bytes)
        assert isinstance(self.last.body, Upload)
        self.last.body.attach(socket)
        return socket
