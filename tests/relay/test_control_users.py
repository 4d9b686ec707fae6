"""`/api/v1/users` on the control socket."""

# pytest_twisted is not annotated.
# mypy: disable-error-code="untyped-decorator"

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred

from mcptunnel.cli.control import ControlError
from mcptunnel.model import LOCAL_ISSUER, Principal
from mcptunnel.relay.access import Revoked
from mcptunnel.relay.control import Commanded, ControlSocket
from mcptunnel.relay.login.directory import UserDirectory
from mcptunnel.store.people.users import Users
from tests.relay.control_socket import Served, idle
from tests.relay.store_at_once import StoreAtOnce

ANNA = Principal(LOCAL_ISSUER, "anna ü")


@pytest.fixture
def revoked() -> list[Revoked]:
    return []


@pytest.fixture
def socket(
    tmp_path: Path, running_reactor: Any, store: StoreAtOnce, revoked: list[Revoked]
) -> Iterator[Served]:
    served = Served(tmp_path / "control.sock", running_reactor)
    users = UserDirectory(
        store,
        "https://relay.example",
        is_local=True,
        random=lambda count: b"r" * count,
        epoch_s=lambda: 10.0,
        revoked=revoked.append,
    )
    served.service = ControlSocket(
        served.path,
        Commanded(served.keys, idle, people=users),
        running_reactor,
        running_reactor,
    )
    served.service.startService()
    yield served
    pytest_twisted.blockon(ensureDeferred(served.service.stopService()))


@pytest_twisted.ensureDeferred
async def test_users_are_listed_and_changed(
    socket: Served, store: StoreAtOnce, revoked: list[Revoked]
) -> None:
    store.database.write(lambda c: Users(c).seen(ANNA, display_name="Anna", email=None, now_s=1.0))
    answer = await socket.request("GET", "/api/v1/users")
    assert [one["user"] for one in answer["users"]] == ["anna ü"]
    order = {"user": "anna ü"}
    changed = [
        (await socket.request("POST", f"/api/v1/users/{how}", order))["changed"]
        for how in ("enable", "disable", "disable", "enable", "remove", "remove")
    ]
    assert changed == [False, True, False, True, True, False]
    assert revoked == [Revoked(principal=ANNA)] * 2
    other = {"user": "anna ü", "issuer": "https://idp.example"}
    assert await socket.request("POST", "/api/v1/users/disable", other) == {"changed": False}


@pytest_twisted.ensureDeferred
async def test_links_are_made(socket: Served) -> None:
    made = await socket.request("POST", "/api/v1/users/setup-link", {})
    assert made["url"].startswith("https://relay.example/setup?token=mcpt_su_")
    assert made["expires_s"] == 10.0 + 900.0
    made = await socket.request("POST", "/api/v1/users/invite", {"user": "bär"})
    assert made["url"].startswith("https://relay.example/invite?token=mcpt_iv_")
    with pytest.raises(ControlError, match="There is no user bär") as caught:
        await socket.request("POST", "/api/v1/users/reset-password", {"user": "bär"})
    assert caught.value.status == 409


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/api/v1/users/disable", {}, 400),
        ("POST", "/api/v1/users/disable", {"user": 1}, 400),
        ("POST", "/api/v1/users/reset-password", {}, 400),
        ("GET", "/api/v1/users/disable", None, 405),
        ("DELETE", "/api/v1/users", None, 405),
        ("POST", "/api/v1/users/else", {"user": "x"}, 404),
        ("POST", "/api/v1/users/disable/x", {"user": "x"}, 404),
    ],
)
@pytest_twisted.ensureDeferred
async def test_what_is_wrong_is_told(
    socket: Served, method: str, path: str, body: Any, status: int
) -> None:
    assert await socket.refused(method, path, body) == status
