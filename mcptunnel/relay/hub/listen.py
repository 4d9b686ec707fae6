"""One client's `subscriptions/listen` on the hub."""

from collections.abc import Callable
from typing import Final

from msgspec import Raw

from mcptunnel.mcp import jsonrpc, subscriptions
from mcptunnel.mcp.jsonrpc import Notification
from mcptunnel.mcp.kinds import Kind
from mcptunnel.mcp.listens import ACKNOWLEDGED
from mcptunnel.mcp.names import Target
from mcptunnel.mcp.service import Caller
from mcptunnel.mcp.subscriptions import CHANGED, UPDATED

MAX_HELD_URI_BYTES: Final = 8 * 1024
"""Of a part with a longer URI is told, later, by what was subscribed to."""


class Listen:
    """A listen from its acknowledgement to its end (`mcp.service.Running`).

    `kinds` and `places` are what was honoured: of each URI, as the client calls it, the place that it
    is read from, None while that is not known. What comes while the client reads slowly waits: of
    several alike one, and of a resource only that it has changed. Who is in front of us writes the subscription's id into all that we say.
    """

    __slots__ = ("_caller", "_is_held", "_left", "_missed", "kinds", "places")

    def __init__(
        self,
        caller: Caller,
        kinds: frozenset[Kind],
        places: dict[str, Target | None],
        left: Callable[["Listen"], None],
    ) -> None:
        self.kinds = kinds
        self.places = places
        self._caller: Caller | None = caller  # None: it is over
        self._left = left
        self._is_held = False
        self._missed: dict[Kind | str, Notification] = {}

    def acknowledge(self) -> None:
        """Say what is honoured."""
        honoured = subscriptions.wishes(self.kinds, self.places)
        self._say(Notification(ACKNOWLEDGED, {subscriptions.WISHES: honoured}))

    def list_changed(self, kind: Kind) -> None:
        """Tell that a list is another one now."""
        message = Notification(CHANGED[kind], {})
        if self._is_held:
            self._missed[kind] = message
        else:
            self._say(message)

    def updated(self, uri: str, params: jsonrpc.Members) -> None:
        """Tell what a server says of a resource that the client subscribed to as `uri`."""
        if not self._is_held:
            self._say(Notification(UPDATED, params))
            return
        # A server's `_meta` may be large, and so may the name of a part.
        told = params.get("uri", b"")
        shown = told if len(bytes(told)) <= MAX_HELD_URI_BYTES else jsonrpc.raw(uri)
        self._missed[uri] = Notification(UPDATED, {"uri": Raw(bytes(shown))})

    def end(self) -> None:
        """End it in order."""
        caller, self._caller = self._caller, None
        if caller is not None:
            self._left(self)
            caller.result(jsonrpc.raw({"resultType": "complete"}))

    def cancel(self, reason: str) -> None:
        if self._caller is not None:
            self._caller = None
            self._left(self)

    def hold(self, holding: bool) -> None:
        self._is_held = holding
        if not holding:
            missed, self._missed = self._missed, {}
            for message in missed.values():
                self._say(message)

    def client_gone(self) -> None:
        """Nobody hears it any more: whoever leaves has it cancelled."""

    def _say(self, message: Notification) -> None:
        if self._caller is not None:
            self._caller.notification(message)
