"""What all methods of the hub work with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from msgspec import Raw
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from mcptunnel.mcp.jsonrpc import INTERNAL_ERROR, JsonRpcError, Request
from mcptunnel.mcp.kinds import Kind
from mcptunnel.mcp.service import Caller, Running
from mcptunnel.model import Principal
from mcptunnel.relay.access import Access
from mcptunnel.relay.devices import Devices
from mcptunnel.relay.hub.catalogue import Catalogue
from mcptunnel.relay.hub.listing import Listing
from mcptunnel.relay.hub.open_calls import OpenCalls
from mcptunnel.relay.hub.owners import OwnersOfUsers
from mcptunnel.relay.hub.running import Waiting
from mcptunnel.relay.hub.seals import Seals
from mcptunnel.relay.hub.settling import Settling
from mcptunnel.relay.hub.tables import Tables

_log = Logger()


class Method(Protocol):
    """Answers the requests of one method."""

    def request(self, access: Access, request: Request, caller: Caller) -> Running | None:
        """Answer, now or later. Raises JsonRpcError, which is the answer then."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one hub. `server_info` says who we are, `epoch_s` what time of day it is."""

    reactor: Any
    epoch_s: Callable[[], float]
    devices: Devices
    calls: OpenCalls
    catalogue: Catalogue
    listings: Mapping[Kind, Listing]
    tables: Tables
    owners: OwnersOfUsers
    settling: Settling
    seals: Seals
    server_info: Raw
    max_result_bytes: int

    def when_settled(
        self,
        principal: Principal,
        kind: Kind,
        caller: Caller,
        answer: Callable[[], Running | None],
    ) -> Running | None:
        """Answer once a list of the user is known, or the time for that is over; now, if it is.

        Whoever asks for a list so has it kept fresh from now on.
        """
        self.catalogue.want(principal, kind)
        if self.settling.is_settled(principal, kind):
            return answer()
        waiting = Waiting()

        async def wait() -> None:
            await self.settling.settled(principal, kind)
            try:
                waiting.begin(answer())
            except JsonRpcError as error:
                caller.error(error)

        waiting.until = Deferred.fromCoroutine(wait())
        waiting.until.addErrback(_cannot_answer, caller)
        return waiting


def _cannot_answer(failure: Failure, caller: Caller) -> None:
    if not failure.check(CancelledError):
        _log.failure("cannot answer", failure)
        caller.error(JsonRpcError(INTERNAL_ERROR, "Internal error"))
