"""The relay as one service: real sockets on the loopback, a real store, a real agent's link."""

# pytest_twisted is not annotated.
# mypy: disable-error-code="untyped-decorator"

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
import treq
from sqlalchemy import Connection
from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers

from mcptunnel.auth.keys import IssuedKey, Scope
from mcptunnel.config.relay import RelayConfig
from mcptunnel.errors import McpTunnelError
from mcptunnel.model import LOCAL_ISSUER, Principal
from mcptunnel.net.dial import connect
from mcptunnel.net.errors import ListenFailed, UpgradeRefused
from mcptunnel.relay.devices import MAX_DEVICES
from mcptunnel.relay.service import RelayService
from mcptunnel.store.database import FILE_NAME, Database
from mcptunnel.store.devices import Devices as DeviceTable
from mcptunnel.store.directory import StoredKeys
from mcptunnel.store.keys import Keys
from mcptunnel.wire.constants import ErrorCode, Role
from tests.net.tunnels import Owner

LONG_ENOUGH_S = 10.0
ALICE = Principal(LOCAL_ISSUER, "alice")


class Program:
    """A relay that runs, and how to talk to it."""

    def __init__(self, service: RelayService, url: str, reactor: Any) -> None:
        self.service = service
        self.url = url
        self._reactor = reactor
        pool = HTTPConnectionPool(reactor, persistent=False)
        self._http = HTTPClient(Agent(reactor, pool=pool))

    async def get(self, path: str) -> Any:
        return await treq.json_content(await self._http.get(self.url + path))

    async def post(self, path: str, key: str, body: Any) -> tuple[int, Any]:
        headers = Headers({"authorization": [f"Bearer {key}"]})
        headers.addRawHeader("mcp-protocol-version", "2026-07-28")
        headers.addRawHeader("mcp-method", body["method"])
        answer = await self._http.post(self.url + path, headers=headers, json=body)
        return answer.code, await treq.json_content(answer)

    async def discover(self, key: str) -> int:
        about = {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        body = {"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {"_meta": about}}
        status, _ = await self.post("/mcp", key, body)
        return status

    async def listen(self, key: str) -> Deferred[Any]:
        """Open a legacy session and its stream; return what fires when the stream ends."""
        headers = Headers({"authorization": [f"Bearer {key}"]})
        params = {"protocolVersion": "2025-11-25", "capabilities": {}}
        body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
        answer = await self._http.post(f"{self.url}/mcp", headers=headers, json=body)
        await treq.content(answer)
        headers.setRawHeaders("mcp-session-id", answer.headers.getRawHeaders("mcp-session-id"))
        stream = await self._http.get(f"{self.url}/mcp", headers=headers)
        assert stream.code == 200
        ended: Deferred[Any] = treq.content(stream)
        return ended.addTimeout(LONG_ENOUGH_S, self._reactor)

    async def connect(self, key: str) -> Owner:
        """Connect an agent; return when it was welcomed."""
        welcomed: Deferred[None] = Deferred()
        owner = Owner(Role.AGENT, welcome=lambda _tunnel: welcomed.callback(None))
        owner.clock = self._reactor
        await connect(
            f"{self.url}/tunnel",
            receiver=owner.end(),
            reactor=self._reactor,
            headers={"Authorization": f"Bearer {key}"},
        )
        welcomed.addTimeout(LONG_ENOUGH_S, self._reactor)
        await welcomed
        return owner

    async def until_lost(self, owner: Owner) -> None:
        end_s = self._reactor.seconds() + LONG_ENOUGH_S
        while not owner.lost:
            assert self._reactor.seconds() < end_s
            await deferLater(self._reactor, 0.005)


def config(tmp_path: Path, port: int) -> RelayConfig:
    return RelayConfig(
        listen=f"tcp:{port}:interface=127.0.0.1",
        public_url=f"http://127.0.0.1:{port}",
        state_dir=tmp_path / "state",
    )


def issue(tmp_path: Path, scope: Scope) -> IssuedKey:
    with Database(tmp_path / "state" / FILE_NAME) as database:
        return database.write(
            lambda connection: Keys(connection).issue(
                ALICE, scope, "", random=os.urandom(40), now_s=1.0
            )
        )


@asynccontextmanager
async def running(tmp_path: Path, port: int, reactor: Any) -> AsyncIterator[Program]:
    service = RelayService(reactor, config(tmp_path, port))
    service.startService()
    try:
        yield Program(service, f"http://127.0.0.1:{port}", reactor)
    finally:
        await service.stopService()


@pytest_twisted.ensureDeferred
async def test_agents_and_clients_come_in_with_their_keys(
    tmp_path: Path, free_port: int, running_reactor: Any
) -> None:
    """And neither with the other's; what was there is known after a restart."""
    agent_key, mcp_key = issue(tmp_path, Scope.AGENT), issue(tmp_path, Scope.MCP)
    async with running(tmp_path, free_port, running_reactor) as relay:
        assert (await relay.get("/health"))["tunnel"] == "disconnected"
        owner = await relay.connect(agent_key.text)
        assert (await relay.get("/health"))["tunnel"] == "connected"
        assert await relay.discover(agent_key.text) == 403
        assert await relay.discover(mcp_key.text) == 200
        with pytest.raises(UpgradeRefused) as refusal:
            await relay.connect(mcp_key.text)
        assert refusal.value.status == 403
    await relay.until_lost(owner)
    codes = [notice.code for notice in owner.notices]
    assert codes == [ErrorCode.NO_ERROR, ErrorCode.SHUTDOWN]
    async with running(tmp_path, free_port, running_reactor) as relay:
        (device,) = relay.service.devices.everyone()
        assert device.name == "laptop"
        assert not device.is_connected
        assert device.last_seen_s > device.first_seen_s - 1


@pytest_twisted.ensureDeferred
async def test_a_device_that_makes_room_is_forgotten_for_good(
    tmp_path: Path, free_port: int, running_reactor: Any
) -> None:
    """Too many devices, known from before: the one that was seen first is in the store no more."""
    path = tmp_path / "state" / FILE_NAME

    def seen(connection: Connection) -> None:
        for number in range(MAX_DEVICES + 1):
            DeviceTable(connection).seen(ALICE, f"installation-{number:04}", "laptop", number)

    with Database(path) as database:
        database.write(seen)
    async with running(tmp_path, free_port, running_reactor) as relay:
        assert len(relay.service.devices.everyone()) == MAX_DEVICES
    with Database(path) as database:
        left = database.read(lambda connection: DeviceTable(connection).list(ALICE))
    assert len(left) == MAX_DEVICES
    assert left[0].installation_id == "installation-0001"


@pytest_twisted.ensureDeferred
async def test_what_is_stored_has_the_time_of_day(
    tmp_path: Path, free_port: int, running_reactor: Any
) -> None:
    """Whatever clock the reactor goes by: the next run has another."""
    agent_key = issue(tmp_path, Scope.AGENT)
    service = RelayService(running_reactor, config(tmp_path, free_port), epoch_s=lambda: 7.0)
    service.startService()
    try:
        relay = Program(service, f"http://127.0.0.1:{free_port}", running_reactor)
        await relay.connect(agent_key.text)
    finally:
        await service.stopService()
    with Database(tmp_path / "state" / FILE_NAME) as database:
        (device,) = database.read(lambda connection: DeviceTable(connection).list())
        (key,) = database.read(lambda connection: Keys(connection).list())
    assert (device.first_seen_s, device.last_seen_s, key.last_used_s) == (7.0, 7.0, 7.0)


@pytest_twisted.ensureDeferred
async def test_a_revoked_key_ends_its_link_and_its_calls_at_once(
    tmp_path: Path, free_port: int, running_reactor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[StoredKeys] = []
    create = StoredKeys.__init__

    def noted(self: StoredKeys, *args: Any, **options: Any) -> None:
        made.append(self)
        create(self, *args, **options)

    monkeypatch.setattr(StoredKeys, "__init__", noted)
    agent_key, mcp_key = issue(tmp_path, Scope.AGENT), issue(tmp_path, Scope.MCP)
    async with running(tmp_path, free_port, running_reactor) as relay:
        owner = await relay.connect(agent_key.text)
        assert await relay.discover(mcp_key.text) == 200
        stream = await relay.listen(mcp_key.text)
        assert await made[0].revoke(agent_key.record.id)
        assert not stream.called
        assert await made[0].revoke(mcp_key.record.id)
        assert (await stream).startswith(b":")
        assert await relay.discover(mcp_key.text) == 401
        await relay.until_lost(owner)
        assert owner.notices[0].code is ErrorCode.REVOKED
        with pytest.raises(UpgradeRefused) as refusal:
            await relay.connect(agent_key.text)
        assert refusal.value.status == 401


@pytest_twisted.ensureDeferred
async def test_a_relay_that_stops_ends_the_streams_of_its_clients(
    tmp_path: Path, free_port: int, running_reactor: Any
) -> None:
    """In order: a client sees the end of the stream, not a broken one."""
    mcp_key = issue(tmp_path, Scope.MCP)
    async with running(tmp_path, free_port, running_reactor) as relay:
        stream = await relay.listen(mcp_key.text)
    assert (await stream).startswith(b":")


@pytest_twisted.ensureDeferred
async def test_a_taken_port_stops_the_start_and_leaves_nothing(
    tmp_path: Path, free_port: int, running_reactor: Any
) -> None:
    async with running(tmp_path, free_port, running_reactor):
        other = RelayService(running_reactor, config(tmp_path / "other", free_port))
        with pytest.raises(ListenFailed, match=str(free_port)):
            other.startService()
        await other.stopService()


@pytest_twisted.ensureDeferred
async def test_a_state_directory_in_use_stops_the_start(
    tmp_path: Path, free_ports: Any, running_reactor: Any
) -> None:
    first, second = free_ports(2)
    async with running(tmp_path, first, running_reactor):
        other = RelayService(running_reactor, config(tmp_path, second))
        with pytest.raises(McpTunnelError, match="another relay"):
            other.startService()
        await other.stopService()
    assert not list((tmp_path / "state").glob("*.sock"))
