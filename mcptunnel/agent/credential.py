"""What the agent shows the relay to be let in: a key, or what a person signed in for (`sign_in.bearer`)."""

from collections.abc import Callable
from typing import Final, Protocol

from mcptunnel.config.agent_key import make_key_command
from mcptunnel.config.secret import Secret
from mcptunnel.errors import McpTunnelError
from mcptunnel.net.errors import UpgradeRefused
from mcptunnel.wire.constants import ErrorCode

ABOUT_CREDENTIAL: Final = (ErrorCode.UNAUTHORIZED, ErrorCode.REVOKED)

DEVICE_REVOKED: Final = "This device was revoked at the relay."


class Refused(McpTunnelError):
    """The relay will not have this agent, and trying again cannot help."""


class NotRenewedError(McpTunnelError):
    """There is no credential that is good now, but there may be one later."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Credential(Protocol):
    """What the connector and whoever dials need of it."""

    def start(self, over: Callable[[Refused], None]) -> None:
        """Keep it good from now on; `over` hears when that has come to its end."""

    async def stop(self) -> None:
        """Let what goes on come to its end, soon."""

    async def bearer(self) -> str:
        """Return the token for the next attempt. Raises Refused, NotRenewedError."""

    def refuse(self) -> bool:
        """Note that the relay refused the last token; return whether there may be another."""

    def refused_words(self, refusal: UpgradeRefused) -> str:
        """Say that the relay answered an attempt with a refusal, and what to do."""

    def ended_words(self, code: ErrorCode) -> str:
        """Say that the relay ended a link with one of `ABOUT_CREDENTIAL`, or DEVICE_REVOKED, and what to do."""


class ApiKey:
    """A key, configured at `place`. It does not change while the agent runs."""

    def __init__(self, key: Secret, place: str) -> None:
        self._key = key
        self._place = place

    def start(self, over: Callable[[Refused], None]) -> None:
        """There is nothing to do."""

    async def stop(self) -> None:
        """There is nothing to do."""

    async def bearer(self) -> str:
        return self._key.reveal()

    def refuse(self) -> bool:
        return False

    def refused_words(self, refusal: UpgradeRefused) -> str:
        return (
            f"The relay refused this agent's key {told(refusal)}. Check"
            f" {self._place}; make a key with `{make_key_command('agent.key')}`."
        )

    def ended_words(self, code: ErrorCode) -> str:
        what = {
            ErrorCode.REVOKED: "The key of this agent was revoked.",
            ErrorCode.DEVICE_REVOKED: f"{DEVICE_REVOKED} An older key does not let it in.",
        }.get(code, "The relay does not accept this key any more.")
        make = make_key_command("agent.key")
        return f"{what} Make a new one with `{make}`, and give it in {self._place}."


def told(refusal: UpgradeRefused) -> str:
    """Return the status of a refusal, and what the relay said."""
    return f"(HTTP {refusal.status})" + (f": {refusal.said}" if refusal.said else "")
