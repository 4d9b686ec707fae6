"""The calls that are open on one local server."""

from dataclasses import dataclass
from itertools import takewhile

from mcptunnel.mcp.calls import CallFailure, CallReceiver
from mcptunnel.mcp.service import NOBODY, Asker


@dataclass(slots=True)
class _OpenCall:
    receiver: CallReceiver
    asker: Asker
    deadline_s: float


class OpenCalls:
    """Keys for open calls and their deadlines. Every call is given the same time.

    So the calls stand in the order of their deadlines (one that made progress goes to the end), and
    looking at the first few is enough to find the late ones. Listens have no deadline.
    """

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._calls: dict[int, _OpenCall] = {}
        self._listens: dict[int, _OpenCall] = {}
        self._next_key = 1

    @property
    def is_idle(self) -> bool:
        """Whether there is no call, and no listen but such as are nobody's."""
        return not self._calls and all(one.asker == NOBODY for one in self._listens.values())

    def __contains__(self, key: int) -> bool:
        return key in self._calls or key in self._listens

    def add(
        self,
        receiver: CallReceiver,
        now_s: float,
        asker: Asker = NOBODY,
        *,
        is_listen: bool = False,
    ) -> int:
        """Note a call and return its key; keys are never used twice."""
        key = self._next_key
        self._next_key += 1
        call = _OpenCall(receiver, asker, now_s + self.timeout_s)
        (self._listens if is_listen else self._calls)[key] = call
        return key

    def asker(self, key: int) -> Asker:
        """Return who makes a call; NOBODY if it is over."""
        call = self._calls.get(key) or self._listens.get(key)
        return NOBODY if call is None else call.asker

    def progressed(self, key: int, now_s: float) -> CallReceiver | None:
        """Give a call its whole time again, and return who made it."""
        call = self._calls.pop(key, None)
        if call is None:
            listen = self._listens.get(key)
            return None if listen is None else listen.receiver
        call.deadline_s = now_s + self.timeout_s
        self._calls[key] = call
        return call.receiver

    def pop(self, key: int) -> CallReceiver | None:
        """Take a call out, and return who made it."""
        call = self._calls.pop(key, None) or self._listens.pop(key, None)
        return None if call is None else call.receiver

    def late(self, now_s: float) -> list[int]:
        """Return the keys of the calls whose time is over."""
        late = takewhile(lambda item: item[1].deadline_s <= now_s, self._calls.items())
        return [key for key, _call in late]

    def fail_all(self, failure: CallFailure) -> None:
        """Take all calls out, not the listens, and tell whoever made them."""
        calls, self._calls = self._calls, {}
        for call in calls.values():
            call.receiver.call_failed(failure)
