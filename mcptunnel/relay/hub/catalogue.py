"""Keeps known what the servers of all users offer: asked for when it may have changed.

What a server can do, and its tools, are asked for as soon as it is there. Prompts, resources and
templates are asked for once a client of the user's has asked for them, and kept fresh from then on.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from mcptunnel.mcp.features import Features
from mcptunnel.mcp.jsonrpc import METHOD_NOT_FOUND, JsonRpcError
from mcptunnel.mcp.kinds import LISTED, Kind
from mcptunnel.mcp.versions import Era
from mcptunnel.model import Principal
from mcptunnel.net.errors import printable
from mcptunnel.relay.devices import Device, Devices
from mcptunnel.relay.hub.budget import BOUNDS, MIB, keep, keep_features
from mcptunnel.relay.hub.fetching import MAX_PAGES, FetchFailed, Fetching
from mcptunnel.relay.remote_server import ABOUT, RemoteServer

RETRY_S: Final = 15.0
INTERVAL_S: Final = 1.0
"""A server is not asked the same again sooner, however often its answer changes."""

LEAST_KEPT_S: Final = 5.0
"""For so long a list is believed of a server that says it holds no time, and tells of no change."""

STARTS_PER_TURN: Final = 16
"""Questions that are put in one turn of the reactor; others wait for the next."""

_Question: TypeAlias = tuple[RemoteServer, str]


@dataclass(slots=True, eq=False)
class _Asking:
    """What is asked of one server: when last, whether that goes on, and when it is due again."""

    began_s: float = float("-inf")
    fetching: Deferred[None] | None = None
    again: IDelayedCall | None = None

    def stop(self) -> None:
        if self.again is not None:
            self.again.cancel()
            self.again = None
        if self.fetching is not None:
            self.fetching.cancel()


class Catalogue:
    """Asks what is not known. `changed(principal)` is called when something new is known.

    Every server is asked the same once at a time, and not at every whim.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        devices: Devices,
        fetching: Fetching,
        *,
        changed: Callable[[Principal], None],
    ) -> None:
        self._reactor = reactor
        self._devices = devices
        self._fetching = fetching
        self._changed = changed
        self._asked: dict[Device, dict[_Question, _Asking]] = {}
        self._wanted: dict[Principal, set[Kind]] = {}

    def want(self, principal: Principal, kind: Kind) -> None:
        """Hear that a client asks for a list: from now on it is kept fresh, as servers say."""
        wanted = self._wanted.setdefault(principal, {Kind.TOOL})
        is_new, now_s = kind not in wanted, self._reactor.seconds()
        wanted.add(kind)
        for device in self._devices.of(principal):
            for server in device.servers.values():
                known = server.known[kind]
                if known.fresh and known.fetched_s + _kept_s(server, kind) <= now_s:
                    known.fresh = False
                    is_new = True
        if is_new:
            self._changed(principal)

    def is_wanted(self, principal: Principal, kind: Kind) -> bool:
        """Whether a list is kept fresh for a user."""
        return kind is Kind.TOOL or kind in self._wanted.get(principal, ())

    def refresh(self, device: Device) -> None:
        """Ask every ready server of a device what may have changed.

        What is asked of servers that it has no more is given up.
        """
        asked = self._asked.get(device, {})
        servers = device.servers if device.is_connected else {}
        for question in [q for q in asked if servers.get(q[0].info.name) is not q[0]]:
            asked.pop(question).stop()
        if not servers:
            self._asked.pop(device, None)
        if not device.announced:
            return
        started = 0
        unknown = [(s, what) for s in servers.values() for what in self._unknown(device, s)]
        unknown.sort(key=lambda question: question[1] != Kind.TOOL)  # every client asks for tools
        for server, what in unknown:
            if started == STARTS_PER_TURN:
                self._changed(device.principal)
                return
            started += self._ask_soon(device, server, what)

    def is_asking(self, device: Device, server: RemoteServer, kind: Kind) -> bool:
        """Whether a server is being asked, or about to be, for what a list needs."""
        asked = self._asked.get(device, {})
        needed = (ABOUT, kind) if kind is not Kind.TOOL else (kind,)
        return any(
            (asking := asked.get((server, what))) is not None and asking.fetching is not None
            for what in needed
        )

    def is_unknown(self, device: Device, server: RemoteServer, kind: Kind) -> bool:
        """Whether a ready server has not been asked yet for what a list needs."""
        return any(
            what == kind or (what == ABOUT and kind is not Kind.TOOL)
            for what in self._unknown(device, server)
        )

    def stop(self) -> None:
        """Give up what is under way."""
        for asked in self._asked.values():
            for asking in asked.values():
                asking.stop()
        self._asked.clear()

    def _unknown(self, device: Device, server: RemoteServer) -> Iterator[str]:
        """Return what should be asked of a server now."""
        if server.info.state != "ready":
            return
        if not server.known[ABOUT].fresh:
            yield ABOUT
        for kind in Kind:
            if (
                not server.known[kind].fresh
                and server.has(kind)
                and self.is_wanted(device.principal, kind)
            ):
                yield kind

    def _ask_soon(self, device: Device, server: RemoteServer, what: str) -> bool:
        """Ask a server something as soon as that may be; return whether that is now."""
        asking = self._asked.setdefault(device, {}).setdefault((server, what), _Asking())
        if asking.fetching is not None:
            return False  # it is asked again when that is over
        now_s = self._reactor.seconds()
        wait_s = asking.began_s + INTERVAL_S - now_s
        if wait_s > 0:
            self._ask_later(device, server, what, wait_s)
            return False
        asking.stop()
        asking.began_s, server.known[what].fresh = now_s, True
        fetching = Deferred.fromCoroutine(self._ask(device, server, what))
        if not fetching.called:
            asking.fetching = fetching

        def over(_: object) -> None:
            asking.fetching = None
            self._changed(device.principal)

        fetching.addErrback(self._cannot_ask, what).addCallback(over)
        return True

    def _ask_later(self, device: Device, server: RemoteServer, what: str, wait_s: float) -> None:
        asking = self._asked.get(device, {}).get((server, what))
        if asking is None:
            return
        if asking.again is not None:
            asking.again.reset(wait_s)
            return

        def again() -> None:
            asking.again = None
            server.known[what].fresh = False
            self._changed(device.principal)

        asking.again = self._reactor.callLater(wait_s, again)

    async def _ask(self, device: Device, server: RemoteServer, what: str) -> None:
        name, known = server.info.name, server.known[what]
        try:
            if what == ABOUT:
                features = await self._fetching.about(device, name)
                keep_features(self._devices.of(device.principal), server, features)
                known.note = ""
            else:
                await self._fetch(device, server, Kind(what))
        except (FetchFailed, JsonRpcError) as error:
            if what == ABOUT:
                server.features = server.features or Features()
            if _has_none(server, what, error):
                keep(self._devices.of(device.principal), server, Kind(what), ())
                known.note = ""
                return
            note = f"{_WORDS[what]}: {printable(str(error))}"
            if note != known.note:
                self._log.warn(
                    "{server} on {device}: {note}", server=name, device=device.name, note=note
                )
            known.note = note
            self._ask_later(device, server, what, RETRY_S)

    async def _fetch(self, device: Device, server: RemoteServer, kind: Kind) -> None:
        fetched = await self._fetching.all_pages(device, server.info.name, kind)
        unkept = keep(self._devices.of(device.principal), server, kind, fetched.items)
        known = server.known[kind]
        known.note = _left_out(kind, fetched.left_out + unkept, goes_on=fetched.goes_on)
        known.ttl_ms = fetched.ttl_ms
        known.fetched_s = self._reactor.seconds()

    def _cannot_ask(self, failure: Failure, what: str) -> None:
        if not failure.check(CancelledError):
            self._log.failure("cannot ask for {what}", failure, what=what)


