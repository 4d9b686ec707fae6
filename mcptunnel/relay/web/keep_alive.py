"""Comments in clients' event streams while there is nothing to say, so that no proxy gives up.

One timer serves all streams.
"""

from typing import Any, Final, Protocol

from twisted.logger import Logger

INTERVAL_S: Final = 15.0
"""No stream that may have comments is quiet for longer."""

SWEEPS: Final = 3
"""How often the streams are looked at in that time."""

QUIET_SWEEPS: Final = SWEEPS - 1
"""A stream that had nothing new so many times in a row has been quiet nearly that long, or just so."""


class QuietStream(Protocol):
    """An answer to a client. `was_heard` is set whenever something is written."""

    was_heard: bool

    def keep_alive(self, quiet_sweeps: int) -> bool:
        """Write a comment if it is time and place for it; return whether one was written."""


class KeepAlive:
    """Looks at all streams, and has those speak that were quiet for too long."""

    _log = Logger()

    def __init__(self, reactor: Any, interval_s: float = INTERVAL_S) -> None:
        self._reactor = reactor
        self._sweep_s = interval_s / SWEEPS
        self._quiet_sweeps: dict[QuietStream, int] = {}
        self._sweep_call: Any = None

    def watch(self, stream: QuietStream) -> None:
        """Look after a stream."""
        self._quiet_sweeps[stream] = 0
        if self._sweep_call is None:
            self._sweep_call = self._reactor.callLater(self._sweep_s, self._sweep)

    def over(self, stream: QuietStream) -> None:
        """Look after a stream no longer; no-op if it was not."""
        self._quiet_sweeps.pop(stream, None)

    def stop(self) -> None:
        """Look at no stream any more."""
        if self._sweep_call is not None:
            self._sweep_call.cancel()
            self._sweep_call = None

    def _sweep(self) -> None:
        self._sweep_call = None
        for stream in list(
            self._quiet_sweeps
        ):  # whoever speaks may find that it is over, or others
            self._look_at(stream)
        if self._quiet_sweeps and self._sweep_call is None:  # who speaks may bring a new one
            self._sweep_call = self._reactor.callLater(self._sweep_s, self._sweep)

    def _look_at(self, stream: QuietStream) -> None:
        """Count how often in a row a stream was found quiet; after a comment it begins one below."""
        quiet_sweeps = self._quiet_sweeps.get(stream)
        if quiet_sweeps is None:
            return
        if stream.was_heard:
            stream.was_heard = False
            self._quiet_sweeps[stream] = 0
            return
        quiet_sweeps += 1
        try:
            spoke = stream.keep_alive(quiet_sweeps)
        except Exception:  # noqa: BLE001 - it must cost this stream its comments and nothing else
            self._log.failure("cannot keep an event stream alive")
            self.over(stream)
            return
        if stream in self._quiet_sweeps:
            self._quiet_sweeps[stream] = QUIET_SWEEPS - SWEEPS if spoke else quiet_sweeps
