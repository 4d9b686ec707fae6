"""Sessions of a server whose bytes pass untouched: whose they are, also when they have to end for a client.

The server knows nothing of our clients' access. Where a client loses it, the agent does what the client
would at its end: DELETE (2025-11-25, basic/transports, "Session Management").
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from twisted.logger import Logger

from mcptunnel.agent.servers.interfaces import Passage
from mcptunnel.mcp.headers import SESSION_HEADER
from mcptunnel.mcp.service import Asker
from mcptunnel.model import RequestHead, ResponseHead, header
from mcptunnel.net.http1 import RequestError, RequestFailed

MAX_SESSIONS: Final = 1000
"""Sessions of one server; those unused for longest are forgotten."""

MAX_ID_CHARS: Final = 1024

_BAD_REQUEST: Final = 400

_log = Logger()


@dataclass(slots=True)
class _Passed:
    passage: Passage
    holders: set[tuple[str, str]] = field(default_factory=set)


class PassedSessions:
    """What was seen in the heads of requests and responses."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, _Passed] = OrderedDict()

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
                    _delete(passed.passage, session_id)


def _delete(passage: Passage, session_id: str) -> None:
    fields = (*passage.headers, (SESSION_HEADER, session_id))
    try:
        passage.client.request("DELETE", "", fields, b"", _Deleted())
    except RequestError as error:
        _log.info("a session cannot be ended: {error}", error=str(error))


class _Deleted:
    """Whoever takes the answer: a server need not allow it (`net.http1.ResponseReceiver`)."""

    def head_received(self, head: ResponseHead) -> None:
        """Nothing follows from it."""

    def data_received(self, data: bytes) -> None:
        """Nor from the body."""

    def ended(self) -> None:
        """It is done."""

    def failed(self, reason: RequestFailed) -> None:
        _log.info("a session was perhaps not ended: {why}", why=reason.text)
