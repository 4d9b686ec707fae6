"""Who leaves a client's request without signing in, and what the client is told."""

import pytest

from mcptunnel.auth.errors import ErrorCode
from mcptunnel.relay.web.way_back import LEFT, back_path, left_code


@pytest.mark.parametrize("code", [ErrorCode.ACCESS_DENIED, ErrorCode.TEMPORARILY_UNAVAILABLE])
def test_the_way_back_says_why(code: ErrorCode) -> None:
    path = back_path("/authorize?request=abc", code)
    assert path.startswith(f"/authorize?request=abc&{LEFT}=")
    assert left_code(path.rpartition("=")[2]) is code


@pytest.mark.parametrize("path", ["/", "/device", "/authorize?request=a&left=denied", "/authorize"])
def test_elsewhere_no_client_waits(path: str) -> None:
    assert back_path(path, ErrorCode.ACCESS_DENIED) == ""


def test_other_reasons_are_none() -> None:
    assert left_code("because") is None
