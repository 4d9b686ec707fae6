"""Paths of unix sockets, which the system limits to about a hundred bytes."""

import errno
import os
from pathlib import Path
from types import TracebackType
from typing import Self

MAX_BYTES = 100
"""What every system's `sockaddr_un` holds, with room for its end."""

_DESCRIPTORS = Path("/proc/self/fd")


class UnixPath:
    """`text` names the socket at `path` for the system, until `close`.

    A longer path goes through a descriptor of its directory, where the system shows descriptors
    as files. Raises `OSError`, with `ENAMETOOLONG` where it does not.
    """

    def __init__(self, path: Path) -> None:
        self._directory: int | None = None
        self.text = os.fspath(path)
        if len(os.fsencode(path)) <= MAX_BYTES:
            return
        if not _DESCRIPTORS.is_dir():
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), self.text)
        self._directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        self.text = f"{_DESCRIPTORS}/{self._directory}/{path.name}"

    def close(self) -> None:
        """Give the name up."""
        directory, self._directory = self._directory, None
        if directory is not None:
            os.close(directory)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
