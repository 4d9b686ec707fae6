"""Which clients a local HTTP server serves itself, so that their requests can be passed on as they are."""

from typing import Any, Final

from msgspec import Raw
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.logger import Logger
from twisted.python.failure import Failure

from mcptunnel.agent.servers.http_handshake import (
    Agreed,
    Unusable,
    began_session,
    say_goodbye,
)
from mcptunnel.agent.servers.interfaces import Passage, PassageFound
from mcptunnel.mcp.versions import Era
from mcptunnel.net.http1 import Client

TRIAL_TIMEOUT_S: Final = 10.0
VERDICT_S: Final = 3600.0
"""How long it is remembered that a modern server does not serve legacy clients: it may be another by then."""

_LEGACY: Final = frozenset({Era.LEGACY})
_MODERN: Final = frozenset({Era.MODERN})
_BOTH: Final = frozenset(Era)


class Passages:
    """Knows what `find` needs once the handshake `agreed`; whoever asks before that waits.

    What a modern server says of its versions does not tell whether it serves legacy clients as well:
    those that do name only the modern ones. It is tried, when the first such client comes.
    """

    _log = Logger()

    def __init__(self, reactor: Any, client_info: Raw) -> None:
        self._reactor = reactor
        self._client_info = client_info
        self._agreed: Agreed | None = None
        self._passage: Passage | None = None
        self._waiting: list[tuple[Era, PassageFound]] = []
        self._serves_legacy: bool | None = None
        self._tried_s = 0.0
        self._trial: Deferred[Any] | None = None
        self._goodbyes: list[Deferred[None]] = []

    def agreed(self, client: Client, agreed: Agreed, passage: Passage) -> None:
        """Note how the server is talked to; `passage` is the way to it by `client`."""
        self._agreed, self._passage, self._client = agreed, passage, client
        self._serves_legacy = None
        self._tell_waiting()

    def wait(self, era: Era, found: PassageFound) -> None:
        """Answer after the handshake."""
        self._waiting.append((era, found))

    def lost(self, passage: Passage | None = None) -> None:
        """Note that we cannot speak with the server, or that it is stopped: then there is no passage.

        Clients may still understand a server that we do not.
        """
        self._agreed = self._passage = None
        if self._trial is not None:
            self._trial.cancel()
        waiting, self._waiting = self._waiting, []
        for _era, found in waiting:
            found(passage)

    async def over(self) -> None:
        """Return when nothing is under way. Call `lost` first."""
        await DeferredList(list(self._goodbyes))

    def find(self, era: Era, found: PassageFound) -> None:
        """Tell the passage for clients of an era, or None; perhaps later."""
        agreed, passage = self._agreed, self._passage
        if agreed is None or passage is None:
            found(None)
        elif agreed.info.era is Era.LEGACY:
            # Without a session of ours it is a server of 2024-11-05: two endpoints, and none of them here.
            serves = era is Era.LEGACY and agreed.session is not None
            found(_of(passage, _LEGACY) if serves else None)
        elif era is Era.MODERN:
            found(_of(passage, _BOTH if self._serves_legacy else _MODERN))
        elif self._is_known():
            found(_of(passage, _BOTH) if self._serves_legacy else None)
        else:
            self._waiting.append((era, found))
            self._try()

    def _is_known(self) -> bool:
        if self._serves_legacy is False:
            return bool(self._reactor.seconds() - self._tried_s < VERDICT_S)
        return self._serves_legacy is not None

    def _tell_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for era, found in waiting:
            self.find(era, found)

    # Trying.

    def _try(self) -> None:
        if self._trial is not None:
            return
        trial = Deferred.fromCoroutine(self._began_session(self._client))
        trial.addTimeout(TRIAL_TIMEOUT_S, self._reactor)
        self._trial = trial  # first: it may have failed already
        trial.addCallbacks(self._tried, self._not_tried)

    async def _began_session(self, client: Client) -> bool:
        passage = self._passage
        headers = () if passage is None else passage.headers
        begun = await began_session(client, headers, self._client_info)
        if begun is not None:
            goodbye = Deferred.fromCoroutine(say_goodbye(self._reactor, client, headers, begun))
            self._goodbyes.append(goodbye)
            goodbye.addCallback(lambda _none: self._goodbyes.remove(goodbye))
        return begun is not None

    def _tried(self, serves_legacy: bool) -> None:
        self._trial = None
        self._serves_legacy, self._tried_s = serves_legacy, self._reactor.seconds()
        self._tell_waiting()

    def _not_tried(self, failure: Failure) -> None:
        self._trial = None
        if not failure.check(CancelledError, DeferredTimeoutError, Unusable):
            self._log.failure("cannot try a server", failure)
        waiting, self._waiting = self._waiting, []
        for _era, found in waiting:
            found(None)


def _of(passage: Passage, eras: frozenset[Era]) -> Passage:
    return Passage(passage.client, passage.headers, eras, passage.takes_query, passage.unreachable)
