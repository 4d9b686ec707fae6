"""`/api/v1/grants` on the control socket."""

# pytest_twisted is not annotated.
# mypy: disable-error-code="untyped-decorator"

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred

from mcptunnel.relay.access import Revoked
from mcptunnel.relay.control import Commanded, ControlSocket
from mcptunnel.relay.oauth.taking_back import GrantDirectory
from tests.relay.control_socket import Served, idle
from tests.relay.oauth.parts import ALICE, APP, Parts
from tests.relay.store_at_once import StoreAtOnce


@pytest.fixture
def parts(store: StoreAtOnce) -> Parts:
    return Parts(store, store.database)


@pytest.fixture
def socket(tmp_path: Path, running_reactor: Any, parts: Parts) -> Iterator[Served]:
    served = Served(tmp_path / "control.sock", running_reactor)
    grants = GrantDirectory(
        parts.around.store, epoch_s=parts.around.epoch_s, revoked=parts.revoked.append
    )
    served.service = ControlSocket(
        served.path, Commanded(served.keys, idle, grants=grants), running_reactor, running_reactor
    )
    served.service.startService()
    yield served
    pytest_twisted.blockon(ensureDeferred(served.service.stopService()))


@pytest_twisted.ensureDeferred
async def test_grants_are_listed_and_taken_back(socket: Served, parts: Parts) -> None:
    for name in ("one", "two", "three"):
        parts.grant(name)
    answer = await socket.request("GET", "/api/v1/grants")
    assert {one["id"] for one in answer["grants"]} == {"one", "two", "three"}
    assert {one["client_id"] for one in answer["grants"]} == {APP.id}

    async def ended(**order: str) -> int:
        told: int = (await socket.request("POST", "/api/v1/grants/revoke", order))["ended"]
        return told

    assert [await ended(grant="one"), await ended(grant="one")] == [1, 0]
    assert await ended(client_id=APP.id, user="bob") == 0
    assert await ended(client_id=APP.id, user="alice", issuer=ALICE.issuer) == 2
    assert parts.revoked[0] == Revoked(grant_id="one")
    assert parts.revoked[-1] == Revoked(principal=ALICE, client_id=APP.id)
    assert await socket.request("GET", "/api/v1/grants") == {"grants": []}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/api/v1/grants/revoke", {}, 400),
        ("POST", "/api/v1/grants/revoke", {"user": "alice"}, 400),
        ("POST", "/api/v1/grants/revoke", {"grant": 1}, 400),
        ("GET", "/api/v1/grants/revoke", None, 405),
        ("POST", "/api/v1/grants", {}, 405),
        ("POST", "/api/v1/grants/else", {}, 404),
        ("POST", "/api/v1/grants/revoke/x", {}, 404),
    ],
)
@pytest_twisted.ensureDeferred
async def test_what_is_wrong_is_told(
    socket: Served, method: str, path: str, body: Any, status: int
) -> None:
    assert await socket.refused(method, path, body) == status
