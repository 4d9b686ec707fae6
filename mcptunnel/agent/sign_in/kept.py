"""Where an agent's sign-in is kept: a file for each relay, in the user's data directory, for nobody else."""

import errno
import fcntl
import hashlib
import os
import re
import shlex
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from mcptunnel.agent.sign_in.grant import MAX_BYTES, DamagedError, Grant
from mcptunnel.config.errors import InvalidValueError
from mcptunnel.config.user_data import user_data
from mcptunnel.errors import McpTunnelError

FOLDER: Final = "sign-ins"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_LASTING: Final = (errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENOTDIR, errno.EISDIR)
"""Of these a person made the reason; others come and go with a machine's troubles."""


class KeptGrantError(McpTunnelError):
    """A sign-in that is there and cannot be used; `remedy` is what to do, as a sentence.

    `is_passing` says that it may be well again by itself: nothing is wrong with the sign-in.
    """

    def __init__(self, message: str, remedy: str, *, is_passing: bool = False) -> None:
        super().__init__(f"{message}. {remedy}")
        self.message = message
        self.remedy = remedy
        self.is_passing = is_passing


def data_dir() -> Path:
    """Return the directory of this user's sign-ins. Raises KeptGrantError."""
    try:
        return user_data() / FOLDER
    except InvalidValueError as error:
        raise KeptGrantError(error.message, error.remedy) from None


def login_command(relay: str) -> str:
    """Return the command that signs in at a relay."""
    return f"mcptunnel login {shlex.quote(relay)}"


def logout_command(relay: str) -> str:
    """Return the command that ends a sign-in."""
    return f"mcptunnel logout {shlex.quote(relay)}"


class KeptGrant:
    """The file of one relay, given by its origin, below `folder` (`data_dir()` if None).

    Raises KeptGrantError.
    """

    def __init__(self, relay: str, folder: Path | None = None) -> None:
        self.relay = relay
        self.folder = data_dir() if folder is None else folder
        readable = re.sub(r"[^a-z0-9.-]+", "_", relay.partition("://")[2])
        digest = hashlib.sha256(relay.encode()).hexdigest()[:12]
        self.path = self.folder / f"{readable[:80]}-{digest}.json"

    def read(self, *, private: bool = True) -> Grant | None:
        """Return what is kept, or None if nobody is signed in. Raises KeptGrantError.

        Without `private` it may be readable by others: to end it, not to use it.
        """
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                status, raw = os.fstat(descriptor), os.read(descriptor, MAX_BYTES + 1)
            finally:
                os.close(descriptor)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unusable(self.path, "cannot be read", error) from error
        self._check(status, private=private)
        again = f"Sign in again: {login_command(self.relay)}"
        try:
            grant = Grant.from_bytes(raw)
        except DamagedError as error:
            raise KeptGrantError(f"{self.path} cannot be used: {error}", again) from None
        if grant.relay != self.relay:
            raise KeptGrantError(f"{self.path} is for another relay", again)
        return grant

    def write(self, grant: Grant) -> None:
        """Keep a grant: after this it is on the disk, and at no time is there half of one.

        Raises KeptGrantError. The lock should be held.
        """
        try:
            _make_folder(self.folder)
            temporary = self.path.with_suffix(f".{os.getpid()}.new")
            temporary.unlink(missing_ok=True)  # of a process with our number that died
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(temporary, flags, 0o600)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    os.fchmod(file.fileno(), 0o600)
                    file.write(grant.to_bytes())
                    file.flush()
                    os.fsync(file.fileno())
                temporary.replace(self.path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
            _sync_folder(self.folder)
        except OSError as error:
            raise _unusable(self.path, "cannot be written", error) from error

    def remove(self) -> None:
        """Forget what is kept, if there is anything. Raises KeptGrantError."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise _unusable(self.path, "cannot be removed", error) from error

    def lock(self) -> "GrantLock":
        """Return the lock of this file, not yet taken."""
        return GrantLock(self.path.with_suffix(".lock"))

    def _check(self, status: os.stat_result, *, private: bool) -> None:
        if status.st_uid != os.geteuid():
            raise KeptGrantError(
                f"{self.path} belongs to another user",
                f"Sign in as the user who runs the agent: {login_command(self.relay)}",
            )
        if private and status.st_mode & _OTHERS:
            quoted = shlex.quote(str(self.path))
            raise KeptGrantError(
                f"{self.path} can be read by others",
                f"Run: chmod 600 {quoted}, or, if others may have read it: "
                f"{logout_command(self.relay)}",
            )


class GrantLock:
    """Held while a sign-in changes, so that no two programs renew with the same refresh token.

    A file beside the other: that one is replaced, so its own lock would be on what was. The system
    lets go of it when a process dies.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def try_acquire(self) -> bool:
        """Take the lock, unless another has it; never waits. Raises KeptGrantError."""
        try:
            _make_folder(self._path.parent)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(self._path, flags, 0o600)
        except OSError as error:
            raise _unusable(self._path, "cannot be locked", error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                return False
            raise _unusable(self._path, "cannot be locked", error) from error
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Let go, if it is held."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _make_folder(folder: Path) -> None:
    """Let there be a folder of ours alone. Raises OSError, KeptGrantError."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.stat()
    if status.st_uid != os.geteuid():
        raise KeptGrantError(
            f"{folder} belongs to another user", "Do this as the user who runs the agent."
        )
    if status.st_mode & _OTHERS:
        folder.chmod(0o700)


def _sync_folder(folder: Path) -> None:
    """Let a new name be on the disk, too, where the file system can do that."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unusable(path: Path, what: str, error: OSError) -> KeptGrantError:
    reason = os.strerror(error.errno or errno.EIO)
    return KeptGrantError(
        f"{path} {what}: {reason}",
        f"Look at {path.parent}.",
        is_passing=error.errno not in _LASTING,
    )
