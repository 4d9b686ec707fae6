"""A bad network in front of a relay: a TCP proxy that cuts, silences, delays and truncates.

What it does to a connection is drawn from one seed, so that a run can be told by its number.
"""

import random
import socket
import struct
import threading
import time
from collections import Counter
from contextlib import suppress
from typing import Self

PIECE_BYTES = 8192
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with which closing sends RST (socket(7))."""

WAYS = ("reset", "close", "silence")


class Network:
    """Carries bytes between `port` and `target_port`, both on loopback.

    While `is_bad` every connection gets a number of bytes after which it is reset, closed, or
    forgotten without a word; the last piece is cut short there. `ends` counts the ways. While
    `is_away` nobody gets through, and with `is_heard` all that goes to the agent is kept in `heard`.
    """

    def __init__(self, port: int, target_port: int, seed: int, least_bytes: int = 4000) -> None:
        self.origin = f"http://127.0.0.1:{port}"
        self.is_bad = self.is_away = self.is_heard = False
        self.heard: list[bytearray] = []
        self.budgets: list[int] = []
        """What the next links may carry, each; after that they are closed."""
        self._least_bytes = least_bytes
        self.ends: Counter[str] = Counter()
        self._target_port = target_port
        self._random = random.Random(seed)
        self._listening = socket.create_server(("127.0.0.1", port))
        self._links: list[Link] = []
        self._closed = False

    def start(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def close(self) -> None:
        """Be gone, with all connections, those that were silenced included."""
        self._closed = True
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for link in self._links:
            link.drop("close")

    def cut(self, way: str) -> None:
        """End all connections that live, in one way."""
        for link in self._links:
            link.end(way)

    def cut_after(self, count_bytes: int) -> None:
        """Close the link that lives once it has carried so many bytes more, both ways together."""
        for link in self._links:
            link.limit(count_bytes)

    @property
    def left_bytes(self) -> int:
        """How much the newest link may still carry."""
        return self._links[-1].left_bytes

    def stall(self) -> None:
        """Keep back what the living links carry from now on."""
        for link in self._links:
            link.stall()

    def release(self) -> int:
        """Let all that was kept back arrive; return how many bytes that are."""
        return sum(link.release() for link in self._links)

    @property
    def late_bytes(self) -> int:
        """How much has been kept back."""
        return sum(link.late_bytes for link in self._links)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
                if self.is_away:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self._target_port))
            except OSError:
                if self._closed:
                    return
                near.close()  # the relay does not run
                continue
            link = Link(self, near, far)
            if self.budgets:
                link.limit(self.budgets.pop(0))
            self._links.append(link.start())

    def budget_bytes(self) -> int:
        """Return how much a connection may carry: most often less than a large result."""
        return round(self._least_bytes * 2 ** self._random.uniform(0, 7))

    def way(self) -> str:
        return self._random.choice(("reset", "reset", "close", "close", "silence"))

    def delay_s(self) -> float:
        return self._random.choice((0.0, 0.0, 0.0, 0.005, 0.02))


class Link:
    """One connection through the network."""

    def __init__(self, network: Network, near: socket.socket, far: socket.socket) -> None:
        self._network = network
        self._sockets = (near, far)
        self._lock = threading.Lock()
        self._left_bytes = network.budget_bytes()
        self._ended = self._is_limited = self._is_stalled = False
        self._late: list[tuple[socket.socket, bytes]] = []

    def start(self) -> Self:
        near, far = self._sockets
        heard = bytearray()
        self._network.heard.append(heard)
        for source, sink, copy in ((near, far, bytearray()), (far, near, heard)):
            threading.Thread(target=self._carry, args=(source, sink, copy), daemon=True).start()
        return self

    def limit(self, count_bytes: int) -> None:
        """Be closed after so many bytes."""
        with self._lock:
            self._is_limited, self._left_bytes = True, count_bytes

    @property
    def left_bytes(self) -> int:
        with self._lock:
            return self._left_bytes

    def stall(self) -> None:
        with self._lock:
            self._is_stalled = not self._ended

    def release(self) -> int:
        """Send what was kept back, as far as anybody still takes it."""
        for sink, piece in self._late:
            with suppress(OSError):
                sink.sendall(piece)
        return self.late_bytes

    @property
    def late_bytes(self) -> int:
        return sum(len(piece) for _, piece in self._late)

    def _carry(self, source: socket.socket, sink: socket.socket, copy: bytearray) -> None:
        try:
            while piece := source.recv(PIECE_BYTES):
                if self._ended:
                    return
                if self._is_stalled:
                    self._late.append((sink, piece))
                    continue
                if self._network.is_heard:
                    copy += piece
                if self._network.is_bad or self._is_limited:
                    if self._network.is_bad:
                        time.sleep(self._network.delay_s())
                    with self._lock:
                        piece = piece[: self._left_bytes]
                        self._left_bytes -= len(piece)
                sink.sendall(piece)
                if not self._left_bytes:
                    self.end("close" if self._is_limited else self._network.way())
                    return
        except OSError:
            pass
        if not self._is_stalled:
            self.end("gone")

    def end(self, way: str) -> None:
        """End it, once; "silence" leaves both sides believing that it lives."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
        self._network.ends[way] += 1
        if way != "silence":
            self.drop(way)

    def drop(self, way: str) -> None:
        """Close both connections; a thread that still reads one wakes up."""
        for end in self._sockets:
            with suppress(OSError):
                if way == "reset":
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                end.shutdown(socket.SHUT_RD if way == "reset" else socket.SHUT_RDWR)
            end.close()
