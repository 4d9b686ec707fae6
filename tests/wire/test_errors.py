"""What callers catch."""

import pytest

from mcptunnel.errors import McpTunnelError
from mcptunnel.wire.constants import ErrorCode
from mcptunnel.wire.errors import (
    GoingAway,
    LocalProtocolError,
    ProtocolError,
    RemoteProtocolError,
    TooManyStreams,
)


@pytest.mark.parametrize(
    "error",
    [
        LocalProtocolError("x"),
        RemoteProtocolError(ErrorCode.CANCEL, "x"),
        TooManyStreams("x"),
        GoingAway("x"),
    ],
)
def test_all_have_one_root_and_are_told_apart(error: ProtocolError) -> None:
    """One except clause for all, one for each; `str()` is a sentence."""
    assert isinstance(error, McpTunnelError)
    assert type(error).__mro__[1] is ProtocolError
    assert str(error) == "x"


def test_an_error_of_the_peer_knows_its_code() -> None:
    """The code goes into the GOAWAY."""
    error = RemoteProtocolError(ErrorCode.FLOW_CONTROL_ERROR, "DATA without credit")
    assert (error.code, error.text) == (ErrorCode.FLOW_CONTROL_ERROR, "DATA without credit")
