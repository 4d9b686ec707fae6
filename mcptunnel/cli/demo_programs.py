"""The programs that the demo starts, watches and stops."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

from mcptunnel.errors import McpTunnelError

START_TIMEOUT_S: Final = 30.0
STOP_TIMEOUT_S: Final = 2.5
POLL_S: Final = 0.05
LOG_LINES: Final = 20

_TWISTD: Final = "import sys; from twisted.scripts.twistd import run; sys.exit(run())"


class Programs:
    """Relay and agent in one directory. `stop` ends every waiting; leaving the block ends both."""

    def __init__(self, directory: Path, stop: threading.Event) -> None:
        self.directory = directory
        self._stop = stop
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        """Start `relay` or `agent` with the configuration of that name."""
        log = (self.directory / f"{name}.log").open("wb")
        with log:
            self._running[name] = subprocess.Popen(  # noqa: S603 - our own programs
                [
                    *(sys.executable, "-c", _TWISTD, "--nodaemon", "--pidfile="),
                    *(f"mcptunnel-{name}", "--config", str(self.directory / f"{name}.toml")),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
                start_new_session=True,  # Ctrl-C is for us; we end them in order
            )

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for something. Raises McpTunnelError if it does not come."""
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while not condition():
            self._require_running()
            if time.monotonic() > deadline_s:
                raise McpTunnelError(f"Not within {START_TIMEOUT_S:g} s: {what}.")
            if self._stop.wait(POLL_S):
                raise McpTunnelError("Stopped.")

    def watch(self) -> None:
        """Wait for the stop. Raises McpTunnelError if a program ends by itself."""
        while not self._stop.wait(0.5):
            self._require_running()

    def logs(self) -> str:
        """Return the ends of both logs."""
        shown = []
        for name in self._running:
            lines = (self.directory / f"{name}.log").read_text(errors="replace").splitlines()
            shown.append("\n".join([f"--- {name}", *lines[-LOG_LINES:]]))
        return "\n".join(shown)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        """End the agent first, so that it can say goodbye; then the relay. No call is waited for."""
        deadline_s = time.monotonic() + STOP_TIMEOUT_S
        for name in reversed(self._running):
            program = self._running[name]
            program.send_signal(signal.SIGINT)
            try:
                program.wait(max(0.1, deadline_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait()

    def _require_running(self) -> None:
        for name, program in self._running.items():
            if program.poll() is not None:
                raise McpTunnelError(f"The {name} ended with status {program.returncode}.")
