"""Frames as a reader of a log sees them."""

import pytest

from mcptunnel.model import RequestHead, ResponseHead
from mcptunnel.wire.constants import ErrorCode
from mcptunnel.wire.frames import (
    FRAME_CLASSES,
    Ack,
    Data,
    End,
    Frame,
    Goaway,
    Head,
    Hello,
    Open,
    Ping,
    Pong,
    Reset,
    Unknown,
    Welcome,
    Window,
)

SECRET = (("authorization", "secret"),)

SHOWN = [
    (
        Hello("i1", "laptop", "1.0", resume_token="secret"),
        (
            "HELLO versions=[1] installation='i1' device='laptop' software='1.0' "
            "window_bytes=262144 max_streams=256"
        ),
    ),
    (
        Welcome("secret", "laptop", resume_token="secret"),
        "WELCOME version=1 device='laptop' resumed=False window_bytes=262144 max_streams=256",
    ),
    (
        Open(1, RequestHead("files", "POST", "/secret", SECRET)),
        "OPEN 1 target='files' method=POST kind=hub headers=1",
    ),
    (Head(1, ResponseHead(200, SECRET)), "HEAD 1 status=200 headers=1"),
    (Data(1, b"secret"), "DATA 1 bytes=6"),
    (End(1), "END 1"),
    (Reset(1, ErrorCode.CANCEL, "a\nb"), "RESET 1 code=CANCEL text='a\\nb'"),
    (Window(1, 5), "WINDOW 1 credit_bytes=5"),
    (Ping(7), "PING token=7"),
    (Pong(7), "PONG token=7"),
    (Ack(7), "ACK received=7"),
    (
        Goaway(5, ErrorCode.SHUTDOWN, "bye", 1.5),
        "GOAWAY last_stream_id=5 code=SHUTDOWN text='bye' retry_after_s=1.5",
    ),
    (Unknown(64, 1), "UNKNOWN 1 type=64"),
]


@pytest.mark.parametrize(("frame", "shown"), SHOWN, ids=lambda value: str(value).split()[0])
def test_a_frame_in_a_log(frame: Frame, shown: str) -> None:
    """One line, with what matters and nothing that is secret."""
    assert str(frame) == shown
    assert "\n" not in shown
    assert "secret" not in shown


def test_every_class_is_shown() -> None:
    """No frame class is without its line."""
    assert [type(frame) for frame, _ in SHOWN] == list(FRAME_CLASSES)


@pytest.mark.parametrize(
    "frame",
    [
        Hello("i", "d", "1", resume_token="secret"),
        Welcome("s", "d", resume_token="secret"),
        Data(1, b"secret"),
        Head(1, ResponseHead(200, SECRET)),
        Open(1, RequestHead("files", "POST", "/secret", SECRET)),
    ],
)
def test_even_the_repr_keeps_secrets(frame: Frame) -> None:
    """A traceback or a test report shows `repr`; it hides payloads, heads and tokens."""
    assert "secret" not in repr(frame)
