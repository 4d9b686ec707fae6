"""What one side of a session allows and prefers."""

from dataclasses import dataclass
from math import inf

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
    larger travels alone. The window of a stream whose consumer is quick grows to `grown_window_bytes`; at
    `window_bytes` or below, none does. `max_message_bytes` is the largest message that is accepted. While
    `replay_bytes` of sent messages are not acknowledged, nothing new is sent. A session without a link
    is held for `resume_window_s`, but by a relay only for `closed_link_window_s` if its link was closed.
    Raises ValueError for values with which no session could work.
    """

    window_bytes: int = 256 * KIB
    grown_window_bytes: int = 0
    max_streams: int = 256
    max_data_bytes: int = MAX_DATA_BYTES
    ping_after_s: float = 20.0
    dead_after_s: float = 45.0
    message_bytes: int = 65 * KIB
    max_message_bytes: int = MAX_MESSAGE_BYTES
    replay_bytes: int = 4096 * KIB
    resume_window_s: float = 60.0
    closed_link_window_s: float = 10.0

    def __post_init__(self) -> None:
        ranges = (
            ("window_bytes", self.window_bytes, 1, MAX_WINDOW_BYTES),
            ("grown_window_bytes", self.grown_window_bytes, 0, MAX_WINDOW_BYTES),
            ("max_streams", self.max_streams, 0, MAX_WINDOW_BYTES),
            ("max_data_bytes", self.max_data_bytes, 1, MAX_DATA_BYTES),
            ("message_bytes", self.message_bytes, 1, MAX_MESSAGE_BYTES),
            ("max_message_bytes", self.max_message_bytes, 1, MAX_MESSAGE_BYTES),
            ("replay_bytes", self.replay_bytes, 1, MAX_WINDOW_BYTES),
            ("resume_window_s", self.resume_window_s, 0, inf),
            ("closed_link_window_s", self.closed_link_window_s, 0, inf),
        )
        for name, value, low, high in ranges:
            if not low <= value <= high:
                raise ValueError(f"{name} must be from {low} to {high}")
        if not 0 < self.ping_after_s < self.dead_after_s:
            raise ValueError("ping_after_s must be above 0 and below dead_after_s")

    @property
    def limits(self) -> Limits:
        return Limits(self.window_bytes, self.max_streams)
