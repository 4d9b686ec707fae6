"""A local server that is a child process and speaks over stdin and stdout."""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from msgspec import Raw
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from mcptunnel.agent.servers.calls import OpenCalls
from mcptunnel.agent.servers.interfaces import Cancel, ServerState, ServerStatus
from mcptunnel.agent.servers.restarts import RestartPolicy
from mcptunnel.config.agent import ServerConfig
from mcptunnel.mcp.calls import CallFailure, CallReceiver
from mcptunnel.mcp.jsonrpc import Notification, Request
from mcptunnel.mcp.server_half import actions as core
from mcptunnel.mcp.server_half.child import Child
from mcptunnel.model import Outcome
from mcptunnel.net.process import ChildProcess, ChildStartError, ExitStatus, child_environment

SWEEP_INTERVAL_S = 1.0


class StdioServer:
    """Keeps one child process running and carries calls to it (`LocalServer`, `ChildReceiver`).

    `changed` is called after every change of `status`.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        config: ServerConfig,
        *,
        client_info: Raw,
        changed: Callable[[], None],
    ) -> None:
        self._reactor = reactor
        self._config = config
        self._client_info = client_info
        self._changed = changed
        self._process: ChildProcess | None = None
        self._child: Child | None = None
        self._calls = OpenCalls(config.timeout_s)
        self._running = False
        self._probe = True
        self._probe_killed_it = False
        self._handed_on: tuple[tuple[int, Request], ...] = ()
        self._restarts = RestartPolicy()
        self._restart_call: IDelayedCall | None = None
        self._tick_call: IDelayedCall | None = None
        self.status = ServerStatus(
            config.name, config.kind, ServerState.STOPPED, 0, prefix=config.prefix
        )
        self._perform: dict[type, Callable[[Any], None]] = {
            core.Write: self._write,
            core.Deliver: self._deliver,
            core.Lost: self._lost,
            core.Ready: self._ready,
            core.ToolsChanged: self._tools_changed,
            core.ProbeKilled: self._probe_killed,
            core.Failed: self._failed,
            core.Junk: self._junk,
        }

    # What the agent does.

    def start(self) -> None:
        self._running = True
        self._probe = True
        self._spawn()

    async def stop(self) -> None:
        self._running = False
        self._cancel_timers()
        process, self._process, self._child = self._process, None, None
        self._calls.fail_all(self._failure("was stopped", Outcome.UNKNOWN))
        self._handed_on = ()
        self._set(state=ServerState.STOPPED)
        if process is not None:
            await process.stop()

    async def restart(self) -> None:
        await self.stop()
        self._restarts = RestartPolicy()
        self.start()

    def call(self, request: Request, receiver: CallReceiver) -> Cancel:
        child = self._child
        if child is None:
            detail = self.status.detail or "is not running"
            receiver.call_failed(self._failure(detail, Outcome.NOT_DELIVERED))
            return _already_over
        key = self._calls.add(receiver, self._reactor.seconds())
        child.call(key, request)
        self._perform_all(child)

        def cancel(reason: str) -> None:
            if self._calls.pop(key) is not None and self._child is child:
                child.cancel(key, reason)
                self._perform_all(child)

        return cancel

    # What the child process tells us.

    def line_received(self, line: bytes) -> None:
        child = self._child
        if child is not None:
            child.receive_line(line, self._reactor.seconds())
            self._perform_all(child)

    def stderr_received(self, line: str) -> None:
        self._log.info("{server}: {line}", server=self._config.name, line=line)

    def write_paused(self) -> None:
        """Nothing to do: requests are whole before they are written, and bounded in number."""

    def write_resumed(self) -> None:
        """Nothing to do, as above."""

    def exited(self, status: ExitStatus) -> None:
        child = self._child
        if child is None:
            return
        if self.status.state is not ServerState.FAILED:
            self._set(state=ServerState.FAILED, detail=f"exited ({status})")
        self._log.warn(
            "server {server} exited ({status})", server=self._config.name, status=str(status)
        )
        child.exited()
        self._perform_all(child)
        self._child = self._process = None
        if self._running and self._probe_killed_it:
            self._spawn()
        else:
            self._restart_later()

    # The life of the process.

    def _spawn(self) -> None:
        now_s = self._reactor.seconds()
        self._restarts.started(now_s)
        self._set(state=ServerState.STARTING, detail="is starting")
        config = self._config
        process = ChildProcess(
            self._reactor,
            self,
            command=config.command or (),
            env=child_environment(os.environ, config.env),
            cwd=None if config.cwd is None else str(config.cwd),
        )
        try:
            process.start()
        except ChildStartError as error:
            self._log.error("server {server}: {error}", server=config.name, error=str(error))
            self._set(state=ServerState.FAILED, detail=f"cannot be started: {error}")
            self._restart_later()
            return
        self._process = process
        self._child = child = Child(client_info=self._client_info, now_s=now_s, probe=self._probe)
        child.start()
        self._probe_killed_it = False
        handed_on, self._handed_on = self._handed_on, ()
        for key, request in handed_on:
            child.call(key, request)
        self._perform_all(child)
        self._tick()

    def _restart_later(self) -> None:
        if not self._running or self._restart_call is not None:
            return
        delay_s = self._restarts.ended(self._reactor.seconds())
        self._restart_call = self._reactor.callLater(delay_s, self._restart_now)

    def _restart_now(self) -> None:
        self._restart_call = None
        self._set(restarts=self.status.restarts + 1)
        self._spawn()

    def _cancel_timers(self) -> None:
        for call in (self._restart_call, self._tick_call):
            if call is not None and call.active():
                call.cancel()
        self._restart_call = self._tick_call = None

    def _tick(self) -> None:
        if self._tick_call is not None and self._tick_call.active():
            self._tick_call.cancel()
        self._tick_call = None
        child = self._child
        if child is None:
            return
        now_s = self._reactor.seconds()
        child.tick(now_s)
        for key in self._calls.late(now_s):
            receiver = self._calls.pop(key)
            child.cancel(key, "timeout")
            if receiver is not None:
                text = f"gave no answer within {self._calls.timeout_s:g} s"
                receiver.call_failed(self._failure(text, Outcome.UNKNOWN))
        self._perform_all(child)
        if self._child is child:
            self._tick_call = self._reactor.callLater(SWEEP_INTERVAL_S, self._tick)

    def _set(self, **changes: Any) -> None:
        self.status = replace(self.status, **changes)
        self._changed()

    def _failure(self, detail: str, outcome: Outcome) -> CallFailure:
        return CallFailure(f"The server {self._config.name!r} {detail}.", outcome)

    # Actions of the conversation.

    def _perform_all(self, child: Child) -> None:
        for action in child.take_actions():
            self._perform[type(action)](action)

    def _write(self, action: core.Write) -> None:
        if self._process is not None:
            self._process.write_line(action.line)

    def _deliver(self, action: core.Deliver) -> None:
        message = action.message
        if isinstance(message, Notification):
            receiver = self._calls.progressed(action.key, self._reactor.seconds())
            if receiver is not None:
                receiver.notification(message)
            return
        receiver = self._calls.pop(action.key)
        if receiver is not None:
            receiver.response(message)

    def _lost(self, action: core.Lost) -> None:
        receiver = self._calls.pop(action.key)
        if receiver is not None:
            receiver.call_failed(self._failure(self._words(action.cause), action.outcome))

    def _words(self, cause: core.LostCause) -> str:
        if cause is core.LostCause.BUSY:
            return "is starting, and too many calls wait for it already"
        detail = self.status.detail or "is not running"
        return f"{detail} while it was answering" if detail.startswith("exited") else detail

    def _ready(self, action: core.Ready) -> None:
        info = action.info
        self._log.info(
            "server {server} is ready: {era} {version}",
            server=self._config.name,
            era=info.era.value,
            version=info.version,
        )
        self._set(
            state=ServerState.READY,
            detail="",
            era=info.era.value,
            version=info.version,
            revision=self.status.revision + 1,
        )

    def _tools_changed(self, _action: core.ToolsChanged) -> None:
        self._set(revision=self.status.revision + 1)

    def _probe_killed(self, action: core.ProbeKilled) -> None:
        """Start again for a server that does not bear to be asked which era it speaks."""
        self._probe = False
        self._probe_killed_it = True
        self._handed_on = action.waiting
        self._end_process()

    def _failed(self, action: core.Failed) -> None:
        self._log.error("server {server}: {reason}", server=self._config.name, reason=action.reason)
        self._set(state=ServerState.FAILED, detail=f"failed: {action.reason}")
        self._end_process()

    def _end_process(self) -> None:
        """Stop a process that is of no use; the next one starts once it is gone."""
        if self._process is not None:
            ending = Deferred.fromCoroutine(self._process.stop())
            ending.addErrback(lambda failure: self._log.failure("cannot stop a child", failure))

    def _junk(self, action: core.Junk) -> None:
        self._log.debug(
            "server {server}: not a message: {sample}",
            server=self._config.name,
            sample=action.sample,
        )


def _already_over(_reason: str) -> None:
    """Cancel nothing."""
