"""Unix sockets at paths of any length."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MAX_SOCKET_PATH_BYTES = 100
"""What every system's `sockaddr_un` holds, with room for its end."""


@contextmanager
def short_path(path: Path) -> Iterator[Path]:
    """Give a path that names the same socket and is short enough for a socket's address.

    It is good while the block lasts. Where the system has no way to shorten it (Linux has one), the
    path itself is given, and the system will refuse it. Raises OSError if its directory cannot be
    opened.
    """
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES or not Path("/proc/self/fd").is_dir():
        yield path
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield Path(f"/proc/self/fd/{directory}") / path.name
    finally:
        os.close(directory)
