"""Child processes that speak newline-delimited messages on stdin and stdout."""

from mcptunnel.net.process.child import (
    GRACE_S,
    MAX_LINE_BYTES,
    ChildProcess,
    ChildReceiver,
    ExitStatus,
)
from mcptunnel.net.process.environment import child_environment
from mcptunnel.net.process.spawn import ChildStartError

__all__ = [
    "GRACE_S",
    "MAX_LINE_BYTES",
    "ChildProcess",
    "ChildReceiver",
    "ChildStartError",
    "ExitStatus",
    "child_environment",
]
