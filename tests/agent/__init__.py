"""The agent; what its tests share: a caller that remembers, requests, and waiting."""

import os
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from mcptunnel.mcp import jsonrpc
from mcptunnel.mcp.calls import CallFailure
from mcptunnel.mcp.jsonrpc import Notification, Request, Response
from mcptunnel.mcp.server_half.request_state import RequestStates

_Test: TypeAlias = Callable[..., Coroutine[Any, Any, None]]

in_reactor: Callable[[_Test], _Test] = pytest_twisted.ensureDeferred
"""Run a test as a coroutine in the reactor; pytest-twisted has no types."""

TIMEOUT_S = 20.0
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
STATES = RequestStates.of(os.urandom(32), os.urandom)
CLIENT_INFO = jsonrpc.raw({"name": "agent under test", "version": "1"})


def the_reactor() -> Any:
    """Return the global reactor; not before pytest-twisted has chosen it."""
    from twisted.internet import reactor  # noqa: PLC0415  an import installs the default one

    return reactor


async def until(condition: Callable[[], object]) -> None:
    """Let the reactor turn until a condition holds."""
    reactor = the_reactor()
    deadline_s = reactor.seconds() + TIMEOUT_S
    while not condition():
        assert reactor.seconds() < deadline_s, "it never came"
        await deferLater(reactor, 0.001)


def done(deferred: Deferred[Any]) -> bool:
    """Say whether something has come to its end; mypy takes the attribute for a constant."""
    return deferred.called


def error_of(deferred: "Deferred[Any]") -> BaseException | None:
    """Take the error with which something has ended."""
    caught: list[Failure] = []
    deferred.addErrback(caught.append)
    return caught[0].value


def request(method: str, /, request_id: int | str = 1, **params: object) -> Request:
    """Return a request of the hub's."""
    return Request(request_id, method, {name: jsonrpc.raw(one) for name, one in params.items()})


def tool_call(name: str, /, request_id: int | str = 1, **arguments: object) -> Request:
    """Return a call of a tool that asks for progress."""
    return request(
        "tools/call",
        request_id,
        name=name,
        arguments=arguments,
        _meta={"progressToken": "caller's own", **META},
    )


class Caller:
    """Who makes a call (`CallReceiver`), and remembers what came of it."""

    def __init__(self) -> None:
        self.notifications: list[Notification] = []
        self.answer: Response | None = None
        self.failure: CallFailure | None = None
        self.at_failure: Callable[[], object] = lambda: None

    @property
    def is_over(self) -> bool:
        return self.answer is not None or self.failure is not None

    @property
    def result(self) -> Any:
        """The result, decoded."""
        assert self.answer is not None, self.failure
        assert self.answer.result is not None, self.answer.error
        return jsonrpc.decode(self.answer.result)

    @property
    def error(self) -> Any:
        """The JSON-RPC error, decoded."""
        assert self.answer is not None, self.failure
        assert self.answer.error is not None
        return jsonrpc.decode(self.answer.error)

    async def over(self) -> "Caller":
        await until(lambda: self.is_over)
        return self

    def notification(self, message: Notification) -> None:
        assert not self.is_over
        self.notifications.append(message)

    def response(self, message: Response) -> None:
        assert not self.is_over
        self.answer = message

    def call_failed(self, failure: CallFailure) -> None:
        assert not self.is_over
        self.failure = failure
        self.at_failure()
