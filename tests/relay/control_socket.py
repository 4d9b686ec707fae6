"""A control socket over keys in memory, and ways to ask it."""

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from mcptunnel.auth.keys import IssuedKey, KeyId, KeyRecord, Scope
from mcptunnel.cli.control import ControlClient, ControlError
from mcptunnel.model import Principal
from mcptunnel.relay.control import Commanded, ControlSocket
from mcptunnel.relay.control_api import RelayStatus


class Keys:
    """A directory in memory; `wait` makes `list` wait for it, `broken` is raised by it."""

    def __init__(self) -> None:
        self.records: dict[str, KeyRecord] = {}
        self.wait: Deferred[None] | None = None
        self.broken: Exception | None = None

    async def create(self, *, user: str, scope: Scope, name: str) -> IssuedKey:
        key_id = KeyId(f"id{len(self.records)}")
        record = KeyRecord(
            id=key_id, scope=scope, principal=Principal("local", user), name=name, created_s=1.5
        )
        self.records[key_id] = record
        return IssuedKey(record=record, text=f"mcpt_ak_{key_id}")

    async def list(self) -> Sequence[KeyRecord]:
        if self.broken is not None:
            raise self.broken
        if self.wait is not None:
            await self.wait
        return list(self.records.values())

    async def revoke(self, key_id: KeyId) -> bool:
        return self.records.pop(key_id, None) is not None


def idle() -> RelayStatus:
    """Return the status of a relay without calls."""
    return RelayStatus("running", calls=0, devices=2, resuming=1)


class Served:
    def __init__(self, path: Path, reactor: Any) -> None:
        self.path = path
        self.keys = Keys()
        self.service = ControlSocket(path, Commanded(self.keys, idle), reactor, reactor)

    async def request(self, method: str, path: str, body: Any = None) -> Any:
        return await deferToThread(ControlClient(self.path).request, method, path, body)

    async def refused(self, method: str, path: str, body: Any = None) -> int:
        with pytest.raises(ControlError) as caught:
            await self.request(method, path, body)
        return caught.value.status

    async def raw(self, request: bytes) -> bytes:
        return cast("bytes", await deferToThread(exchange, self.path, request))


def exchange(path: Path, request: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(path))
        connection.sendall(request)
        answer = b""
        while part := connection.recv(65536):
            answer += part
        return answer


def ask(path: Path) -> socket.socket:
    """Ask for the keys, and wait for nothing."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(10)
    connection.connect(str(path))
    connection.sendall(b"GET /api/v1/keys HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    return connection


async def turns(reactor: Any) -> None:
    for _ in range(10):
        turn: Deferred[None] = Deferred()
        reactor.callLater(0, turn.callback, None)
        await turn
