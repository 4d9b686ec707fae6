"""`resources/subscribe` requests of a legacy session, up to the acknowledgement of what they ask for."""

from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Final

from mcptunnel.mcp.client_half.timers import Timer, Timers
from mcptunnel.mcp.jsonrpc import JsonRpcError
from mcptunnel.mcp.service import Caller

ACKNOWLEDGE_S: Final = 60.0
"""For so long the service may leave a subscription without an answer."""


@dataclass(frozen=True, slots=True, eq=False)
class Subscribing:
    """A `resources/subscribe` that waits for the acknowledgement (`service.Running`).

    `is_new` says that no earlier subscription to the resource holds.
    """

    uri: str
    caller: Caller
    is_new: bool
    give_up: Callable[["Subscribing"], None]

    def cancel(self, reason: str) -> None:
        self.give_up(self)

    def hold(self, holding: bool) -> None:
        """Nothing flows."""

    def client_gone(self) -> None:
        """It does not last long."""


class Waiting:
    """Those of one session, oldest first. `late` is called when they have waited for too long."""

    __slots__ = ("_all", "_deadline", "_late", "_timers")

    def __init__(self, timers: Timers, late: Callable[[], None]) -> None:
        self._timers = timers
        self._late = late
        self._all: list[Subscribing] = []
        self._deadline: Timer | None = None

    def __contains__(self, subscribing: Subscribing) -> bool:
        return subscribing in self._all

    def has(self, uri: str) -> bool:
        """Whether somebody waits to hear of a resource."""
        return any(one.uri == uri for one in self._all)

    def new_uris(self) -> set[str]:
        """Return the resources that no earlier subscription holds of."""
        return {one.uri for one in self._all if one.is_new}

    def add(self, subscribing: Subscribing) -> None:
        self._all.append(subscribing)
        if self._deadline is None:
            self._deadline = self._timers.call_later(ACKNOWLEDGE_S, self._is_late)

    def remove(self, subscribing: Subscribing) -> None:
        self._all.remove(subscribing)
        self._stop_if_empty()

    def take(self) -> list[Subscribing]:
        """Return all; none waits any more."""
        found, self._all = self._all, []
        self._stop_if_empty()
        return found

    def refuse(self, uris: Container[str], error: JsonRpcError) -> None:
        """Let nobody wait any more to hear of some resources."""
        refused = [one for one in self._all if one.uri in uris]
        self._all = [one for one in self._all if one.uri not in uris]
        self._stop_if_empty()
        for one in refused:
            one.caller.error(error)

    def _is_late(self) -> None:
        self._deadline = None
        self._late()

    def _stop_if_empty(self) -> None:
        if not self._all and self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
