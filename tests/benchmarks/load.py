"""The load: keep-alive connections, one call at a time on each, driven by one epoll loop."""

import select
import socket
import time
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.benchmarks.requests import Calls, Target
from tests.benchmarks.responses import ResponseReader

READ_BYTES = 1024 * 1024
SILENCE_S = 60.0
MOST_ERRORS = 1000
"""A run with more is broken; it ends instead of going on for ever."""

BROKEN_PAUSE_S = 0.01


class LoadError(Exception):
    """The endpoint does not work; nothing can be measured."""


class Connection:
    """One connection of a lane."""

    __slots__ = ("lane", "reader", "request_id", "sent_s", "socket")

    def __init__(self, lane: "Lane") -> None:
        self.lane = lane
        self.reader = ResponseReader()
        self.request_id = b""
        self.sent_s = 0.0
        self.socket = _connect(lane.target)

    def send_next(self) -> None:
        """Send the lane's next request."""
        data, self.request_id = self.lane.calls.next()
        self.reader.begin()
        self.sent_s = time.perf_counter()
        self.socket.sendall(data)

    def reconnect(self) -> None:
        """Replace the socket by a new one; the caller sees to the poll."""
        self.socket.close()
        self.socket = _connect(self.lane.target)


@dataclass(slots=True)
class Lane:
    """Some connections that make the same calls, and what became of them.

    `calls_left` is how many calls are still to be sent, None without a limit. `first_events_ms` is
    filled for event streams alone. Use `close` at the end.
    """

    target: Target
    calls: Calls
    connections: int = 1
    calls_left: int | None = None
    latencies_ms: "array[float]" = field(default_factory=lambda: array("d"))
    first_events_ms: "array[float]" = field(default_factory=lambda: array("d"))
    events: int = 0
    body_bytes: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    opened: list[Connection] = field(default_factory=list)

    def open(self) -> None:
        """Make the connections."""
        self.opened = [Connection(self) for _ in range(self.connections)]

    def close(self) -> None:
        """Close the connections."""
        for connection in self.opened:
            connection.socket.close()
        self.opened = []

    def forget(self) -> None:
        """Start counting afresh, as after warming up."""
        self.latencies_ms, self.first_events_ms = array("d"), array("d")
        self.events = self.body_bytes = 0
        self.errors = Counter()

    def record(self, connection: Connection, now_s: float) -> None:
        """Count a complete response."""
        reader = connection.reader
        if not reader.is_answer_to(connection.request_id, self.calls.size):
            self.fail(f"HTTP {reader.status}" if reader.status != 200 else "not the result")
            return
        self.latencies_ms.append((now_s - connection.sent_s) * 1000)
        self.body_bytes += reader.body_bytes
        if reader.is_stream:
            self.events += reader.events
            self.first_events_ms.append((reader.first_event_s - connection.sent_s) * 1000)

    def fail(self, why: str) -> None:
        """Count a call that went wrong."""
        self.errors[why] += 1
        if self.errors.total() > MOST_ERRORS:
            raise LoadError(f"{self.target.name}: {dict(self.errors)}")
        time.sleep(BROKEN_PAUSE_S)

    def may_send(self) -> bool:
        """Take one of the calls that are left, if one is."""
        if self.calls_left is None:
            return True
        self.calls_left -= 1
        return self.calls_left >= 0


def run(lanes: Sequence[Lane], duration_s: float | None = None) -> float:
    """Make calls for so long, or until the first lane has made its calls; return the seconds.

    The calls in flight at the end are waited for, and counted like all others; the seconds include
    them. The lanes must be open. Raises LoadError if nothing comes for a minute.
    """
    started_s = time.perf_counter()
    deadline_s = None if duration_s is None else started_s + duration_s
    with select.epoll() as poll:
        _Run(poll, lanes, deadline_s).until_quiet()
    return time.perf_counter() - started_s


class _Run:
    """The loop of `run`; `busy` are the connections that wait for an answer, by file number."""

    def __init__(self, poll: select.epoll, lanes: Sequence[Lane], deadline_s: float | None) -> None:
        self._poll = poll
        self._lanes = lanes
        self._deadline_s = deadline_s
        self._stopping = False
        self._busy: dict[int, Connection] = {}

    def until_quiet(self) -> None:
        for lane in self._lanes:
            for connection in lane.opened:
                self._poll.register(connection.socket, select.EPOLLIN)
                self._send_next(connection)
        busy, poll = self._busy, self._poll
        while busy:
            ready = poll.poll(SILENCE_S)
            if not ready:
                name = self._lanes[0].target.name
                raise LoadError(f"Nothing came for {SILENCE_S:g} s from {name}.")
            for number, _ in ready:
                answered = busy.get(number)
                if answered is None:  # closed by the other side while it had nothing to do
                    poll.unregister(number)
                    continue
                data = _receive(answered)
                now_s = time.perf_counter()
                if not data or answered.reader.feed(data, now_s):
                    del busy[number]
                    self._finish(answered, now_s, lost=not data)

    def _finish(self, connection: Connection, now_s: float, *, lost: bool) -> None:
        if lost:
            connection.lane.fail("closed")
        else:
            connection.lane.record(connection, now_s)
        if lost or connection.reader.closes:
            connection.reconnect()
            self._poll.register(connection.socket, select.EPOLLIN)
        if self._deadline_s is not None and now_s >= self._deadline_s:
            self._stopping = True
        self._send_next(connection)

    def _send_next(self, connection: Connection) -> None:
        if not self._stopping and connection.lane.may_send():
            connection.send_next()
            self._busy[connection.socket.fileno()] = connection
        elif connection.lane is self._lanes[0]:
            self._stopping = True


def _receive(connection: Connection) -> bytes:
    try:
        return connection.socket.recv(READ_BYTES)
    except ConnectionError:
        return b""


def _connect(target: Target) -> socket.socket:
    made = socket.create_connection(target.address, timeout=SILENCE_S)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def open_session(target: Target) -> str:
    """Shake hands in the legacy era; return the session's id, "" if there is none.

    Raises LoadError if the endpoint does not answer as it should.
    """
    params = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "benchmark", "version": "1"},
    }
    reader = _exchange(target, {"id": 1, "method": "initialize", "params": params})
    if reader.status != 200 or b'"result"' not in reader.start:
        raise LoadError(f"initialize: {reader.status} {reader.start[:500]!r}")
    return reader.session


def send_notification(target: Target, method: str) -> None:
    """Send a notification; raise LoadError if it is not accepted."""
    reader = _exchange(target, {"method": method})
    if reader.status not in (200, 202):
        raise LoadError(f"{method}: {reader.status} {reader.start[:500]!r}")


def _exchange(target: Target, message: dict[str, Any]) -> ResponseReader:
    reader = ResponseReader()
    with _connect(target) as connection:
        connection.sendall(target.request(message))
        while not reader.feed(data := connection.recv(READ_BYTES), time.perf_counter()):
            if not data:
                raise LoadError(f"{message['method']}: the connection was closed")
    return reader
