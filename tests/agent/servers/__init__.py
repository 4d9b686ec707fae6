"""Local servers; what their tests share: a process that does what the test says."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred

from mcptunnel.net.process import ChildReceiver, ChildStartError, ExitStatus

LEGACY_RESULT = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"tools": {}},
    "serverInfo": {"name": "fake", "version": "1"},
}
MODERN_RESULT = {
    "resultType": "complete",
    "supportedVersions": ["2026-07-28"],
    "capabilities": {"tools": {}},
    "ttlMs": 0,
    "cacheScope": "private",
}


class FakeProcess:
    """Stands in for `net.process.ChildProcess`: the test writes what the child would."""

    def __init__(
        self,
        workshop: "Workshop",
        receiver: ChildReceiver,
        *,
        command: Sequence[str],
        env: Mapping[str, str],
        cwd: str | None = None,
    ) -> None:
        self._workshop = workshop
        self._receiver = receiver
        self.command, self.env, self.cwd = command, env, cwd
        self.written: list[Any] = []
        self.stopping: list[float] = []
        self.unsent_bytes = 0
        self._gone: list[Deferred[None]] = []
        self.is_gone = False

    def start(self) -> None:
        if self._workshop.refusal:
            raise ChildStartError(self._workshop.refusal, "Install it")
        self._workshop.processes.append(self)

    def write_line(self, line: bytes) -> None:
        self.written.append(json.loads(line))

    async def stop(self, grace_s: float) -> None:
        if self.is_gone:
            return
        self.stopping.append(grace_s)
        gone: Deferred[None] = Deferred()
        self._gone.append(gone)
        await gone

    # What the test makes of it.

    def asked(self, method: str) -> list[Any]:
        """Return the messages of one method that were written to it."""
        return [message for message in self.written if message.get("method") == method]

    def say(self, message: object) -> None:
        """Write one line to stdout."""
        line = message if isinstance(message, bytes) else json.dumps(message).encode()
        self._receiver.line_received(line)

    def answer(self, method: str, result: object = None, **error: object) -> None:
        """Answer the last request of a method."""
        message: dict[str, object] = {"jsonrpc": "2.0", "id": self.asked(method)[-1]["id"]}
        self.say({**message, **({"error": error} if error else {"result": result})})

    def be_modern(self) -> "FakeProcess":
        self.answer("server/discover", MODERN_RESULT)
        return self

    def be_legacy(self) -> "FakeProcess":
        self.answer("server/discover", code=-32601, message="Method not found")
        self.answer("initialize", LEGACY_RESULT)
        return self

    def complain(self, line: str) -> None:
        """Write one line to stderr."""
        self._receiver.stderr_received(line)

    def be_deaf(self, unsent_bytes: int) -> None:
        """Leave so much unread."""
        self.unsent_bytes = unsent_bytes
        self._receiver.write_paused()

    def hear_again(self) -> None:
        self.unsent_bytes = 0
        self._receiver.write_resumed()

    def exit(self, code: int = 1) -> None:
        """Be gone."""
        self.is_gone = True
        self._receiver.exited(ExitStatus(code, None))
        waiting, self._gone = self._gone, []
        for gone in waiting:
            gone.callback(None)


class Workshop:
    """Makes fake processes, and keeps them; with a `refusal` none can be started."""

    def __init__(self) -> None:
        self.processes: list[FakeProcess] = []
        self.refusal = ""

    def __call__(self, _reactor: object, receiver: ChildReceiver, **options: Any) -> FakeProcess:
        return FakeProcess(self, receiver, **options)

    @property
    def last(self) -> FakeProcess:
        return self.processes[-1]
