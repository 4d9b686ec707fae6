"""What a legacy session hears outside its requests: its GET stream, and one listen on the service."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final, Protocol

from msgspec import Raw

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.client_half.listen import Listen
from mcptunnel.mcp.client_half.session import McpSession
from mcptunnel.mcp.client_half.subscribing import ACKNOWLEDGE_S, Subscribing, Waiting
from mcptunnel.mcp.client_half.timers import Timer, Timers
from mcptunnel.mcp.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    JsonRpcError,
    Notification,
)
from mcptunnel.mcp.service import Caller, Service
from mcptunnel.mcp.subscriptions import UPDATED

MAX_SUBSCRIPTIONS: Final = 500
MAX_SUBSCRIBED_CHARS: Final = 64 * 1024
"""What one session may subscribe to: so many URIs, of so many characters together."""

MAX_MISSED: Final = 1000
"""Notifications that wait for the next GET stream; of several alike only one waits."""

MAX_MISSED_BYTES: Final = 256 * 1024
"""All that wait so; the oldest go first."""

FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 60.0
"""Between attempts to listen again."""

_EMPTY: Final = Raw(b"{}")


class EventSink(Protocol):
    """An open GET stream."""

    def send(self, message: bytes) -> None: ...

    def end(self) -> None:
        """End it in order; it detaches itself."""


class Hearer(Protocol):
    """The session that listens (`live.Live`)."""

    @property
    def session(self) -> McpSession: ...

    @property
    def service(self) -> Service: ...

    @property
    def timers(self) -> Timers: ...

    def new_id(self) -> str: ...

    def change(self, session: McpSession) -> None: ...


class Listening:
    """Keeps one listen on the service while there is a GET stream, or a subscription.

    When the wishes change, the new listen is acknowledged before the old one ends: nothing is lost
    between. What comes while there is no GET stream waits for the next one.
    """

    __slots__ = (
        "_current",
        "_is_held",
        "_live",
        "_missed",
        "_missed_bytes",
        "_next",
        "_stream",
        "_timer",
        "_wait_s",
        "_waiting",
        "_was_deaf",
    )

    def __init__(self, live: Hearer) -> None:
        self._live = live
        self._stream: EventSink | None = None
        self._current: Listen | None = None
        self._next: Listen | None = None
        self._waiting = Waiting(live.timers, self._unacknowledged)
        self._missed: dict[tuple[str, bytes], bytes] = {}
        self._missed_bytes = 0
        self._timer: Timer | None = None
        self._wait_s = FIRST_WAIT_S
        self._was_deaf = False
        self._is_held = False

    # The GET stream.

    def attach(self, stream: EventSink) -> None:
        """Send what comes to this stream, first what was missed; an older one is ended.

        The older one may be dead, and its client come back before we know.
        """
        older, self._stream = self._stream, stream
        if older is not None:
            older.end()
        missed, self._missed = self._missed, {}
        self._missed_bytes = 0
        for message in missed.values():
            stream.send(message)
        self.hold(False)  # the older one may have been slow
        if self._current is None and self._next is None:
            self._open()

    def detach(self, stream: EventSink) -> None:
        """The stream is over."""
        if self._stream is stream:
            self._stream = None
            self.hold(False)
            if not self._live.session.subscriptions:
                self.close()

    def hold(self, holding: bool) -> None:
        """The client reads its stream slowly, or again."""
        if holding == self._is_held:
            return
        self._is_held = holding
        for listen in (self._current, self._next):
            if listen is not None:
                listen.hold(holding)

    @property
    def has_stream(self) -> bool:
        """Whether a GET stream is open."""
        return self._stream is not None

    # Subscriptions.

    def resume(self) -> None:
        """Listen to what the session has subscribed to already."""
        if self._current is None and self._next is None:
            self._open()

    def subscribe(self, uri: str, caller: Caller) -> Subscribing | None:
        """Listen to a resource as well; the caller hears when that is so, or why it cannot be."""
        known = self._live.session.subscriptions
        if uri not in known:
            chars = len(uri) + sum(map(len, known))
            if len(known) >= MAX_SUBSCRIPTIONS or chars > MAX_SUBSCRIBED_CHARS:
                caller.error(
                    JsonRpcError(INVALID_PARAMS, "This session has too many subscriptions")
                )
                return None
            self._wish((*known, uri))
        is_new = uri not in known or uri in self._waiting.new_uris()
        subscribing = Subscribing(uri, caller, is_new, self._waiting_no_more)
        self._waiting.add(subscribing)
        self._open()
        return subscribing if subscribing in self._waiting else None

    def unsubscribe(self, uri: str) -> None:
        """Listen to a resource no more; who still waits to subscribe to it is told so."""
        known = self._live.session.subscriptions
        if uri not in known:
            return
        undone = JsonRpcError(INVALID_PARAMS, f"Unsubscribed from {uri[:200]!r}")
        self._waiting.refuse({uri}, undone)
        self._drop({uri})
        self._follow_wishes()

    def _follow_wishes(self) -> None:
        """Listen to what is wished still."""
        if self._is_needed:
            self._open()
        else:
            self.close()

    def _wish(self, uris: tuple[str, ...]) -> None:
        self._live.change(replace(self._live.session, subscriptions=uris))

    def _waiting_no_more(self, subscribing: Subscribing) -> None:
        if subscribing not in self._waiting:
            return
        self._waiting.remove(subscribing)
        if subscribing.is_new and not self._waiting.has(subscribing.uri):
            self.unsubscribe(subscribing.uri)

    def _unacknowledged(self) -> None:
        """Give up what the service leaves without an answer, and listen to the rest."""
        text = f"The server has not acknowledged the subscription for {ACKNOWLEDGE_S:g} s"
        new_uris, waiting = self._waiting.new_uris(), self._waiting.take()
        self._drop(new_uris)
        self._follow_wishes()
        for one in waiting:
            one.caller.error(JsonRpcError(INTERNAL_ERROR, text))

    # The listen.

    @property
    def _is_needed(self) -> bool:
        return self._stream is not None or bool(self._live.session.subscriptions)

    def _open(self) -> None:
        """Ask the service anew; what is being opened already is asked for too little."""
        self._stop_timer()
        if self._next is not None:
            self._next.close()
        live = self._live
        self._next = listen = Listen(self, live.new_id())
        listen.start(live.service, live.session)
        if self._is_held:
            listen.hold(True)

    def acknowledged(self, listen: Listen, uris: frozenset[str]) -> None:
        before, self._current, self._next = self._current, listen, None
        if before is not None:
            if self._is_held:
                before.hold(False)  # what it has kept would be lost with it
            before.close()
        self._wait_s = FIRST_WAIT_S
        waiting = self._waiting.take()
        refused = {one.uri for one in waiting if one.uri not in uris}
        known = set(self._live.session.subscriptions)
        lost = known - uris
        if lost:
            self._drop(lost)
        unheard = known if self._was_deaf else lost
        self._was_deaf = False
        self._tell_unheard(unheard - {one.uri for one in waiting})
        for one in waiting:
            if one.uri in refused:
                text = f"The server does not tell of changes of {one.uri[:200]!r}"
                one.caller.error(JsonRpcError(INVALID_PARAMS, text))
            else:
                one.caller.result(_EMPTY)

    def _tell_unheard(self, uris: Iterable[str]) -> None:
        """Say of resources that they changed: reading them, the client sees whether they did.

        They may have while nothing was heard; of what the service tells no more it hears why.
        """
        for uri in sorted(uris):
            self.news(Notification(UPDATED, {"uri": jsonrpc.raw(uri)}))

    def news(self, message: Notification) -> None:
        if self._stream is not None:
            self._stream.send(jsonrpc.encode(message))
        else:
            self._miss(message)

    def _miss(self, message: Notification) -> None:
        """Keep what a client may hear later: that something changed, and nothing beside."""
        uri = message.params.get("uri")
        bare = Notification(message.method, {} if uri is None else {"uri": uri})
        key, missed = (message.method, b"" if uri is None else bytes(uri)), self._missed
        if key in missed:
            return
        missed[key] = encoded = jsonrpc.encode(bare)
        self._missed_bytes += len(encoded)
        while len(missed) > MAX_MISSED or self._missed_bytes > MAX_MISSED_BYTES:
            self._missed_bytes -= len(missed.pop(next(iter(missed))))

    def ended(self, listen: Listen, error: JsonRpcError | None) -> None:
        is_offered = error is None or error.code != METHOD_NOT_FOUND
        if listen is self._next:
            self._next = None
            waiting = self._waiting.take()
            self._drop({one.uri for one in waiting})
            if error is None or not is_offered:
                error = JsonRpcError(METHOD_NOT_FOUND, "The server tells of no changes")
            for one in waiting:
                one.caller.error(error)
        else:
            self._current = None
            self._was_deaf = True
        if is_offered and self._is_needed and self._current is None and self._next is None:
            self._stop_timer()
            self._timer = self._live.timers.call_later(self._wait_s, self._again)
            self._wait_s = min(2 * self._wait_s, LONGEST_WAIT_S)

    def _drop(self, uris: set[str]) -> None:
        kept = (one for one in self._live.session.subscriptions if one not in uris)
        self._wish(tuple(kept))

    def _again(self) -> None:
        self._timer = None
        self._open()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def end(self) -> None:
        """The session is over, or we are: end the stream as well."""
        self.close()
        waiting = self._waiting.take()
        for one in waiting:
            one.caller.error(JsonRpcError(INTERNAL_ERROR, "This session listens no more"))
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.end()

    def close(self) -> None:
        """Listen no more, and wait for nothing."""
        self._stop_timer()
        for listen in (self._current, self._next):
            if listen is not None:
                listen.close()
        self._current = self._next = None
