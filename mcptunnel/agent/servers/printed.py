"""What a server prints beside its answers, in our log."""

from typing import Final

from twisted.logger import Logger

from mcptunnel.net.errors import printable

MAX_LINES: Final = 100
"""Lines of one server in the log from one `sweep` to the next, a second later."""


class Printed:
    """Logs what one server prints: cut to printable lines, and not more than a person can read."""

    _log = Logger()

    def __init__(self, server: str) -> None:
        self._server = server
        self._count = 0

    def line(self, line: str) -> None:
        """Log a line of stderr."""
        if self._may_log():
            self._log.info("{server}: {line}", server=self._server, line=printable(line))

    def junk(self, sample: str) -> None:
        """Log the beginning of what should have been a message."""
        if self._may_log():
            self._log.debug(
                "server {server}: not a message: {sample}",
                server=self._server,
                sample=printable(sample),
            )

    def sweep(self) -> None:
        """Tell how many lines were left out, if any, and begin to count anew."""
        left_out, self._count = self._count - MAX_LINES, 0
        if left_out > 0:
            self._log.warn(
                "server {server}: {count} lines left out", server=self._server, count=left_out
            )

    def _may_log(self) -> bool:
        self._count += 1
        return self._count <= MAX_LINES
