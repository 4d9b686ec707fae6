"""Threads that are none: what they are given is done at once."""

from collections.abc import Callable
from typing import Any

from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool


class ThreadsAtOnce(ThreadPool):
    """Calls back in the thread of the test."""

    def __init__(self) -> None:
        super().__init__(0, 1)

    def start(self) -> None:
        """Start nothing."""

    def stop(self) -> None:
        """Stop nothing."""

    def callInThreadWithCallback(
        self, onResult: Any, func: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> None:
        try:
            result = func(*args, **kwargs)
        except Exception:  # noqa: BLE001 - as a thread does
            onResult(False, Failure())
        else:
            onResult(True, result)


class ReactorAtOnce:
    """What `deferToThreadPool` needs of a reactor."""

    def callFromThread(self, work: Callable[..., Any], *args: Any) -> None:
        work(*args)
