"""Settings that cannot work are refused."""

import pytest

from mcptunnel.wire.settings import Limits, Settings


def test_the_limits_that_a_side_tells() -> None:
    """HELLO and WELCOME carry what we are ready to receive."""
    assert Settings(window_bytes=5, max_streams=7).limits == Limits(5, 7)
    assert Settings().limits == Limits()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("window_bytes", 0), ("window_bytes", 2**31), ("max_streams", -1)),
        *(("max_data_bytes", 0), ("max_data_bytes", 32 * 1024 + 1)),
        *(("message_bytes", 0), ("max_message_bytes", 0), ("max_message_bytes", 256 * 1024 + 1)),
        *(("replay_bytes", 0), ("resume_window_s", -1), ("closed_link_window_s", -1)),
        *(("ping_after_s", 0), ("ping_after_s", 45), ("dead_after_s", 20)),
    ],
)
def test_impossible_settings(name: str, value: int) -> None:
    """The error names the setting."""
    with pytest.raises(ValueError, match=name):
        Settings(**{name: value})
