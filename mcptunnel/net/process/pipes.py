"""Our ends of a child's pipes, as descriptors of a Twisted reactor."""

import os
from collections import deque
from collections.abc import Callable
from typing import IO, Any, Protocol

from twisted.internet.interfaces import IDelayedCall, IReadDescriptor, IWriteDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

READ_BYTES = 65_536
"""A pipe holds this much on Linux: one read empties it."""
HIGH_WATER_BYTES = 65_536
_MAX_FINAL_READS = 16


class PipeReactor(Protocol):
    """What is used of a reactor: IReactorFDSet and IReactorTime."""

    def addReader(self, reader: Any) -> Any: ...
    def removeReader(self, reader: Any) -> Any: ...
    def addWriter(self, writer: Any) -> Any: ...
    def removeWriter(self, writer: Any) -> Any: ...
    def seconds(self) -> float: ...
    def callLater(self, delay: float, callable: Callable[..., Any], /) -> IDelayedCall: ...  # noqa: A002  the name that IReactorTime gives it


@implementer(IReadDescriptor)
class PipeReader:
    """The read end of a pipe: `data_received` for what comes, `ended` once at its end."""

    def __init__(
        self,
        reactor: PipeReactor,
        file: IO[bytes],
        data_received: Callable[[bytes], None],
        ended: Callable[[], None],
    ) -> None:
        os.set_blocking(file.fileno(), False)
        self._reactor = reactor
        self._file = file
        self._fd = file.fileno()
        self._data_received = data_received
        self._ended = ended
        self._paused = False
        self.closed = False
        reactor.addReader(self)

    def pause(self) -> None:
        """Read no more until `resume`."""
        if not self._paused and not self.closed:
            self._paused = True
            self._reactor.removeReader(self)

    def resume(self) -> None:
        """Read again."""
        if self._paused and not self.closed:
            self._paused = False
            self._reactor.addReader(self)

    def close(self) -> None:
        """Close our end; `ended` is not called."""
        if not self.closed:
            self.closed = True
            self._reactor.removeReader(self)
            self._file.close()

    def drain(self) -> None:
        """Take what lies in the pipe now, within bounds, and close."""
        for _ in range(_MAX_FINAL_READS):
            if self.closed or not self._read():
                break
        self.close()

    def _read(self) -> bool:
        try:
            data = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if data:
            self._data_received(data)
            return True
        self.connectionLost(None)
        return False

    def doRead(self) -> None:
        self._read()

    def connectionLost(self, _reason: Failure | None) -> None:
        if not self.closed:
            self.close()
            self._ended()

    def fileno(self) -> int:
        return -1 if self.closed else self._fd

    def logPrefix(self) -> str:
        return "child"


@implementer(IWriteDescriptor)
class PipeWriter:
    """The write end of a pipe. Writes at once when it can, else buffers and tells the owner.

    `paused` is called when more than 64 KiB wait, `resumed` when all of it was taken, `broken` when
    nobody reads any more; then and after `close` writing is a no-op.
    """

    def __init__(
        self,
        reactor: PipeReactor,
        file: IO[bytes],
        paused: Callable[[], None],
        resumed: Callable[[], None],
        broken: Callable[[], None],
    ) -> None:
        os.set_blocking(file.fileno(), False)
        self._reactor = reactor
        self._file = file
        self._fd = file.fileno()
        self._tell_paused = paused
        self._tell_resumed = resumed
        self._tell_broken = broken
        self._pending: deque[bytes | memoryview] = deque()
        self._pending_bytes = 0
        self._paused = False
        self._closing = False
        self.closed = False

    @property
    def unsent_bytes(self) -> int:
        """How much was written and not taken yet."""
        return self._pending_bytes

    def write(self, data: bytes) -> None:
        """Write, now or when the reader lets us."""
        if self._closing or self.closed:
            return
        rest: bytes | memoryview = data
        if not self._pending:
            taken = self._take(data)
            if taken == len(data) or self.closed:
                return
            rest = memoryview(data)[taken:]
            self._reactor.addWriter(self)
        self._pending.append(rest)
        self._pending_bytes += len(rest)
        if self._pending_bytes > HIGH_WATER_BYTES and not self._paused:
            self._paused = True
            self._tell_paused()

    def close_when_flushed(self) -> None:
        """Close as soon as everything was taken."""
        self._closing = True
        if not self._pending:
            self.close()

    def close(self) -> None:
        """Close now; what waits is dropped."""
        if not self.closed:
            self.closed = True
            self._reactor.removeWriter(self)
            self._pending.clear()
            self._pending_bytes = 0
            self._file.close()

    def _take(self, data: bytes | memoryview) -> int:
        try:
            return os.write(self._fd, data)
        except BlockingIOError:
            return 0
        except OSError:
            self.connectionLost(None)
            return 0

    def doWrite(self) -> None:
        while self._pending:
            chunk = self._pending[0]
            taken = self._take(chunk)
            if self.closed:
                return
            self._pending_bytes -= taken
            if taken < len(chunk):
                self._pending[0] = memoryview(chunk)[taken:]
                return
            self._pending.popleft()
        self._reactor.removeWriter(self)
        if self._closing:
            self.close()
        elif self._paused:
            self._paused = False
            self._tell_resumed()

    def connectionLost(self, _reason: Failure | None) -> None:
        if not self.closed:
            self.close()
            self._tell_broken()

    def fileno(self) -> int:
        return -1 if self.closed else self._fd

    def logPrefix(self) -> str:
        return "child"