_NOUNS: Final = {
    Kind.TOOL: "tools",
    Kind.PROMPT: "prompts",
    Kind.RESOURCE: "resources",
    Kind.TEMPLATE: "resource templates",
}
_WORDS: Final[dict[str, str]] = {
    ABOUT: "it does not tell what it can do",
    **{kind: f"its {noun} could not be listed" for kind, noun in _NOUNS.items()},
}


def _left_out(kind: Kind, count: int, *, goes_on: bool) -> str:
    """Return what is missing of a list; nothing if nothing is."""
    if not count and not goes_on:
        return ""
    if not count:
        return (
            f"its list of {_NOUNS[kind]} goes on and on: what comes after {MAX_PAGES} pages, or after "
            f"{BOUNDS[kind].server_items} of them, is left out"
        )
    bounds, key = BOUNDS[kind], "URIs" if LISTED[kind].key.startswith("uri") else "names"
    return (
        f"{count} {_NOUNS[kind]} are left out: their {key} are unusable or given twice, or there are "
        f"more than {bounds.server_items} of the server, {bounds.user_items} or "
        f"{bounds.user_bytes // MIB} MiB of all servers"
    )


def _has_none(server: RemoteServer, what: str, error: FetchFailed | JsonRpcError) -> bool:
    """Whether an error says that a server does not know such lists, which it need not."""
    is_optional = what != ABOUT and (
        what != Kind.TOOL
        or (server.features is not None and Kind.TOOL not in server.features.kinds)
    )
    return is_optional and error.code == METHOD_NOT_FOUND


def _kept_s(server: RemoteServer, kind: Kind) -> float:
    """Return for how long a list is believed if no change is told of."""
    ttl_ms = server.known[kind].ttl_ms
    if ttl_ms > 0:
        return max(LEAST_KEPT_S, ttl_ms / 1000)
    notifies = server.features is not None and kind in server.features.notifies
    return float("inf") if notifies or server.info.era != Era.MODERN else LEAST_KEPT_S
