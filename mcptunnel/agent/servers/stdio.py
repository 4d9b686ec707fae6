"""A local server that is a child process and speaks over stdin and stdout."""

import os
from collections.abc import Callable
from typing import Any

from msgspec import Raw
from twisted.internet.defer import Deferred

from mcptunnel.agent.servers.interfaces import STOP_GRACE_S
from mcptunnel.agent.servers.kept import KeptServer
from mcptunnel.agent.servers.printed import Printed
from mcptunnel.config.agent import ServerConfig
from mcptunnel.mcp.announcement import ServerState
from mcptunnel.mcp.jsonrpc import Request
from mcptunnel.mcp.server_half import actions as core
from mcptunnel.mcp.server_half.child import Child
from mcptunnel.mcp.server_half.handshake import Offer, next_offer
from mcptunnel.mcp.server_half.request_state import RequestStates
from mcptunnel.model import Outcome
from mcptunnel.net.errors import printable
from mcptunnel.net.process import ChildProcess, ChildStartError, ExitStatus, child_environment

MAX_UNREAD_BYTES = 16 * 1024 * 1024
"""A server that has left so much of its input unread is asked nothing more until it reads on."""

VERDICT_S = 3600.0
"""How long it is remembered that a server does not bear to be probed: it may be another one by then."""


