"""What could not be done now, and may be done later."""

from typing import Final

from mcptunnel.errors import McpTunnelError

BUSY_S: Final = 60.0
"""After so long there may be room again."""


class BusyError(McpTunnelError):
    """Come back in `retry_after_s`: there is no room, or whoever asks does so too often."""

    def __init__(
        self, message: str, retry_after_s: float, *, is_fault_of_client: bool = False
    ) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.is_fault_of_client = is_fault_of_client
