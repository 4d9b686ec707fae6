"""What the hub hears from one server for one user: one listen, renewed when the wishes change."""

from itertools import count
from typing import Any, Final, Protocol

from msgspec import Raw
from twisted.internet.interfaces import IDelayedCall

from mcptunnel.mcp import jsonrpc, meta, subscriptions
from mcptunnel.mcp.calls import CallFailure
from mcptunnel.mcp.jsonrpc import METHOD_NOT_FOUND, JsonRpcError, Notification, Request, Response
from mcptunnel.mcp.kinds import Kind
from mcptunnel.mcp.listens import ACKNOWLEDGED, LISTEN
from mcptunnel.mcp.subscriptions import ALIKE, UPDATED, Subscription
from mcptunnel.net.tunnel import Tunnel
from mcptunnel.relay.devices import Device
from mcptunnel.relay.hub.open_calls import OpenCalls
from mcptunnel.relay.hub.server_call import ServerCall
from mcptunnel.relay.remote_server import RemoteServer

FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 60.0
"""Between attempts to listen again."""

ACKNOWLEDGE_S: Final = 60.0
"""For so long a server may leave a listen without an answer."""

MAX_EVENT_BYTES: Final = 256 * 1024

_ids = count(1)


class Ears(Protocol):
    """Who hears what a server tells."""

    def lists_changed(self, device: Device, server: RemoteServer, kinds: tuple[Kind, ...]) -> None:
        """Lists of a server may be others now."""

    def resource_updated(self, device: Device, server: str, message: Notification) -> None:
        """A resource of a server has changed."""

    def refused(self, device: Device, server: RemoteServer, uris: frozenset[str]) -> None:
        """A server acknowledged that it is listened to, but not for these resources."""

    def was_deaf(self, device: Device, server: str) -> None:
        """For a while nothing could be heard of a server, but now it can again."""


class ServerListen:
    """All that one user wants to hear of one server.

    When that changes the new listen is acknowledged before the old one ends: nothing is lost between.
    A server that knows no listens is not asked again until it, or its device, starts anew.
    """

    def __init__(self, reactor: Any, calls: OpenCalls, client_info: Raw, ears: Ears) -> None:
        self._reactor = reactor
        self._calls = calls
        self._meta = jsonrpc.raw(meta.modern_meta(client_info=client_info))
        self._ears = ears
        self._device: Device | None = None
        self._server: RemoteServer | None = None
        self._wanted = Subscription()
        self._current: _Hearing | None = None
        self._next: _Hearing | None = None
        self._cannot: tuple[Tunnel | None, int] | None = None
        self._was_deaf = False
        self._again: IDelayedCall | None = None
        self._wait_s = FIRST_WAIT_S

    def want(self, device: Device, server: RemoteServer, wanted: Subscription) -> None:
        """Hear of this from now on; the server is there, and can tell of it."""
        self._device, self._server, self._wanted = device, server, wanted
        latest = self._next or self._current
        if latest is not None and latest.subscription == wanted:
            return
        if self._again is None and self._cannot != self._run():
            self._open()

    def lose(self) -> None:
        """The server is not there: hear of it again as soon as it is."""
        if self._current is not None or self._next is not None or self._again is not None:
            self._was_deaf = True
        self.stop()
        self._wait_s = FIRST_WAIT_S

    def stop(self) -> None:
        """Hear of nothing any more."""
        self._call_off()
        for hearing in (self._current, self._next):
            if hearing is not None:
                hearing.close()
        self._current = self._next = None

    # What a listen of ours says.

    def acknowledged(self, hearing: "_Hearing", refused: frozenset[str]) -> None:
        if self._current is not None:
            self._current.close()
        self._current, self._next = hearing, None
        self._wait_s = FIRST_WAIT_S
        device, server = self._device, self._server
        if device is None or server is None:
            return
        if self._was_deaf:
            self._was_deaf = False
            self._ears.was_deaf(device, server.info.name)
        if refused:
            self._ears.refused(device, server, refused)

    def heard(self, message: Notification) -> None:
        device, server = self._device, self._server
        if device is None or server is None:
            return
        if message.method == UPDATED:
            self._ears.resource_updated(device, server.info.name, message)
        elif message.method in ALIKE:
            self._ears.lists_changed(device, server, ALIKE[message.method])

    def ended(self, hearing: "_Hearing", error: JsonRpcError | None) -> None:
        """A listen is over, and not by us."""
        if hearing is self._next:
            self._next = None
        else:
            self._current = None
            self._was_deaf = True
        if error is not None and error.code == METHOD_NOT_FOUND:
            self._cannot = self._run()
        elif self._next is None and self._again is None:
            self._again = self._reactor.callLater(self._wait_s, self._try_again)
            self._wait_s = min(2 * self._wait_s, LONGEST_WAIT_S)

    # The parts.

    def _open(self) -> None:
        self._call_off()
        if self._next is not None:
            self._next.close()
        device, server = self._device, self._server
        if device is None or server is None:
            return
        self._next = hearing = _Hearing(self, self._wanted)
        hearing.start(self._calls, device, server.info.name, self._meta)

    def _try_again(self) -> None:
        self._again = None
        current = self._current
        is_heard = current is not None and current.subscription == self._wanted
        if self._device is not None and self._device.is_connected and not is_heard:
            self._open()

    def _call_off(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None

    def _run(self) -> tuple[Tunnel | None, int]:
        """Return what stands for one run of the server: another one may be able to listen."""
        device, server = self._device, self._server
        tunnel = None if device is None else device.tunnel
        return tunnel, 0 if server is None else server.info.restarts


class _Hearing:
    """One listen on a server from its request to its end (`mcp.calls.CallReceiver`)."""

    __slots__ = ("_call", "_is_acknowledged", "_owner", "subscription")

    def __init__(self, owner: ServerListen, subscription: Subscription) -> None:
        self.subscription = subscription
        self._owner: ServerListen | None = owner  # None: it is over
        self._is_acknowledged = False
        self._call: ServerCall | None = None

    def start(self, calls: OpenCalls, device: Device, server: str, about: Raw) -> None:
        wanted = self.subscription
        params = {
            subscriptions.WISHES: subscriptions.wishes(wanted.kinds, wanted.uris),
            meta.META: about,
        }
        self._call = call = ServerCall(server, self, calls, MAX_EVENT_BYTES)
        call.patience_s = ACKNOWLEDGE_S
        request = Request(next(_ids), LISTEN, params)
        call.send(device, request, principal=str(device.principal), client="")

    def close(self) -> None:
        """End it from our side; the owner hears nothing more."""
        call, self._call, self._owner = self._call, None, None
        if call is not None:
            call.cancel("nobody listens any more")

    def notification(self, message: Notification) -> None:
        owner, call = self._owner, self._call
        if owner is None or call is None:
            return
        if self._is_acknowledged:
            owner.heard(message)
        elif message.method == ACKNOWLEDGED:
            self._is_acknowledged = True
            call.patience_s = float("inf")
            owner.acknowledged(self, self._refused(message))

    def _refused(self, message: Notification) -> frozenset[str]:
        """Return the URIs that an acknowledgement leaves out."""
        try:
            honoured = subscriptions.read(message.params)
        except JsonRpcError:
            return frozenset()
        return frozenset(self.subscription.uris) - frozenset(honoured.uris)

    def response(self, message: Response) -> None:
        self._end(jsonrpc.error_of(message))

    def call_failed(self, failure: CallFailure) -> None:
        self._end(None)

    def _end(self, error: JsonRpcError | None) -> None:
        owner, self._owner, self._call = self._owner, None, None
        if owner is not None:
            owner.ended(self, error)
