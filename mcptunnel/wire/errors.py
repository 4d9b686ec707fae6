"""What can go wrong with a session.

ProtocolError
 ├─ LocalProtocolError    we used the session wrongly: a defect on our side
 ├─ RemoteProtocolError   the peer broke the protocol; carries the code for the GOAWAY
 ├─ TooManyStreams        the peer accepts no further stream for now
 └─ GoingAway             the session takes no new streams
"""

from mcptunnel.errors import McpTunnelError
from mcptunnel.wire.constants import ErrorCode


class ProtocolError(McpTunnelError):
    """Something is wrong with a tunnel session."""


class LocalProtocolError(ProtocolError):
    """We asked for something that the protocol does not allow; nothing was sent."""


class RemoteProtocolError(ProtocolError):
    """The peer broke the protocol; the session cannot go on."""

    def __init__(self, code: ErrorCode, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class TooManyStreams(ProtocolError):
    """As many streams are open as the peer accepts; one must end first."""


class GoingAway(ProtocolError):
    """The session takes no new streams; use another one."""
