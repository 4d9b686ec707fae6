"""What one side of a session allows and prefers."""

from dataclasses import dataclass

from mcptunnel.wire.constants import KIB, MAX_DATA_BYTES, MAX_MESSAGE_BYTES, MAX_WINDOW_BYTES


@dataclass(frozen=True, slots=True)
class Limits:
    """What a side tells the other in HELLO or WELCOME: what it is ready to receive.

    `window_bytes` is the credit that each new stream starts with, `max_streams` the number of streams
    that the peer may have open at once.
    """

    window_bytes: int = 256 * KIB
    max_streams: int = 256


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of our own side.

    `message_bytes` is the size at which a WebSocket message is considered full; one frame that is
    larger travels alone. `max_message_bytes` is the largest message that is accepted.
    Raises ValueError for values with which no session could work.
    """

    window_bytes: int = 256 * KIB
    max_streams: int = 256
    max_data_bytes: int = MAX_DATA_BYTES
    ping_after_s: float = 20.0
    dead_after_s: float = 45.0
    message_bytes: int = 64 * KIB
    max_message_bytes: int = MAX_MESSAGE_BYTES

    def __post_init__(self) -> None:
        ranges = (
            ("window_bytes", self.window_bytes, 1, MAX_WINDOW_BYTES),
            ("max_streams", self.max_streams, 0, MAX_WINDOW_BYTES),
            ("max_data_bytes", self.max_data_bytes, 1, MAX_DATA_BYTES),
            ("message_bytes", self.message_bytes, 1, MAX_MESSAGE_BYTES),
            ("max_message_bytes", self.max_message_bytes, 1, MAX_MESSAGE_BYTES),
        )
        for name, value, low, high in ranges:
            if not low <= value <= high:
                raise ValueError(f"{name} must be from {low} to {high}")
        if not 0 < self.ping_after_s < self.dead_after_s:
            raise ValueError("ping_after_s must be above 0 and below dead_after_s")

    @property
    def limits(self) -> Limits:
        return Limits(self.window_bytes, self.max_streams)
