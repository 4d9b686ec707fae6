"""The agents' ends of many idle links, in one loop: each a real session that greets and beats its heart."""

import select
import socket
import ssl
import time
from heapq import heappop, heappush
from types import TracebackType
from typing import Self

from mcptunnel.wire.constants import SUBPROTOCOL, Role
from mcptunnel.wire.frames import Hello, Welcome
from mcptunnel.wire.greeting import Greeting
from mcptunnel.wire.session import Session
from mcptunnel.wire.settings import Settings

AT_ONCE = 50
TIMEOUT_S = 60.0
READ_BYTES = 16 * 1024
PORTS_OF_AN_ADDRESS = 20_000
SETTINGS = Settings()
_BINARY, _MASKED, _LENGTH_16 = 0x82, 0x80, 126


class IdleLink:
    """One link and its session."""

    __slots__ = ("_greeting", "_received", "_session", "due_s", "socket")

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.due_s = 0.0
        self._greeting = Greeting(Role.AGENT, SETTINGS)
        self._session: Session | None = None
        self._received = b""

    def ask(self, port: int, key: str) -> None:
        """Send the opening handshake (RFC 6455, section 4.1)."""
        self.socket.sendall(
            f"GET /tunnel HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n"
            f"Authorization: Bearer {key}\r\n\r\n".encode()
        )

    def hello(self, installation_id: str) -> None:
        """Wait for the answer, and introduce the agent."""
        while b"\r\n\r\n" not in self._received:
            self._read()
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101 "):
            raise RuntimeError(f"The relay refused a link: {head!r}")
        self._send(self._greeting.hello(Hello(installation_id, "laptop", "1.0")))

    def welcomed(self) -> None:
        """Wait for WELCOME, and begin the session."""
        while not (messages := self._messages()):
            self._read()
        message, *more = messages
        said = self._greeting.receive(message)
        if not isinstance(said, Welcome):  # no type of ours is wrong, the relay says no
            raise ConnectionRefusedError(f"The relay refused an agent: {said}")
        self._session = Session(Role.AGENT, SETTINGS, said.limits, time.monotonic())
        for each in more:
            self._session.receive(each, time.monotonic())
        self.beat()

    def hear(self) -> int:
        """Read what came and answer it; return how many messages there were."""
        self._read()
        messages = self._messages()
        if self._session is not None:
            now_s = time.monotonic()
            for message in messages:
                self._session.receive(message, now_s)
            self._say()
        return len(messages)

    def beat(self) -> None:
        """Do what is due now; `due_s` is when to do so again."""
        if self._session is not None:
            self._session.tick(time.monotonic())
            self._say()
            self.due_s = self._session.next_tick_s

    def _say(self) -> None:
        assert self._session is not None
        while (message := self._session.message_to_send()) is not None:
            self._send(message)

    def _read(self) -> None:
        data = self.socket.recv(READ_BYTES)
        if not data:
            raise RuntimeError("The relay closed a link.")
        self._received += data

    def _send(self, message: bytes) -> None:
        """Send one binary message, masked with zeros (RFC 6455, section 5.2)."""
        size = len(message)
        head = bytes([_BINARY, _MASKED | min(size, _LENGTH_16)])
        if size >= _LENGTH_16:
            head += size.to_bytes(2, "big")
        self.socket.sendall(head + bytes(4) + message)

    def _messages(self) -> list[bytes]:
        """Take the whole messages from what was received; the relay's are small and in one frame."""
        found = []
        while len(self._received) >= 4:
            first, size = self._received[0], self._received[1]
            start = 2
            if size == _LENGTH_16:
                size, start = int.from_bytes(self._received[2:4], "big"), 4
            if first != _BINARY or size > READ_BYTES:
                raise RuntimeError(f"Unexpected on an idle link: {self._received[:20]!r}")
            if len(self._received) < start + size:
                break
            found.append(self._received[start : start + size])
            self._received = self._received[start + size :]
        return found


class IdleLinks:
    """All links to one relay; a context manager that closes them."""

    def __init__(self, port: int, *, tls: bool) -> None:
        self._port = port
        self._poll = select.epoll()
        self._links: dict[int, IdleLink] = {}
        self._opening: list[tuple[IdleLink, str]] = []
        self._due: list[tuple[float, int]] = []
        self._tls = ssl.create_default_context() if tls else None
        if self._tls is not None:
            self._tls.check_hostname = False
            self._tls.verify_mode = ssl.CERT_NONE

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for link in (*self._links.values(), *(link for link, _ in self._opening)):
            link.socket.close()
        self._poll.close()

    def prepare(self, key: str, installation_id: str) -> None:
        """Begin another link; some are greeted together."""
        number = len(self._links) + len(self._opening)
        source = f"127.0.0.{1 + number // PORTS_OF_AN_ADDRESS}"
        connected = socket.create_connection(
            ("127.0.0.1", self._port), TIMEOUT_S, source_address=(source, 0)
        )
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls is not None:
            connected = self._tls.wrap_socket(connected)
        link = IdleLink(connected)
        self._opening.append((link, installation_id))
        link.ask(self._port, key)
        if len(self._opening) == AT_ONCE:
            self.finish()

    def finish(self) -> None:
        """Greet on the links that were begun; serve those that are open."""
        opening, self._opening = self._opening, []
        for link, installation_id in opening:
            link.hello(installation_id)
        for link, _ in opening:
            link.welcomed()
            number = link.socket.fileno()
            self._links[number] = link
            self._poll.register(number, select.EPOLLIN)
            heappush(self._due, (link.due_s, number))
        self._serve(0.0)

    def serve_for(self, seconds: float) -> int:
        """Serve for so long; return how many messages came. Raises RuntimeError, OSError if a link is lost."""
        until_s = time.monotonic() + seconds
        messages = 0
        while (left_s := until_s - time.monotonic()) > 0:
            messages += self._serve(left_s)
        return messages

    def _serve(self, timeout_s: float) -> int:
        while self._due and self._due[0][0] <= time.monotonic():
            _, number = heappop(self._due)
            self._links[number].beat()
            heappush(self._due, (self._links[number].due_s, number))
        if self._due:
            timeout_s = min(timeout_s, max(0.0, self._due[0][0] - time.monotonic()))
        return sum(self._links[number].hear() for number, _ in self._poll.poll(timeout_s))
