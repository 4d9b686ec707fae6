"""What the control socket answers, and that a stop waits for it."""

# pytest_twisted is not annotated.
# mypy: disable-error-code="untyped-decorator"

import json
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent

from mcptunnel.cli.control import ControlError
from mcptunnel.relay.control import Commanded, ControlSocket
from mcptunnel.relay.control_api import STOP_TIMEOUT_S
from mcptunnel.store.errors import StoreError
from tests.conftest import LoggedFailures
from tests.relay.control_socket import Keys, Served, ask, idle, turns


@pytest_twisted.ensureDeferred
async def test_the_life_of_a_key(served: Served) -> None:
    made = await served.request(
        "POST", "/api/v1/keys", {"user": "alice", "scope": "mcp", "name": "cursor"}
    )
    record = {
        "id": "id0",
        "scope": "mcp",
        "issuer": "local",
        "user": "alice",
        "name": "cursor",
        "created_s": 1.5,
        "last_used_s": None,
        "revoked_s": None,
    }
    assert made == {"key": "mcpt_ak_id0", **record}
    assert await served.request("GET", "/api/v1/keys") == {"keys": [record]}
    assert await served.request("DELETE", "/api/v1/keys/id0") is None
    assert await served.request("GET", "/api/v1/keys") == {"keys": []}
    assert await served.refused("DELETE", "/api/v1/keys/id0") == 404


@pytest_twisted.ensureDeferred
async def test_status_and_headers(served: Served) -> None:
    body = json.dumps({"user": "alice", "scope": "agent"}).encode()
    answer = await served.raw(
        b"POST /api/v1/keys HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"
        % (len(body), body)
    )
    assert answer.startswith(b"HTTP/1.1 201 ")
    assert b"content-type: application/json\r\n" in answer.lower()
    assert b"cache-control: no-store\r\n" in answer.lower()
    answer = await served.raw(
        b"DELETE /api/v1/keys/id0 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 204 ")


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/", None, 404),
        ("GET", "/api/v1/nothing", None, 404),
        ("GET", "/api/v1/keys/a/b", None, 404),
        ("GET", "/api/v1/keys/a", None, 405),
        ("DELETE", "/api/v1/keys", None, 405),
        ("PUT", "/api/v1/keys", None, 405),
        ("POST", "/api/v1/keys", None, 400),
        ("POST", "/api/v1/keys", [], 400),
        ("POST", "/api/v1/keys", {"user": "alice"}, 400),
        ("POST", "/api/v1/keys", {"user": "alice", "scope": "admin"}, 400),
        ("POST", "/api/v1/keys", {"user": 5, "scope": "mcp"}, 400),
        ("POST", "/api/v1/keys", {"user": " ", "scope": "mcp"}, 400),
        ("POST", "/api/v1/keys", {"user": "a\nb", "scope": "mcp"}, 400),
        ("POST", "/api/v1/keys", {"user": "a", "scope": "mcp", "name": "x" * 256}, 400),
        ("POST", "/api/v1/keys", {"user": "a" * 20_000, "scope": "mcp"}, 413),
    ],
)
@pytest_twisted.ensureDeferred
async def test_refusals(served: Served, method: str, path: str, body: Any, status: int) -> None:
    assert await served.refused(method, path, body) == status
    assert served.keys.records == {}


@pytest_twisted.ensureDeferred
async def test_an_error_is_logged_and_told_without_details(
    served: Served, logged_failures: LoggedFailures
) -> None:
    served.keys.broken = ZeroDivisionError()
    with pytest.raises(ControlError, match="its log says why") as caught:
        await served.request("GET", "/api/v1/keys")
    assert caught.value.status == 500
    assert len(logged_failures.take(ZeroDivisionError)) == 1


@pytest_twisted.ensureDeferred
async def test_an_expected_error_is_a_sentence(served: Served) -> None:
    """In the log, without a traceback, and to the person at the command line."""
    served.keys.broken = StoreError("the store x failed: database or disk is full")
    with capturedLogs() as logged, pytest.raises(ControlError, match="or disk is full") as caught:
        await served.request("GET", "/api/v1/keys")
    assert caught.value.status == 500
    (event,) = [event for event in logged if "control socket" in str(formatEvent(event))]
    assert "log_failure" not in event
    assert "or disk is full" in str(formatEvent(event))


@pytest_twisted.ensureDeferred
async def test_a_client_that_goes_harms_nothing(served: Served, running_reactor: Any) -> None:
    wait: Deferred[None] = Deferred()
    served.keys.wait = wait
    with ask(served.path):
        await turns(running_reactor)
    await turns(running_reactor)
    served.keys.wait = None
    wait.callback(None)
    assert await served.request("GET", "/api/v1/keys") == {"keys": []}


@pytest_twisted.ensureDeferred
async def test_a_stop_waits_for_answers(served: Served, running_reactor: Any) -> None:
    wait: Deferred[None] = Deferred()
    served.keys.wait = wait
    with ask(served.path) as connection:
        await turns(running_reactor)
        stopped = ensureDeferred(served.service.stopService())
        await turns(running_reactor)
        assert not stopped.called
        wait.callback(None)
        await stopped
        await turns(running_reactor)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


@pytest_twisted.ensureDeferred
async def test_a_stop_waits_only_so_long(tmp_path: Path, running_reactor: Any) -> None:
    """What takes too long is cancelled, and that is no error."""
    path, clock = tmp_path / "control.sock", Clock()
    keys = Keys()
    keys.wait = Deferred()
    service = ControlSocket(path, Commanded(keys, idle), running_reactor, clock)
    service.startService()
    with ask(path):
        await turns(running_reactor)
        stopped = ensureDeferred(service.stopService())
        await turns(running_reactor)
        clock.advance(STOP_TIMEOUT_S - 0.1)
        assert not stopped.called
        clock.advance(0.2)
        await stopped
    await turns(running_reactor)


@pytest_twisted.ensureDeferred
async def test_the_status_of_the_relay(served: Served) -> None:
    told = await served.request("GET", "/api/v1/status")
    assert told == {"state": "running", "calls": 0, "devices": 2, "resuming": 1}
    assert await served.refused("POST", "/api/v1/status") == 405
    assert await served.refused("GET", "/api/v1/status/more") == 404
