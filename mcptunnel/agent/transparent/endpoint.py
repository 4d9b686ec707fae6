"""The endpoint of one server, for clients of both eras, whatever the server is.

A client of an era that the server itself serves over HTTP speaks with the server: bytes pass untouched.
For any other client the agent speaks: it is the server towards the client, and a client of the server.
"""

from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from mcptunnel.agent.endpoint import RequestRoom
from mcptunnel.agent.servers.interfaces import LocalServer, Passage
from mcptunnel.agent.transparent.local_service import LocalService
from mcptunnel.agent.transparent.passed_sessions import PassedSessions
from mcptunnel.agent.transparent.passing import PassedRequest
from mcptunnel.agent.transparent.spoken import SpokenRequest
from mcptunnel.agent.transparent.tool_headers import ToolHeaders
from mcptunnel.agent.transparent.undecided import Undecided
from mcptunnel.mcp.client_era import stated_era
from mcptunnel.mcp.client_half.endpoint import Endpoint
from mcptunnel.mcp.client_half.keep_alive import KeepAlive
from mcptunnel.mcp.client_half.refusals import Draining
from mcptunnel.mcp.client_half.session_table import McpSessions
from mcptunnel.mcp.headers import SESSION_HEADER
from mcptunnel.mcp.service import Asker
from mcptunnel.mcp.versions import Era
from mcptunnel.model import header
from mcptunnel.net.exchange import Exchange
from mcptunnel.net.http1 import RequestError
from mcptunnel.net.timers import ReactorTimers
from mcptunnel.wire.constants import ErrorCode

MAX_SESSIONS: Final = 1000
"""Sessions of legacy clients of one server; those unused for longest go first."""


class ServerEndpoint:
    """Takes the transparent exchanges of one server (`undecided.Ways`).

    A session belongs to whoever gave its id: one of ours comes back to us, one of the server's to it.
    But for a client that it was not given to there is no such session: that we say ourselves, for the
    relay knows it no more when it has started anew.
    """

    def __init__(
        self,
        reactor: Any,
        server: LocalServer,
        *,
        random: Callable[[int], bytes],
        keep_alive: KeepAlive,
        draining: Draining,
        room: RequestRoom,
        max_bytes: int,
    ) -> None:
        self._now_s: Callable[[], float] = reactor.seconds
        self._server = server
        self._room = room
        self._max_bytes = max_bytes
        self._sessions = McpSessions(random, MAX_SESSIONS)
        timers = ReactorTimers(reactor)
        self._passed = PassedSessions(timers)
        self._tools = ToolHeaders(server, timers, self._now_s)
        self._front = Endpoint(self._sessions, timers, random, keep_alive, draining)

    def take(self, exchange: Exchange) -> None:
        """Set the receiver of a new exchange, or refuse it."""
        head = exchange.request
        era = stated_era(head.method, head.headers)
        session_id = header(head.headers, SESSION_HEADER)
        if session_id is not None and era is not Era.MODERN:
            is_ours = session_id in self._sessions
            if is_ours or self._passed.is_of_another(session_id, head.principal, head.client):
                self.speak(exchange)
                return
        undecided = exchange.receiver = Undecided(exchange, era, self)
        self._server.find_passage(era or Era.LEGACY, undecided.found)

    def end_sessions(self, asker: Asker) -> None:
        """End the sessions of a client that may come no more, and the calls in them."""
        lost = (asker.principal, asker.client)
        self._front.end_sessions(lambda whose: (whose.principal, whose.client) == lost)
        self._passed.end(asker)

    def end_streams(self) -> None:
        """End all streams of ours that last for as long as their clients like."""
        self._front.end_streams()

    def stop(self) -> None:
        """Do nothing more of our own accord."""
        self._front.stop()
        self._tools.stop()
        self._passed.stop()

    def pass_on(self, exchange: Exchange, passage: Passage) -> None:
        name = self._server.status.name
        try:
            exchange.receiver = PassedRequest(exchange, passage, name, self._passed)
        except (ValueError, RequestError) as error:
            text = f"The request cannot be passed on: {error}."
            exchange.reset(ErrorCode.REFUSED_STREAM, text)

    def speak(self, exchange: Exchange) -> None:
        exchange.receiver = SpokenRequest(exchange, self._room, self._max_bytes, self._answer)

    def _answer(self, client: SpokenRequest, body: bytes) -> None:
        asker, checked = client.asker, None
        if stated_era(client.method, client.headers) is Era.MODERN:
            checked = client.headers
        else:
            asker = replace(asker, era=Era.LEGACY)
        service = LocalService(self._server, self._tools, asker, checked)
        self._front.answer(client, client.asker, service, body, self._now_s())