class StdioServer(KeptServer):
    """Keeps one child process running and carries calls to it (`LocalServer`, `ChildReceiver`).

    Without `probe` it is not asked which era it speaks, but greeted as a legacy server.
    """

    def __init__(
        self,
        reactor: Any,
        config: ServerConfig,
        *,
        client_info: Raw,
        states: RequestStates,
        changed: Callable[[], None],
        probe: bool = True,
    ) -> None:
        super().__init__(reactor, config, client_info=client_info, states=states, changed=changed)
        self._printed = Printed(config.name)
        self._process: ChildProcess | None = None
        self._child: Child | None = None
        self._may_probe = self._probe = probe
        self._is_tried = not probe
        self._verdict_s = 0.0
        self._offer = Offer.FULL
        self._probe_killed_it = False
        self._exit_text = ""
        self._perform: dict[type, Callable[[Any], None]] = {
            core.Write: self._write,
            core.Deliver: self._deliver,
            core.Lost: self._lost,
            core.Ready: lambda action: self._is_ready(action.info),
            core.ListsChanged: lambda _action: self._lists_changed(),
            core.ProbeKilled: self._probe_killed,
            core.Failed: self._failed,
            core.Junk: self._junk,
        }

    # What the agent does.

    def _begin(self) -> None:
        self._probe = self._may_probe
        self._offer = Offer.FULL
        self._spawn()

    def _forget(self) -> None:
        self._child = None
        self._probe_killed_it = False

    async def _end(self, grace_s: float) -> None:
        if self._process is not None:
            await self._process.stop(grace_s)

    def _takes_calls(self) -> bool:
        return self._child is not None or self._comes_soon()

    def _ask(self, key: int, request: Request) -> None:
        child, process = self._child, self._process
        if self._probe_killed_it or child is None:
            self._waiting[key] = request
        elif process is not None and process.unsent_bytes > MAX_UNREAD_BYTES:
            self._fail(key, "does not read what it is sent", Outcome.NOT_DELIVERED)
        else:
            child.tick(self._reactor.seconds())
            child.call(key, request, self._open.asker(key))
            self._perform_all(child)

    def _drop(self, key: int, reason: str) -> None:
        self._waiting.pop(key, None)
        child = self._child
        if child is not None:
            child.cancel(key, reason)
            self._perform_all(child)

    def _parked_count(self) -> int:
        return 0 if self._child is None else self._child.parked_count

    def pause_call(self, key: int) -> None:
        """Nothing: all calls share the pipe."""

    def resume_call(self, key: int) -> None:
        """Nothing, as above."""

    # What the child process tells us.

    def line_received(self, line: bytes) -> None:
        child = self._child
        if child is not None:
            child.receive_line(line, self._reactor.seconds())
            self._perform_all(child)

    def stderr_received(self, line: str) -> None:
        self._printed.line(line)

    def write_paused(self) -> None:
        """Owe it one pong at most; how many requests wait is bounded in `_ask`."""
        if self._child is not None:
            self._child.writing_paused()

    def write_resumed(self) -> None:
        child = self._child
        if child is not None:
            child.writing_resumed()
            self._perform_all(child)

    def exited(self, status: ExitStatus) -> None:
        self._process = None
        self._printed.sweep()
        child, self._child = self._child, None
        if child is None:
            return
        if child.junk_count:
            self._log.info(
                "server {server}: {count} lines or answers that it wrote were no messages for us",
                server=self._config.name,
                count=child.junk_count,
            )
        self._exit_text = f"exited ({status})"
        child.exited()
        self._perform_all(child)
        if self._probe_killed_it:
            self._spawn()
            return
        if self.status.state is not ServerState.FAILED:
            self._troubled(self._exit_text)
        self._try_later()

    # The life of the process.

    def _spawn(self) -> None:
        now_s = self._reactor.seconds()
        self._restarts.started(now_s)
        if self._may_probe and now_s - self._verdict_s >= VERDICT_S:
            self._probe = True
        self._set(state=ServerState.STARTING, detail="is starting")
        config = self._config
        process = ChildProcess(
            self._reactor,
            self,
            command=config.command or (),
            env=child_environment(os.environ, config.env),
            cwd=None if config.cwd is None else str(config.cwd),
        )
        self._probe_killed_it = False
        waiting, self._waiting = self._waiting, {}
        try:
            process.start()
        except ChildStartError as error:
            self._not_started(error, waiting)
            return
        self._process = process
        self._child = child = Child(
            context=self._context, now_s=now_s, probe=self._probe, offer=self._offer
        )
        child.start()
        for key, request in waiting.items():
            child.call(key, request, self._open.asker(key))
        self._perform_all(child)

    def _not_started(self, error: ChildStartError, waiting: dict[int, Request]) -> None:
        setting = f"servers.{self._config.name}.{error.setting}"
        self._troubled(str(error), f"{error.remedy} in {setting}" if error.remedy else "")
        for key in waiting:
            self._fail(key, str(error), Outcome.NOT_DELIVERED)
        self._try_later()

    def _again(self) -> None:
        self._set(restarts=self.status.restarts + 1)
        self._spawn()

    def _sweep(self) -> None:
        if self._child is not None:
            self._child.tick(self._reactor.seconds())
            self._perform_all(self._child)
        self._printed.sweep()
        super()._sweep()

    # Actions of the conversation.

    def _perform_all(self, child: Child) -> None:
        for action in child.take_actions():
            self._perform[type(action)](action)

    def _write(self, action: core.Write) -> None:
        if self._process is not None:
            self._process.write_line(action.line)

    def _lost(self, action: core.Lost) -> None:
        match action.cause:
            case core.LostCause.EXITED:
                detail = f"{self._exit_text} while it was answering"
            case core.LostCause.BUSY:
                detail = "is starting, and too many calls wait for it already"
            case core.LostCause.FAILED:
                detail = self.status.detail
            case core.LostCause.RESTARTED:
                detail = "ended while the call waited for answers of its client"
        self._fail(action.key, detail, action.outcome)

    def _probe_killed(self, action: core.ProbeKilled) -> None:
        """Start again for a server that does not bear to be asked which era it speaks."""
        self._log.info(
            "server {server} is started again, without asking for its era",
            server=self._config.name,
        )
        self._probe = False
        self._verdict_s = self._reactor.seconds()
        self._probe_killed_it = True
        self._waiting.update(action.waiting)
        self._end_process()

    def _failed(self, action: core.Failed) -> None:
        exited = self._process is None
        if exited:
            self._offer = next_offer(self._offer)
        reason = f"failed: {printable(action.reason)}"
        self._troubled(f"{self._exit_text} while starting" if exited else reason)
        self._end_process()

    def _end_process(self) -> None:
        """Stop a process that is of no use; the next one starts once it is gone."""
        if self._process is not None:
            ending = Deferred.fromCoroutine(self._process.stop(STOP_GRACE_S))
            ending.addErrback(lambda failure: self._log.failure("cannot stop a child", failure))

    def _junk(self, action: core.Junk) -> None:
        self._printed.junk(action.sample)
