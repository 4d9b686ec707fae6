"""What those who come meanwhile are told."""

import pytest

from mcptunnel.relay.draining import Draining


@pytest.mark.parametrize(("seconds", "told"), [(0.0, 1), (0.5, 1), (2.0, 2), (2.1, 3)])
def test_retry_after_is_whole_seconds_and_never_at_once(seconds: float, told: int) -> None:
    assert Draining(seconds).retry_after == told
