"""Calls that were given up before a server answered them: it may still work on them, and ask.

A server need not answer what was cancelled (2025-11-25, basic/utilities/cancellation), nor does every one
stop. So a call counts until its answer comes, or long enough after.
"""

from collections import OrderedDict
from dataclasses import dataclass
from math import inf
from typing import Final

from mcptunnel.mcp.service import Asker

LATE_S: Final = 60.0
"""How long after it was told that a call is given up a server may still ask for it. Most never answer such
a call: for so long each keeps all other clients of the server from being asked."""

MAX_GIVEN_UP: Final = 1024
"""Calls of one server that are told apart; with more it is known no longer whose they are."""


@dataclass(slots=True)
class _Call:
    asker: Asker
    until_s: float = inf  # until the next tick says what time it is


class GivenUp:
    """Such calls of one conversation with a server, by own id, oldest first."""

    __slots__ = ("_calls", "_unknown_until_s")

    def __init__(self) -> None:
        self._calls: OrderedDict[int, _Call] = OrderedDict()
        self._unknown_until_s: float | None = None

    def __len__(self) -> int:
        return len(self._calls)

    def add(self, own: int, asker: Asker) -> None:
        """Note a call that nobody waits for any more."""
        self._calls[own] = _Call(asker)
        if len(self._calls) > MAX_GIVEN_UP:
            self._calls.popitem(last=False)
            self._unknown_until_s = inf

    def answered(self, own: object) -> None:
        """Note that the server has answered a request, if it is one of these."""
        if isinstance(own, int):
            self._calls.pop(own, None)

    def others_than(self, asker: Asker) -> bool:
        """Whether any may be another asker's."""
        if self._unknown_until_s is not None:
            return True
        return any(call.asker != asker for call in self._calls.values())

    def tick(self, now_s: float) -> None:
        """Let time pass: what is old is forgotten."""
        if self._unknown_until_s is not None:
            self._unknown_until_s = min(self._unknown_until_s, now_s + LATE_S)
            if self._unknown_until_s <= now_s:
                self._unknown_until_s = None
        while self._calls:
            own, call = next(iter(self._calls.items()))
            if call.until_s > now_s:
                break
            del self._calls[own]
        for call in reversed(self._calls.values()):
            if call.until_s != inf:
                break
            call.until_s = now_s + LATE_S
