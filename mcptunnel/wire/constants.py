"""The numbers of the tunnel protocol, version 1; docs/reference/protocol says the same in tables."""

from enum import IntEnum, StrEnum

KIB = 1024

SUBPROTOCOL = "mcptunnel.1"
"""The WebSocket subprotocol; without it in the upgrade there is no link."""

PROTOCOL_VERSION = 1

OPTIONAL_FRAME_TYPES = range(64, 128)
"""A frame of one of these types that we do not know is ignored; of any other, it is an error."""

SESSION_ID = 0
"""The stream id of frames that are about the session."""

MAX_STREAM_ID = 2**53 - 1
"""The largest integer that every language holds exactly; no session lives to see it."""

MAX_WINDOW_BYTES = 2**31 - 1
"""No window may ever hold more credit than this."""

MAX_MESSAGE_BYTES = 256 * KIB
MAX_MESSAGE_FRAMES = 32 * KIB
"""More than fit into a message of the size at which it is full, even of the smallest: 3 bytes each."""

MAX_DATA_BYTES = 32 * KIB
MAX_HEADER_COUNT = 256
MAX_HEADERS_CHARS = 56 * KIB
"""All names and values of a head together, with a character between names. At four bytes for every
character a head still fits into a message."""

MAX_PATH_CHARS = 16 * KIB
MAX_METHOD_CHARS = 32
MAX_NAME_CHARS = 256
MAX_TEXT_CHARS = 1024
MAX_RETRY_AFTER_S = 86400.0

GROWTH_BYTES = 16 * 1024 * KIB
"""By so much the windows of a session may grow, all together."""

HIGH_WATER_BYTES = 64 * KIB
"""A stream with more unsent bytes than this should get no more until it has drained."""

LOW_WATER_BYTES = 16 * KIB
"""A stream that was over the high-water mark has drained when it holds fewer bytes than this."""

ACK_AFTER_BYTES = 64 * KIB
"""An ACK is due when so many bytes of messages came since the last one, at the latest."""

ACK_AFTER_S = 0.1
"""An ACK is due when a numbered frame has waited so long for it, at the latest."""


class Role(StrEnum):
    """Which end of the session we are. The relay opens odd streams, the agent even ones."""

    RELAY = "relay"
    AGENT = "agent"

    @property
    def first_stream_id(self) -> int:
        return 1 if self is Role.RELAY else 2

    @property
    def peer(self) -> "Role":
        return Role.AGENT if self is Role.RELAY else Role.RELAY


class FrameType(IntEnum):
    """The first element of every frame."""

    HELLO = 1
    WELCOME = 2
    OPEN = 3
    HEAD = 4
    DATA = 5
    END = 6
    RESET = 7
    WINDOW = 8
    PING = 9
    PONG = 10
    ACK = 11
    GOAWAY = 12


class ErrorCode(IntEnum):
    """Why a stream was dropped (RESET) or a session ends (GOAWAY)."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    REFUSED_STREAM = 4
    CANCEL = 5
    UNREACHABLE = 6
    LIMIT_EXCEEDED = 7
    UNSUPPORTED_VERSION = 8
    UNAUTHORIZED = 9
    REPLACED = 10
    REVOKED = 11
    SHUTDOWN = 12
    TIMEOUT = 13
    FLOOD = 14
    DEVICE_REVOKED = 15

    @property
    def sentence(self) -> str:
        """What the code means, for a person."""
        return _SENTENCES[self]


_SENTENCES = {
    ErrorCode.NO_ERROR: "Nothing went wrong.",
    ErrorCode.PROTOCOL_ERROR: "The peer broke the protocol.",
    ErrorCode.INTERNAL_ERROR: "The sender failed.",
    ErrorCode.FLOW_CONTROL_ERROR: "The peer sent without credit, or gave more credit than a window holds.",
    ErrorCode.REFUSED_STREAM: "The stream was refused before anything was started.",
    ErrorCode.CANCEL: "The stream is no longer wanted.",
    ErrorCode.UNREACHABLE: "The server behind cannot be used.",
    ErrorCode.LIMIT_EXCEEDED: "A limit was exceeded.",
    ErrorCode.UNSUPPORTED_VERSION: "The two sides have no protocol version in common.",
    ErrorCode.UNAUTHORIZED: "The credential or the request is not allowed.",
    ErrorCode.REPLACED: "Another link of the same installation took over.",
    ErrorCode.REVOKED: "Access was revoked.",
    ErrorCode.SHUTDOWN: "The sender is stopping.",
    ErrorCode.TIMEOUT: "Something took too long.",
    ErrorCode.FLOOD: "The peer sent too much that leads to nothing.",
    ErrorCode.DEVICE_REVOKED: "The device was revoked.",
}
