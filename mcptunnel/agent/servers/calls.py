"""The calls that are open on one local server."""

from collections.abc import Iterator
from dataclasses import dataclass

from mcptunnel.mcp.calls import CallFailure, CallReceiver


@dataclass(slots=True)
class _OpenCall:
    receiver: CallReceiver
    deadline_s: float


class OpenCalls:
    """Keys for open calls and their deadlines. Every call is given the same time.

    So the calls stand in the order of their deadlines, except those that made progress; looking at
    the first few is enough to find the late ones.
    """

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._calls: dict[int, _OpenCall] = {}
        self._next_key = 1

    def __len__(self) -> int:
        return len(self._calls)

    def add(self, receiver: CallReceiver, now_s: float) -> int:
        """Note a call and return its key; keys are never used twice."""
        key = self._next_key
        self._next_key += 1
        self._calls[key] = _OpenCall(receiver, now_s + self.timeout_s)
        return key

    def receiver(self, key: int) -> CallReceiver | None:
        """Return who made a call, if it is still open."""
        call = self._calls.get(key)
        return None if call is None else call.receiver

    def progressed(self, key: int, now_s: float) -> CallReceiver | None:
        """Give a call its whole time again, and return who made it."""
        call = self._calls.pop(key, None)
        if call is None:
            return None
        call.deadline_s = now_s + self.timeout_s
        self._calls[key] = call
        return call.receiver

    def pop(self, key: int) -> CallReceiver | None:
        """Take a call out, and return who made it."""
        call = self._calls.pop(key, None)
        return None if call is None else call.receiver

    def late(self, now_s: float) -> Iterator[int]:
        """Give the keys of the calls whose time is over."""
        for key, call in list(self._calls.items()):
            if call.deadline_s > now_s:
                break
            yield key

    def fail_all(self, failure: CallFailure) -> None:
        """Take all calls out and tell whoever made them."""
        calls, self._calls = self._calls, {}
        for call in calls.values():
            call.receiver.call_failed(failure)
