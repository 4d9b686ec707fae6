"""Comments in clients' event streams while there is nothing to say, so that no proxy gives up.

One timer serves all streams: an answer that is quick costs none.
"""

from typing import Final, Protocol

from mcptunnel.mcp.client_half.timers import Timer, Timers

INTERVAL_S: Final = 15.0
"""No stream that may have comments is quiet for longer."""

SWEEPS: Final = 6
"""How often the streams are looked at in that time."""

QUIET_SWEEPS: Final = SWEEPS - 1
"""A stream that had nothing new so many times in a row has been quiet nearly that long, or just so."""

SWITCH_SWEEPS: Final = 2
"""An answer that has not begun becomes a stream after so many: 5 to 7.5 s after its request."""


class QuietStream(Protocol):
    """An answer to a client. `was_heard` is set whenever something is written."""

    was_heard: bool

    def keep_alive(self, quiet_sweeps: int) -> bool:
        """Write a comment if it is time and place for it; return whether one was written."""


class KeepAlive:
    """Looks at all streams, and has those speak that were quiet for too long."""

    def __init__(self, timers: Timers, interval_s: float = INTERVAL_S) -> None:
        self._timers = timers
        self._sweep_s = interval_s / SWEEPS
        self._quiet_sweeps: dict[QuietStream, int] = {}
        self._timer: Timer | None = None
        self._is_stopped = False

    def watch(self, stream: QuietStream) -> None:
        """Look after a stream."""
        self._quiet_sweeps[stream] = 0
        self._sweep_later()

    def over(self, stream: QuietStream) -> None:
        """Look after a stream no longer; no-op if it was not."""
        self._quiet_sweeps.pop(stream, None)

    def stop(self) -> None:
        """Look at no stream any more."""
        self._is_stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sweep(self) -> None:
        self._timer = None
        try:
            for stream in tuple(self._quiet_sweeps):
                self._look_at(stream)
        finally:
            if self._quiet_sweeps:
                self._sweep_later()

    def _sweep_later(self) -> None:
        """Look again, unless that is to come: who spoke may have brought a new stream."""
        if self._timer is None and not self._is_stopped:
            self._timer = self._timers.call_later(self._sweep_s, self._sweep)

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
        except Exception:
            self.over(stream)  # it must not keep the others from theirs the next time
            raise
        if stream in self._quiet_sweeps:
            self._quiet_sweeps[stream] = QUIET_SWEEPS - SWEEPS if spoke else quiet_sweeps
