"""Sessions of a server whose bytes pass untouched: whose they are, also when they have to end for a client.

The server knows nothing of our clients' access. Where a client loses it, the agent does what the client
would at its end: DELETE (2025-11-25, basic/transports, "Session Management").
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from twisted.logger import Logger

from mcptunnel.agent.servers.interfaces import Passage, UnderWay
from mcptunnel.mcp.client_half.timers import Timer, Timers
from mcptunnel.mcp.headers import SESSION_HEADER
from mcptunnel.mcp.service import Asker
from mcptunnel.model import RequestHead, ResponseHead, header
from mcptunnel.net.http1 import RequestError, RequestFailed

MAX_SESSIONS: Final = 1000
"""Sessions of one server; those unused for longest are forgotten."""

MAX_ID_CHARS: Final = 1024

DELETE_S: Final = 5.0
"""What a server has to answer in: whatever it does, it keeps no connection from its clients for longer."""

_BAD_REQUEST: Final = 400

_log = Logger()


@dataclass(slots=True)
class _Passed:
    passage: Passage
    holders: set[tuple[str, str]] = field(default_factory=set)


class PassedSessions:
    """What was seen in the heads of requests and responses."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._sessions: OrderedDict[str, _Passed] = OrderedDict()
        self._farewells: set[_Farewell] = set()

    def __len__(self) -> int:
        return len(self._sessions)

    def is_of_another(self, session_id: str, principal: str, client: str) -> bool:
        """Whether others have a session, and this client has not."""
        passed = self._sessions.get(session_id)
        return passed is not None and (principal, client) not in passed.holders

    def answered(self, request: RequestHead, head: ResponseHead, passage: Passage) -> None:
        """Note whose a session is, by a response of the server."""
        asked = header(request.headers, SESSION_HEADER)
        session_id = header(head.headers, SESSION_HEADER) or asked
        if session_id is None or head.status >= _BAD_REQUEST or len(session_id) > MAX_ID_CHARS:
            return
        if request.method == "DELETE":
            self._sessions.pop(session_id, None)
            return
        passed = self._sessions.get(session_id)
        if passed is None:
            passed = self._sessions[session_id] = _Passed(passage)
        passed.passage = passage
        passed.holders.add((request.principal, request.client))
        self._sessions.move_to_end(session_id)
        if len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)

    def end(self, asker: Asker) -> None:
        """End the sessions of a client; not those that it shares with another."""
        holder = (asker.principal, asker.client)
        for session_id, passed in tuple(self._sessions.items()):
            if holder in passed.holders:
                passed.holders.discard(holder)
                if not passed.holders:
                    del self._sessions[session_id]
                    self._delete(passed.passage, session_id)

    def stop(self) -> None:
        """Wait for no server any more."""
        for farewell in tuple(self._farewells):
            farewell.give_up()

    def _delete(self, passage: Passage, session_id: str) -> None:
        fields = (*passage.headers, (SESSION_HEADER, session_id))
        farewell = _Farewell(self._farewells)
        try:
            call = passage.client.request("DELETE", "", fields, b"", farewell)
        except RequestError as error:
            _log.info("a session cannot be ended: {error}", error=str(error))
        else:
            farewell.wait(call, self._timers)


class _Farewell:
    """One DELETE, and whoever takes the answer: a server need not allow it (`net.http1.ResponseReceiver`)."""

    __slots__ = ("_all", "_call", "_is_over", "_timer")

    def __init__(self, all_of_them: "set[_Farewell]") -> None:
        self._all = all_of_them
        self._call: UnderWay | None = None
        self._timer: Timer | None = None
        self._is_over = False

    def wait(self, call: UnderWay, timers: Timers) -> None:
        """Wait for the answer, but not for long."""
        if not self._is_over:
            self._call = call
            self._timer = timers.call_later(DELETE_S, self._is_late)
            self._all.add(self)

    def give_up(self) -> None:
        """Wait no longer."""
        call = self._call
        self._over()
        if call is not None:
            call.abort()

    def _is_late(self) -> None:
        self._timer = None
        self.give_up()
        _log.info("a session was perhaps not ended: no answer within {s} s", s=DELETE_S)

    def _over(self) -> None:
        self._is_over = True
        self._all.discard(self)
        timer, self._timer, self._call = self._timer, None, None
        if timer is not None:
            timer.cancel()

    def head_received(self, head: ResponseHead) -> None:
        """Nothing follows from it."""

    def data_received(self, data: bytes) -> None:
        """Nor from the body."""

    def ended(self) -> None:
        self._over()

    def failed(self, reason: RequestFailed) -> None:
        self._over()
        _log.info("a session was perhaps not ended: {why}", why=reason.text)
