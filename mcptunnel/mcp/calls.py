"""A call on a local server, as both programs see it: notifications, then one answer or a failure."""

from dataclasses import dataclass
from typing import Final, Protocol

from mcptunnel.mcp.jsonrpc import Notification, Response
from mcptunnel.model import Outcome

MEANING: Final = {
    Outcome.NOT_DELIVERED: "The call did not reach the server: it is safe to try again.",
    Outcome.UNKNOWN: "The call may have run, wholly or in part: check before trying again.",
}
"""What an outcome means, for people."""


@dataclass(frozen=True, slots=True)
class CallFailure:
    """Why a call gets no answer, in a sentence for people, and whether it may have run."""

    text: str
    outcome: Outcome


class CallReceiver(Protocol):
    """Whoever made a call: any number of notifications, then one response or failure."""

    def notification(self, message: Notification) -> None: ...

    def response(self, message: Response) -> None: ...

    def call_failed(self, failure: CallFailure) -> None: ...
