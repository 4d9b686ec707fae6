"""One `subscriptions/listen` of ours on the service, for a legacy session."""

from typing import Final, Protocol

import msgspec
from msgspec import Raw

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.client_half.session import McpSession
from mcptunnel.mcp.jsonrpc import JsonRpcError, Notification, Request
from mcptunnel.mcp.listens import ACKNOWLEDGED, LISTEN
from mcptunnel.mcp.meta import META, SUBSCRIPTION_ID, modern_meta
from mcptunnel.mcp.service import Running, Service
from mcptunnel.mcp.versions import Era

_LISTS: Final = {"toolsListChanged": True, "promptsListChanged": True, "resourcesListChanged": True}
_TOLD: Final = frozenset(
    {
        "notifications/tools/list_changed",
        "notifications/prompts/list_changed",
        "notifications/resources/list_changed",
        "notifications/resources/updated",
    }
)
"""What a legacy client may hear on its GET stream."""


class _Honoured(msgspec.Struct):
    resource_subscriptions: list[str] = msgspec.field(name="resourceSubscriptions", default=[])


_honoured = msgspec.json.Decoder(_Honoured)


class ListenOwner(Protocol):
    """Who hears of a listen, until it is closed."""

    def acknowledged(self, listen: "Listen", uris: frozenset[str]) -> None:
        """The service has begun; it will tell of changes of these resources."""

    def news(self, message: Notification) -> None:
        """Something changed; the message is as a legacy client knows it."""

    def ended(self, listen: "Listen", error: JsonRpcError | None) -> None:
        """The service ended it, in order if there is no error."""


class Listen:
    """A listen from its request to its end (`service.Caller`)."""

    __slots__ = ("_id", "_is_acknowledged", "_owner", "_running")

    era = Era.LEGACY

    def __init__(self, owner: ListenOwner, listen_id: str) -> None:
        self._owner: ListenOwner | None = owner  # None: it is over
        self._id = listen_id
        self._is_acknowledged = False
        self._running: Running | None = None

    def start(self, service: Service, session: McpSession) -> None:
        """Ask for all that a legacy session can hear."""
        wanted: dict[str, object] = dict(_LISTS)
        if session.subscriptions:
            wanted["resourceSubscriptions"] = session.subscriptions
        about = modern_meta(
            client_info=session.client_info, client_capabilities=session.capabilities
        )
        params = {"notifications": jsonrpc.raw(wanted), META: jsonrpc.raw(about)}
        running = service.request(Request(self._id, LISTEN, params), self)
        if self._owner is not None:
            self._running = running
        elif running is not None:
            running.cancel("nobody listens any more")

    def hold(self, holding: bool) -> None:
        """Let the service wait for a slow client, or go on."""
        if self._running is not None:
            self._running.hold(holding)

    def close(self) -> None:
        """End it from our side; the owner hears nothing more."""
        running, self._running = self._running, None
        self._owner = None
        if running is not None:
            running.cancel("the session listens no more")

    # What the service says.

    def result(self, _result: Raw) -> None:
        self._end(None)

    def error(self, error: JsonRpcError) -> None:
        self._end(error)

    def notification(self, message: Notification) -> None:
        owner = self._owner
        if owner is None:
            return
        if message.method == ACKNOWLEDGED:
            if not self._is_acknowledged:
                self._is_acknowledged = True
                owner.acknowledged(self, _uris(message))
        elif self._is_acknowledged and message.method in _TOLD:
            owner.news(Notification(message.method, _untagged(message)))

    def _end(self, error: JsonRpcError | None) -> None:
        owner, self._owner = self._owner, None
        self._running = None
        if owner is not None:
            owner.ended(self, error)


def _uris(message: Notification) -> frozenset[str]:
    try:
        honoured = _honoured.decode(message.params.get("notifications", b"{}"))
    except (msgspec.MsgspecError, RecursionError):
        return frozenset()
    return frozenset(honoured.resource_subscriptions)


def _untagged(message: Notification) -> dict[str, Raw]:
    """Return the params without the subscription's id, which a legacy client does not know."""
    try:
        about = jsonrpc.members(message.params.get(META))
    except JsonRpcError:
        about = {}
    about.pop(SUBSCRIPTION_ID, None)
    return jsonrpc.with_member(message.params, META, about or None)
