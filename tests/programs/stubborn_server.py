"""A local server that cannot be ended in good manner, with a child of the same kind.

    python -m tests.programs.stubborn_server LOG

It speaks no MCP. Each process writes into LOG, with the time, when it starts, when its stdin ends and
when it gets SIGTERM, and goes on.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def note(path: Path, who: str, what: str) -> None:
    with path.open("a") as log:
        log.write(f"{who} {what} {os.getpid()} {time.monotonic()}\n")


def main() -> None:
    """Run until killed."""
    path, who = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "child"
    signal.signal(signal.SIGTERM, lambda *_signal: note(path, who, "TERM"))
    if who == "child":
        command = [sys.executable, "-m", "tests.programs.stubborn_server", str(path), "grandchild"]
        subprocess.Popen(command, stdin=subprocess.DEVNULL)
    note(path, who, "started")
    if who == "child":
        sys.stdin.read()
        note(path, who, "EOF")
    while True:
        time.sleep(1)


if __name__ == "__main__":
    main()
