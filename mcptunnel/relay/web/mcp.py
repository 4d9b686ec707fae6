"""`/mcp`: the hub over Streamable HTTP, for clients of both eras; and over the transport of 2024-11-05."""

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qs

from mcptunnel.mcp.client_half.endpoint import Endpoint
from mcptunnel.mcp.client_half.keep_alive import KeepAlive
from mcptunnel.mcp.client_half.session import Sessions
from mcptunnel.mcp.client_half.sse_endpoint import QUERY
from mcptunnel.mcp.jsonrpc import Request
from mcptunnel.mcp.service import Asker, Caller, Running
from mcptunnel.net.timers import ReactorTimers
from mcptunnel.relay.access import Access, Revoked
from mcptunnel.relay.draining import Draining
from mcptunnel.relay.hub.hub import Hub
from mcptunnel.relay.web.reply import Reply
from mcptunnel.relay.web.request import RelayRequest

MESSAGES_PATH: Final = "/messages"


class UserHub:
    """The hub as one user's client sees it (`mcp.service.Service`)."""

    __slots__ = ("_access", "_hub")

    def __init__(self, hub: Hub, access: Access) -> None:
        self._hub = hub
        self._access = access

    def request(self, request: Request, caller: Caller) -> Running | None:
        return self._hub.request(self._access, request, caller)

    def of_session(self, session: str) -> "UserHub":
        return UserHub(self._hub, self._access.of_session(session))


class McpEndpoint:
    """Answers authenticated requests to the hub."""

    def __init__(
        self,
        reactor: Any,
        hub: Hub,
        sessions: Sessions,
        random: Callable[[int], bytes],
        keep_alive: KeepAlive,
        draining: Draining,
    ) -> None:
        self._hub = hub
        self._epoch_s = hub.parts.epoch_s  # sessions outlive the program
        timers = ReactorTimers(reactor)
        self._endpoint = Endpoint(sessions, timers, random, keep_alive, draining)

    def answer(self, http: RelayRequest, access: Access, body: bytes) -> None:
        """Answer a request of any method."""
        asker = asker_of(access)
        service = UserHub(self._hub, access)
        self._endpoint.answer(Reply(http), asker, service, body, self._epoch_s())

    def open_sse(self, http: RelayRequest, access: Access, _body: bytes) -> None:
        """Answer a request of a client of 2024-11-05 for its stream."""
        asker, service = asker_of(access), UserHub(self._hub, access)
        self._endpoint.open_sse(Reply(http), asker, service, MESSAGES_PATH, self._epoch_s())

    def post_sse(self, http: RelayRequest, access: Access, body: bytes) -> None:
        """Take what such a client posts."""
        query = parse_qs(http.uri.partition(b"?")[2].decode("ascii", "replace"))
        (session_id, *_) = query.get(QUERY, [None])
        asker, service = asker_of(access), UserHub(self._hub, access)
        self._endpoint.post_sse(Reply(http), asker, service, session_id, body, self._epoch_s())

    def revoked(self, revoked: Revoked) -> None:
        """End the sessions whose access was taken away, with all that is under way in them."""
        self._endpoint.end_sessions(
            lambda asker: revoked.takes_holder(asker.principal, asker.client)
        )

    def end_streams(self) -> None:
        """End all streams that last for as long as their clients like, in order."""
        self._endpoint.end_streams()

    def stop(self) -> None:
        """Do nothing more of our own accord."""
        self._endpoint.stop()


def asker_of(access: Access) -> Asker:
    """Return whom the front takes the holder of an access for."""
    return Asker(str(access.principal), access.client)
