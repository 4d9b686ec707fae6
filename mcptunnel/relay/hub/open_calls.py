"""All calls under way, and what keeps them from lasting, and from holding memory, for ever."""

from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from mcptunnel.model import Principal

SWEEP_S: Final = 15.0
"""How often the calls are looked at: that much later than said a silent one may be given up."""

MAX_KEPT_BYTES: Final = 64 * 1024 * 1024
"""What the calls of one user may keep in memory together: requests that were not sent yet, and
results that are not complete. One result of the largest size has room in any case."""


STEP_BYTES: Final = 4 * 1024
"""Calls are counted in steps of so much at least: a small call is not counted at all."""


class OpenCall(Protocol):
    """A call under way. `was_heard` is set whenever something comes from the agent."""

    was_heard: bool
    quiet_since_s: float
    patience_s: float

    def timed_out(self) -> None:
        """Give up: nothing was heard for `patience_s`."""


class KeepingCall(OpenCall, Protocol):
    """A call that keeps bytes; `kept_bytes` is what it is counted with."""

    kept_bytes: int

    def count_bytes(self) -> int:
        """Return what it keeps now."""


class AnsweredCall(Protocol):
    """A call that was answered, and whose exchange has not ended."""

    def drop(self) -> None:
        """Drop the exchange, unless it has ended meanwhile."""


@dataclass(slots=True)
class _User:
    calls: set[KeepingCall] = field(default_factory=set)
    kept_bytes: int = 0


class OpenCalls:
    """Bounds the calls of all users, in time and in bytes. One timer serves them all."""

    def __init__(self, reactor: Any, timeout_s: float, max_result_bytes: int) -> None:
        self.timeout_s = timeout_s
        self._reactor = reactor
        self._max_kept_bytes = max(MAX_KEPT_BYTES, max_result_bytes)
        self._open: dict[OpenCall, None] = {}
        self._users: dict[Principal, _User] = {}
        self._answered: list[AnsweredCall] = []
        self._sweep_call: Any = None

    def watch(self, call: OpenCall) -> None:
        """See to it that a call does not stay silent for ever."""
        self._open[call] = None
        if self._sweep_call is None:
            self._sweep_call = self._reactor.callLater(SWEEP_S, self._sweep)

    def over(self, call: OpenCall) -> None:
        """Watch a call no longer."""
        self._open.pop(call, None)

    def stop(self) -> None:
        """Look at no call any more."""
        if self._sweep_call is not None:
            self._sweep_call.cancel()
            self._sweep_call = None

    def keeps(self, call: KeepingCall, principal: Principal, count_bytes: int) -> bool:
        """Count more bytes that a call is about to keep; return whether there is room for them."""
        user = self._users.get(principal)
        if user is None:
            user = self._users[principal] = _User()
        if user.kept_bytes + count_bytes > self._max_kept_bytes:
            _recount(user)
            if user.kept_bytes + count_bytes > self._max_kept_bytes:
                return False
        user.calls.add(call)
        call.kept_bytes += count_bytes
        user.kept_bytes += count_bytes
        return True

    def keeps_nothing(self, call: KeepingCall, principal: Principal) -> None:
        """Count a call no longer."""
        user = self._users.get(principal)
        if user is not None and call in user.calls:
            user.calls.remove(call)
            user.kept_bytes -= call.kept_bytes
            call.kept_bytes = 0
            if not user.calls:
                del self._users[principal]

    def answered(self, call: AnsweredCall) -> None:
        """Drop an exchange in the next turn: an END that came with the answer has been seen then."""
        if not self._answered:
            self._reactor.callLater(0, self._drop_answered)
        self._answered.append(call)

    def _drop_answered(self) -> None:
        answered, self._answered = self._answered, []
        for call in answered:
            call.drop()

    def _sweep(self) -> None:
        self._sweep_call = None
        now_s = self._reactor.seconds()
        for call in tuple(self._open):
            if call.was_heard:
                call.was_heard = False
                call.quiet_since_s = now_s
            elif now_s - call.quiet_since_s >= call.patience_s:
                call.timed_out()
        if self._open:
            self._sweep_call = self._reactor.callLater(SWEEP_S, self._sweep)


def _recount(user: _User) -> None:
    """Count what is kept now: requests that were sent meanwhile are not kept any more."""
    for call in user.calls:
        call.kept_bytes = call.count_bytes()
    user.kept_bytes = sum(call.kept_bytes for call in user.calls)
