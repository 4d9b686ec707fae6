"""Passwords to argon2 hashes (RFC 9106), in a few threads of their own: one takes much memory and time."""

from collections.abc import Callable
from typing import Final, TypeVar

from argon2 import Parameters, PasswordHasher, profiles
from argon2.exceptions import Argon2Error, InvalidHashError
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from mcptunnel.relay.oauth.throttling import BusyError

MAX_AT_ONCE: Final = 2
MAX_WAITING: Final = 32
"""What waits longer than its turn takes would be given up by the browser anyway."""

BUSY_S: Final = 5.0

PARAMETERS: Final = profiles.RFC_9106_LOW_MEMORY
"""64 MiB and three passes each."""

_NOBODYS: Final = "the password of nobody at all"

_T = TypeVar("_T")


class PasswordHashes:
    """Makes and checks hashes; `start` before use, `stop` at the end, in the reactor's thread."""

    def __init__(
        self,
        reactor: IReactorFromThreads,
        threads: ThreadPool | None = None,
        parameters: Parameters = PARAMETERS,
    ) -> None:
        self._reactor = reactor
        self._threads = threads or ThreadPool(0, MAX_AT_ONCE, "passwords")
        self._hasher = PasswordHasher.from_parameters(parameters)
        self._waiting = 0
        self._nobodys: str | None = None

    def start(self) -> None:
        """Start the threads."""
        self._threads.start()

    def stop(self) -> None:
        """Wait for what is being worked out, and end the threads."""
        self._threads.stop()

    async def hash(self, password: str) -> str:
        """Return a new hash of a password. Raises BusyError."""
        return await self._in_thread(lambda: self._hasher.hash(password))

    async def is_right(self, argon2: str | None, password: str) -> bool:
        """Tell whether a hash is of a password. Raises BusyError.

        Without a hash there is no such user: the answer is no, and takes as long (threat 31).
        """
        return await self._in_thread(lambda: self._check(argon2, password))

    def is_weak(self, argon2: str) -> bool:
        """Tell whether a hash was made with other parameters than new ones are."""
        return self._hasher.check_needs_rehash(argon2)

    def _check(self, argon2: str | None, password: str) -> bool:
        if self._nobodys is None:  # two threads may both make one, which is no harm
            self._nobodys = self._hasher.hash(_NOBODYS)
        try:
            self._hasher.verify(argon2 or self._nobodys, password)
        except (Argon2Error, InvalidHashError):
            return False
        return argon2 is not None

    def _in_thread(self, work: Callable[[], _T]) -> Deferred[_T]:
        if self._waiting >= MAX_WAITING:
            raise BusyError("Too many people sign in at the moment", BUSY_S)
        self._waiting += 1
        doing = deferToThreadPool(self._reactor, self._threads, work)

        def done(result: _T) -> _T:
            self._waiting -= 1
            return result

        return doing.addBoth(done)
