"""The audit log as a file of JSON lines, for programs that gather logs: what is in the store goes there, too.

Events are read back from the store, so those of commands without a running relay are among them, and
none is written that was rolled back. The file is opened anew each time: it may be renamed away and
begun again at any moment (logrotate needs no `postrotate`).
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mcptunnel.errors import McpTunnelError
from mcptunnel.store.audit import AuditLog
from mcptunnel.store.audit_json import audit_line, number_in
from mcptunnel.store.engine import Store, Transaction

EVERY_S: Final = 1.0
LIMIT: Final = 500
"""Events that are written in one go."""

SETTLED_S: Final = 30.0
"""An event that is so old has no older one beside it that is still to come: transactions take less."""

_TAIL_BYTES: Final = 64 * 1024


class AuditFileError(McpTunnelError):
    """The file cannot be written."""


class AuditFile(Service):
    """Writes the file while the service runs. `epoch_s` is the time of day."""

    _log = Logger()

    def __init__(
        self, path: Path, store: Store, reactor: Any, epoch_s: Callable[[], float]
    ) -> None:
        self._path = path
        self._store = store
        self._reactor = reactor
        self._epoch_s = epoch_s
        self._made_s = epoch_s()
        self._done: int | None = None
        self._written: set[int] = set()
        self._call: Any = None
        self._writing: Deferred[None] | None = None
        self._told = ""

    def startService(self) -> None:
        """Look whether the file can be written. Raises AuditFileError."""
        self._done = last_number(self._path)
        append(self._path, "")
        super().startService()
        self._begin()

    async def stopService(self) -> None:
        """Write what is left, and stop."""
        super().stopService()
        if self._call is not None:
            self._call.cancel()
            self._call = None
        if self._writing is not None:
            await self._writing
        await self._write()

    def _begin(self) -> None:
        self._call = None
        self._writing = Deferred.fromCoroutine(self._write_and_wait())

    async def _write_and_wait(self) -> None:
        await self._write()
        self._writing = None
        if self.running:
            self._call = self._reactor.callLater(EVERY_S, self._begin)

    async def _write(self) -> None:
        try:
            while await self._store.read(self._write_some) == LIMIT:
                pass
        except McpTunnelError as error:  # the events stay in the store, and come later
            if str(error) != self._told:
                self._told = str(error)
                self._log.error("the audit log is in the store alone: {error}", error=self._told)
        else:
            self._told = ""

    def _write_some(self, connection: Transaction) -> int:
        """Write what is new; return how many events were looked at. Runs in a thread of the store."""
        log = AuditLog(connection)
        if self._done is None:  # a new file begins with what this relay does
            self._done = log.newest(before_s=self._made_s)
        found = log.after(self._done, limit=LIMIT)
        new = [one for one in found if one.id not in self._written]
        if new:
            append(self._path, "".join(map(audit_line, new)))
            self._written.update(one.id for one in new)
        settled_s = self._epoch_s() - SETTLED_S
        for one in found:
            if one.event.at_s > settled_s and len(found) < LIMIT:
                break
            self._done = one.id
            self._written.discard(one.id)
        return len(found)


def append(path: Path, text: str) -> None:
    """Add to a file, which is for its owner alone if it is new. Raises AuditFileError."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
    except OSError as error:
        raise _unusable(path, error) from error


def last_number(path: Path) -> int | None:
    """Return the number of the last event in a file, or None. Raises AuditFileError."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            lines = file.read().splitlines()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(path, error) from error
    numbers = (number_in(line) for line in reversed(lines))
    return next((number for number in numbers if number is not None), None)


def _unusable(path: Path, error: OSError) -> AuditFileError:
    return AuditFileError(f"audit_file: {path} cannot be written: {error.strerror}")
