"""Our ends of a child's pipes, as descriptors of a Twisted reactor."""

import os
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import IO, Any, Protocol

from twisted.internet.interfaces import IDelayedCall, IReadDescriptor, IWriteDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

READ_BYTES = 65_536
"""A pipe holds this much on Linux: one read empties it."""
HIGH_WATER_BYTES = 65_536
_MAX_FINAL_READS = 16
_MAX_CHUNKS = 1024  # IOV_MAX on Linux and macOS


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
        self.closed = False
        reactor.addReader(self)

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
    """The write end of a pipe. What is written in one turn goes out together at the start of the next.

    So a child that is asked many things at once is woken once. `paused` is called when more than 64 KiB
    wait, `resumed` when all of it was taken, `broken` when nobody reads any more; then and after `close`
    writing is a no-op.
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
        self._flush_call: IDelayedCall | None = None
        self._is_full = False
        self._paused = False
        self._closing = False
        self.closed = False

    @property
    def unsent_bytes(self) -> int:
        """How much was written and not taken yet."""
        return self._pending_bytes

    def write(self, data: bytes) -> None:
        """Write, in the next turn or when the reader lets us."""
        if self._closing or self.closed or not data:
            return
        self._pending.append(data)
        self._pending_bytes += len(data)
        if self._is_full:
            self._look_at_level()
        elif self._pending_bytes > HIGH_WATER_BYTES:
            self._flush()
        elif self._flush_call is None:
            self._flush_call = self._reactor.callLater(0, self._flush_turn)

    def close_when_flushed(self) -> None:
        """Close as soon as everything was taken."""
        self._closing = True
        if not self._is_full:
            self._flush()

    def close(self) -> None:
        """Close now; what waits is dropped."""
        if not self.closed:
            self.closed = True
            self._stop_flush()
            self._reactor.removeWriter(self)
            self._pending.clear()
            self._pending_bytes = 0
            self._file.close()

    def _flush_turn(self) -> None:
        self._flush_call = None
        self._flush()

    def _flush(self) -> None:
        """Write what waits; what does not fit waits for the reader."""
        self._stop_flush()
        self._write_pending()
        if self.closed:
            return
        if self._pending:
            self._is_full = True
            self._reactor.addWriter(self)
            self._look_at_level()
        elif self._closing:
            self.close()

    def _stop_flush(self) -> None:
        if self._flush_call is not None:
            self._flush_call.cancel()
            self._flush_call = None

    def _look_at_level(self) -> None:
        if self._pending_bytes > HIGH_WATER_BYTES and not self._paused:
            self._paused = True
            self._tell_paused()

    def _write_pending(self) -> None:
        """Write until nothing is left or nothing more is taken."""
        pending = self._pending
        while pending:
            try:
                taken = os.writev(self._fd, tuple(islice(pending, _MAX_CHUNKS)))
            except BlockingIOError:
                return
            except OSError:
                self.connectionLost(None)
                return
            self._pending_bytes -= taken
            while taken:
                first = pending.popleft()
                if taken < len(first):
                    pending.appendleft(memoryview(first)[taken:])
                    return
                taken -= len(first)

    def doWrite(self) -> None:
        self._write_pending()
        if self._pending or self.closed:
            return
        self._is_full = False
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
