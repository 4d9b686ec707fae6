"""Secrets in files of their own, which nobody else may read."""

import errno
import os
import shlex
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mcptunnel.config.errors import Findings

_CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"
"""Where systemd puts what `LoadCredential=` names, for one service alone (systemd.exec(5))."""

_OF_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateFile:
    """What such a file is for: the configuration's `key` that names it, and what stands in it.

    `make` says how to come by one that is not there, `again` how to come by a better one.
    """

    key: str
    what: str
    reader: str
    make: Callable[[Path], str]
    again: Callable[[Path], str]
    check: Callable[[str], str]

    def read(
        self, value: object, environ: Mapping[str, str], base: Path, findings: Findings
    ) -> str:
        """Return the text of the file at `value`, relative to `base`; "" with what is wrong told."""
        if not isinstance(value, str) or "\0" in value:
            return ""  # The reader says it, where it reads the path.
        path = Path(value)
        try:
            path = base / path.expanduser()
            with path.open(encoding="utf-8") as file:
                mode = os.fstat(file.fileno()).st_mode
                text = file.read().strip()
        except (OSError, UnicodeDecodeError, RuntimeError) as error:
            findings.add(self.key, *self._unreadable(path, error))
            return ""
        if mode & _OF_OTHERS & ~_shown_of_acl(path, environ):
            remedy = f"Run: chmod 600 {shlex.quote(str(path))}"
            findings.add(self.key, f"{path} can be read by others", remedy)
        if not text:
            findings.add(self.key, f"{path} is empty", self.again(path))
        elif wrong := self.check(text):
            findings.add(self.key, f"{path} {wrong}", self.again(path))
        return text

    def _unreadable(self, path: Path, error: Exception) -> tuple[str, str]:
        """Return what is wrong with a file that cannot be read, and what to do."""
        if isinstance(error, FileNotFoundError):
            return f"{path} is not there", self.make(path)
        if isinstance(error, IsADirectoryError):
            return f"{path} is a directory", f"Name the file in it that has the {self.what}."
        if isinstance(error, PermissionError):
            remedy = f"Run the {self.reader} as the file's owner."
            return f"{path} is not for this user to read", remedy
        if isinstance(error, UnicodeDecodeError):
            remedy = f"Name the file that has the {self.what}."
            return f"{path} is not UTF-8 text, so it has no {self.what}", remedy
        if isinstance(error, OSError):
            return f"{path} cannot be read: {os.strerror(error.errno or errno.EIO)}", "Look at it."
        return f"{path} is below a home directory that is not known", "Write the whole path."


def _shown_of_acl(path: Path, environ: Mapping[str, str]) -> int:
    """Return the bits of a mode that say nothing about others.

    A credential of systemd belongs to root, and its service reads it by an access control list, whose
    mask stands where the group's bits do otherwise (acl(5)).
    """
    folder = environ.get(_CREDENTIALS)
    return stat.S_IRGRP if folder and path.parent == Path(folder) else 0
