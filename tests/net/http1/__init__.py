"""The HTTP/1.1 client; what its tests share: a scripted server and a recording receiver."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from mcptunnel.model import ResponseHead
from mcptunnel.net.http1 import RequestFailed

_Test: TypeAlias = Callable[..., Coroutine[Any, Any, None]]

in_reactor: Callable[[_Test], _Test] = pytest_twisted.ensureDeferred
"""Run a test as a coroutine in the reactor; pytest-twisted has no types."""

TIMEOUT_S = 20.0


def the_reactor() -> Any:
    """Return the global reactor; not before pytest-twisted has chosen it."""
    from twisted.internet import reactor  # noqa: PLC0415  an import installs the default one

    return reactor


async def until(condition: Callable[[], object]) -> None:
    """Let the reactor turn until a condition holds."""
    reactor = the_reactor()
    deadline_s = reactor.seconds() + TIMEOUT_S
    while not condition():
        assert reactor.seconds() < deadline_s, "it never came"
        await deferLater(reactor, 0.001)


async def turns(count: int = 20) -> None:
    """Let the reactor turn a few times."""
    for _ in range(count):
        await deferLater(the_reactor(), 0)


class Visit(Protocol):
    """One connection at the scripted server: what came, and whether it is gone."""

    transport: Any

    def __init__(self, server: "Server") -> None:
        self._server = server
        self.received = b""
        self.requests: list[bytes] = []
        self.lost: Failure | None = None

    def connectionMade(self) -> None:
        self._server.visits.append(self)
        self._server.visited(self)

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        if self._server.early_answer:
            self.send(self._server.early_answer)
            self.transport.pauseProducing()
            return
        head, found, rest = self.received.partition(b"\r\n\r\n")
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        if found and len(rest) >= length:
            self.requests.append(head + found + rest[:length])
            self.received = rest[length:]
            self._server.asked(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = reason

    def send(self, data: bytes) -> None:
        self.transport.write(data)

    def hang_up(self) -> None:
        self.transport.loseConnection()


class Server(Factory):
    """Answers each request with `answer`, or leaves it to the test if that is None."""

    noisy = False

    def __init__(self, answer: bytes | None = None) -> None:
        self.answer = answer
        self.visits: list[Visit] = []
        self.port = 0
        self.early_answer = b""
        self.hang_up_at_once = False

    def buildProtocol(self, _addr: IAddress | None) -> Visit:
        return Visit(self)

    def visited(self, visit: Visit) -> None:
        if self.hang_up_at_once:
            visit.hang_up()

    def asked(self, visit: Visit) -> None:
        if self.answer is not None:
            visit.send(self.answer)


def _nothing() -> None:
    pass


class Recorder:
    """A receiver that remembers what came."""

    def __init__(self) -> None:
        self.head: ResponseHead | None = None
        self.pieces: list[bytes] = []
        self.outcome: str | RequestFailed | None = None
        self.at_head: Callable[[], object] = _nothing
        self.at_end: Callable[[], object] = _nothing

    @property
    def untouched(self) -> bool:
        return self.head is None and self.outcome is None

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    def head_received(self, head: ResponseHead) -> None:
        assert self.head is None
        assert self.outcome is None
        self.head = head
        self.at_head()

    def data_received(self, data: bytes) -> None:
        assert self.head is not None
        assert self.outcome is None
        assert data
        self.pieces.append(data)

    def ended(self) -> None:
        assert self.head is not None
        assert self.outcome is None
        self.outcome = "ended"
        self.at_end()

    def failed(self, reason: RequestFailed) -> None:
        assert self.outcome is None
        self.outcome = reason

    async def end(self) -> None:
        await until(lambda: self.outcome)
        assert self.outcome == "ended"

    async def failure(self) -> RequestFailed:
        await until(lambda: self.outcome)
        assert isinstance(self.outcome, RequestFailed)
        return self.outcome


class Silence:
    """An endpoint that never connects."""

    def connect(self, _factory: object) -> Deferred[None]:
        return Deferred()
